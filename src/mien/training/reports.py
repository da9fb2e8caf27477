"""What an evaluation says: numbers with their N and their intervals, as values that JSON can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.labels import LabelSet
from mien.training.groups import GroupResult
from mien.training.metrics import (
    Reliability,
    calibration_interval,
    confusion_matrix,
    macro_f1,
    macro_f1_interval,
    recalls,
    reliability,
    wilson_interval,
)


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

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain strings, numbers, lists and dicts, for JSON."""
        table = self.reliability
        bins = {name: getattr(table, name).tolist() for name in ("confidence", "accuracy", "count")}
        plain = {
            name: value for name, value in vars(self).items() if name not in ("confusion", "reliability")
        }
        return {
            **plain,
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "reliability": bins,
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
    """

    model: str
    data: str
    rule: str
    all: Report
    clean: Report | None
    left_out: int
    groups: tuple[GroupResult, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain strings, numbers, lists and dicts, for JSON."""
        reports = {"all": self.all.to_dict(), "clean": None if self.clean is None else self.clean.to_dict()}
        return {
            "model": self.model,
            "data": self.data,
            "rule": self.rule,
            "left_out": self.left_out,
            **reports,
            "groups": [group.to_dict() for group in self.groups],
        }


def score(
    name: str,
    labels: LabelSet,
    label: NDArray[np.int64],
    probability: NDArray[np.float32],
    found: NDArray[np.bool_],
) -> Report:
    """Report on probabilities that are there already.

    Parameters
    ----------
    name : str
        What was scored on what.
    labels : LabelSet
        The k emotions.
    label : ndarray of shape (n,), int64
        The right column, from 0.
    probability : ndarray of shape (n, k), float32
        Rows that sum to one.
    found : ndarray of shape (n,), bool
        Where there is an answer; the other rows of `probability` are not looked at, and count as errors.
    """
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
    )
