"""What a film shows, in numbers: shares of time, changes and peaks of each person's displayed expression.

Each frame stands for the time until the next, but never for more than a few usual frames: where frames are
missing there is a gap, which counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.outputs.readback import FilmTable, as_film, read_film
from mien.readings import UNSURE

if TYPE_CHECKING:
    import pandas as pd

GAP_FRAMES = 3.5
"""A pause longer than so many usual frames is a gap."""

LEAST_GAP_S = 0.25
"""No pause shorter than this is a gap: a face that blinks out for a moment is still there."""

PEAK_FROM = 0.5
"""Probability from which the highest point of an emotion is a peak."""

PEAK_APART_S = 2.0
"""Peaks of the same emotion lie at least so far apart."""

PEAKS_EACH = 5
"""Most peaks of each emotion of a person; the highest."""


@dataclass(frozen=True)
class Peak:
    """A moment at which one emotion was displayed most strongly.

    Parameters
    ----------
    track : int
    time_s : float
        Seconds from the start of the film.
    emotion : str
    probability : float
        Smoothed, 0 to 1.
    """

    track: int
    time_s: float
    emotion: str
    probability: float


@dataclass(frozen=True, eq=False)
class Person:
    """What one person displayed.

    Parameters
    ----------
    track : int
    frames : int
        In which the face was found.
    first_s, last_s : float
        When it was first and last seen.
    seen_s : float
        Seconds in which it was seen; gaps do not count.
    share : ndarray of shape (k,), float64
        Part of `seen_s` in which each state was displayed; sums to 1.
    mean : ndarray of shape (e,), float64
        Mean smoothed probability of each emotion, by time.
    changes : ndarray of shape (k, k), int64
        How often the state of the row was followed by that of the column; 0 on the diagonal.
    peaks : tuple of Peak
        By time.
    """

    track: int
    frames: int
    first_s: float
    last_s: float
    seen_s: float
    share: NDArray[np.float64]
    mean: NDArray[np.float64]
    changes: NDArray[np.int64]
    peaks: tuple[Peak, ...]


@dataclass(frozen=True, eq=False)
class Summary:
    """What a film shows.

    Parameters
    ----------
    source, model : str
    emotions : tuple of str
        The e emotions.
    states : tuple of str
        The k states a face can be in: the emotions, and "unsure" where that was displayed.
    frames : int
        Frames in the table.
    step_s : float
        Usual time from one frame to the next.
    start_s, end_s : float
        From the first frame to the end of the last.
    covered_s : float
        Seconds for which there are frames.
    without_face_s : float
        Of these, seconds in which no face was found.
    people : tuple of Person
        Those seen longest first.
    gaps_s : tuple of (float, float)
        From when to when there are no frames.
    """

    source: str
    model: str
    emotions: tuple[str, ...]
    states: tuple[str, ...]
    frames: int
    step_s: float
    start_s: float
    end_s: float
    covered_s: float
    without_face_s: float
    people: tuple[Person, ...]
    gaps_s: tuple[tuple[float, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as plain values, with names in place of positions, ready for JSON."""
        plain = {
            key: value for key, value in vars(self).items() if key not in ("people", "states", "emotions")
        }
        return plain | {"people": [self._plain(person) for person in self.people]}

    def _plain(self, person: Person) -> dict[str, Any]:
        changes = [
            {"from": self.states[i], "to": self.states[j], "times": int(person.changes[i, j])}
            for i, j in zip(*map(list, np.nonzero(person.changes)), strict=True)
        ]
        names = ("track", "frames", "first_s", "last_s", "seen_s")
        return {
            **{name: getattr(person, name) for name in names},
            "share": dict(zip(self.states, person.share.tolist(), strict=True)),
            "mean_probability": dict(zip(self.emotions, person.mean.tolist(), strict=True)),
            "changes": changes,
            "peaks": [asdict(peak) for peak in person.peaks],
        }


def summarise(table: str | Path | pd.DataFrame | FilmTable, *, peak_from: float = PEAK_FROM) -> Summary:
    """Summarise the table of a film.

    Parameters
    ----------
    table : path, DataFrame or FilmTable
        A file as ``mien analyze film.mp4 --out`` writes it, or what it holds.
    peak_from : float
        Smoothed probability from which the highest point of an emotion is a peak, 0 to 1.

    Returns
    -------
    Summary

    Raises
    ------
    SourceError
        If it is no table of a film; see :func:`mien.outputs.readback.read_film`.
    ArgumentError
        If `peak_from` is out of its range.
    """
    if not 0 <= peak_from <= 1:
        raise bad_argument("peak_from", allowed="a number from 0 to 1", given=peak_from)
    film = film_of(table)
    frames, first = np.unique(film.time_s, return_index=True)
    step = _usual_step(frames)
    lasts = frame_seconds(frames, step)
    gap = np.flatnonzero(np.diff(frames) > longest_pause(step))
    known = set(film.displayed[film.track >= 0])
    states = film.emotions + ((UNSURE,) if UNSURE in known else ())
    tracks = np.unique(film.track[film.track >= 0])
    people = [_person(film, int(track), states, step, peak_from) for track in tracks]
    return Summary(
        source=film.source,
        model=film.model,
        emotions=film.emotions,
        states=states,
        frames=len(frames),
        step_s=step,
        start_s=float(frames[0]),
        end_s=float(frames[-1] + lasts[-1]),
        covered_s=float(lasts.sum()),
        without_face_s=float(lasts[~film.has_face[first]].sum()),
        people=tuple(sorted(people, key=lambda person: (-person.seen_s, person.track))),
        gaps_s=tuple((float(frames[i] + lasts[i]), float(frames[i + 1])) for i in gap),
    )


def film_of(table: str | Path | pd.DataFrame | FilmTable) -> FilmTable:
    """Return what a summary needs of a table, wherever that is."""
    if isinstance(table, FilmTable):
        return table
    return read_film(table) if isinstance(table, str | Path) else as_film(table)


def longest_pause(step_s: float) -> float:
    """Return the longest time between two frames that is no gap yet, in seconds."""
    return max(GAP_FRAMES * step_s, LEAST_GAP_S)


def frame_seconds(time_s: NDArray[np.float64], step_s: float) -> NDArray[np.float64]:
    """Return for how long each of n frames stands, in seconds.

    Parameters
    ----------
    time_s : ndarray of shape (n,), float64
        Increasing.
    step_s : float
        The usual time from one frame to the next; what the last frame and one before a gap stand for.
    """
    until_next = np.append(np.diff(time_s), step_s)
    return np.where(until_next > longest_pause(step_s), step_s, until_next)


def _usual_step(time_s: NDArray[np.float64]) -> float:
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0


def _person(film: FilmTable, track: int, states: tuple[str, ...], step: float, peak_from: float) -> Person:
    rows = np.flatnonzero(film.track == track)
    time_s, probability = film.time_s[rows], film.probability[rows].astype(np.float64)
    lasts = frame_seconds(time_s, step)
    weight = lasts if lasts.sum() else np.ones(len(rows))
    state = np.array([states.index(name) for name in film.displayed[rows]])
    follows = np.diff(time_s) <= longest_pause(step)
    changes = np.zeros((len(states), len(states)), np.int64)
    np.add.at(changes, (state[:-1][follows], state[1:][follows]), 1)
    np.fill_diagonal(changes, 0)
    peaks = _peaks(film.emotions, track, time_s, probability, peak_from)
    return Person(
        track=track,
        frames=len(rows),
        first_s=float(time_s[0]),
        last_s=float(time_s[-1]),
        seen_s=float(lasts.sum()),
        share=np.bincount(state, weight, len(states)) / weight.sum(),
        mean=(weight @ probability) / weight.sum(),
        changes=changes,
        peaks=tuple(sorted(peaks, key=lambda peak: peak.time_s)),
    )


def _peaks(
    emotions: tuple[str, ...],
    track: int,
    time_s: NDArray[np.float64],
    probability: NDArray[np.float64],
    peak_from: float,
) -> Iterator[Peak]:
    """Find the highest moments of every emotion but neutral, one each time it is the most probable."""
    best = probability.argmax(axis=1)
    spell = np.cumsum(np.append(True, best[1:] != best[:-1]))
    for column, emotion in enumerate(emotions):
        if emotion == "neutral":
            continue
        height = probability[:, column]
        candidates = np.flatnonzero((best == column) & (height >= peak_from))
        order = candidates[np.lexsort((candidates, -height[candidates], spell[candidates]))]
        tops = order[np.append(True, np.diff(spell[order]) > 0)] if len(order) else order
        kept: list[int] = []
        for row in tops[np.argsort(-height[tops], kind="stable")]:
            if all(abs(time_s[row] - time_s[other]) >= PEAK_APART_S for other in kept):
                kept.append(int(row))
                yield Peak(track, float(time_s[row]), emotion, float(height[row]))
            if len(kept) == PEAKS_EACH:
                break
