from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.data import lfw_subset

from mien.errors import ArgumentError
from mien.training.similar import connected, near_pairs, thumbnail


@pytest.fixture(scope="module")
def faces():
    """A hundred different faces, 100 x 100 grey."""
    return [cv2.resize((face * 255).astype(np.uint8), (100, 100)) for face in lfw_subset()[:100]]


CHANGES = {
    "smaller": lambda im: cv2.resize(im, (48, 48), interpolation=cv2.INTER_AREA),
    "brighter": lambda im: np.clip(im * 0.8 + 45, 0, 255).astype(np.uint8),
    "coded again": lambda im: cv2.imdecode(cv2.imencode(".jpg", im, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 0),
    "cut otherwise": lambda im: im[2:-3, 3:-2],
    "in colour": lambda im: np.repeat(im[..., None], 3, axis=2),
    "mirrored": lambda im: np.ascontiguousarray(im[:, ::-1]),
    "marked": lambda im: cv2.putText(im.copy(), "stock", (30, 80), 0, 0.4, 160),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_photograph_is_found_again_and_no_other(faces, change):
    others = [CHANGES[change](face) for face in faces[:20]]
    pairs = near_pairs(np.stack([thumbnail(image) for image in [*faces, *others]]))
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    wanted = {(i, i + 100) for i in range(20)}
    among_originals = {pair for pair in found if pair[1] < 100}
    assert len(found & wanted) >= 19
    assert {(i, j - 100 if j >= 100 else j) for i, j in found - wanted} <= among_originals
    assert len(among_originals) <= 2
    right = [m for i, j, m in zip(pairs.first, pairs.second, pairs.mirrored, strict=True) if (i, j) in wanted]
    assert sum(right) == (len(right) if change == "mirrored" else 0)


def test_a_pair_is_named_once_smaller_row_first_and_correlates_fully_with_itself(faces):
    small = np.stack([thumbnail(faces[i]) for i in (3, 4, 3)])
    pairs = near_pairs(small)
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [2])
    assert pairs.correlation[0] == pytest.approx(1)


def test_banded_search_finds_what_comparing_all_finds():
    from mien.training.similar import _close

    bits = np.random.default_rng(0).random((300, 64)) < 0.5
    twin = bits[:60].copy()
    for i, row in enumerate(twin):  # 0 to 14 bits changed
        row[np.random.default_rng(i).choice(64, i % 15, replace=False)] ^= True
    both = np.concatenate([bits, twin])
    differing = (both[:, None] != both[None]).sum(axis=2)
    i, j = np.nonzero(np.triu(differing <= 10, 1))
    assert len(i) >= 40
    found = _close(both, both)
    assert (found[0].tolist(), found[1].tolist()) == (i.tolist(), j.tolist())


@pytest.mark.parametrize("n", [0, 1, 5])
def test_flat_pictures_and_none_have_no_pairs(n):
    pairs = near_pairs(np.full((n, 32, 32), 80, np.uint8))
    assert len(pairs) == 0
    assert pairs.first.dtype == np.int64


def test_neighbours_in_a_sequence_are_not_compared(faces):
    small = np.stack([thumbnail(faces[0])] * 4)
    pairs = near_pairs(small, apart=np.array([7, 7, -1, -1]))
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert found == {(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}


def test_a_higher_correlation_leaves_less(faces):
    cut = [face[6:-4, 4:-6] for face in faces[:30]]
    small = np.stack([thumbnail(image) for image in [*faces[:30], *cut]])
    loose, strict = near_pairs(small, near=0.9), near_pairs(small, near=0.995)
    assert len(strict) < len(loose)
    assert strict.correlation.min(initial=1) >= 0.995
    assert loose.correlation.min() >= 0.9
    with pytest.raises(ArgumentError, match="near"):
        near_pairs(small, near=1.2)


@pytest.mark.parametrize(
    ("n", "pairs", "groups"),
    [
        (0, [], []),
        (3, [], [0, 1, 2]),
        (4, [(0, 3), (1, 3)], [0, 0, 2, 0]),
        (6, [(4, 5), (3, 4), (2, 3), (1, 2)], [0, 1, 1, 1, 1, 1]),
    ],
)
def test_linked_rows_share_a_number(n, pairs, groups):
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    assert connected(n, ends[:, 0], ends[:, 1]).tolist() == groups
