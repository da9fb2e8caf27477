"""Charts made of numbers that are computed already; drawing never computes a result.

Each chart is a value with a constructor from results, ``plot(ax=None)`` that draws it and returns it, and
``save(path)``. No global state of matplotlib is touched.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import bad_argument
from mien.outputs.files import check_target, write_file
from mien.outputs.palette import as_hex, colour_of, text_colour_on
from mien.readings import Readings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SAVE_SUFFIXES = (".png", ".svg", ".pdf")
"""What the names of charts that are written may end in."""

_INK, _FAINT, _BLUE = "#222222", "#d9d9d9", as_hex(colour_of("sadness"))
_ROW_INCHES, _MARGIN_INCHES = 0.36, 0.12
_NAMED_FROM = 0.09
"""A part of a bar smaller than this has no room for its number."""


class Chart:
    """What all charts share: they draw into any axes, or into a figure of their own, and are saved."""

    ax_: Axes
    """The axes last drawn into."""

    def plot(self, ax: Axes | None = None) -> Any:
        """Draw into `ax`, or into a new figure of fitting size.

        Returns
        -------
        The chart itself, with the axes as ``ax_`` and their figure as ``ax_.figure``.
        """
        if ax is None:
            from matplotlib.figure import Figure
            from matplotlib.layout_engine import ConstrainedLayoutEngine

            layout = ConstrainedLayoutEngine(w_pad=_MARGIN_INCHES, h_pad=_MARGIN_INCHES)
            ax = Figure(figsize=self._size_inches(), layout=layout).add_subplot()
        self._draw(ax)
        object.__setattr__(self, "ax_", ax)
        return self

    def save(self, path: str | Path) -> None:
        """Draw into a new figure and save it, whole or not at all.

        Raises
        ------
        ArgumentError
            If the name does not end in .png, .svg or .pdf.
        OutputError
            If nothing can be written there.
        """
        check_chart(path)
        save_figure(self.plot().ax_.figure, path)

    def _size_inches(self) -> tuple[float, float]:
        raise NotImplementedError

    def _draw(self, ax: Axes) -> None:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class ProbabilityChart(Chart):
    """The probabilities of every face: bars for one face, a divided bar for each of several.

    Parameters
    ----------
    names : tuple of str
        The k emotions.
    probability : ndarray of shape (n, k), float32
        Rows that sum to one.
    emotion : tuple of str
        The displayed emotion of each face, or "unsure".
    title : str
    """

    names: tuple[str, ...]
    probability: NDArray[np.float32]
    emotion: tuple[str, ...]
    title: str = ""

    @classmethod
    def from_readings(cls, readings: Readings) -> ProbabilityChart:
        """Take the numbers of one picture; faces keep their numbers in the table."""
        title = Path(readings.source).name.encode("utf-8", "backslashreplace").decode("utf-8")
        return cls(readings.labels.names, readings.probability, tuple(readings.emotion), title)

    def _size_inches(self) -> tuple[float, float]:
        rows = len(self.names) if len(self.probability) == 1 else len(self.probability) + 1.5
        return 7.0, max(2.4, 1.2 + _ROW_INCHES * rows)

    def _draw(self, ax: Axes) -> None:
        if len(self.probability) == 1:
            self._draw_one(ax)
        elif len(self.probability):
            self._draw_many(ax)
        else:
            ax.text(0.5, 0.5, "no face found", ha="center", va="center", color=_INK, transform=ax.transAxes)
            ax.set_yticks([])
        ax.set_xlim(0, 1)
        as_percent(ax.xaxis)
        ax.set_xlabel("probability of the displayed expression", color=_INK)
        tidy(ax, self.title)

    def _draw_one(self, ax: Axes) -> None:
        order = np.argsort(self.probability[0], kind="stable")
        values = self.probability[0][order].astype(float)
        names = [self.names[k] for k in order]
        rows = np.arange(len(values))
        ax.barh(rows, np.ones(len(values)), color="#f2f2f2", height=0.66)
        ax.barh(rows, values, color=[as_hex(colour_of(name)) for name in names], height=0.66)
        for row, value in enumerate(values):
            inside = value > 0.85
            ax.text(
                value + (-0.012 if inside else 0.012),
                row,
                f"{value:.0%}" if value >= 0.005 else "<1%",
                ha="right" if inside else "left",
                va="center",
                color=as_hex(text_colour_on(colour_of(names[row]))) if inside else _INK,
            )
        ax.set_yticks(rows, names)
        ax.set_ylim(-0.6, len(values) - 0.4)

    def _draw_many(self, ax: Axes) -> None:
        n = len(self.probability)
        start = np.zeros(n)
        for k, name in enumerate(self.names):
            part = self.probability[:, k].astype(float)
            colour = colour_of(name)
            ax.barh(
                np.arange(n),
                part,
                left=start,
                color=as_hex(colour),
                label=name,
                height=0.74,
                edgecolor="white",
            )
            for row in np.flatnonzero(part >= _NAMED_FROM):
                centre = start[row] + part[row] / 2
                ink = as_hex(text_colour_on(colour))
                ax.text(centre, int(row), f"{part[row]:.0%}", ha="center", va="center", color=ink, fontsize=8)
            start += part
        ax.set_yticks(np.arange(n), [f"#{i} {emotion}" for i, emotion in enumerate(self.emotion)])
        ax.set_ylim(n - 0.5, -0.5)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9, handlelength=1)


@dataclass(frozen=True, eq=False)
class ConfusionPlot(Chart):
    """Which expression was taken for which: rows are the labels, columns the answers.

    Parameters
    ----------
    counts : ndarray of shape (k, k), int64
        Pictures with the label of the row that got the answer of the column.
    names : tuple of str
        The k emotions.
    title : str
    """

    counts: NDArray[np.int64]
    names: tuple[str, ...]
    title: str = ""

    @classmethod
    def from_counts(cls, counts: ArrayLike, names: Sequence[str], *, title: str = "") -> ConfusionPlot:
        """Take a confusion matrix that is counted already.

        Raises
        ------
        ArgumentError
            If it is not square over `names`, or has negative counts.
        """
        matrix = np.asarray(counts)
        k = len(names)
        if matrix.shape != (k, k) or (matrix < 0).any():
            raise bad_argument("counts", allowed=f"counts of shape ({k}, {k})", given=matrix)
        return cls(matrix.astype(np.int64), tuple(names), title)

    def _size_inches(self) -> tuple[float, float]:
        side = 2.2 + 0.62 * len(self.names)
        return side + 0.4, side

    def _draw(self, ax: Axes) -> None:
        total = self.counts.sum(axis=1, keepdims=True)
        part = self.counts / np.maximum(total, 1)
        ax.imshow(part, cmap="Blues", vmin=0, vmax=1)
        k = len(self.names)
        for row, column in np.ndindex(k, k):
            ax.text(
                column,
                row,
                f"{part[row, column]:.0%}\n{self.counts[row, column]:,}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if part[row, column] > 0.55 else _INK,
            )
        ax.set_xticks(range(k), self.names, rotation=40, ha="right", rotation_mode="anchor")
        rows = [f"{name} ({count:,})" for name, count in zip(self.names, total[:, 0], strict=True)]
        ax.set_yticks(range(k), rows)
        ax.set_xlabel("read as", color=_INK)
        ax.set_ylabel("labelled (pictures)", color=_INK)
        tidy(ax, self.title)


@dataclass(frozen=True, eq=False)
class ReliabilityPlot(Chart):
    """Whether probabilities can be believed: how often answers of a confidence are right.

    Parameters
    ----------
    confidence : ndarray of shape (b,), float64
        Mean confidence in each bin, 0 to 1.
    accuracy : ndarray of shape (b,), float64
        Part of the answers in each bin that are right, 0 to 1.
    count : ndarray of shape (b,), int64
        Answers in each bin; bins without any are not drawn.
    ece : float
        Expected calibration error, 0 to 1.
    title : str
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]
    ece: float
    title: str = ""

    @classmethod
    def from_bins(
        cls, confidence: ArrayLike, accuracy: ArrayLike, count: ArrayLike, *, ece: float, title: str = ""
    ) -> ReliabilityPlot:
        """Take a reliability table that is computed already.

        Raises
        ------
        ArgumentError
            If the three columns are not equally long.
        """
        columns = np.asarray(confidence, float), np.asarray(accuracy, float), np.asarray(count, np.int64)
        if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
            raise bad_argument(
                "confidence, accuracy, count",
                allowed="equally long columns",
                given=[column.shape for column in columns],
            )
        return cls(*columns, ece, title)

    def _size_inches(self) -> tuple[float, float]:
        return 5.0, 5.0

    def _draw(self, ax: Axes) -> None:
        used = self.count > 0
        area = 30 + 420 * self.count[used] / max(1, self.count.max(initial=0))
        ax.plot([0, 1], [0, 1], color="#9a9a9a", linewidth=1, linestyle="--", label="as often as it says")
        ax.plot(self.confidence[used], self.accuracy[used], color=_BLUE, linewidth=1.4)
        x, y = self.confidence[used], self.accuracy[used]
        ax.scatter(x, y, s=area, color=_BLUE, alpha=0.55, linewidth=0, clip_on=False)
        ax.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
        label_shares(ax, "confidence", "right answers")
        words = f"calibration error {self.ece:.1%}\n{int(self.count.sum()):,} answers"
        ax.text(0.97, 0.05, words, ha="right", va="bottom", color=_INK, transform=ax.transAxes)
        ax.legend(loc="upper left", frameon=False)
        tidy(ax, self.title)


def check_chart(path: str | Path) -> None:
    """Raise unless a chart can be written there, as :meth:`Chart.save` does."""
    target = Path(path)
    if target.suffix.lower() not in SAVE_SUFFIXES:
        allowed = f"a name that ends in {', '.join(SAVE_SUFFIXES)}"
        raise bad_argument("path", allowed=allowed, given=str(path))
    check_target(target)


def save_figure(figure: Any, path: str | Path) -> None:
    """Write a matplotlib figure, whole or not at all, as its name says; see :meth:`Chart.save`."""
    check_chart(path)
    target, buffer = Path(path), io.BytesIO()
    with warnings.catch_warnings():
        # A title in a script that the font lacks is drawn with boxes; that is no reason to be loud.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(buffer, format=target.suffix.lower()[1:], dpi=160, facecolor="white")
    write_file(target, buffer.getvalue())


def tidy(ax: Axes, title: str) -> None:
    """Give axes the quiet look of all charts, and a title at the left."""
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(_FAINT)
    ax.tick_params(length=0, colors=_INK)
    if title:
        ax.set_title(title.replace("$", r"\$"), loc="left", color=_INK, fontweight="bold", pad=8)


def label_shares(ax: Axes, x: str, y: str) -> None:
    """Write both axes as percents over a faint grid, and say what they are."""
    as_percent(ax.xaxis)
    as_percent(ax.yaxis)
    ax.grid(color=_FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(x, color=_INK)
    ax.set_ylabel(y, color=_INK)


def as_percent(axis: Any) -> None:
    """Write the numbers of an axis, shares from 0 to 1, as whole percents."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
