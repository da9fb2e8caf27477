"""How a model does on each group of people or pictures, and how far the worst stands from the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument, unknown_name
from mien.sources.labelled import LabelledImages
from mien.training.metrics import confusion_matrix, macro_f1, wilson_interval

SMALLEST = 30
"""Pictures from which on a group counts for the gap; of fewer, chance alone makes the worst."""

DRAWS = 1000
"""How often is drawn for an interval."""

AGREEMENT = "agreement"
"""Column made from the votes: which share of the voters named the winner."""

_SHARES = ((0.9, "9 of 10 voters or more"), (0.7, "7 to 9 of 10 voters"), (0.5, "half to 7 of 10 voters"))
_SPLIT_VOTE = "fewer than half of the voters"


@dataclass(frozen=True)
class GroupReport:
    """What a model reached on one group.

    Parameters
    ----------
    value : str
        The group; empty where the corpus does not say.
    n, subjects : int
        Pictures, and people on them; 0 people where they are not known.
    accuracy, low, high : float
        With its 95 % interval: Wilson's of pictures; the wider of that and of drawing people, where these
        are known.
    macro_f1 : float
        Mean of the F1 of the emotions that occur in the group.
    """

    value: str
    n: int
    subjects: int
    accuracy: float
    low: float
    high: float
    macro_f1: float


@dataclass(frozen=True)
class GroupResult:
    """A model on the groups of one column.

    Parameters
    ----------
    column : str
    groups : tuple of GroupReport
        Largest first.
    best, worst : str
        Among the groups of :data:`SMALLEST` pictures or more; empty where fewer than two are.
    gap, gap_low, gap_high : float
        Accuracy of the best minus that of the worst, with its 95 % interval; NaN where there are no two.
    by_subject : bool
        Whether intervals are from drawing people instead of pictures.
    """

    column: str
    groups: tuple[GroupReport, ...]
    best: str
    worst: str
    gap: float
    gap_low: float
    gap_high: float
    by_subject: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values, for JSON; what is no number becomes None."""
        plain = {name: None if value != value else value for name, value in vars(self).items()}
        return {**plain, "groups": [asdict(group) for group in self.groups]}


def group_columns(corpus: LabelledImages) -> Mapping[str, NDArray[np.str_]]:
    """Return the columns by which the pictures of a corpus can be told apart.

    Returns
    -------
    mapping of str to ndarray of shape (n,), str
        The corpus's own groups, and how far its voters agree where it has votes.
    """
    columns = dict(corpus.groups)
    if corpus.votes is not None and AGREEMENT not in columns:
        total = corpus.votes.sum(axis=1)
        share = np.where(total > 0, corpus.votes.max(axis=1) / np.maximum(total, 1e-9), np.nan)
        within = [share >= least for least, _ in _SHARES]
        words = np.select(within, [word for _, word in _SHARES], _SPLIT_VOTE)
        columns[AGREEMENT] = np.where(np.isnan(share), "", words)
    return columns


def group_column(corpus: LabelledImages, name: str) -> NDArray[np.str_]:
    """Return one of :func:`group_columns`.

    Raises
    ------
    UnknownNameError
        If the corpus has no such column.
    """
    columns = group_columns(corpus)
    if name not in columns:
        raise unknown_name(f"group column of {corpus.name}", name, columns)
    return columns[name]


def by_group(
    column: str,
    value: NDArray[np.str_],
    label: NDArray[np.int64],
    answer: NDArray[np.int64],
    k: int,
    *,
    subject: NDArray[np.str_] | None = None,
    seed: int = 0,
) -> GroupResult:
    """Compare a model's answers between groups.

    The largest difference of several groups is above zero by chance alone, and drawing pictures again adds
    to it. The interval of the gap is therefore a simultaneous one, as Tukey's for all pairs (Hochberg and
    Tamhane 1987, Multiple Comparison Procedures, chapter 5): around the gap, as wide to both sides as the
    range of the drawn deviations of all groups stays below in 95 % of the draws. It begins at 0 where the
    groups may well be equal.

    Parameters
    ----------
    column : str
        What the groups are of.
    value : ndarray of shape (n,), str
        The group of each picture.
    label, answer : ndarray of shape (n,), int64
        The right column and the model's, from 0; an answer of -1 is none, and wrong.
    k : int
        Number of emotions.
    subject : ndarray of shape (n,), str, optional
        Who is shown. Pictures of one person resemble each other: where people are known, they are drawn
        instead of pictures. A picture of nobody known counts as one person.
    seed : int
    """
    n = len(label)
    if not n or len(value) != n or len(answer) != n:
        raise bad_argument("value", allowed=f"one for each of the {n} pictures (one or more)", given=value)
    names, group = np.unique(value, return_inverse=True)
    people = _people(subject) if subject is not None else None
    right, total, drawn = _counts(group, answer == label, people, len(names), np.random.default_rng(seed))
    accuracy = right / total
    reports = []
    for g, name in enumerate(names):
        rows = group == g
        low, high = wilson_interval(int(right[g]), int(total[g]))
        if people is not None:
            edges = np.nanpercentile(drawn[:, g], (2.5, 97.5))
            low, high = min(low, float(edges[0])), max(high, float(edges[1]))
        reports.append(
            GroupReport(
                value=str(name),
                n=int(total[g]),
                subjects=0 if people is None else len(np.unique(people[rows])),
                accuracy=float(accuracy[g]),
                low=low,
                high=high,
                macro_f1=_macro_f1(label[rows], answer[rows], k),
            )
        )
    large = np.flatnonzero((total >= SMALLEST) & (names != ""))
    best, worst, gap = "", "", (float("nan"),) * 3
    if len(large) > 1:
        best, worst = str(names[large[accuracy[large].argmax()]]), str(names[large[accuracy[large].argmin()]])
        gap = _gap(accuracy[large], drawn[:, large])
    reports.sort(key=lambda report: (-report.n, report.value))
    return GroupResult(column, tuple(reports), best, worst, *gap, by_subject=people is not None)


def _people(subject: NDArray[np.str_]) -> NDArray[np.int64] | None:
    """Give each person a number, and each picture of nobody known its own; None where nobody is known."""
    if not (subject != "").any():
        return None
    own = np.char.add("\0", np.arange(len(subject)).astype(str))
    return np.unique(np.where(subject != "", subject, own), return_inverse=True)[1].astype(np.int64)


def _counts(
    group: NDArray[np.int64],
    hit: NDArray[np.bool_],
    people: NDArray[np.int64] | None,
    groups: int,
    random: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return right answers and pictures by group, and drawn accuracies of shape (draws, groups)."""
    total = np.bincount(group, minlength=groups)
    right = np.bincount(group[hit], minlength=groups)
    if people is None:
        return right, total, random.binomial(total, right / total, (DRAWS, groups)) / total
    persons = int(people.max()) + 1
    place = people * groups + group
    shown = np.bincount(place, minlength=persons * groups).reshape(persons, groups)
    known = np.bincount(place[hit], minlength=persons * groups).reshape(persons, groups)
    drawn = np.full((DRAWS, groups), np.nan)
    for row in range(DRAWS):
        times = np.bincount(random.integers(0, persons, persons), minlength=persons)
        pictures = times @ shown
        some = pictures > 0
        drawn[row, some] = (times @ known)[some] / pictures[some]
    return right, total, drawn


def _gap(accuracy: NDArray[np.float64], drawn: NDArray[np.float64]) -> tuple[float, float, float]:
    gap = float(accuracy.max() - accuracy.min())
    whole = drawn[~np.isnan(drawn).any(axis=1)]  # of few people, some draws leave a group empty
    if not len(whole):
        return gap, 0.0, 1.0
    deviation = whole - accuracy
    reach = float(np.percentile(np.ptp(deviation, axis=1), 95))
    return gap, max(0.0, gap - reach), min(1.0, gap + reach)


def _macro_f1(label: NDArray[np.int64], answer: NDArray[np.int64], k: int) -> float:
    answered = answer >= 0
    missed = np.bincount(label[~answered], minlength=k)
    return macro_f1(confusion_matrix(label[answered], answer[answered], k), missed)
