"""A data set as a comparison uses it: which pictures are learned from, and on which is tested."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.labels import LabelScheme
from mien.sources.labelled import LabelledImages, split_role
from mien.sources.splits import By, split_rows
from mien.training.crops import content_key

SHARES = {"train": 0.8, "test": 0.2}
"""How a corpus without splits of its own is divided."""

SEED = 0
"""Decides that division, and which pictures a short look takes: the same for every model and seed."""


_WORDS: dict[str, str] = {
    "subject": "no person in both",
    "sequence": "no sequence in both",
    "stratified": "of every emotion; who is shown is not known",
}


@dataclass(frozen=True, eq=False)
class Course:
    """A divided corpus.

    Parameters
    ----------
    corpus : LabelledImages
        Whole.
    train, test : ndarray of int64
        Rows; those of `test` have no picture without a label, except in sequences.
    rule : str
        How it was divided, in words.
    key : ndarray of shape (n,), str
        Equal for byte-identical pictures.
    """

    corpus: LabelledImages
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    rule: str
    key: NDArray[np.str_]

    @property
    def has_sequences(self) -> bool:
        """Whether there is a sequence to learn from."""
        sequence = self.corpus.sequence
        return sequence is not None and bool((sequence[self.train] != "").any())

    def lesson(
        self, scheme: LabelScheme | None, *, sequences: bool, limit: int | None
    ) -> tuple[LabelledImages, str]:
        """Return what a model learns from, and what tells it from other lessons.

        Parameters
        ----------
        scheme : LabelScheme, optional
        sequences : bool
            Only what stands in sequences, pictures without a label included; else only labelled pictures.
        limit : int, optional
            About so many pictures at most: whole sequences, or pictures of every class as often as they
            are.

        Raises
        ------
        ArgumentError
            If a class of the scheme has no picture.
        """
        known = self.corpus if scheme is None else self.corpus.relabel(scheme)
        ordered = self.corpus.sequence if sequences else None
        wanted = known.label >= 0 if ordered is None else ordered != ""
        rows = self.train[wanted[self.train]]
        part = known.select(rows)
        count = np.bincount(part.label[part.label >= 0], minlength=len(part.labels))
        lacking = [name for name, n in zip(part.labels, count, strict=True) if not n]
        if lacking and (scheme is not None or len(lacking) > len(count) - 2):
            raise bad_argument(
                "emotions", allowed=f"classes that {self.corpus.name} has pictures of", given=lacking
            )
        if limit is not None and limit < len(part):
            taken = _some_sequences(part, limit) if ordered is not None else _some_pictures(part.label, limit)
            part, rows = part.select(taken), rows[taken]
        return part, fingerprint(part, self.key[rows])

    def exam(self) -> LabelledImages:
        """Return the pictures to test on."""
        return self.corpus.select(self.test)

    def leaked(self, other: Course) -> NDArray[np.bool_]:
        """Tell which of this course's test pictures are byte-identical to a training picture of `other`."""
        return np.isin(self.key[self.test], other.key[other.train])


def divide(corpus: LabelledImages) -> Course:
    """Divide a corpus by its own splits, or else so that nobody known stands in both parts.

    Where there are a validation and a test split, the validation split is tested on: comparing is choosing,
    and what is held back for the final examination stays held back.

    Raises
    ------
    ArgumentError
        If there is nothing to test on, or to learn from.
    """
    key = np.array([content_key(image) for image in corpus.images])
    role = np.array([split_role(str(name)) for name in corpus.split])
    watched = next((kind for kind in ("val", "test") if (role == kind).any()), "")
    if (role == "train").any() and watched:
        names = [", ".join(sorted(set(corpus.split[role == kind].tolist()))) for kind in ("train", watched)]
        train, test = role == "train", role == watched
        rule = f"its own splits: {names[0]} to learn from, {names[1]} to test on"
    else:
        by = _what_stays_together(corpus)
        part = split_rows(corpus, SHARES, by=by, seed=SEED)
        train, test = part == "train", part == "test"
        rule = f"a fifth at random to test on ({_WORDS[by]}; seed {SEED})"
    course = Course(corpus, np.flatnonzero(train), np.flatnonzero(test), rule, key)
    for name, rows in (("learn from", course.train), ("test on", course.test)):
        if not (corpus.label[rows] >= 0).any():
            raise bad_argument("data", allowed=f"something labelled to {name}", given=corpus.name)
    return course


def named(course: Course, name: str) -> Course:
    """Return the same course under another name."""
    return replace(course, corpus=replace(course.corpus, name=name))


def fingerprint(corpus: LabelledImages, key: NDArray[np.str_]) -> str:
    """Return what tells the pictures (by their keys), labels and sequences of a corpus from others."""
    names = [*corpus.labels, ""]
    said = hashlib.sha256(corpus.labels.key.encode())
    for row, (picture, label) in enumerate(zip(key, corpus.label, strict=True)):
        place = "" if corpus.sequence is None else str(corpus.sequence[row])
        said.update(f"{picture} {names[label]} {place}\n".encode())
    return said.hexdigest()


def _what_stays_together(corpus: LabelledImages) -> By:
    for by, column in (("subject", corpus.subject), ("sequence", corpus.sequence)):
        if column is not None and len(set(column.tolist()) - {""}) >= len(SHARES):
            return next(one for one in get_args(By) if one == by)
    return "stratified"


def _some_pictures(label: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Draw about `limit` labelled rows, of each class as often as it is, at least one."""
    random = np.random.default_rng(SEED)
    drawn = []
    for value in np.unique(label[label >= 0]):
        rows = np.flatnonzero(label == value)
        wanted = max(1, round(limit * len(rows) / (label >= 0).sum()))
        drawn.append(random.permutation(rows)[:wanted])
    return np.sort(np.concatenate(drawn))


def _some_sequences(corpus: LabelledImages, limit: int) -> NDArray[np.int64]:
    """Draw whole sequences until there are `limit` pictures or more."""
    assert corpus.sequence is not None  # the caller has looked
    names, place, count = np.unique(corpus.sequence, return_inverse=True, return_counts=True)
    order = np.random.default_rng(SEED).permutation(len(names))
    wanted = int(np.searchsorted(np.cumsum(count[order]), limit)) + 1
    return np.flatnonzero(np.isin(place, order[:wanted]))
