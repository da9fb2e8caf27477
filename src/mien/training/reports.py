"""What an evaluation says: numbers with their N and their intervals, as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.labels import LabelSet, canonical_name
from mien.training.abstention import THRESHOLDS, Abstention, abstain
from mien.training.groups import GroupResult
from mien.training.metrics import (
    Reliability,
    calibration_interval,
    confusion_matrix,
    macro_f1,
    macro_f1_interval,
    mean_recall_interval,
    recalls,
    reliability,
    wilson_interval,
)
from mien.training.votes import VoteAgreement, compare_with_votes


@dataclass(frozen=True)
class MeanRecall:
    """Mean of the shares found of some emotions, each of them weighing the same.

    Parameters
    ----------
    emotions, absent : tuple of str
        Those that occur, over which the mean is, and those wanted that do not.
    n : int
        Pictures of the emotions that occur, those with a missed face included.
    value, low, high : float
        With its 95 % interval (see :func:`mien.training.metrics.mean_recall_interval`); NaN where none
        occurs.
    """

    emotions: tuple[str, ...]
    absent: tuple[str, ...]
    n: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Report:
    """What a model reached on n labelled pictures.

    Parameters
    ----------
    name : str
        What was scored on what.
    labels : tuple of str
        The k emotions.
    n : int
        Pictures, those with a missed face included.
    accuracy, low, high : float
        Share of right answers, with its 95 % interval (Wilson 1927).
    macro_f1, macro_f1_low, macro_f1_high : float
        Mean of the F1 of the emotions that occur, with its 95 % interval (bootstrap).
    recall : dict of str to float
        Share found of each emotion that occurs.
    ece, ece_low, ece_high : float
        Expected calibration error over the pictures with an answer, with its 95 % interval (bootstrap).
    confusion : ndarray of shape (k, k), int64
        Pictures by label (row) and answer (column), those with an answer.
    reliability : Reliability
    missed : int
        Pictures in which no face was found; each counts as an error.
    abstention : Abstention, optional
        What leaving out the least sure answers gains.
    mean_recall : MeanRecall, optional
        Over the emotions that were asked for.
    votes : VoteAgreement, optional
        The probabilities beside the votes on the n pictures, where the corpus has votes.
    all_votes : VoteAgreement, optional
        The same on all pictures with votes, those too that have no label because the voters disagree.
    """

    name: str
    labels: tuple[str, ...]
    n: int
    accuracy: float
    low: float
    high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    recall: dict[str, float]
    ece: float
    ece_low: float
    ece_high: float
    confusion: NDArray[np.int64]
    reliability: Reliability
    missed: int = 0
    abstention: Abstention | None = None
    mean_recall: MeanRecall | None = None
    votes: VoteAgreement | None = None
    all_votes: VoteAgreement | None = None

    @property
    def of_found(self) -> tuple[float, float, float]:
        """Accuracy, with its 95 % interval, over the pictures in which a face was found; NaN for none."""
        right, n = int(np.trace(self.confusion)), int(self.confusion.sum())
        return (right / n, *wilson_interval(right, n)) if n else (float("nan"),) * 3

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain strings, numbers, lists and dicts, for JSON; None for NaN."""
        table = self.reliability
        bins = {name: getattr(table, name).tolist() for name in ("confidence", "accuracy", "count")}
        numbers = {name: value for name, value in vars(self).items() if isinstance(value, str | int | float)}
        parts = {name: getattr(self, name) for name in ("abstention", "votes", "all_votes")}
        return {
            **_plain(numbers),
            "recall": self.recall,
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "reliability": bins,
            "accuracy_of_found": _plain(dict(zip(("value", "low", "high"), self.of_found, strict=True))),
            "mean_recall": None if self.mean_recall is None else _plain(asdict(self.mean_recall)),
            **{name: None if part is None else part.to_dict() for name, part in parts.items()},
        }


@dataclass(frozen=True)
class Evaluation:
    """Reports on all pictures, and without those that also stand in Training.

    Parameters
    ----------
    model, data, rule : str
        What was scored, on what, and how the labels were derived.
    all : Report
    clean : Report or None
        None where the corpus has no Training pictures to compare with, or where these are scored.
    left_out : int
        Pictures without a label under the rule.
    groups : tuple of GroupResult
        Of all pictures scored, told apart by the columns that were asked for.
    mirrored : bool
        Whether each face was read twice, as it is and mirrored, and the mean was the answer.
    surround : dict of str to float or str, optional
        What was put around every picture, as :class:`mien.training.surround.Surround` says it.
    """

    model: str
    data: str
    rule: str
    all: Report
    clean: Report | None
    left_out: int
    groups: tuple[GroupResult, ...] = ()
    mirrored: bool = False
    surround: dict[str, float | str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain strings, numbers, lists and dicts, for JSON."""
        reports = {"all": self.all.to_dict(), "clean": None if self.clean is None else self.clean.to_dict()}
        return {
            "model": self.model,
            "data": self.data,
            "rule": self.rule,
            "left_out": self.left_out,
            "mirrored": self.mirrored,
            "surround": self.surround,
            **reports,
            "groups": [group.to_dict() for group in self.groups],
        }


def score(
    name: str,
    labels: LabelSet,
    label: NDArray[np.int64],
    probability: NDArray[np.float32],
    found: NDArray[np.bool_],
    *,
    votes: NDArray[np.float32] | None = None,
    recall_over: Sequence[str] = (),
    thresholds: Sequence[float] = THRESHOLDS,
) -> Report:
    """Report on probabilities that are there already.

    Parameters
    ----------
    name : str
        What was scored on what.
    labels : LabelSet
        The k emotions.
    label : ndarray of shape (n,), int64
        The right column, from 0; -1 where there is none: such a picture is only compared with its votes.
    probability : ndarray of shape (n, k), float32
        Rows that sum to one.
    found : ndarray of shape (n,), bool
        Where there is an answer; the other rows of `probability` are not looked at, and count as errors.
    votes : ndarray of shape (n, k), float32, optional
        Number of voters for each emotion.
    recall_over : sequence of str, optional
        Emotions whose mean recall is wanted.
    thresholds : sequence of float
        Values of ``unsure`` at which the accuracy is wanted.

    Raises
    ------
    ArgumentError
        If no picture has a label.
    UnknownNameError
        If one of `recall_over` is no emotion.
    """
    all_votes = None if votes is None else compare_with_votes(probability, votes, found)
    known = label >= 0
    label, probability, found = label[known], probability[known], found[known]
    k, n = len(labels), len(label)
    if n == 0:
        raise bad_argument("label", allowed="of one picture or more", given=label)
    answered = probability[found]
    confusion = confusion_matrix(label[found], answered.argmax(axis=1), k)
    missed = np.bincount(label[~found], minlength=k)
    right = int(np.trace(confusion))
    low, high = wilson_interval(right, n)
    recall = recalls(confusion, missed)
    f1_low, f1_high = macro_f1_interval(confusion, missed)
    table = reliability(answered, label[found])
    ece_low, ece_high = calibration_interval(answered, label[found])
    return Report(
        name=name,
        labels=labels.names,
        n=n,
        accuracy=right / n,
        low=low,
        high=high,
        macro_f1=macro_f1(confusion, missed),
        macro_f1_low=f1_low,
        macro_f1_high=f1_high,
        recall={emotion: float(r) for emotion, r in zip(labels, recall, strict=True) if not np.isnan(r)},
        ece=table.error,
        ece_low=ece_low,
        ece_high=ece_high,
        confusion=confusion,
        reliability=table,
        missed=int(missed.sum()),
        abstention=abstain(probability, label, found, thresholds=thresholds),
        mean_recall=_mean_recall(labels, confusion, missed, recall_over) if recall_over else None,
        votes=None if votes is None else compare_with_votes(probability, votes[known], found),
        all_votes=all_votes,
    )


def _mean_recall(
    labels: LabelSet, confusion: NDArray[np.int64], missed: NDArray[np.int64], wanted: Sequence[str]
) -> MeanRecall:
    """Return the mean recall of some classes; one that the corpus does not know does not occur either."""
    total = confusion.sum(axis=1) + missed
    names = list(dict.fromkeys(name if name in labels else canonical_name(name) for name in wanted))
    occur = [name for name in names if name in labels and total[labels.index(name)]]
    columns = [labels.index(name) for name in occur]
    right, n = np.diag(confusion)[columns], total[columns]
    return MeanRecall(
        tuple(occur),
        tuple(name for name in names if name not in occur),
        int(n.sum()),
        float((right / n).mean()) if occur else float("nan"),
        *mean_recall_interval(right, n),
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: None for NaN, lists for tuples."""
    return {
        name: None if value != value else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }
