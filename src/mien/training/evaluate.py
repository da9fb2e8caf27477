"""How good a model is: accuracy with its interval, per class, and how far its probabilities can be believed.

Works on any model and needs no torch. What is scored is agreement with the labels people gave to the
displayed expression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.detect import Detector
from mien.labels import LabelScheme, LabelSet, restrict
from mien.models import Model
from mien.sources.labelled import LabelledImages, leaked_into_training, sequence_windows, split_role
from mien.training.abstention import THRESHOLDS
from mien.training.crops import Crops, cut_corpus
from mien.training.groups import GroupResult, by_group, group_column
from mien.training.reports import Evaluation, Report, score
from mien.training.surround import Surround

__all__ = ["Answers", "Evaluation", "Report", "SequenceModel", "ask", "evaluate_model", "onto", "score"]

BATCH = 128
"""Pictures held in memory at a time, where their crops are not kept."""

WINDOWS = 32
"""Windows scored in one call."""

Progress = Callable[[int, int], None]
Cut = Callable[..., Crops]


@runtime_checkable
class SequenceModel(Model, Protocol):
    """A model that looks at several crops in order; its attribute `step`, if it has one, as a card's.

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
    surround: Surround | None = None,
    recall_over: Sequence[str] = (),
    thresholds: Sequence[float] = THRESHOLDS,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a model on a labelled corpus of faces.

    Parameters
    ----------
    model : Model
        Where it knows more emotions than the corpus, its probabilities are renormalised over the corpus's;
        an emotion it does not know it cannot get right. A model of sequences sees, for each labelled
        picture of a sequence, that picture and those before it; a still it sees for all its frames. For one
        that reads each face twice see :func:`mien.training.mirrored.mirror`.
    corpus : LabelledImages
        The whole corpus, so that pictures which also stand in Training can be told. Pictures without a
        label are left out, but for those with votes: they are compared with these.
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
    surround : Surround, optional
        Put around every picture before the detector looks at it, as if the face stood in a whole picture.
    recall_over : sequence of str
        Emotions whose mean recall is wanted.
    thresholds : sequence of float
        Values of ``unsure`` at which the accuracy is wanted, 0 to 1.
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
    part = rows_of(corpus, split)
    columns = {column: group_column(corpus, column) for column in groups}
    chosen = corpus.select(part)
    answers = ask(
        model,
        chosen,
        detector,
        framed=detector is None or missed == "framed",
        surround=surround,
        voted=True,
        cache=cache,
        progress=progress,
    )
    rows = np.flatnonzero(part)[answers.row]
    given = _Given(
        corpus, rows, onto(answers.probability, model.labels, corpus.labels, scheme), answers.found
    )
    data = corpus.name if split is None else f"{corpus.name} {split}"
    name = f"{model.name} on {data}"
    options: dict[str, Any] = {"recall_over": recall_over, "thresholds": thresholds}
    return Evaluation(
        model=model.name,
        data=data,
        rule=corpus.rule,
        all=given.score(name, **options),
        clean=_clean(name, given, **options) if split_role(split or "") != "train" else None,
        left_out=len(chosen) - int((chosen.label >= 0).sum()),
        groups=tuple(_grouped(column, value, given) for column, value in columns.items()),
        mirrored=bool(getattr(model, "mirrored", False)),
        surround=None if surround is None else asdict(surround),
    )


def rows_of(corpus: LabelledImages, split: str | None) -> NDArray[np.bool_]:
    """Return which pictures of a corpus are in a split, all for None.

    Raises
    ------
    ArgumentError
        If none is.
    """
    part = np.ones(len(corpus), bool) if split is None else corpus.split == split
    if not part.any():
        known = ", ".join(sorted(set(corpus.split.tolist()) - {""})) or "no splits"
        raise bad_argument("split", allowed=f"a part of {corpus.name} ({known})", given=split)
    return part


@dataclass(frozen=True)
class _Given:
    """Answers in the columns of the corpus: rows of it, probabilities (m, k), and where there is one."""

    corpus: LabelledImages
    rows: NDArray[np.int64]
    classes: NDArray[np.float32]
    found: NDArray[np.bool_]

    def select(self, kept: NDArray[np.bool_]) -> _Given:
        return _Given(self.corpus, self.rows[kept], self.classes[kept], self.found[kept])

    def score(self, name: str, **options: Any) -> Report:
        label, votes = self.corpus.label[self.rows], self.corpus.votes
        votes = None if votes is None else votes[self.rows]
        return score(name, self.corpus.labels, label, self.classes, self.found, votes=votes, **options)


def _clean(name: str, given: _Given, **options: Any) -> Report | None:
    """Score again without Training, and without what stands there too; None where that leaves nothing."""
    corpus, rows = given.corpus, given.rows
    training = np.array([split_role(str(name)) == "train" for name in corpus.split], bool)
    if not training.any():
        return None
    kept = ~leaked_into_training(corpus)[rows] & ~training[rows]
    if not (corpus.label[rows][kept] >= 0).any():
        return None
    return given.select(kept).score(f"{name}, without pictures that stand in Training", **options)


def _grouped(column: str, value: NDArray[np.str_], answers: _Given) -> GroupResult:
    given = answers.select(answers.corpus.label[answers.rows] >= 0)
    corpus, rows = given.corpus, given.rows
    answer = np.where(given.found, given.classes.argmax(axis=1), -1)
    people = None if corpus.subject is None else corpus.subject[rows]
    return by_group(column, value[rows], corpus.label[rows], answer, len(corpus.labels), subject=people)


def ask(
    model: Model,
    corpus: LabelledImages,
    detector: Detector | None,
    *,
    framed: bool,
    surround: Surround | None = None,
    voted: bool = False,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Answers:
    """Let a model answer for every labelled picture of a corpus.

    Parameters
    ----------
    model, corpus, detector, surround, cache, progress
        As for :func:`evaluate_model`. The pictures without a label are only seen as the past of others.
    framed : bool
        Whether pictures in which no face is found are answered too, framed like the template.
    voted : bool
        Whether pictures without a label that have votes, and belong to no sequence, are answered too.

    Raises
    ------
    ArgumentError
        If no picture has a label.
    """
    wanted = corpus.label >= 0
    if not wanted.any():
        raise bad_argument("corpus", allowed="one with labelled pictures", given=corpus.name)
    sequenced = np.zeros(len(corpus), bool) if corpus.sequence is None else corpus.sequence != ""
    if voted and corpus.votes is not None:
        wanted = wanted | ((corpus.votes.sum(axis=1) > 0) & ~sequenced)
    rows = np.flatnonzero(wanted)
    ordered = np.zeros(len(rows), bool)
    if isinstance(model, SequenceModel) and model.frames > 1:
        ordered = sequenced[rows]
    cut = partial(cut_corpus, spec=model.crop, detector=detector, surround=surround, cache=cache)
    probability = np.zeros((len(rows), len(model.labels)), np.float32)
    found = np.zeros(len(rows), bool)
    if not ordered.all():
        step = BATCH if cache is None else len(rows)
        probability[~ordered], found[~ordered] = _ask_stills(
            model, corpus, rows[~ordered], cut, framed, step, progress
        )
    if ordered.any() and isinstance(model, SequenceModel):
        probability[ordered], found[ordered] = _ask_windows(
            model, corpus, rows[ordered], cut, framed, progress
        )
    return Answers(rows, probability, found)


def _ask_stills(
    model: Model,
    corpus: LabelledImages,
    rows: NDArray[np.int64],
    cut: Cut,
    framed: bool,
    step: int,
    progress: Progress | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    probability = np.zeros((len(rows), len(model.labels)), np.float32)
    found = np.zeros(len(rows), bool)
    # A file of kept crops is read and written once, not for each batch: then the cutting is what is shown.
    cutting = None if step == BATCH else progress
    for start in range(0, len(rows), step):
        part = slice(start, min(start + step, len(rows)))
        faces = cut(corpus.select(rows[part]).images, progress=cutting)
        found[part] = faces.found | framed
        if found[part].any():
            probability[part][found[part]] = model.predict_proba(faces.crops[found[part]])
        if progress is not None and cutting is None:
            progress(part.stop, len(rows))
    return probability, found


def _ask_windows(
    model: SequenceModel,
    corpus: LabelledImages,
    rows: NDArray[np.int64],
    cut: Cut,
    framed: bool,
    progress: Progress | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Score the windows that end at each of the rows; whether a face is found, the last picture says."""
    windows = sequence_windows(corpus, model.frames, step=getattr(model, "step", 1)).rows
    windows = windows[np.argsort(windows[:, -1])]  # in the order of the corpus, as `rows` is
    windows = windows[np.isin(windows[:, -1], rows)]
    seen, place = np.unique(windows, return_inverse=True)
    place = place.reshape(windows.shape)
    faces = cut(corpus.select(seen).images, progress=progress)
    parts = [
        model.predict_windows(faces.crops[place[start : start + WINDOWS]])
        for start in range(0, len(rows), WINDOWS)
    ]
    return np.concatenate(parts), faces.found[place[:, -1]] | framed


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
