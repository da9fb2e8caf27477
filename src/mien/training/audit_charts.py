"""The charts of an audit's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.training.findings import FaceFindings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT = "#222222", "#d9d9d9"
_SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
"""Colours of splits and corpora: Okabe and Ito (2008)."""


def balance_chart(balance: dict[str, dict[str, int]]) -> Figure:
    """Draw the share of each emotion in each split.

    Parameters
    ----------
    balance : dict of str to dict of str to int
        See :attr:`mien.training.findings.CorpusFindings.balance`.
    """
    names = list(dict.fromkeys(name for counts in balance.values() for name in counts))
    figure = _figure(6.6, 0.8 + len(names) * (0.16 + 0.13 * len(balance)))
    ax = figure.add_subplot()
    height = 0.8 / len(balance)
    for i, (split, counts) in enumerate(balance.items()):
        total = max(sum(counts.values()), 1)
        share = [counts.get(name, 0) / total for name in names]
        where = np.arange(len(names)) + (i - (len(balance) - 1) / 2) * height
        label = f"{split or 'all'} (N {total:,})"
        ax.barh(where, share, height=height * 0.9, color=_SERIES[i % len(_SERIES)], label=label)
    ax.set_yticks(np.arange(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel("share of the pictures")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.legend(frameon=False, fontsize=8)
    _plain(ax)
    return figure


def light_chart(light: NDArray[np.float32]) -> Figure:
    """Draw how light is spread.

    Parameters
    ----------
    light : ndarray of shape (n, 4), float32
        See :attr:`mien.training.measures.Measures.light`.
    """
    titles = ("brightness", "contrast", "from the subject's left (+)", "from above (+)")
    ranges = ((0, 1), (0, 0.5), (-0.6, 0.6), (-0.6, 0.6))
    figure = _figure(8, 2.3)
    for i, (title, (low, high)) in enumerate(zip(titles, ranges, strict=True)):
        ax = figure.add_subplot(1, 4, i + 1)
        ax.hist(np.clip(light[:, i], low, high), bins=40, range=(low, high), color=_SERIES[0])
        ax.set_title(title, fontsize=9, loc="left", color=_INK)
        ax.set_yticks([])
        _plain(ax)
    return figure


def face_chart(faces: FaceFindings) -> Figure:
    """Draw how faces are turned, and how large they are."""
    figure = _figure(8, 3)
    turned = figure.add_subplot(1, 2, 1)
    pose, found = faces.pose, faces.found
    turned.scatter(
        pose.yaw_deg[found],
        pose.roll_deg[found],
        s=4,
        alpha=0.25,
        linewidths=0,
        color=_SERIES[0],
        rasterized=True,
    )
    turned.set_xlim(-60, 60)
    turned.set_ylim(-60, 60)
    turned.set_xlabel("yaw, estimated (degrees)")
    turned.set_ylabel("roll, estimated (degrees)")
    _plain(turned)
    size = figure.add_subplot(1, 2, 2)
    eyes = pose.eyes_px[found]
    high = float(np.percentile(eyes, 99.5)) if len(eyes) else 1.0
    size.hist(np.minimum(eyes, high), bins=40, color=_SERIES[0])
    size.set_xlabel("distance of the eyes (px)")
    size.set_yticks([])
    _plain(size)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _plain(ax: Axes) -> None:
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(_FAINT)
    ax.tick_params(length=0, colors=_INK, labelsize=8)
