"""A film at a glance: what each person displayed over time, as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.outputs.palette import as_hex, colour_of, text_colour_on
from mien.outputs.plots import Chart, tidy
from mien.outputs.readback import FilmTable
from mien.outputs.summary import Summary, film_of, frame_seconds, summarise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BINS = 1200
"""Most steps of time that are drawn; a chart on a page has about as many pixels."""

MOST_PEOPLE = 8
"""Most people drawn; those seen longest."""

_AREA, _STRIP, _ROW = 0.74, (0.79, 0.97), 1.22
"""Of a person's row: height of the probabilities, place of the displayed emotion, and height with the space
below."""

_WIDE_ENOUGH = 0.045
"""A part of a bar smaller than this has no room for its number."""

_SHORTEST_S = 1e-3
"""What a film of one frame is drawn as, seconds."""

_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_MOST_TICKS = 9
_NO_FACE, _NO_FRAMES = "#8a8f98", "#e3e5e8"


@dataclass(frozen=True, eq=False)
class Timeline(Chart):
    """What each person displayed over time: smoothed probabilities, and the displayed emotion above them.

    Parameters
    ----------
    title : str
    states : tuple of str
        The k states a face can be in: the e emotions first, then perhaps "unsure".
    edges_s : ndarray of shape (b + 1,), float64
        Where the steps of time begin and end, seconds from the start of the film.
    people : tuple of (int, float)
        Track and seconds seen of each of the p people, in the order of their rows.
    probability : ndarray of shape (p, b, e), float64
        Mean in each step; NaN where the person was not seen.
    displayed : ndarray of shape (p, b), int64
        The state displayed longest in each step; -1 where the person was not seen.
    without_face : ndarray of shape (b,), float64
        Part of each step, 0 to 1, in which no face was found; NaN where there are no frames.
    left_out : int
        People who are not drawn.
    """

    title: str
    states: tuple[str, ...]
    edges_s: NDArray[np.float64]
    people: tuple[tuple[int, float], ...]
    probability: NDArray[np.float64]
    displayed: NDArray[np.int64]
    without_face: NDArray[np.float64]
    left_out: int = 0

    @property
    def emotions(self) -> tuple[str, ...]:
        """The e emotions."""
        return self.states[: self.probability.shape[2]]

    def _size_inches(self) -> tuple[float, float]:
        return 11.0, 1.5 + 0.95 * max(len(self.people), 1)

    def _draw(self, ax: Axes) -> None:
        from matplotlib.patches import Patch

        rows = len(self.people)
        for row in range(rows):
            self._draw_person(ax, row, (rows - 1 - row) * _ROW)
        x = _doubled(self.edges_s)
        empty = np.repeat(np.isnan(self.without_face), 2)
        alone = np.repeat(self.without_face > 0.5, 2)
        ax.fill_between(x, -0.22, max(rows, 1) * _ROW, where=empty, color=_NO_FRAMES, linewidth=0, zorder=0)
        ax.fill_between(x, -0.22, -0.1, where=alone, color=_NO_FACE, linewidth=0)
        names = [f"person {track}\nseen {clock(seen_s)}" for track, seen_s in self.people]
        middle = [(rows - 1 - row) * _ROW + 0.45 for row in range(rows)]
        ax.set_yticks([*middle, -0.16], [*names, "no face"], fontsize=9)
        ax.set_ylim(-0.3, max(rows, 1) * _ROW)
        span = float(self.edges_s[-1] - self.edges_s[0])
        ax.set_xlim(self.edges_s[0], self.edges_s[-1])
        _time_axis(ax, span)
        patches = [Patch(color=as_hex(colour_of(name)), label=name) for name in self.states]
        if empty.any():
            patches.append(Patch(color=_NO_FRAMES, label="no frames"))
        ax.legend(
            handles=patches[::-1],
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            frameon=False,
            fontsize=9,
            handlelength=1,
        )
        tidy(ax, self.title + (f" ({self.left_out} more people, seen shorter)" if self.left_out else ""))

    def _draw_person(self, ax: Axes, row: int, bottom: float) -> None:
        x = _doubled(self.edges_s)
        seen = np.repeat(self.displayed[row] >= 0, 2)
        values = np.nan_to_num(np.repeat(self.probability[row], 2, axis=0))
        tops = bottom + _AREA * np.cumsum(values, axis=1)
        floor: Any = np.full(len(x), bottom)
        for column, emotion in enumerate(self.emotions):
            colour = as_hex(colour_of(emotion))
            ax.fill_between(x, floor, tops[:, column], where=seen, color=colour, linewidth=0, alpha=0.85)
            floor = tops[:, column]
        low, high = (bottom + edge for edge in _STRIP)
        shown = np.repeat(self.displayed[row], 2)
        for state in np.unique(shown[shown >= 0]):
            colour = as_hex(colour_of(self.states[state]))
            ax.fill_between(x, low, high, where=shown == state, color=colour, linewidth=0)


@dataclass(frozen=True, eq=False)
class ShareChart(Chart):
    """How much of the time in which a person was seen each emotion was displayed: a divided bar for each.

    Parameters
    ----------
    states : tuple of str
        The k states.
    people : tuple of (int, float)
        Track and seconds seen of each of the p people.
    share : ndarray of shape (p, k), float64
        Rows that sum to one.
    """

    states: tuple[str, ...]
    people: tuple[tuple[int, float], ...]
    share: NDArray[np.float64]

    @classmethod
    def from_summary(cls, summary: Summary, most: int = MOST_PEOPLE) -> ShareChart:
        """Take the numbers of the `most` people seen longest; there must be one."""
        people = summary.people[:most]
        seen = tuple((person.track, person.seen_s) for person in people)
        return cls(summary.states, seen, np.stack([person.share for person in people]))

    def _size_inches(self) -> tuple[float, float]:
        names = 0.8 + 0.2 * len(self.states)  # what the list of emotions beside the bars needs
        return 11.0, max(names, 1.1 + 0.5 * len(self.people))

    def _draw(self, ax: Axes) -> None:
        rows = np.arange(len(self.people))
        start = np.zeros(len(rows))
        for column, name in enumerate(self.states):
            part, colour = self.share[:, column], colour_of(name)
            ax.barh(rows, part, left=start, height=0.7, color=as_hex(colour), label=name, edgecolor="white")
            for row in np.flatnonzero(part >= _WIDE_ENOUGH):
                where, ink = start[row] + part[row] / 2, as_hex(text_colour_on(colour))
                words = f"{part[row]:.0%}"
                ax.text(where, int(row), words, ha="center", va="center", color=ink, fontsize=9)
            start = start + part
        names = [f"person {track}\nseen {clock(seen_s)}" for track, seen_s in self.people]
        ax.set_yticks(rows, names, fontsize=9)
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_xlim(0, 1)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        ax.set_xlabel("share of the time in which the person was seen", color="#222222")
        ax.legend(
            loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, fontsize=9, handlelength=1, ncols=1
        )
        tidy(ax, "")


def timeline(
    table: str | Path | pd.DataFrame | FilmTable,
    *,
    tracks: Sequence[int] | None = None,
    bins: int = BINS,
    title: str | None = None,
    summary: Summary | None = None,
) -> Timeline:
    """Compute the chart of a film's table.

    Parameters
    ----------
    table : path, DataFrame or FilmTable
        As for :func:`mien.outputs.summary.summarise`.
    tracks : sequence of int, optional
        The people to draw; by default the eight seen longest.
    bins : int
        Most steps of time, 1 or more.
    title : str, optional
        By default the name of the film.
    summary : Summary, optional
        Of the same table, where it is there already.

    Returns
    -------
    Timeline
        With ``plot(ax=None)`` and ``save(path)``.

    Raises
    ------
    SourceError
        If it is no table of a film.
    ArgumentError
        If `bins` is out of its range, or a track is not in the table.
    """
    if bins < 1:
        raise bad_argument("bins", allowed="1 or more", given=bins)
    film = film_of(table)
    whole = summarise(film) if summary is None else summary
    step_s = whole.step_s or _SHORTEST_S
    seen = {person.track: person.seen_s for person in whole.people}
    chosen = list(seen)[:MOST_PEOPLE] if tracks is None else list(tracks)
    if unknown := set(chosen) - set(seen):
        raise bad_argument("tracks", allowed=f"among {sorted(seen)}", given=sorted(unknown))
    end_s = max(whole.end_s, whole.start_s + _SHORTEST_S)
    edges = np.linspace(whole.start_s, end_s, min(bins, max(whole.frames, 1)) + 1)
    probability = np.full((len(chosen), len(edges) - 1, len(whole.emotions)), np.nan)
    displayed = np.full(probability.shape[:2], -1, np.int64)
    for row, track in enumerate(chosen):
        rows = np.flatnonzero(film.track == track)
        state = np.array([whole.states.index(name) for name in film.displayed[rows]])
        values = np.hstack([film.probability[rows], np.eye(len(whole.states))[state]])
        part, mean = _binned(film.time_s[rows], values, edges, step_s)
        there = part > 0
        probability[row, there] = mean[there, : len(whole.emotions)]
        displayed[row, there] = mean[there, len(whole.emotions) :].argmax(axis=1)
    frames, first = np.unique(film.time_s, return_index=True)
    part, alone = _binned(frames, ~film.has_face[first, None], edges, step_s)
    return Timeline(
        title=Path(whole.source).name if title is None else title,
        states=whole.states,
        edges_s=edges,
        people=tuple((track, seen[track]) for track in chosen),
        probability=probability,
        displayed=displayed,
        without_face=np.where(part > 0, alone[:, 0], np.nan),
        left_out=len(seen) - len(chosen) if tracks is None else 0,
    )


def _binned(
    time_s: NDArray[np.float64], values: NDArray[Any], edges_s: NDArray[np.float64], step_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how much of each step of time is covered by n frames, and the mean of their values in it.

    The values are held until the next frame, or until a gap begins; their integral is taken at the edges.
    """
    lasts = frame_seconds(time_s, step_s)
    knots = np.stack([time_s, time_s + lasts], axis=1).ravel()
    covered, *sums = (
        np.diff(np.interp(edges_s, knots, _running(lasts * column)))
        for column in (np.ones(len(time_s)), *np.asarray(values, np.float64).T)
    )
    total = np.stack(sums, axis=1)
    mean = np.divide(total, covered[:, None], out=np.zeros_like(total), where=covered[:, None] > 0)
    return covered, mean


def _running(amount: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what has come together at the beginning and at the end of each frame."""
    until = np.cumsum(amount)
    return np.stack([until - amount, until], axis=1).ravel()


def _doubled(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the beginning and the end of each step in turn, so that steps are drawn as steps."""
    return np.repeat(edges, 2)[1:-1]


def _time_axis(ax: Axes, span_s: float) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    every = next((tick for tick in _TICKS_S if span_s / tick <= _MOST_TICKS), 6 * _TICKS_S[-1])
    ax.xaxis.set_major_locator(MultipleLocator(every))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda time_s, _: clock(time_s, tenths=every < 1)))
    ax.set_xlabel("time from the start of the film", color="#222222")


def clock(time_s: float, *, tenths: bool = False) -> str:
    """Write seconds as "1:05", "1:05.2" or "1:02:03"."""
    tens = round(max(time_s, 0.0) * 10) if tenths else round(max(time_s, 0.0)) * 10
    minutes, rest = divmod(tens, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 10:04.1f}" if tenths else f"{rest // 10:02d}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"
