"""Pictures that a corpus holds more than once, or that stand in two of its parts: leaks and conflicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.training.similar import NEAR, Pairs, connected, near_pairs


@dataclass(frozen=True)
class Agreement:
    """How often two labelled pictures of one kind of pair have the same label.

    Parameters
    ----------
    pairs : int
        Pairs of which both have a label.
    agree : int
        Those of them with the same label.
    """

    pairs: int
    agree: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None without pairs."""
        return self.agree / self.pairs if self.pairs else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain numbers, for JSON."""
        return {"pairs": self.pairs, "agree": self.agree, "share": self.share}


@dataclass(frozen=True)
class Copies:
    """Pictures that are the same, or nearly the same, among n pictures in p parts.

    A part is one split of one corpus. Rows count the pictures of all corpora one after the other.

    Parameters
    ----------
    groups : tuple of ndarray of int64
        Rows of byte-identical pictures, two or more each, in ascending order.
    conflicting : ndarray of shape (g,), bool
        Which of these groups carry different labels.
    agreement : Agreement
        Of the labels over all pairs of byte-identical pictures.
    near : Pairs
        Pairs that are nearly the same; of byte-identical pictures only the first stands in pairs.
    near_conflicting : ndarray of shape (len(near),), bool
        Which of these pairs carry different labels.
    near_agreement : Agreement
        Of the labels over these pairs.
    near_groups : int
        Groups of pictures, identical or nearly so, that are linked directly or over others.
    identical_in, near_in : ndarray of shape (p, p), int64
        Pictures of the part of the row that also stand in the part of the column: byte for byte, or only
        nearly the same. On the diagonal, pictures with another copy in their own part.
    leaked : ndarray of shape (n, 2), bool
        Which pictures also stand in another part, byte for byte and nearly the same.
    """

    groups: tuple[NDArray[np.int64], ...]
    conflicting: NDArray[np.bool_]
    agreement: Agreement
    near: Pairs
    near_conflicting: NDArray[np.bool_]
    near_agreement: Agreement
    near_groups: int
    identical_in: NDArray[np.int64]
    near_in: NDArray[np.int64]
    leaked: NDArray[np.bool_]


def find_copies(
    key: NDArray[np.str_],
    thumbnails: NDArray[np.uint8],
    part: NDArray[np.int64],
    label: NDArray[np.str_],
    *,
    parts: int,
    apart: NDArray[np.int64] | None = None,
    near: float = NEAR,
) -> Copies:
    """Find identical and nearly identical pictures, and compare their labels.

    Parameters
    ----------
    key : ndarray of shape (n,), str
        Equal for byte-identical pictures only.
    thumbnails : ndarray of shape (n, 32, 32), uint8
        From :func:`mien.training.similar.thumbnail`.
    part : ndarray of shape (n,), int64
        Which part each picture belongs to, from 0.
    label : ndarray of shape (n,), str
        Name of its emotion; empty for none.
    parts : int
        How many parts there are, p.
    apart : ndarray of shape (n,), int64, optional
        Pictures with the same number, from 0, are not looked at as near copies of each other.
    near : float
        See :func:`mien.training.similar.near_pairs`.
    """
    first, distinct = np.unique(key, return_index=True, return_inverse=True)[1:]
    pairs = near_pairs(thumbnails[first], near=near, apart=None if apart is None else apart[first])
    order = np.argsort(distinct, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(distinct, minlength=len(first)))[:-1])
    groups = sorted((rows for rows in members if len(rows) > 1), key=lambda rows: int(rows[0]))
    same, different = _compare(label[first[pairs.first]], label[first[pairs.second]])
    where = _where(distinct, part, pairs, len(first), parts)
    linked = connected(len(first), pairs.first, pairs.second)
    copies = np.bincount(linked[distinct], minlength=1)
    return Copies(
        groups=tuple(groups),
        conflicting=np.array([len(set(label[rows]) - {""}) > 1 for rows in groups], bool),
        agreement=_group_agreement(label, groups),
        near=_of_rows(pairs, first),
        near_conflicting=different,
        near_agreement=Agreement(int((same | different).sum()), int(same.sum())),
        near_groups=int((copies > 1).sum()),
        identical_in=where[0],
        near_in=where[1],
        leaked=where[2],
    )


def _of_rows(pairs: Pairs, first: NDArray[np.int64]) -> Pairs:
    """Carry pairs of distinct pictures to rows, the smaller first, in their order."""
    ends = np.sort(np.stack([first[pairs.first], first[pairs.second]]), axis=0)
    return Pairs(ends[0], ends[1], pairs.correlation, pairs.mirrored)


def _compare(one: NDArray[np.str_], other: NDArray[np.str_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    both = (one != "") & (other != "")
    return both & (one == other), both & (one != other)


def _group_agreement(label: NDArray[np.str_], groups: list[NDArray[np.int64]]) -> Agreement:
    pairs = agree = 0
    for rows in groups:
        named = label[rows][label[rows] != ""]
        count = np.unique(named, return_counts=True)[1]
        pairs += len(named) * (len(named) - 1) // 2
        agree += int((count * (count - 1) // 2).sum())
    return Agreement(pairs, agree)


def _where(
    distinct: NDArray[np.int64], part: NDArray[np.int64], pairs: Pairs, pictures: int, parts: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Count the pictures of each part that stand in each other; and say which stand in another at all."""
    count = np.zeros((pictures, parts), np.int64)
    np.add.at(count, (distinct, part), 1)
    alike = np.zeros((pictures, parts), bool)
    np.logical_or.at(alike, pairs.first, count[pairs.second] > 0)
    np.logical_or.at(alike, pairs.second, count[pairs.first] > 0)
    own = np.zeros((len(part), parts), np.int64)
    own[np.arange(len(part)), part] = 1
    same = count[distinct] - own > 0
    nearly = alike[distinct] & ~same
    tables = np.zeros((2, parts, parts), np.int64)
    np.add.at(tables[0], part, same.astype(np.int64))
    np.add.at(tables[1], part, nearly.astype(np.int64))
    elsewhere = own == 0
    leaked = np.stack([(same & elsewhere).any(axis=1), (nearly & elsewhere).any(axis=1)], axis=1)
    return tables[0], tables[1], leaked
