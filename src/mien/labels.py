"""The language of emotions: ordered sets of names, their aliases and their subsets.

Emotions are named, never indexed, outside a :class:`LabelSet`. Readers of data sets and models
translate into these names once, at the edge.
"""

from __future__ import annotations

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
    """Return a set by its key: "ekman7", "ferplus8", "affectnet8", or emotions joined with "+"."""
    if "+" in key:
        return LabelSet(key, tuple(canonical_name(name) for name in key.split("+")))
    if key not in LABEL_SETS:
        raise unknown_name("label set", key, LABEL_SETS)
    return LABEL_SETS[key]


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
