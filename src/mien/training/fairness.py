"""Whether faces are found and read alike in all groups of people, on pictures without labels of expressions.

What a picture shows is not known here. That a face is not found is an error of the detector; that more of
one emotion is read in one group can be an error of the model, or what the pictures of that group show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.detect import Detector
from mien.models import Model
from mien.sources.grouped import GroupedPictures
from mien.sources.images import natural_key
from mien.training.fairness_report import (
    LEVEL,
    RATE,
    SCORE,
    ColumnComparison,
    Difference,
    Estimate,
    FairnessReport,
    GroupMeasures,
)
from mien.training.groups import SMALLEST
from mien.training.metrics import difference_interval, wilson_interval
from mien.training.resampling import (
    Sums,
    corrected_p,
    distances,
    draw_units,
    membership,
    pairs,
    shuffled_maxima,
)
from mien.training.surround import Surround, find_main

BATCH = 128
"""Crops in memory at a time."""

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """What detector and model say of n pictures, as parallel arrays.

    Parameters
    ----------
    found : ndarray of shape (n,), bool
    score : ndarray of shape (n,), float64
        Of the face found, 0 to 1; 0 where there is none.
    probability : ndarray of shape (n, k), float64
        Of the emotions; 0 where no face was found.
    """

    found: NDArray[np.bool_]
    score: Float
    probability: Float


def measure_fairness(
    pictures: GroupedPictures,
    detector: Detector,
    model: Model,
    *,
    surround: Surround | None = None,
    draws: int = 1000,
    shuffles: int = 5000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> FairnessReport:
    """Find and read the face of every picture, and compare groups.

    Parameters
    ----------
    pictures : GroupedPictures
        Each of one face: where several are found, the one that fills most of the picture counts.
    detector : Detector
    model : Model
    surround : Surround, optional
        Put around every picture first; for pictures that are cut at the face.
    draws, shuffles, seed : int
        How often is drawn for intervals, and shuffled for the test.
    progress : callable, optional
        Called with the number of pictures done, and of all.

    Raises
    ------
    ArgumentError
        If there is no picture.
    """
    seen = look_at(pictures, detector, model, surround=surround, progress=progress)
    names = (detector.name, model.name)
    around = None if surround is None else asdict(surround)
    return compare_groups(
        pictures,
        seen,
        model.labels.names,
        names=names,
        surround=around,
        draws=draws,
        shuffles=shuffles,
        seed=seed,
    )


def look_at(
    pictures: GroupedPictures,
    detector: Detector,
    model: Model,
    *,
    surround: Surround | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Seen:
    """Find and read the face of every picture; parameters as for :func:`measure_fairness`."""
    n = len(pictures)
    found, score = np.zeros(n, bool), np.zeros(n)
    probability = np.zeros((n, len(model.labels)))
    for start in range(0, n, BATCH):
        rows, crops = [], []
        for row in range(start, min(start + BATCH, n)):
            image, box = pictures.images[row], None
            if surround is not None:
                image, box = surround.pad(image)
            faces = find_main(image, detector, box)
            if len(faces):
                found[row], score[row] = True, float(faces.score[0])
                crops.append(model.crop.cut(image, faces.landmarks_xy)[0])
                rows.append(row)
            if progress is not None:
                progress(row + 1, n)
        if rows:
            probability[rows] = model.predict_proba(np.stack(crops))
    return Seen(found, score, probability)


def compare_groups(
    pictures: GroupedPictures,
    seen: Seen,
    emotions: tuple[str, ...],
    *,
    names: tuple[str, str] = ("", ""),
    surround: dict[str, float | str] | None = None,
    draws: int = 1000,
    shuffles: int = 5000,
    seed: int = 0,
) -> FairnessReport:
    """Compare groups on what was seen already.

    Parameters
    ----------
    pictures : GroupedPictures
        The n pictures.
    seen : Seen
    emotions : tuple of str
        The k columns of its probabilities.
    names : (str, str)
        What the detector and the model are called.
    surround
        For the report.
    draws, shuffles, seed
        As for :func:`measure_fairness`.

    Raises
    ------
    ArgumentError
        If there is no picture.
    """
    n = len(pictures)
    if not n or len(seen.found) != n:
        raise bad_argument("seen", allowed=f"of the {n} pictures (one or more)", given=len(seen.found))
    table = _Table(pictures, seen, (RATE, SCORE, *emotions))
    random = np.random.default_rng(seed)
    measured = [_measured(table, column, draws, random) for column in pictures.groups]
    compared = [one for one in measured if len(one.large) > 1]
    members = [one.member[one.large] for one in compared]
    maxima = shuffled_maxima(table.units, members, table.spread, shuffles=shuffles, random=random)
    apart = [distances(table.units.of_groups(member), table.spread) for member in members]
    differences = {
        one.column: _differences(table, one, p)
        for one, p in zip(compared, corrected_p(apart, maxima), strict=True)
    }
    columns = tuple(
        ColumnComparison(one.column, table.by_people, one.groups, differences.get(one.column, ()))
        for one in measured
    )
    k, mean = int(seen.found.sum()), table.mean
    everyone = draw_units(
        table.units, np.zeros(len(table.units.top), np.int64), 1, draws=draws, random=random
    ).mean[:, 0]
    return FairnessReport(
        data=pictures.name,
        detector=names[0],
        model=names[1],
        n=n,
        found=k,
        rate=_wider(Estimate(k / n, *wilson_interval(k, n)), everyone[:, 0], table.by_people),
        score=_drawn(float(mean[1]), everyone[:, 1], k),
        emotions={name: float(value) for name, value in zip(emotions, mean[2:], strict=True)},
        columns=columns,
        comparisons=sum(len(pairs(len(one.large))[0]) for one in compared) * len(table.measures),
        shuffles=shuffles,
        seed=seed,
        surround=surround,
    )


class _Table:
    """The measures of the pictures, (n, m), and their sums by unit: a picture, or a person in its groups."""

    def __init__(self, pictures: GroupedPictures, seen: Seen, measures: tuple[str, ...]) -> None:
        self.pictures, self.measures = pictures, measures
        n, m = len(pictures), len(measures)
        self.found = seen.found
        value = np.column_stack([seen.found, seen.score, seen.probability]).astype(np.float64)
        there = np.column_stack([np.ones(n), np.repeat(seen.found[:, None], m - 1, axis=1)])
        self.person, self.unit = _people_and_units(pictures)
        units = int(self.unit.max()) + 1
        self.units = Sums(*(_added(part * there, self.unit, units) for part in (value, np.ones((n, m)))))
        self.by_people = self.person is not None
        self.first = np.unique(self.unit, return_index=True)[1]
        total = there.sum(axis=0)
        self.mean = np.where(total > 0, (value * there).sum(axis=0) / np.maximum(total, 1), np.nan)
        off = np.where(there > 0, value - np.nan_to_num(self.mean), 0.0)
        self.spread = np.sqrt((off**2).sum(axis=0) / np.maximum(total, 1))


@dataclass(frozen=True)
class _Measured:
    """One column: its groups, which units are in which (g, u), means drawn (d, g, m), and large groups."""

    column: str
    names: NDArray[np.str_]
    groups: tuple[GroupMeasures, ...]
    member: Float
    drawn: Float
    large: NDArray[np.int64]


def _people_and_units(
    pictures: GroupedPictures,
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """Give numbers to the people, if any is known, and to what is drawn and shuffled as one.

    That is a picture; or where people are known, all pictures of one person that stand in the same groups.
    A picture of nobody known counts as one person.
    """
    n, subject = len(pictures), pictures.subject
    if subject is None or not (subject != "").any():
        return None, np.arange(n)
    own = np.char.add("\0", np.arange(n).astype(str))
    person = np.unique(np.where(subject != "", subject, own), return_inverse=True)[1].astype(np.int64)
    codes = [np.unique(value, return_inverse=True)[1] for value in pictures.groups.values()]
    unit = np.unique(np.column_stack([person, *codes]), axis=0, return_inverse=True)[1]
    return person, unit.reshape(-1).astype(np.int64)


def _added(part: Float, unit: NDArray[np.int64], units: int) -> Float:
    return np.column_stack([np.bincount(unit, weights=column, minlength=units) for column in part.T])


def _measured(table: _Table, column: str, draws: int, random: np.random.Generator) -> _Measured:
    value = table.pictures.groups[column]
    names = np.array(sorted(set(value.tolist()), key=_as_people_order), np.str_)
    code = np.argmax(value == names[:, None], axis=0)
    n = np.bincount(code, minlength=len(names))
    found = np.bincount(code[table.found], minlength=len(names))
    drawn = draw_units(table.units, code[table.first], len(names), draws=draws, random=random)
    member = membership(code[table.first], len(names))
    mean, draws_of = table.units.of_groups(member).mean, drawn.mean
    all_rate = drawn.top[..., 0].sum(axis=1) / drawn.bottom[..., 0].sum(axis=1)
    groups = []
    for g, name in enumerate(names):
        k, others = int(found[g]), (int(found.sum() - found[g]), int(n.sum() - n[g]))
        rate = Estimate(k / int(n[g]), *wilson_interval(k, int(n[g])))
        against = _against_mean(k, int(n[g]), *others)
        drawn_rate = draws_of[:, g, 0]
        each = [_drawn(float(mean[g, j]), draws_of[:, g, j], k) for j in range(1, len(table.measures))]
        groups.append(
            GroupMeasures(
                value=str(name),
                n=int(n[g]),
                people=0 if table.person is None else len(np.unique(table.person[code == g])),
                found=k,
                rate=_wider(rate, drawn_rate, table.by_people),
                against_mean=_wider(against, drawn_rate - all_rate, table.by_people),
                score=each[0],
                emotions=dict(zip(table.measures[2:], each[1:], strict=True)),
            )
        )
    large = np.flatnonzero((n >= SMALLEST) & (names != ""))
    return _Measured(column, names, tuple(groups), member, draws_of, large)


def _as_people_order(name: str) -> tuple[bool, list[tuple[int, int, str]]]:
    """Order groups as people do, "3-9" before "20-29"; those that are not known come last."""
    return name == "", natural_key(Path(name))


def _against_mean(k: int, n: int, others_k: int, others_n: int) -> Estimate:
    """Return a group's rate less that of all pictures: it is a part of them, so only the others count."""
    if not others_n:
        return Estimate(0.0, 0.0, 0.0)
    weight = others_n / (n + others_n)
    low, high = difference_interval(k, n, others_k, others_n)
    return Estimate(weight * (k / n - others_k / others_n), weight * low, weight * high)


def _drawn(value: float, drawn: Float, n: int) -> Estimate:
    """Return a mean of n values from 0 to 1 with the interval of what was drawn; of one, all is possible."""
    known = drawn[~np.isnan(drawn)]
    if not n or not len(known):
        return Estimate(*(float("nan"),) * 3)
    low, high = np.percentile(known, (2.5, 97.5)) if n > 1 else (0.0, 1.0)
    return Estimate(value, float(low), float(high))


def _wider(estimate: Estimate, drawn: Float, by_people: bool) -> Estimate:
    """Widen an interval of pictures to that of drawing people, where these are known."""
    known = drawn[~np.isnan(drawn)]
    if not by_people or not len(known):
        return estimate
    low, high = np.percentile(known, (2.5, 97.5))
    return Estimate(estimate.value, min(estimate.low, float(low)), max(estimate.high, float(high)))


def _differences(table: _Table, one: _Measured, p: Float) -> tuple[Difference, ...]:
    """Compare all pairs of the large groups of one column, given the corrected p of each, (pairs, m)."""
    large = one.large
    sums = table.units.of_groups(one.member[large])
    first, second = pairs(len(large))
    mean = sums.mean
    found: list[Difference] = []
    for j, measure in enumerate(table.measures):
        reach = _reach(one.drawn[:, large, j], mean[:, j])
        rows = []
        for pair, (a, b) in enumerate(zip(first, second, strict=True)):
            a, b = (a, b) if mean[a, j] >= mean[b, j] else (b, a)
            value, wide = float(mean[a, j] - mean[b, j]), float(reach[pair])
            if value != value:
                continue
            low, high = value - wide, value + wide
            if j == 0:
                low, high = _of_rates(sums, int(a), int(b), len(first), (low, high), table.by_people)
            names = str(one.names[large[a]]), str(one.names[large[b]])
            estimate = Estimate(value, max(-1.0, low), min(1.0, high))
            rows.append(Difference(measure, *names, estimate, float(p[pair, j])))
        found += sorted(rows, key=lambda row: -row.difference.value)
    return tuple(found)


def _reach(drawn: Float, mean: Float) -> Float:
    """Return how wide to both sides the interval of each pair is, so that all hold at once in 95 of 100."""
    first, second = pairs(len(mean))
    off = (drawn[:, first] - drawn[:, second]) - (mean[first] - mean[second])
    whole = off[~np.isnan(off).any(axis=1)] if off.size else off
    if not whole.size:
        return np.full(len(first), np.nan)
    error = whole.std(axis=0)
    ratio = np.abs(whole) / np.where(error > 0, error, 1)
    return np.asarray(error * np.percentile(ratio.max(axis=1), 95))


def _of_rates(
    sums: Sums, a: int, b: int, comparisons: int, drawn: tuple[float, float], by_people: bool
) -> tuple[float, float]:
    """Return the interval of a difference of two rates, which holds also where all faces were found.

    Newcombe's, each so much surer that all pairs hold at once (Bonferroni); the wider of it and of
    drawing people, where these are known.
    """
    z = NormalDist().inv_cdf(1 - LEVEL / 2 / comparisons)
    k, n, other_k, other_n = (round(part[row, 0]) for row in (a, b) for part in (sums.top, sums.bottom))
    low, high = difference_interval(k, n, other_k, other_n, z)
    known = by_people and drawn[0] == drawn[0]
    return (min(low, drawn[0]), max(high, drawn[1])) if known else (low, high)
