"""The language of emotions: ordered sets of names, their aliases and their subsets.

Emotions are named, never indexed, outside a :class:`LabelSet`. Readers of data sets and models
translate into these names once, at the edge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument, unknown_name

EMOTIONS = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""Every emotion mien names, in alphabetical order."""

ALIASES = {
    "angry": "anger",
    "mad": "anger",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "scared": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "joyful": "happiness",
    "calm": "neutral",
    "sad": "sadness",
    "surprised": "surprise",
}
"""Other words for the same emotions; what a user types is matched against these too."""


_CLASS_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True)
class LabelSet:
    """An ordered set of emotion names with the key it is known by.

    Parameters
    ----------
    key : str
        Short name of the set ("ferplus8").
    names : tuple of str
        Distinct names in the order of the columns of a score array.
    """

    key: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) != len(self.names):
            raise bad_argument("names", allowed="one or more distinct names", given=self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def index(self, name: str) -> int:
        """Return the column of an emotion, given by its name or an alias.

        Raises
        ------
        UnknownNameError
            If the set has no such emotion.
        """
        if name in self.names:
            return self.names.index(name)
        canonical = canonical_name(name)
        if canonical not in self.names:
            raise unknown_name(f"emotion of the set {self.key!r}", name, self.names)
        return self.names.index(canonical)

    def subset(self, names: Iterable[str]) -> LabelSet:
        """Return the set of only these emotions, in the order given.

        Parameters
        ----------
        names : iterable of str
            Names or aliases, each emotion once.
        """
        if isinstance(names, str):
            raise bad_argument("emotions", allowed="a list of names", given=names)
        chosen = tuple(self.names[self.index(name)] for name in names)
        if len(chosen) < 2 or len(set(chosen)) != len(chosen):
            raise bad_argument("emotions", allowed="two or more different emotions", given=chosen)
        return LabelSet(key="+".join(chosen), names=chosen)


EKMAN7 = LabelSet("ekman7", ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"))
FERPLUS8 = LabelSet("ferplus8", EMOTIONS)
AFFECTNET8 = LabelSet("affectnet8", EMOTIONS)

LABEL_SETS = {labels.key: labels for labels in (EKMAN7, FERPLUS8, AFFECTNET8)}
"""The standard sets by key."""


def canonical_name(name: str) -> str:
    """Return the standard name of an emotion written in any accepted way.

    Raises
    ------
    UnknownNameError
        If it is neither a standard name nor an alias; the message has the nearest match.
    """
    word = name.strip().lower()
    word = ALIASES.get(word, word)
    if word not in EMOTIONS:
        raise unknown_name("emotion", name.strip(), (*EMOTIONS, *ALIASES))
    return word


def get_label_set(key: str) -> LabelSet:
    """Return a set by its key: "ekman7", "ferplus8", "affectnet8", or class names joined with "+".

    Class names of one's own (see :func:`parse_scheme`) are small letters, digits, "-" and "_".
    """
    if "+" in key:
        names = key.split("+")
        if not all(_CLASS_NAME.fullmatch(name) for name in names):
            raise bad_argument("labels", allowed="class names joined with '+'", given=key)
        return LabelSet(key, tuple(names))
    if key not in LABEL_SETS:
        raise unknown_name("label set", key, LABEL_SETS)
    return LABEL_SETS[key]


@dataclass(frozen=True)
class LabelScheme:
    """Classes made of emotions: a subset of them, or some taken together.

    Parameters
    ----------
    labels : LabelSet
        The m classes.
    members : tuple of tuple of str
        The emotions that make up each class.
    """

    labels: LabelSet
    members: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        named = [name for member in self.members for name in member]
        if len(self.members) != len(self.labels) or not all(self.members):
            raise bad_argument("members", allowed="one emotion or more for each class", given=self.members)
        if len(set(named)) != len(named):
            raise bad_argument("emotions", allowed="classes that share no emotion", given=str(self))

    def __str__(self) -> str:
        pairs = zip(self.labels, self.members, strict=True)
        return ",".join(name if member == (name,) else f"{name}={'+'.join(member)}" for name, member in pairs)

    def matrix(self, labels: LabelSet) -> NDArray[np.float32]:
        """Return which class each column of a label set belongs to.

        Parameters
        ----------
        labels : LabelSet
            The k emotions of a corpus or a model.

        Returns
        -------
        ndarray of shape (k, m), float32
            0 and 1; a row of zeros where an emotion is in no class.
        """
        return np.array([[float(name in member) for member in self.members] for name in labels], np.float32)


def parse_scheme(text: str) -> LabelScheme:
    """Read classes as a user writes them.

    Parameters
    ----------
    text : str
        Emotions ("anger,fear,calm"), classes of several ("positive=happiness+surprise,negative=anger+fear"),
        or one against all others ("happy vs rest"). In a list, "rest" (or ``NAME=rest``) stands for every
        emotion not named before.

    Raises
    ------
    UnknownNameError
        If an emotion is not known.
    ArgumentError
        If there are fewer than two classes, or two share an emotion.
    """
    parts = [part.strip() for part in re.split(r"\s+vs\.?\s+|,", text.strip())]
    members: dict[str, tuple[str, ...]] = {}
    for part in parts:
        given, _, inside = part.partition("=")
        words = [word.strip() for word in (inside or given).split("+")]
        rest = words == ["rest"]
        emotions = () if rest else tuple(canonical_name(word) for word in words)
        name = given.strip().lower() if inside or rest else "-or-".join(emotions)
        if name in members or not _CLASS_NAME.fullmatch(name):
            raise bad_argument("emotions", allowed="different classes, each NAME or NAME=A+B", given=text)
        members[name] = emotions
    if sum(not member for member in members.values()) > 1 or len(members) < 2:
        raise bad_argument("emotions", allowed="two or more classes, 'rest' once at most", given=text)
    named = {emotion for member in members.values() for emotion in member}
    others = tuple(emotion for emotion in EMOTIONS if emotion not in named)
    return LabelScheme(
        LabelSet("+".join(members), tuple(members)),
        tuple(member or others for member in members.values()),
    )


def restrict(probability: NDArray[np.float32], labels: LabelSet, subset: LabelSet) -> NDArray[np.float32]:
    """Renormalise probabilities over a subset of their emotions.

    Parameters
    ----------
    probability : ndarray of shape (n, k), float
        Rows that sum to one over `labels`.
    labels : LabelSet
        The k columns of `probability`.
    subset : LabelSet
        The m emotions to keep, each of them in `labels`.

    Returns
    -------
    ndarray of shape (n, m), float32
        Rows that sum to one over `subset`. A row without any weight on the subset becomes uniform.
    """
    kept = np.asarray(probability, np.float64)[:, [labels.index(name) for name in subset]]
    total = kept.sum(axis=1, keepdims=True)
    uniform = np.full_like(kept, 1.0 / len(subset))
    return np.where(total > 0, kept / np.where(total > 0, total, 1.0), uniform).astype(np.float32)
