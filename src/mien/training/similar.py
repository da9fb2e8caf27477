"""Find pictures that are nearly the same: cut a little otherwise, resized, coded again, with a watermark.

Every picture is first reduced to 64 bits that change little when the picture does; pairs whose bits nearly
agree are then compared as pictures. Both steps look at small grey versions, so the size of the originals
does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument

if TYPE_CHECKING:
    from collections.abc import Iterator

THUMBNAIL_PX = 32
"""Side of the small grey pictures that are compared."""

NEAR = 0.94
"""Correlation from which two pictures count as nearly the same. On FER2013 the correlations of all pairs
fall into two heaps with a valley at 0.92; from 0.94 on every pair looked at was the same photograph."""

FLAT = 4.0
"""Standard deviation in grey levels, 0 to 255, below which a thumbnail shows nothing to compare."""

_BITS_APART = 10
"""Of 64, how many bits may differ. Keeps 95 of 100 near pairs in FER2013 whose unshifted thumbnails correlate
above 0.9, and fewer of those that are cut more differently."""
_PLAIN = 0.8
"""Correlation, without any shift, below which a pair is not looked at more closely."""
_WINDOW_PX, _SHIFT_PX = 24, 3
_SIDES_PX = (30, 31, 32, 33, 34)
"""One thumbnail's middle is looked for in the other, brought to these sides and shifted by up to 3 pixels."""

_SHADING_PX, _DETAIL = 1.5, 0.7
"""What a Gaussian of this width leaves over must correlate so far too: two dark faces lit from one side agree
in their shading alone. Leaves out one in a hundred pairs of the same photograph in FER2013."""

_BANDS = 4
_BAND_BITS = 16


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures that are nearly the same.

    Parameters
    ----------
    first, second : ndarray of shape (p,), int64
        Rows; the first is always the smaller.
    correlation : ndarray of shape (p,), float32
        Of the thumbnails, at the shift and scale at which they agree best; up to 1.
    mirrored : ndarray of shape (p,), bool
        Where one is the mirror image of the other.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    correlation: NDArray[np.float32]
    mirrored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)


def near_pairs(
    thumbnails: NDArray[np.uint8], *, near: float = NEAR, apart: NDArray[np.int64] | None = None
) -> Pairs:
    """Find the pairs of thumbnails that show nearly the same, as they are or mirrored.

    Parameters
    ----------
    thumbnails : ndarray of shape (n, 32, 32), uint8
        From :func:`thumbnail`.
    near : float
        Least correlation, above 0 up to 1; a mirror image must come twice as near to 1.
    apart : ndarray of shape (n,), int64, optional
        Pictures with the same number, from 0, are not compared: neighbours in a film are alike.

    Returns
    -------
    Pairs
        In the order of their rows.
    """
    if not 0 < near <= 1:
        raise bad_argument("near", allowed="a number above 0, up to 1", given=near)
    rows = np.flatnonzero(thumbnails.std(axis=(1, 2)) >= FLAT)
    small = thumbnails[rows]
    group = np.full(len(rows), -1) if apart is None else apart[rows]
    plain = _pairs(small, small, near, group)
    # Faces lit from the side have look-alikes among all mirror images: these must agree twice as well.
    turned = _pairs(np.ascontiguousarray(small[:, :, ::-1]), small, (1 + near) / 2, group)
    both = {key: value for key, value in turned.items() if key not in plain}  # a symmetric face is both
    keys = np.array([*plain, *both], np.int64).reshape(-1, 2)
    mirrored = np.repeat([False, True], [len(plain), len(both)])
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    return Pairs(
        first=rows[keys[order, 0]],
        second=rows[keys[order, 1]],
        correlation=np.array([*plain.values(), *both.values()], np.float32)[order],
        mirrored=mirrored[order],
    )


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the whole picture as 32 x 32 grey pixels.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
        Grey or RGB.
    """
    import cv2

    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA), np.uint8)


def connected(n: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give rows that pairs link, also over others, the same number; shape (n,), int64."""
    number = np.arange(n)
    while True:  # every round hands the smallest number over each pair, then along the chains so formed
        before = number.copy()
        np.minimum.at(number, first, before[second])
        np.minimum.at(number, second, before[first])
        number = number[number]
        if (number == before).all():
            return number


def _pairs(
    one: NDArray[np.uint8], other: NDArray[np.uint8], near: float, group: NDArray[np.int64]
) -> dict[tuple[int, int], float]:
    """Return the pairs i < j of one[i] and other[j] that correlate, with how much."""
    i, j = _close(_bits(one), _bits(other))
    compared = (group[i] != group[j]) | (group[i] < 0)
    i, j = i[compared], j[compared]
    left, right = _standardised(one), _standardised(other)
    found = {}
    for start in range(0, len(i), 65536):
        part = slice(start, start + 65536)
        plain = np.einsum("nd,nd->n", left[i[part]], right[j[part]])
        for at in np.flatnonzero(plain > _PLAIN) + start:
            value = _compare(one[i[at]], other[j[at]], near)
            if value is not None:
                found[int(i[at]), int(j[at])] = value
    return found


def _bits(thumbnails: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say where, in 8 rows of 9 pixels, the next pixel is brighter, (n, 64): the dHash of Krawetz (2013)."""
    import cv2

    shape = (len(thumbnails), 8, 9)
    small = [cv2.resize(one, shape[:0:-1], interpolation=cv2.INTER_AREA) for one in thumbnails]
    grid = np.array(small, np.int16).reshape(shape)
    return (grid[:, :, 1:] > grid[:, :, :-1]).reshape(-1, 64)


def _close(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pairs i < j whose 64 bits differ in 10 at most.

    The bits are divided into four bands: where 10 differ, some band has 2 different ones at most. Each
    band is looked up in a table with every change of up to 2 bits (multi-index hashing, Norouzi, Punjani
    and Fleet 2012).
    """
    n = len(one)
    hash_one, hash_other = (np.packbits(bits, axis=1).view(np.uint64).ravel() for bits in (one, other))
    words = np.arange(1 << _BAND_BITS, dtype=np.uint16)
    set_bits = np.unpackbits(words.view(np.uint8)).reshape(-1, _BAND_BITS).sum(axis=1, dtype=np.uint8)
    found = [np.empty(0, np.int64)]
    for band in range(_BANDS):
        asked, known = (
            np.packbits(bits[:, band::_BANDS], axis=1).view(np.uint16).ravel() for bits in (one, other)
        )
        order = np.argsort(known, kind="stable")
        start = np.searchsorted(known[order], np.arange((1 << _BAND_BITS) + 1))
        for change in _changes():
            wanted = (asked ^ change).astype(np.int64)
            count = start[wanted + 1] - start[wanted]
            i = np.repeat(np.arange(n), count)
            within = np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
            j = order[np.repeat(start[wanted], count) + within]
            i, j = i[i < j], j[i < j]
            differing = (hash_one[i] ^ hash_other[j]).view(np.uint16).reshape(-1, 4)
            close = set_bits[differing].sum(axis=1, dtype=np.uint8) <= _BITS_APART
            found.append(i[close] * n + j[close])
    pairs = np.unique(np.concatenate(found))
    return pairs // max(n, 1), pairs % max(n, 1)


def _changes() -> Iterator[np.uint16]:
    """Yield every number of 16 bits of which two at most are set."""
    for count in range(3):
        for bits in combinations(range(_BAND_BITS), count):
            yield np.uint16(sum(1 << bit for bit in bits))


def _standardised(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return 16 x 16 versions with mean 0 and length 1, (n, 256); their product is the correlation."""
    blocks = thumbnails.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4), dtype=np.float32).reshape(-1, 256)
    blocks -= blocks.mean(axis=1, keepdims=True)
    length = np.sqrt((blocks**2).sum(axis=1, keepdims=True))
    return np.asarray(blocks / np.maximum(length, 1e-6), np.float32)


def _compare(one: NDArray[np.uint8], other: NDArray[np.uint8], near: float) -> float | None:
    """Look for the middle of one thumbnail in the other, a little larger or smaller and shifted.

    Returns
    -------
    float or None
        The correlation where they agree best; None if it is below `near`, or only the shading agrees.
    """
    import cv2

    edge = (THUMBNAIL_PX - _WINDOW_PX) // 2
    middle = one[edge : edge + _WINDOW_PX, edge : edge + _WINDOW_PX]
    best, where = -1.0, other
    for side in _SIDES_PX:
        how = cv2.INTER_AREA if side < THUMBNAIL_PX else cv2.INTER_LINEAR
        scaled = other if side == THUMBNAIL_PX else cv2.resize(other, (side, side), interpolation=how)
        spare = (side - _WINDOW_PX) // 2 - _SHIFT_PX
        area = np.asarray(scaled[spare : side - spare, spare : side - spare], np.uint8)
        value = float(cv2.matchTemplate(area, middle, cv2.TM_CCOEFF_NORMED).max())
        if value > best:
            best, where = value, area
    if best < near:
        return None
    detail = cv2.matchTemplate(_detail(where), _detail(middle), cv2.TM_CCOEFF_NORMED).max()
    return best if detail >= _DETAIL else None


def _detail(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what is left of a picture without its shading."""
    import cv2

    exact = picture.astype(np.float32)
    return exact - np.asarray(cv2.GaussianBlur(exact, (0, 0), _SHADING_PX), np.float32)
