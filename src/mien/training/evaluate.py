"""How good a model is: accuracy with its interval, per class, and how far its probabilities can be believed.

Works on any model and needs no torch. What is scored is agreement with the labels people gave to the
displayed expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.detect import Detector
from mien.labels import LabelScheme, LabelSet, restrict
from mien.models import Model
from mien.sources.labelled import LabelledImages, leaked_into_training, sequence_windows, split_role
from mien.training.crops import cut_corpus
from mien.training.groups import GroupResult, by_group, group_column
from mien.training.reports import Evaluation, Report, score

__all__ = ["Answers", "Evaluation", "Report", "SequenceModel", "ask", "evaluate_model", "onto", "score"]

BATCH = 128
"""Pictures held in memory at a time, where their crops are not kept."""

WINDOWS = 32
"""Windows scored in one call."""

Progress = Callable[[int, int], None]


@runtime_checkable
class SequenceModel(Model, Protocol):
    """A model that looks at several crops in order.

    Attributes
    ----------
    frames : int
        How many.
    """

    frames: int

    def predict_windows(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities of shape (m, k) for windows of shape (m, t, S, S[, 3]), oldest first."""
        ...


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of the labelled pictures of a corpus.

    Parameters
    ----------
    row : ndarray of shape (n,), int64
        Which pictures of the corpus.
    probability : ndarray of shape (n, k), float32
        Over the model's own emotions.
    found : ndarray of shape (n,), bool
        Where there is an answer.
    """

    row: NDArray[np.int64]
    probability: NDArray[np.float32]
    found: NDArray[np.bool_]


def evaluate_model(
    model: Model,
    corpus: LabelledImages,
    *,
    split: str | None = None,
    detector: Detector | None = None,
    missed: str = "error",
    scheme: LabelScheme | None = None,
    groups: Sequence[str] = (),
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a model on a labelled corpus of faces.

    Parameters
    ----------
    model : Model
        Where it knows more emotions than the corpus, its probabilities are renormalised over the corpus's;
        an emotion it does not know it cannot get right. A model of sequences sees, for each labelled
        picture of a sequence, that picture and those before it; a still it sees for all its frames.
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
    scheme : LabelScheme, optional
        Classes to score in instead of the corpus's emotions: pictures of other emotions are left out, and
        the model's probabilities are added up by class and renormalised.
    groups : sequence of str
        Columns to tell the results apart by; :func:`mien.training.groups.group_columns` lists them.
    cache : path, optional
        Folder in which crops are kept; see :func:`mien.training.crops.cut_corpus`.
    progress : callable, optional
        Called with the number of pictures done, and of all.

    Raises
    ------
    ArgumentError
        If there is nothing to score, or model and corpus share no two emotions.
    """
    if missed not in ("error", "framed"):
        raise bad_argument("missed", allowed="'error' or 'framed'", given=missed)
    corpus = corpus if scheme is None else corpus.relabel(scheme)
    part = np.ones(len(corpus), bool) if split is None else corpus.split == split
    if not part.any():
        known = ", ".join(sorted(set(corpus.split.tolist()) - {""})) or "no splits"
        raise bad_argument("split", allowed=f"a part of {corpus.name} ({known})", given=split)
    columns = {column: group_column(corpus, column) for column in groups}
    framed = detector is None or missed == "framed"
    chosen = corpus.select(part)
    answers = ask(model, chosen, detector, framed=framed, cache=cache, progress=progress)
    rows = np.flatnonzero(part)[answers.row]
    label, found = corpus.label[rows], answers.found
    classes = onto(answers.probability, model.labels, corpus.labels, scheme)
    data = corpus.name if split is None else f"{corpus.name} {split}"
    name = f"{model.name} on {data}"
    return Evaluation(
        model=model.name,
        data=data,
        rule=corpus.rule,
        all=score(name, corpus.labels, label, classes, found),
        clean=_clean(name, corpus, rows, classes, found) if split_role(split or "") != "train" else None,
        left_out=len(chosen) - len(rows),
        groups=tuple(
            _grouped(column, value, corpus, rows, classes, found) for column, value in columns.items()
        ),
    )


def _clean(
    name: str,
    corpus: LabelledImages,
    rows: NDArray[np.int64],
    classes: NDArray[np.float32],
    found: NDArray[np.bool_],
) -> Report | None:
    """Score again without Training, and without what stands there too; None where that leaves nothing."""
    training = np.array([split_role(str(name)) == "train" for name in corpus.split], bool)
    if not training.any():
        return None
    kept = ~leaked_into_training(corpus)[rows] & ~training[rows]
    if not kept.any():
        return None
    without = f"{name}, without pictures that stand in Training"
    return score(without, corpus.labels, corpus.label[rows][kept], classes[kept], found[kept])


def _grouped(
    column: str,
    value: NDArray[np.str_],
    corpus: LabelledImages,
    rows: NDArray[np.int64],
    classes: NDArray[np.float32],
    found: NDArray[np.bool_],
) -> GroupResult:
    answer = np.where(found, classes.argmax(axis=1), -1)
    people = None if corpus.subject is None else corpus.subject[rows]
    return by_group(column, value[rows], corpus.label[rows], answer, len(corpus.labels), subject=people)


def ask(
    model: Model,
    corpus: LabelledImages,
    detector: Detector | None,
    *,
    framed: bool,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Answers:
    """Let a model answer for every labelled picture of a corpus.

    Parameters
    ----------
    model, corpus, detector, cache, progress
        As for :func:`evaluate_model`. The pictures without a label are only seen as the past of others.
    framed : bool
        Whether pictures in which no face is found are answered too, framed like the template.

    Raises
    ------
    ArgumentError
        If no picture has a label.
    """
    rows = np.flatnonzero(corpus.label >= 0)
    if not len(rows):
        raise bad_argument("corpus", allowed="one with labelled pictures", given=corpus.name)
    ordered = np.zeros(len(rows), bool)
    if isinstance(model, SequenceModel) and model.frames > 1 and corpus.sequence is not None:
        ordered = corpus.sequence[rows] != ""
    probability = np.zeros((len(rows), len(model.labels)), np.float32)
    found = np.zeros(len(rows), bool)
    if not ordered.all():
        probability[~ordered], found[~ordered] = _ask_stills(
            model, corpus, rows[~ordered], detector, framed, cache, progress
        )
    if ordered.any() and isinstance(model, SequenceModel):
        probability[ordered], found[ordered] = _ask_windows(
            model, corpus, rows[ordered], detector, framed, cache, progress
        )
    return Answers(rows, probability, found)


def _ask_stills(
    model: Model,
    corpus: LabelledImages,
    rows: NDArray[np.int64],
    detector: Detector | None,
    framed: bool,
    cache: str | Path | None,
    progress: Progress | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    probability = np.zeros((len(rows), len(model.labels)), np.float32)
    found = np.zeros(len(rows), bool)
    # A file of kept crops is read and written once, not for each batch: then the cutting is what is shown.
    step, cutting = (BATCH, None) if cache is None else (len(rows), progress)
    for start in range(0, len(rows), step):
        part = slice(start, min(start + step, len(rows)))
        images = corpus.select(rows[part]).images
        cut = cut_corpus(images, model.crop, detector, cache=cache, progress=cutting)
        found[part] = cut.found | framed
        if found[part].any():
            probability[part][found[part]] = model.predict_proba(cut.crops[found[part]])
        if progress is not None and cutting is None:
            progress(part.stop, len(rows))
    return probability, found


def _ask_windows(
    model: SequenceModel,
    corpus: LabelledImages,
    rows: NDArray[np.int64],
    detector: Detector | None,
    framed: bool,
    cache: str | Path | None,
    progress: Progress | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Score the windows that end at each of the rows; whether a face is found, the last picture says."""
    windows = sequence_windows(corpus, model.frames).rows
    windows = windows[np.argsort(windows[:, -1])]  # in the order of the corpus, as `rows` is
    windows = windows[np.isin(windows[:, -1], rows)]
    seen, place = np.unique(windows, return_inverse=True)
    place = place.reshape(windows.shape)
    cut = cut_corpus(corpus.select(seen).images, model.crop, detector, cache=cache, progress=progress)
    parts = [
        model.predict_windows(cut.crops[place[start : start + WINDOWS]])
        for start in range(0, len(rows), WINDOWS)
    ]
    return np.concatenate(parts), cut.found[place[:, -1]] | framed


def onto(
    probability: NDArray[np.float32],
    labels: LabelSet,
    wanted: LabelSet,
    scheme: LabelScheme | None = None,
) -> NDArray[np.float32]:
    """Bring probabilities into the columns that are scored; nothing goes to what the model does not know.

    Parameters
    ----------
    probability : ndarray of shape (n, k), float32
        Rows that sum to one over `labels`.
    labels, wanted : LabelSet
        What the model answers in, and what is scored.
    scheme : LabelScheme, optional
        What the classes of `wanted` are made of, where they are not emotions that the model knows by name.

    Returns
    -------
    ndarray of shape (n, m), float32
        Rows that sum to one over `wanted`.

    Raises
    ------
    ArgumentError
        If the model knows fewer than two of the classes.
    """
    if scheme is not None and labels.names != wanted.names:
        member = scheme.matrix(labels)
        known = [name for name, column in zip(wanted, member.T, strict=True) if column.any()]
        probability = (probability @ member)[:, [wanted.index(name) for name in known]]
        labels = LabelSet("+".join(known), tuple(known)) if known else labels
    shared = [name for name in wanted if name in labels]
    if len(shared) < 2:
        raise bad_argument(
            "model", allowed=f"one that knows two or more of {wanted.names}", given=labels.names
        )
    columns = np.zeros((len(probability), len(wanted)), np.float32)
    columns[:, [wanted.index(name) for name in shared]] = restrict(probability, labels, labels.subset(shared))
    return columns
