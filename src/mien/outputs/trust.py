"""Charts that say how far answers can be trusted: what abstaining gains, beside how calibrated they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import bad_argument
from mien.outputs.palette import as_hex, colour_of
from mien.outputs.plots import Chart, check_chart, label_shares, save_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _GREY = "#222222", "#9a9a9a"
_BLUE, _RED = as_hex(colour_of("sadness")), as_hex(colour_of("anger"))
_SIDE_INCHES = 5.0


@dataclass(frozen=True, eq=False)
class AbstentionPlot(Chart):
    """How accuracy rises as the least sure answers are left out.

    Parameters
    ----------
    share : ndarray of shape (b,), float64
        Part of the pictures that is answered, rising, 0 to 1.
    accuracy : ndarray of shape (b,), float64
        Part of these answers that is right, 0 to 1.
    marks : tuple of (float, float, str)
        Points to name: share, accuracy and what to write there.
    area : float
        Area under the risk-coverage curve, 0 to 1.
    n : int
        Pictures.
    title : str
    """

    share: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    marks: tuple[tuple[float, float, str], ...]
    area: float
    n: int
    title: str = ""

    @classmethod
    def from_curve(
        cls,
        share: ArrayLike,
        accuracy: ArrayLike,
        *,
        area: float,
        n: int,
        marks: Sequence[tuple[float, float, str]] = (),
        title: str = "",
    ) -> AbstentionPlot:
        """Take a curve that is computed already.

        Raises
        ------
        ArgumentError
            If the two columns are not equally long, or empty.
        """
        columns = np.asarray(share, float), np.asarray(accuracy, float)
        if columns[0].shape != columns[1].shape or columns[0].ndim != 1 or not len(columns[0]):
            given = [column.shape for column in columns]
            raise bad_argument("share, accuracy", allowed="equally long columns, not empty", given=given)
        return cls(*columns, tuple(marks), area, n, title)

    def _size_inches(self) -> tuple[float, float]:
        return _SIDE_INCHES, _SIDE_INCHES

    def _draw(self, ax: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        ax.plot(self.share, self.accuracy, color=_BLUE, linewidth=1.8, clip_on=False)
        ax.axhline(self.accuracy[-1], color=_GREY, linewidth=1, linestyle="--", label="if all are answered")
        for share, accuracy, words in self.marks:
            ax.plot([share], [accuracy], "o", color=_RED, markersize=5, clip_on=False)
            place, near = (share, accuracy), (-6, -9)
            ax.annotate(words, place, near, textcoords="offset points", ha="right", fontsize=8, color=_INK)
        # The few surest answers swing widely: the scale is made for the rest.
        lowest = float(self.accuracy[self.share >= min(0.05, self.share[-1])].min())
        ax.set(xlim=(0, 1.02), ylim=(max(0.0, np.floor(lowest * 10 - 0.5) / 10), 1.02))
        ax.set_box_aspect(1)
        ax.yaxis.set_major_locator(MaxNLocator(9, steps=[1, 2, 5, 10]))
        label_shares(ax, "pictures answered, the surest first", "right answers among them")
        words = f"area of errors {self.area:.1%}\n{self.n:,} pictures"
        ax.text(0.03, 0.05, words, ha="left", va="bottom", color=_INK, transform=ax.transAxes)
        ax.legend(loc="lower right", frameon=False)
        tidy(ax, self.title)


def save_beside(charts: Sequence[Chart], path: str | Path, *, title: str = "") -> None:
    """Draw charts side by side into one figure and save it, whole or not at all.

    Parameters
    ----------
    charts : sequence of Chart
        One or more.
    path : path
        Ends in .png, .svg or .pdf.
    title : str
        Over all of them.

    Raises
    ------
    ArgumentError
        If there is no chart, or the name ends in something else.
    OutputError
        If nothing can be written there.
    """
    if not charts:
        raise bad_argument("charts", allowed="one chart or more", given=charts)
    check_chart(path)
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    size = _SIDE_INCHES * len(charts) + 0.4, _SIDE_INCHES + 0.4
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    for chart, ax in zip(charts, figure.subplots(1, len(charts), squeeze=False)[0], strict=True):
        chart.plot(ax)
    if title:
        figure.suptitle(title.replace("$", r"\$"), color=_INK, fontsize=10, x=0.01, ha="left")
    save_figure(figure, path)
