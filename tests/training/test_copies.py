from __future__ import annotations

import numpy as np
import pytest

from mien.training.copies import find_copies


def noise(count, seed=0):
    """Different blotchy thumbnails."""
    grid = np.random.default_rng(seed).integers(0, 256, (count, 8, 8), np.uint8)
    return np.kron(grid, np.ones((4, 4), np.uint8))


def found(keys, parts, labels, thumbnails=None, **options):
    keys = np.array(keys, str)
    if thumbnails is None:
        names = np.unique(keys)
        thumbnails = noise(len(names))[np.searchsorted(names, keys)]
    part = np.array(parts, np.int64)
    return find_copies(
        keys, thumbnails, part, np.array(labels, str), parts=int(part.max(initial=-1)) + 1, **options
    )


def test_identical_pictures_are_grouped_compared_and_counted_by_part():
    #               0      1    2      3    4    5    6
    copies = found(
        ["a", "b", "a", "c", "b", "a", "d"],
        [0, 0, 0, 0, 1, 1, 1],
        ["joy", "fear", "joy", "fear", "", "anger", "fear"],
    )
    assert [rows.tolist() for rows in copies.groups] == [[0, 2, 5], [1, 4]]
    assert copies.conflicting.tolist() == [True, False]
    assert (copies.agreement.pairs, copies.agreement.agree) == (3, 1)
    assert copies.agreement.share == pytest.approx(1 / 3)
    # part 0: rows 0 and 2 have each other; 0, 1 and 2 stand in part 1. Part 1: 4 and 5 stand in part 0.
    assert copies.identical_in.tolist() == [[2, 3], [2, 0]]
    assert copies.near_in.tolist() == [[0, 0], [0, 0]]
    assert np.flatnonzero(copies.leaked[:, 0]).tolist() == [0, 1, 2, 4, 5]
    assert not copies.leaked[:, 1].any()


def test_near_pairs_name_the_first_copy_and_count_for_all():
    thumbnails = noise(5)[[0, 0, 1, 2, 3]].copy()
    thumbnails[1] = np.clip(
        thumbnails[0] * 0.9 + 9, 0, 255
    )  # a: rows 0; b: row 1, nearly a; and b again: row 4
    thumbnails[4] = thumbnails[1]
    copies = found(
        ["z", "b", "c", "d", "b"], [0, 0, 0, 1, 1], ["joy", "fear", "joy", "joy", "fear"], thumbnails
    )
    assert (copies.near.first.tolist(), copies.near.second.tolist()) == ([0], [1])
    assert copies.near_conflicting.tolist() == [True]
    assert (copies.near_agreement.pairs, copies.near_agreement.agree) == (1, 0)
    assert copies.near_groups == 1
    assert copies.identical_in.tolist() == [[0, 1], [1, 0]]
    # row 0 is nearly row 1 (part 0) and row 4 (part 1); rows 1 and 4 are nearly row 0
    assert copies.near_in.tolist() == [[2, 1], [0, 0]]
    assert copies.leaked.tolist() == [
        [False, True],
        [True, False],
        [False, False],
        [False, False],
        [True, False],
    ]


def test_a_picture_without_copies_and_no_picture_have_none():
    for keys in ([], ["a"], ["a", "b"]):
        copies = found(keys, [0] * len(keys), ["joy"] * len(keys), noise(3)[: len(keys)])
        assert (copies.groups, len(copies.near), copies.near_groups) == ((), 0, 0)
        assert copies.agreement.share is None
        assert not copies.identical_in.any()
