"""How good a model is: accuracy with its interval, per class, and how far its probabilities can be believed.

Works on any model and needs no torch. What is scored is agreement with the labels people gave to the
displayed expression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.detect import Detector, find_single
from mien.faces.faces import Faces
from mien.labels import LabelSet, restrict
from mien.models import Model
from mien.sources.labelled import LabelledImages, leaked_into_training
from mien.training.metrics import (
    Reliability,
    calibration_interval,
    confusion_matrix,
    macro_f1,
    recalls,
    reliability,
    wilson_interval,
)

BATCH = 128
"""Pictures held in memory at a time."""


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
    macro_f1 : float
        Mean of the F1 of the emotions that occur.
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
    """

    model: str
    data: str
    rule: str
    all: Report
    clean: Report | None
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain strings, numbers, lists and dicts, for JSON."""
        reports = {"all": self.all.to_dict(), "clean": None if self.clean is None else self.clean.to_dict()}
        return {
            "model": self.model,
            "data": self.data,
            "rule": self.rule,
            "left_out": self.left_out,
            **reports,
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
        recall={emotion: float(r) for emotion, r in zip(labels, recall, strict=True) if not np.isnan(r)},
        ece=table.error,
        ece_low=ece_low,
        ece_high=ece_high,
        confusion=confusion,
        reliability=table,
        missed=int(missed.sum()),
    )


def evaluate_model(
    model: Model,
    corpus: LabelledImages,
    *,
    split: str | None = None,
    detector: Detector | None = None,
    missed: str = "error",
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score a model on a labelled corpus of faces.

    Parameters
    ----------
    model : Model
        Where it knows more emotions than the corpus, its probabilities are renormalised over the corpus's;
        an emotion it does not know it cannot get right.
    corpus : LabelledImages
        The whole corpus, so that pictures which also stand in Training can be told. Pictures without a
        label are left out.
    split : str, optional
        Which part to score; by default all.
    detector : Detector, optional
        Finds the face in each picture, by whose landmarks it is then cut, as in any photograph. Without
        one the pictures are taken as faces framed like the model's template.
    missed : {"error", "framed"}
        What a picture is in which the detector finds no face: an error, which scores the whole chain, or a
        face framed like the template, which scores the model.
    progress : callable, optional
        Called with the number of pictures done, and of all.

    Raises
    ------
    ArgumentError
        If there is nothing to score, or model and corpus share no two emotions.
    """
    if missed not in ("error", "framed"):
        raise bad_argument("missed", allowed="'error' or 'framed'", given=missed)
    part = np.ones(len(corpus), bool) if split is None else corpus.split == split
    if not part.any():
        known = ", ".join(sorted(set(corpus.split.tolist()) - {""})) or "no splits"
        raise bad_argument("split", allowed=f"a part of {corpus.name} ({known})", given=split)
    rows = np.flatnonzero(part & (corpus.label >= 0))
    if not len(rows):
        raise bad_argument("corpus", allowed="one with labelled pictures", given=corpus.name)
    chosen = corpus.select(rows)
    probability, found = _answers(model, chosen, detector, detector is None or missed == "framed", progress)
    onto = _onto(probability, model.labels, corpus.labels)
    data = corpus.name if split is None else f"{corpus.name} {split}"
    name = f"{model.name} on {data}"
    clean = None
    if split != "Training" and (corpus.split == "Training").any():
        kept = ~leaked_into_training(corpus)[rows] & (chosen.split != "Training")
        if kept.any():
            without = f"{name}, without pictures that stand in Training"
            clean = score(without, corpus.labels, chosen.label[kept], onto[kept], found[kept])
    return Evaluation(
        model=model.name,
        data=data,
        rule=corpus.rule,
        all=score(name, corpus.labels, chosen.label, onto, found),
        clean=clean,
        left_out=int(part.sum()) - len(rows),
    )


def _answers(
    model: Model,
    corpus: LabelledImages,
    detector: Detector | None,
    framed: bool,
    progress: Callable[[int, int], None] | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the model's probabilities, and where a face was found; a picture is read only once."""
    n = len(corpus)
    probability = np.zeros((n, len(model.labels)), np.float32)
    found = np.zeros(n, bool)
    for start in range(0, n, BATCH):
        stop = min(start + BATCH, n)
        crops = []
        for row in range(start, stop):
            image = corpus.images[row]
            faces = Faces.empty() if detector is None else find_single(image, detector)
            found[row] = bool(len(faces)) or framed
            if len(faces):
                crops.append(model.crop.cut(image, faces.landmarks_xy)[0])
            elif framed:
                crops.append(model.crop.cut_framed(image))
        if crops:
            probability[start:stop][found[start:stop]] = model.predict_proba(np.stack(crops))
        if progress is not None:
            progress(stop, n)
    return probability, found


def _onto(probability: NDArray[np.float32], labels: LabelSet, wanted: LabelSet) -> NDArray[np.float32]:
    """Bring probabilities into the columns of the corpus; nothing goes to what the model does not know."""
    shared = [name for name in wanted if name in labels]
    if len(shared) < 2:
        raise bad_argument(
            "model", allowed=f"one that knows two or more of {wanted.names}", given=labels.names
        )
    onto = np.zeros((len(probability), len(wanted)), np.float32)
    onto[:, [wanted.index(name) for name in shared]] = restrict(probability, labels, labels.subset(shared))
    return onto
