"""How a model holds up: the same test faces darker, lit badly, turned, blurred, small, noisy, half covered.

The disturbed picture goes through detection and alignment again, as in use. Works on any model and needs
no torch. The disturbances are constructed: they say where a model breaks, not how often that occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.detect import Detector
from mien.labels import LabelScheme
from mien.models import Model
from mien.sources.labelled import LabelledImages, leaked_into_training, split_role
from mien.training.conditions import CONDITIONS, DisturbedImages, choose_conditions, find_landmarks
from mien.training.crops import cut_corpus
from mien.training.disturb import Disturbance
from mien.training.evaluate import onto
from mien.training.metrics import calibration_interval, expected_calibration_error, wilson_interval

__all__ = [
    "CONDITIONS", "ROBUSTNESS_COLUMNS", "ConditionResult", "RobustnessReport",
    "evaluate_robustness", "paired_drop",
]  # fmt: skip

UNDISTURBED = "undisturbed"

ROBUSTNESS_COLUMNS = (
    "condition", "accuracy", "95 % interval", "drop", "95 % interval",
    "not found", "confidence", "when right", "when wrong", "calibration error",
)  # fmt: skip
"""Headings of :meth:`RobustnessReport.rows`."""

DRAWS = 2000
"""How often pictures are drawn for the interval of a drop."""

BATCH = 256
"""Crops shown to the model at a time."""


@dataclass(frozen=True)
class ConditionResult:
    """What a model reached under one condition.

    Parameters
    ----------
    name : str
        A key of :data:`CONDITIONS`, or "undisturbed".
    n : int
        Pictures; the same under every condition.
    accuracy, low, high : float
        Share of right answers, with its 95 % interval (Wilson 1927).
    drop, drop_low, drop_high : float
        By how much the accuracy is lower than on the same pictures undisturbed, with its 95 % interval
        (paired bootstrap); negative for a gain.
    not_found : float
        Share of pictures in which the detector found no face; 0 without a detector.
    confidence : float
        Mean probability of the answer, over the pictures with an answer; NaN where there are none.
    confidence_right, confidence_wrong : float
        The same over the right and over the wrong answers: a model that knows when it is lost has a low
        one on the wrong.
    ece, ece_low, ece_high : float
        Expected calibration error over the pictures with an answer, with its 95 % interval (bootstrap);
        NaN where there are none.
    """

    name: str
    n: int
    accuracy: float
    low: float
    high: float
    drop: float
    drop_low: float
    drop_high: float
    not_found: float
    confidence: float
    confidence_right: float
    confidence_wrong: float
    ece: float
    ece_low: float
    ece_high: float


@dataclass(frozen=True)
class RobustnessReport:
    """How a model holds up on n labelled pictures.

    Parameters
    ----------
    model, detector, data, rule : str
        What was scored, behind which detector (empty for none), on what, and how the labels were derived.
    missed : str
        What a picture without a found face is: "error" or "framed".
    n : int
        Pictures under each condition.
    left_out : int
        Labelled pictures that were not considered, since they also stand in Training.
    seed : int
        Decided the sample and what is random in the conditions.
    undisturbed : ConditionResult
    conditions : tuple of ConditionResult
    """

    model: str
    detector: str
    data: str
    rule: str
    missed: str
    n: int
    left_out: int
    seed: int
    undisturbed: ConditionResult
    conditions: tuple[ConditionResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain strings, numbers, lists and dicts, for JSON; None for NaN."""
        return {
            **vars(self),
            "undisturbed": _plain(self.undisturbed),
            "conditions": [_plain(result) for result in self.conditions],
        }

    def rows(self) -> list[tuple[str, ...]]:
        """Return a line of text for each condition, undisturbed first; see :data:`ROBUSTNESS_COLUMNS`."""
        return [_row(result) for result in (self.undisturbed, *self.conditions)]


def evaluate_robustness(
    model: Model,
    corpus: LabelledImages,
    *,
    split: str | None = None,
    detector: Detector | None = None,
    cache: str | Path | None = None,
    conditions: Iterable[str] | Mapping[str, Disturbance] | None = None,
    sample: int | None = None,
    seed: int = 0,
    missed: str = "framed",
    scheme: LabelScheme | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RobustnessReport:
    """Score a model on the same pictures under every condition.

    Parameters
    ----------
    model : Model
        Where it knows more emotions than the corpus, its probabilities are renormalised over the corpus's;
        an emotion it does not know it cannot get right.
    corpus : LabelledImages
        The whole corpus, so that pictures which also stand in Training can be told: these are left out,
        unless it is Training that is scored, or there is nothing else. Pictures without a label are left
        out too.
    split : str, optional
        Which part to score; by default all of it.
    detector : Detector, optional
        Finds the face in every disturbed picture, and in the undisturbed one to tell where a cover
        belongs. Without one the pictures are taken as faces framed like the template, disturbed or not.
    cache : path, optional
        Folder in which crops are kept; see :func:`mien.training.crops.cut_corpus`.
    conditions : iterable of str, or mapping of str to callable, optional
        Names of :data:`CONDITIONS`, or functions of one's own; by default all of :data:`CONDITIONS`.
    sample : int, optional
        Largest number of pictures, drawn at random; by default all.
    seed : int
        Decides the sample and what is random in the conditions. A picture is disturbed alike whatever
        else is in the sample.
    missed : {"error", "framed"}
        What a picture is in which the detector finds no face: an error, which scores the whole chain, or a
        face framed like the template, which scores the model.
    scheme : LabelScheme, optional
        What the corpus's classes are made of, where they are not emotions the model knows by name.
    progress : callable, optional
        Called with the number of pictures done, and of all, over all conditions.

    Raises
    ------
    ArgumentError
        If there is nothing to score, or model and corpus share no two emotions.
    UnknownNameError
        If a condition is not known.
    """
    if missed not in ("error", "framed"):
        raise bad_argument("missed", allowed="'error' or 'framed'", given=missed)
    functions = choose_conditions(conditions)
    rows, left_out = _chosen_rows(corpus, split, sample, seed)
    part = corpus.select(rows)
    count = _Count(len(rows) * (len(functions) + 1 + (detector is not None)), progress)
    landmarks = find_landmarks(part.images, detector, cache=cache, progress=count.next_stage())

    def answer(name: str, function: Disturbance | None) -> _Answers:
        images = part.images
        if function is not None:
            images = DisturbedImages(images, landmarks, function, f"{seed} {name}", rows)
        cut = cut_corpus(images, model.crop, detector, cache=cache, progress=count.next_stage())
        parts = [model.predict_proba(cut.crops[i : i + BATCH]) for i in range(0, len(rows), BATCH)]
        probability = onto(np.concatenate(parts), model.labels, corpus.labels, scheme)
        counted = cut.found | (missed == "framed")
        right = counted & (probability.argmax(axis=1) == part.label)
        return _Answers(name, probability, counted, right, cut.found)

    reference = answer(UNDISTURBED, None)
    results = (_summarise(answer(name, f), reference, part.label, seed) for name, f in functions.items())
    return RobustnessReport(
        model=model.name,
        detector="" if detector is None else detector.name,
        data=corpus.name if split is None else f"{corpus.name} {split}",
        rule=corpus.rule,
        missed=missed,
        n=len(rows),
        left_out=left_out,
        seed=seed,
        undisturbed=_summarise(reference, reference, part.label, seed),
        conditions=tuple(results),
    )


def paired_drop(
    before: NDArray[np.bool_], after: NDArray[np.bool_], *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float, float]:
    """Return by how much a share of right answers fell on the same pictures, with its 95 % interval.

    Parameters
    ----------
    before, after : ndarray of shape (n,), bool
        Which answers were right; the same pictures in the same order.
    draws : int
        How often pictures are drawn with replacement, each with both its answers (Efron 1979, percentile
        method).
    seed : int

    Returns
    -------
    drop, low, high : float
        From -1 to 1. Pictures of one person count as if they were of several. Where no answer changed,
        low and high are 0: what was not seen to change cannot be drawn.
    """
    n = len(before)
    if n == 0 or before.shape != after.shape:
        raise bad_argument("after", allowed=f"of shape ({n},), with one row or more", given=after.shape)
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    # Drawing pictures is drawing how many of them lost, won, or kept their answer.
    shares = np.array([lost, won, n - lost - won]) / n
    drawn = np.random.default_rng(seed).multinomial(n, shares, draws)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / n, (2.5, 97.5))
    return (lost - won) / n, float(low), float(high)


@dataclass(frozen=True)
class _Answers:
    """Parallel over the pictures: probabilities (n, k), whether they count, are right, had a face found."""

    name: str
    probability: NDArray[np.float32]
    counted: NDArray[np.bool_]
    right: NDArray[np.bool_]
    found: NDArray[np.bool_]


def _summarise(
    answers: _Answers, reference: _Answers, label: NDArray[np.int64], seed: int
) -> ConditionResult:
    n, counted = len(label), answers.counted
    low, high = wilson_interval(int(answers.right.sum()), n)
    drop, drop_low, drop_high = paired_drop(reference.right, answers.right, seed=seed)
    best = answers.probability.max(axis=1)
    probability, labels = answers.probability[counted], label[counted]
    ece_low, ece_high = calibration_interval(probability, labels)
    return ConditionResult(
        name=answers.name,
        n=n,
        accuracy=float(answers.right.mean()),
        low=low,
        high=high,
        drop=drop,
        drop_low=drop_low,
        drop_high=drop_high,
        not_found=float(1 - answers.found.mean()),
        confidence=_mean(best[counted]),
        confidence_right=_mean(best[answers.right]),
        confidence_wrong=_mean(best[counted & ~answers.right]),
        ece=expected_calibration_error(probability, labels) if len(labels) else float("nan"),
        ece_low=ece_low,
        ece_high=ece_high,
    )


def _chosen_rows(
    corpus: LabelledImages, split: str | None, sample: int | None, seed: int
) -> tuple[NDArray[np.int64], int]:
    """Return the rows to score, and how many were left out since they also stand in Training."""
    if sample is not None and sample < 1:
        raise bad_argument("sample", allowed="a whole number from 1", given=sample)
    part = corpus.label >= 0
    if split is not None:
        if not (corpus.split == split).any():
            known = ", ".join(sorted(set(corpus.split.tolist()) - {""})) or "no splits"
            raise bad_argument("split", allowed=f"a part of {corpus.name} ({known})", given=split)
        part &= corpus.split == split
    if not part.any():
        raise bad_argument("corpus", allowed="one with labelled pictures", given=corpus.name)
    in_training = np.array([split_role(str(name)) == "train" for name in corpus.split], bool)
    fresh = part & ~in_training
    if in_training.any() and fresh.any():
        fresh &= ~leaked_into_training(corpus)
    rows = np.flatnonzero(fresh if fresh.any() else part)
    left_out = int(part.sum()) - len(rows)
    if sample is not None and sample < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    return rows, left_out


class _Count:
    """Adds up the progress of stages that each count from one."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def next_stage(self) -> Callable[[int, int], None]:
        before = self._done

        def tell(done: int, _: int) -> None:
            self._done = before + done
            if self._progress is not None:
                self._progress(self._done, self._total)

        return tell


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _plain(result: ConditionResult) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in vars(result).items()}


def _row(r: ConditionResult) -> tuple[str, ...]:
    fall = (
        ("-", "-") if r.name == UNDISTURBED else (f"{r.drop:.4f}", f"{r.drop_low:.4f} to {r.drop_high:.4f}")
    )
    sure = ("-" if v != v else f"{v:.4f}" for v in (r.confidence, r.confidence_right, r.confidence_wrong))
    error = "-" if r.ece != r.ece else f"{r.ece:.4f} ({r.ece_low:.4f} to {r.ece_high:.4f})"
    return (
        r.name,
        f"{r.accuracy:.4f}",
        f"{r.low:.4f} to {r.high:.4f}",
        *fall,
        f"{r.not_found:.4f}",
        *sure,
        error,
    )
