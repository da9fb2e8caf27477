"""Several models on several data sets: who holds up on data of another origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import ArgumentError, bad_argument
from mien.faces.detect import Detector
from mien.labels import LabelScheme, LabelSet
from mien.models import Model
from mien.sources.labelled import LabelledImages
from mien.training.evaluate import evaluate_model
from mien.training.reports import Evaluation

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Place:
    """One model on one data set.

    Parameters
    ----------
    emotions : tuple of str
        What was scored: the classes that both know. Pictures of others are left out.
    evaluation : Evaluation or None
        None where nothing could be scored.
    reason : str
        Why not; empty where it could.
    """

    emotions: tuple[str, ...]
    evaluation: Evaluation | None
    reason: str = ""


@dataclass(frozen=True)
class Matrix:
    """Models (rows) by data sets (columns).

    Parameters
    ----------
    models, data : tuple of str
        The m rows and the d columns, each name once.
    places : tuple of tuple of Place
        m by d.
    """

    models: tuple[str, ...]
    data: tuple[str, ...]
    places: tuple[tuple[Place, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the matrix as plain strings, numbers, lists and dicts, for JSON."""
        rows = [
            {
                "model": model,
                "data": data,
                "emotions": list(place.emotions),
                "reason": place.reason,
                "evaluation": None if place.evaluation is None else place.evaluation.to_dict(),
            }
            for model, line in zip(self.models, self.places, strict=True)
            for data, place in zip(self.data, line, strict=True)
        ]
        return {"models": list(self.models), "data": list(self.data), "places": rows}


def evaluate_matrix(
    models: Sequence[Model | Sequence[Model]],
    corpora: Sequence[LabelledImages],
    *,
    splits: Sequence[str | None] | None = None,
    detector: Detector | None = None,
    missed: str = "error",
    scheme: LabelScheme | None = None,
    groups: Sequence[Sequence[str]] | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Matrix:
    """Score every model on every data set, on the emotions that both know.

    Parameters
    ----------
    models : sequence of Model, or of sequences of Model
        Each a model, or one of its label sets for each corpus.
    corpora : sequence of LabelledImages
    splits : sequence of str or None, optional
        Which part of each corpus to score; by default all of each.
    groups : sequence of sequence of str, optional
        Columns of each corpus to tell the results apart by.
    detector, missed, scheme, cache
        As for :func:`mien.training.evaluate.evaluate_model`.
    progress : callable, optional
        Called with the number of places done, and of all.
    **options
        Further ones of :func:`mien.training.evaluate.evaluate_model`: surround, recall_over, thresholds.

    Raises
    ------
    ArgumentError
        If there is no model or no corpus.
    """
    for name, given in (("models", models), ("corpora", corpora)):
        if not given:
            raise bad_argument(name, allowed="one or more", given=given)
    parts = splits if splits is not None else [None] * len(corpora)
    columns = groups if groups is not None else [()] * len(corpora)
    rows = [list(model) if isinstance(model, Sequence) else [model] * len(corpora) for model in models]
    places = []
    for m, row in enumerate(rows):
        line = []
        for model, corpus, split, column in zip(row, corpora, parts, columns, strict=True):
            line.append(
                _place(
                    model,
                    corpus,
                    scheme,
                    split,
                    detector=detector,
                    missed=missed,
                    groups=column,
                    cache=cache,
                    **options,
                )
            )
            if progress is not None:
                progress(m * len(corpora) + len(line), len(models) * len(corpora))
        places.append(tuple(line))
    data = [
        corpus.name if split is None else f"{corpus.name} {split}"
        for corpus, split in zip(corpora, parts, strict=True)
    ]
    return Matrix(distinct(row[0].name for row in rows), distinct(data), tuple(places))


def shared_scheme(model: LabelSet, corpus: LabelSet) -> LabelScheme | None:
    """Return the emotions that both know, in the corpus's order; None where these are all of the corpus's.

    Raises
    ------
    ArgumentError
        If they are fewer than two.
    """
    shared = tuple(name for name in corpus if name in model)
    if len(shared) < 2:
        raise bad_argument(
            "model", allowed=f"one that knows two or more of {corpus.names}", given=model.names
        )
    if len(shared) == len(corpus):
        return None
    return LabelScheme(corpus.subset(shared), tuple((name,) for name in shared))


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in which those that stood there more than once are numbered from the second on."""
    seen: dict[str, int] = {}
    chosen = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        chosen.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(chosen)


def _place(
    model: Model, corpus: LabelledImages, scheme: LabelScheme | None, split: str | None, **options: Any
) -> Place:
    try:
        shared = shared_scheme(model.labels, corpus.labels) if scheme is None else scheme
    except ArgumentError as error:
        return Place((), None, str(error))
    names = (corpus.labels if shared is None else shared.labels).names
    known = corpus if shared is None else corpus.relabel(shared)
    part = known.label if split is None else known.label[known.split == split]
    if not (part >= 0).any():
        return Place(names, None, f"{corpus.name} has no picture of {', '.join(names)}.")
    return Place(names, evaluate_model(model, corpus, split=split, scheme=shared, **options))
