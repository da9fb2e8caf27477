"""Which pictures are learned from and which are set aside, and how often the rare classes are seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.sources.labelled import LabelledImages, duplicate_groups, split_role
from mien.sources.merging import merge

__all__ = ["SHARES", "By", "balanced_rows", "class_weights", "merge", "split_rows"]

By = Literal["official", "stratified", "subject", "sequence"]
"""What stays together, besides byte-identical pictures."""

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}
"""The parts into which a corpus without official splits is divided."""

_RANK = {"": 0, "train": 1, "val": 2, "test": 3}
"""In which of two splits a picture stays that stands in both: the one with the higher number."""


def split_rows(
    corpus: LabelledImages,
    shares: Mapping[str, float] = SHARES,
    *,
    by: By = "stratified",
    seed: int = 0,
) -> NDArray[np.str_]:
    """Divide a corpus into parts; byte-identical pictures never stand in two of them.

    Parameters
    ----------
    corpus : LabelledImages
        Every picture is decoded once, to compare its bytes.
    shares : mapping of str to float
        The parts and their fractions, which sum to 1; not used with "official".
    by : {"official", "stratified", "subject", "sequence"}
        "official" keeps the corpus's own splits under their own names; of byte-identical pictures in several
        of them only those of the test split stay, or of validation where none is in test. The others only
        differ in what is never divided: identical pictures ("stratified"), also whole sequences
        ("sequence"), also all pictures of a person ("subject"). They keep the shares of all classes as
        alike as that allows.
    seed : int
        Of the order in which pictures are dealt out.

    Returns
    -------
    ndarray of shape (n,), str
        The part of each picture. Empty, only with "official": in none.

    Raises
    ------
    ArgumentError
        If the corpus lacks what `by` asks for, or has too little to fill every part.
    """
    if by not in get_args(By):
        raise bad_argument("by", allowed=f"one of {', '.join(get_args(By))}", given=by)
    if by == "official":
        return _official(corpus)
    names, fractions = list(shares), np.array(list(shares.values()), np.float64)
    if len(names) < 2 or not (fractions > 0).all() or abs(fractions.sum() - 1) > 1e-6:
        raise bad_argument(
            "shares", allowed="two or more positive fractions that sum to 1", given=dict(shares)
        )
    unit = _units(corpus, by)
    if len(corpus) == 0 or unit.max() + 1 < len(names):
        what = "pictures" if by == "stratified" else f"{by}s"
        raise bad_argument(
            "corpus",
            allowed=f"one with {len(names)} or more different {what}, one for each of {', '.join(names)}",
            given=f"{corpus.name} with {unit.max(initial=-1) + 1}",
        )
    return np.array(names)[_deal(_counts(corpus, unit), fractions, seed)[unit]]


def _official(corpus: LabelledImages) -> NDArray[np.str_]:
    names = sorted(
        {str(name) for name in corpus.split} - {""}, key=lambda name: (_RANK[split_role(name)], name)
    )
    if not names:
        raise bad_argument(
            "by",
            allowed=f"'stratified', 'subject' or 'sequence' for {corpus.name}, which has no official splits",
            given="official",
        )
    place = {"": -1, **{name: i for i, name in enumerate(names)}}
    rank = np.array([place[str(name)] for name in corpus.split])
    group = duplicate_groups(corpus.images)
    best = np.full(group.max(initial=-1) + 1, -1)
    np.maximum.at(best, group, rank)
    kept: NDArray[np.str_] = np.where(rank == best[group], corpus.split, "")
    return kept


def _units(corpus: LabelledImages, by: str) -> NDArray[np.int64]:
    """Give the same number to what may not be divided: equal pictures, and those of a sequence or person."""
    columns = {"stratified": (), "sequence": ("sequence",), "subject": ("sequence", "subject")}[by]
    named = getattr(corpus, by, None) if columns else None
    if columns and (named is None or not (named != "").any()):
        raise bad_argument("by", allowed=f"something {corpus.name} has; it names no {by}s", given=by)
    unit = duplicate_groups(corpus.images)
    for name in columns:
        values = getattr(corpus, name)
        if values is not None:
            unit = _joined(unit, values)
    return np.unique(unit, return_inverse=True)[1].astype(np.int64)


def _joined(unit: NDArray[np.int64], values: NDArray[np.str_]) -> NDArray[np.int64]:
    """Give units that share a value that is not empty the same number."""
    known = values != ""
    value = np.unique(values[known], return_inverse=True)[1]
    joined = unit.copy()
    while True:
        lowest = np.full(value.max(initial=-1) + 1, unit.max(initial=0) + 1)
        np.minimum.at(lowest, value, joined[known])
        by_value = joined.copy()
        by_value[known] = lowest[value]
        across = np.full(unit.max(initial=-1) + 1, unit.max(initial=0) + 1)
        np.minimum.at(across, unit, by_value)
        if (across[unit] == joined).all():
            return joined
        joined = across[unit]


def _counts(corpus: LabelledImages, unit: NDArray[np.int64]) -> NDArray[np.float64]:
    """Count the pictures of each class, without a label, and in all, of each unit."""
    k = len(corpus.labels)
    counts = np.zeros((unit.max() + 1, k + 2))
    np.add.at(counts, (unit, np.where(corpus.label >= 0, corpus.label, k)), 1)
    counts[:, -1] = counts.sum(axis=1)
    return counts


def _deal(counts: NDArray[np.float64], shares: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Deal units out, the largest first, each to the part that it brings nearest to its share.

    Parameters
    ----------
    counts : ndarray of shape (u, c), float
        What is to be kept in proportion, of each unit; the last column is its size.
    shares : ndarray of shape (s,), float

    Returns
    -------
    ndarray of shape (u,), int64
        The part of each unit; every part has one at least.
    """
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order, -1], kind="stable")]
    total = np.maximum(counts.sum(axis=0), 1)
    lacking = shares[:, None] * total
    part = np.empty(len(counts), np.int64)
    for unit in order:
        worse = ((counts[unit] - 2 * lacking) * counts[unit] / total).sum(axis=1)
        part[unit] = worse.argmin()
        lacking[part[unit]] -= counts[unit]
    for empty in np.flatnonzero(np.bincount(part, minlength=len(shares)) == 0):
        richest = np.bincount(part, minlength=len(shares)).argmax()
        givers = order[part[order] == richest]
        part[givers[-1]] = empty
    return part


def class_weights(label: NDArray[np.int64], k: int, *, beta: float = 0.999) -> NDArray[np.float32]:
    """Weigh classes by the effective number of their samples (Cui et al. 2019, arXiv 1901.05555).

    Parameters
    ----------
    label : ndarray of shape (n,), int64
        Columns; -1 does not count.
    k : int
        Number of classes.
    beta : float
        From 0 (all alike) to below 1; the nearer to 1, the nearer to the inverse of the number.

    Returns
    -------
    ndarray of shape (k,), float32
        With mean 1 over the classes that occur; 0 for the others.
    """
    if not 0 <= beta < 1:
        raise bad_argument("beta", allowed="a number from 0 to below 1", given=beta)
    count = np.bincount(label[label >= 0], minlength=k).astype(np.float64)
    weight = np.where(count > 0, (1 - beta) / np.maximum(1 - beta**count, 1 - beta), 0)
    scaled: NDArray[np.float64] = weight * (count > 0).sum() / max(weight.sum(), np.finfo(float).tiny)
    return scaled.astype(np.float32)


def balanced_rows(label: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Draw rows so that every class comes equally often.

    Parameters
    ----------
    label : ndarray of shape (n,), int64
        Columns; rows with -1 are never drawn.
    seed : int

    Returns
    -------
    ndarray of int64
        About as many rows as have a label, in random order. No row comes again before all others of its
        class have come.
    """
    random = np.random.default_rng(seed)
    present, count = np.unique(label[label >= 0], return_counts=True)
    if not len(present):
        return np.empty(0, np.int64)
    each = -(-int(count.sum()) // len(present))
    drawn = []
    for value, n in zip(present, count, strict=True):
        rows = np.flatnonzero(label == value)
        drawn += [random.permutation(rows) for _ in range(each // n)]
        drawn.append(random.permutation(rows)[: each % n])
    return random.permutation(np.concatenate(drawn)).astype(np.int64)
