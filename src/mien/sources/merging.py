"""Several corpora as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.labels import EMOTIONS, LABEL_SETS, LabelScheme, LabelSet
from mien.sources.labelled import LabelledImages
from mien.sources.lazy import JoinedImages
from mien.sources.rows import texts


def merge(corpora: Sequence[LabelledImages], labels: LabelScheme | None = None) -> LabelledImages:
    """Join corpora into one.

    Parameters
    ----------
    corpora : sequence of LabelledImages
        One or more. Their splits keep their names (see :func:`mien.sources.labelled.split_role`).
    labels : LabelScheme, optional
        Common classes; by default all that occur in any of them, emotions in alphabetical order.

    Returns
    -------
    LabelledImages
        With the group "corpus". Subjects and sequences carry the name of their corpus. Pictures of a corpus
        without votes have none (a row of zeros) where another corpus has them.

    Raises
    ------
    ArgumentError
        If there are no corpora.
    """
    if not corpora:
        raise bad_argument("corpora", allowed="one or more", given=list(corpora))
    parts = [one.relabel(labels) for one in corpora] if labels is not None else list(corpora)
    common = labels.labels if labels is not None else _union([one.labels for one in parts])
    names = _distinct([one.name for one in parts])
    sequenced = any(one.sequence is not None for one in parts)
    placed = [one.position if one.position is not None else np.zeros(len(one), np.int64) for one in parts]
    felt = [_valence_arousal(one) for one in parts]
    return LabelledImages(
        name=" + ".join(names),
        labels=common,
        images=JoinedImages([one.images for one in parts]),
        label=np.concatenate([_columns(one.labels, common)[one.label] for one in parts]),
        split=_join([one.split for one in parts]),
        source=_join([one.source for one in parts]),
        votes=_votes(parts, common),
        rule="; ".join(f"{name}: {one.rule}" for name, one in zip(names, parts, strict=True)),
        subject=_prefixed(names, [one.subject for one in parts], parts),
        sequence=_prefixed(names, [one.sequence for one in parts], parts),
        position=np.concatenate(placed) if sequenced else None,
        groups=_groups(names, parts),
        valence_arousal=None if all(one.valence_arousal is None for one in parts) else np.concatenate(felt),
        terms="; ".join(f"{name}: {one.terms}" for name, one in zip(names, parts, strict=True) if one.terms),
    )


def _union(sets: Sequence[LabelSet]) -> LabelSet:
    found = dict.fromkeys(name for labels in sets for name in labels)
    names = tuple(name for name in EMOTIONS if name in found)
    names += tuple(name for name in found if name not in EMOTIONS)
    known = [labels for labels in (*sets, *LABEL_SETS.values()) if labels.names == names]
    return known[0] if known else LabelSet("+".join(names), names)


def _columns(labels: LabelSet, common: LabelSet) -> NDArray[np.int64]:
    """Return the column in the common set of each class, and -1 last, where no label (-1) looks."""
    return np.array([*(common.index(name) for name in labels), -1], np.int64)


def _distinct(names: Sequence[str]) -> list[str]:
    """Give names that occur again a number: "own", "own 2"."""
    taken: list[str] = []
    for name in names:
        count, free = 1, name
        while free in taken:
            count += 1
            free = f"{name} {count}"
        taken.append(free)
    return taken


def _votes(parts: Sequence[LabelledImages], common: LabelSet) -> NDArray[np.float32] | None:
    if all(one.votes is None for one in parts):
        return None
    joined = np.zeros((sum(len(one) for one in parts), len(common)), np.float32)
    start = 0
    for one in parts:
        if one.votes is not None:
            joined[start : start + len(one), _columns(one.labels, common)[:-1]] = one.votes
        start += len(one)
    return joined


def _prefixed(
    names: Sequence[str], columns: Sequence[NDArray[np.str_] | None], parts: Sequence[LabelledImages]
) -> NDArray[np.str_] | None:
    if all(column is None for column in columns):
        return None
    filled = [np.full(len(one), "") if c is None else c for c, one in zip(columns, parts, strict=True)]
    return texts(
        f"{name}/{value}" if value else ""
        for name, column in zip(names, filled, strict=True)
        for value in column
    )


def _groups(names: Sequence[str], parts: Sequence[LabelledImages]) -> dict[str, NDArray[np.str_]]:
    keys = sorted({key for one in parts for key in one.groups})
    found = {key: _join([one.groups.get(key, np.full(len(one), "")) for one in parts]) for key in keys}
    named = [np.full(len(one), name) for name, one in zip(names, parts, strict=True)]
    return {**found, "corpus": _join(named)}


def _join(columns: Sequence[NDArray[np.str_]]) -> NDArray[np.str_]:
    return np.concatenate([column.astype(np.str_) for column in columns])


def _valence_arousal(corpus: LabelledImages) -> NDArray[np.float32]:
    known = corpus.valence_arousal
    return known if known is not None else np.full((len(corpus), 2), np.nan, np.float32)
