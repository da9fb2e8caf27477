"""What a comparison measures: values that are kept as JSON, averaged over seeds, and written as a table.

A trial is one model trained with one seed; it is tested on every data set of the comparison.
"""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError
from mien.outputs.files import write_file
from mien.training.metrics import wilson_interval
from mien.training.reports import Report

OWN = "all its emotions"
"""What stands for the scheme of a trial that was trained on the emotions of its corpus."""


def classes_of(scheme: str) -> str:
    """Return the names of a trial's classes, without what they are made of."""
    return ", ".join(part.partition("=")[0] for part in scheme.split(",")) if scheme else OWN


@dataclass(frozen=True)
class Score:
    """The numbers of a :class:`mien.training.reports.Report` that a comparison needs."""

    labels: tuple[str, ...]
    n: int
    accuracy: float
    low: float
    high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    ece: float
    ece_low: float
    ece_high: float
    recall: Mapping[str, float]
    confusion: tuple[tuple[int, ...], ...]

    @classmethod
    def from_report(cls, report: Report) -> Score:
        """Take what is needed from a report in which no picture is without an answer."""
        values = {name: getattr(report, name) for name in _NAMES if name != "confusion"}
        return cls(**values, confusion=tuple(map(tuple, report.confusion.tolist())))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Score:
        """Take what :func:`dataclasses.asdict` and JSON made of a score."""
        lists = {
            "labels": tuple(plain["labels"]),
            "confusion": tuple(tuple(map(int, row)) for row in plain["confusion"]),
        }
        return cls(**{**plain, **lists})


_NAMES = [field.name for field in fields(Score)]


@dataclass(frozen=True)
class Outcome:
    """A trial on the test pictures of one data set.

    Parameters
    ----------
    data : str
        Name of the data set.
    key : str
        What tells its test pictures and their labels from others.
    leaked : int
        Test pictures that are byte-identical to a training picture of the trial's data set.
    clean : Score or None
        Without those; the headline. None where nothing could be scored.
    raw : Score or None
        With those.
    reason : str
        Why nothing could be scored; empty where it could.
    """

    data: str
    key: str
    leaked: int
    clean: Score | None
    raw: Score | None
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """One architecture, trained on one data set in one scheme with one seed.

    Parameters
    ----------
    cell : str
        Its name; also that of the model's files.
    arch, family, data, scheme : str
        `scheme` is empty where the corpus's own emotions were learned.
    seed : int
    images : int
        Pictures given to the training, those set aside inside to calibrate included.
    epochs : int
        Most epochs of the recipe; 0 for a classic model.
    seconds : float
        Wall-clock time of the training.
    resumed : bool
        Whether an earlier, interrupted run had done a part, whose time is not in `seconds`.
    file : str
        The model, relative to the folder of the comparison.
    base : str
        The network it is built on, or started from; empty for none.
    parameters, size_bytes : int
        Weights, and size of the files, those of `base` included where it is needed in use.
    one_ms, batch_ms : float
        Milliseconds per answer, one at a time and 32 at a time, on one thread; NaN where not measured.
    tested : tuple of Outcome
    """

    cell: str
    arch: str
    family: str
    data: str
    scheme: str
    seed: int
    images: int
    epochs: int
    seconds: float
    resumed: bool
    file: str
    base: str
    parameters: int
    size_bytes: int
    one_ms: float = float("nan")
    batch_ms: float = float("nan")
    tested: tuple[Outcome, ...] = ()


def write_trial(path: Path, trial: Trial) -> None:
    """Write a trial as JSON, whole or not at all; what was not measured is null."""
    plain = {name: None if value != value else value for name, value in asdict(trial).items()}
    write_file(path, (json.dumps(plain, indent=1) + "\n").encode())


def read_trial(path: Path) -> Trial:
    """Read what :func:`write_trial` wrote.

    Raises
    ------
    DatasetError
        If the file is damaged, or was written by another version.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        times = {
            name: float("nan") if plain[name] is None else plain[name] for name in ("one_ms", "batch_ms")
        }
        return Trial(**{**plain, **times, "tested": tuple(_tested(one) for one in plain["tested"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} is no result of a comparison ({error}); delete it.") from error


def _tested(plain: Mapping[str, Any]) -> Outcome:
    scores = {
        name: None if plain[name] is None else Score.from_dict(plain[name]) for name in ("clean", "raw")
    }
    return Outcome(**{**plain, **scores})


@dataclass(frozen=True)
class Failure:
    """A cell that came to nothing, and why."""

    arch: str
    data: str
    scheme: str
    seed: int
    error: str


@dataclass(frozen=True)
class About:
    """A data set of a comparison, in numbers and words.

    Parameters
    ----------
    name : str
    images : int
        Pictures, those without a label included.
    train, test : int
        Labelled pictures to learn from, and to test on.
    leaked : int
        Of those to test on, how many are byte-identical to one to learn from.
    division, rule, terms : str
        How it was divided, how its labels were derived, and on which terms it may be used.
    labels : tuple of str
    """

    name: str
    images: int
    train: int
    test: int
    leaked: int
    division: str
    labels: tuple[str, ...]
    rule: str
    terms: str


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison found.

    Parameters
    ----------
    trials : tuple of Trial
    failures : tuple of Failure
    left_out : tuple of str
        What was not tried, and why; sentences.
    data : tuple of About
    command : str
        What was typed.
    conditions : tuple of str
        Under what the numbers came about; sentences.
    """

    trials: tuple[Trial, ...]
    failures: tuple[Failure, ...]
    left_out: tuple[str, ...]
    data: tuple[About, ...]
    command: str
    conditions: tuple[str, ...]

    def summaries(self) -> list[Summary]:
        """Return the results, averaged over seeds."""
        return summarise(self.trials)


@dataclass(frozen=True)
class Summary:
    """One architecture, trained on one data set in one scheme, on one data set: over all seeds.

    Parameters
    ----------
    arch, trained_on, scheme, data : str
    seeds : tuple of int
    n : int
        Test pictures; the same for every seed.
    labels : tuple of str
        The k classes scored.
    accuracy, low, high : float
        Mean over the seeds, with the 95 % interval (Wilson 1927) of that share of n pictures: the seeds
        saw the same pictures, so that more of them do not make it narrower.
    least, most : float
        Accuracy of the worst and of the best seed.
    macro_f1, macro_f1_low, macro_f1_high, ece, ece_low, ece_high : float
        Means over the seeds of the value and of the ends of its interval.
    raw_accuracy, raw_low, raw_high : float
    raw_n : int
        With the test pictures that also stand in the training data.
    recall : mapping of str to (float, float, float, int)
        Mean over the seeds, its interval (Wilson), and pictures, for each class that occurs.
    confusion : ndarray of shape (k, k), int64
        Pictures by label (row) and answer (column), of all seeds together.
    """

    arch: str
    trained_on: str
    scheme: str
    data: str
    seeds: tuple[int, ...]
    n: int
    labels: tuple[str, ...]
    accuracy: float
    low: float
    high: float
    least: float
    most: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    ece: float
    ece_low: float
    ece_high: float
    raw_accuracy: float
    raw_low: float
    raw_high: float
    raw_n: int
    recall: Mapping[str, tuple[float, float, float, int]]
    confusion: NDArray[np.int64]


def summarise(trials: Iterable[Trial]) -> list[Summary]:
    """Average trials over their seeds, in the order in which they come."""
    places: dict[tuple[str, str, str, str], list[tuple[int, Score, Score]]] = {}
    for trial in trials:
        for tested in trial.tested:
            if tested.clean is not None and tested.raw is not None:
                place = trial.arch, trial.data, trial.scheme, tested.data
                places.setdefault(place, []).append((trial.seed, tested.clean, tested.raw))
    return [_summary(place, scores) for place, scores in places.items()]


def _summary(place: tuple[str, str, str, str], scores: list[tuple[int, Score, Score]]) -> Summary:
    seeds, clean, raw = zip(*scores, strict=True)
    first: Score = clean[0]
    accuracies = [one.accuracy for one in clean]
    mean = statistics.fmean(accuracies)
    low, high = wilson_interval(round(mean * first.n), first.n)
    raw_n, raw_mean = raw[0].n, statistics.fmean(one.accuracy for one in raw)
    raw_low, raw_high = wilson_interval(round(raw_mean * raw_n), raw_n)
    means = {
        name: statistics.fmean(getattr(one, name) for one in clean)
        for name in ("macro_f1", "macro_f1_low", "macro_f1_high", "ece", "ece_low", "ece_high")
    }
    confusion = np.sum([np.array(one.confusion, np.int64) for one in clean], axis=0)
    arch, trained_on, scheme, data = place
    return Summary(
        arch=arch,
        trained_on=trained_on,
        scheme=scheme,
        data=data,
        seeds=tuple(seeds),
        n=first.n,
        labels=first.labels,
        accuracy=mean,
        low=low,
        high=high,
        least=min(accuracies),
        most=max(accuracies),
        **means,
        raw_accuracy=raw_mean,
        raw_low=raw_low,
        raw_high=raw_high,
        raw_n=raw_n,
        recall=_recalls(first.labels, confusion, len(seeds)),
        confusion=confusion,
    )


def _recalls(
    labels: tuple[str, ...], confusion: NDArray[np.int64], seeds: int
) -> dict[str, tuple[float, float, float, int]]:
    found = {}
    for i, name in enumerate(labels):
        n = int(confusion[i].sum()) // seeds
        if n:
            share = float(confusion[i, i]) / seeds / n
            found[name] = (share, *wilson_interval(round(share * n), n), n)
    return found


COLUMNS = (
    "architecture", "family", "trained_on", "scheme", "seed", "tested_on", "emotions", "n", "accuracy",
    "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high", "ece", "ece_low",
    "ece_high", "recall", "n_raw", "accuracy_raw", "accuracy_raw_low", "accuracy_raw_high", "leaked",
    "training_pictures", "epochs", "training_s", "parameters", "size_bytes", "one_ms", "batch_ms", "model",
    "error",
)  # fmt: skip
"""Of the table: a line for each model and test set, or for each cell that failed. Shares are 0 to 1."""


def table(trials: Iterable[Trial], failures: Iterable[Failure] = ()) -> str:
    """Return trials as CSV, with the columns of :data:`COLUMNS`."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        for tested in trial.tested:
            writer.writerow({name: _short(value) for name, value in _line(trial, tested).items()})
    for failure in failures:
        cell = {"architecture": failure.arch, "trained_on": failure.data, "scheme": failure.scheme or OWN}
        writer.writerow({**cell, "seed": failure.seed, "error": failure.error})
    return buffer.getvalue()


def _line(trial: Trial, tested: Outcome) -> dict[str, Any]:
    line: dict[str, Any] = {
        "architecture": trial.arch,
        "family": trial.family,
        "trained_on": trial.data,
        "scheme": trial.scheme or OWN,
        "seed": trial.seed,
        "tested_on": tested.data,
        "leaked": tested.leaked,
        "training_pictures": trial.images,
        "epochs": trial.epochs or "",
        "training_s": round(trial.seconds, 1),
        **{name: getattr(trial, name) for name in ("parameters", "size_bytes", "one_ms", "batch_ms")},
        "model": trial.file,
        "error": tested.reason,
    }
    if tested.clean is not None and tested.raw is not None:
        clean, raw = tested.clean, tested.raw
        same = ("n", "accuracy", "macro_f1", "macro_f1_low", "macro_f1_high", "ece", "ece_low", "ece_high")
        line |= {name: getattr(clean, name) for name in same}
        line |= {"accuracy_low": clean.low, "accuracy_high": clean.high, "emotions": " ".join(clean.labels)}
        line |= {"recall": " ".join(f"{name}={share:.4f}" for name, share in clean.recall.items())}
        line |= {"n_raw": raw.n, "accuracy_raw": raw.accuracy}
        line |= {"accuracy_raw_low": raw.low, "accuracy_raw_high": raw.high}
    return line


def _short(value: object) -> object:
    """Round what is measured; what was not measured is empty."""
    if isinstance(value, float):
        return "" if value != value else round(value, 6)
    return value
