"""What was found in one picture: boxes, scores, landmarks and identities as parallel arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import bad_argument

NO_TRACK = -1
"""The `track_id` of a face that belongs to no track."""


@dataclass(frozen=True, eq=False)
class Faces:
    """The n faces of one picture, in pixels of the original frame.

    Coordinates are continuous: (0, 0) is the outer corner of the first pixel. The arrays are read-only.

    Parameters
    ----------
    box_xyxy : ndarray of shape (n, 4), float32
        Left, top, right and bottom edge, pixels; may reach outside the picture.
    score : ndarray of shape (n,), float32
        How sure the detector is, 0 to 1.
    landmarks_xy : ndarray of shape (n, p, 2), float32
        p points a face, pixels; the five of :data:`mien.faces.align.LANDMARKS` from our detector.
    track_id : ndarray of shape (n,), int64, optional
        The same number for the same person over frames; -1 (the default) where there is none.

    Raises
    ------
    ArgumentError
        If a shape is wrong, a value is not finite, or a box has its edges in the wrong order.
    """

    box_xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]
    track_id: NDArray[np.int64] = None  # type: ignore[assignment]  # filled below: none

    def __post_init__(self) -> None:
        box = _checked("box_xyxy", self.box_xyxy, np.float32, (None, 4))
        n = len(box)
        track = np.full(n, NO_TRACK) if self.track_id is None else self.track_id
        if n and (box[:, 2:] < box[:, :2]).any():
            raise bad_argument("box_xyxy", allowed="left, top, right, bottom with left <= right", given=box)
        object.__setattr__(self, "box_xyxy", box)
        object.__setattr__(self, "score", _checked("score", self.score, np.float32, (n,)))
        points = _checked("landmarks_xy", self.landmarks_xy, np.float32, (n, None, 2))
        object.__setattr__(self, "landmarks_xy", points)
        object.__setattr__(self, "track_id", _checked("track_id", track, np.int64, (n,)))

    @classmethod
    def empty(cls, points: int = 5) -> Faces:
        """Return no faces, of `points` landmarks each."""
        return cls(np.empty((0, 4)), np.empty(0), np.empty((0, points, 2)))  # type: ignore[arg-type]  # cast above

    @classmethod
    def concatenate(cls, parts: Sequence[Faces]) -> Faces:
        """Join the faces of several answers into one.

        Parameters
        ----------
        parts : sequence of Faces
            With equally many landmarks; none at all gives no faces.

        Raises
        ------
        ArgumentError
            If the numbers of landmarks differ.
        """
        if not parts:
            return cls.empty()
        counts = {part.landmarks_xy.shape[1] for part in parts}
        if len(counts) > 1:
            raise bad_argument("parts", allowed="faces with equally many landmarks", given=sorted(counts))
        names = ("box_xyxy", "score", "landmarks_xy", "track_id")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __len__(self) -> int:
        return len(self.box_xyxy)

    def __getitem__(self, rows: int | slice | Sequence[int] | NDArray[Any]) -> Faces:
        """Return some of the faces: by mask, slice, list of positions, or one position (one face)."""
        if isinstance(rows, (int, np.integer)):
            if not -len(self) <= rows < len(self):
                raise IndexError(f"face {rows} of {len(self)}")
            index: Any = [int(rows)]
        elif isinstance(rows, slice):
            index = rows
        else:
            index = np.asarray(rows) if len(rows) else np.empty(0, np.int64)
        return Faces(self.box_xyxy[index], self.score[index], self.landmarks_xy[index], self.track_id[index])


def overlap(boxes_xyxy: ArrayLike, others_xyxy: ArrayLike) -> NDArray[np.float64]:
    """Return how much boxes overlap: the shared area as a part of the area covered by either.

    Parameters
    ----------
    boxes_xyxy : array_like of shape (n, 4)
    others_xyxy : array_like of shape (m, 4)

    Returns
    -------
    ndarray of shape (n, m), float64
        From 0 (apart) to 1 (the same box); 0 for boxes without area.
    """
    a = np.asarray(boxes_xyxy, np.float64).reshape(-1, 1, 4)
    b = np.asarray(others_xyxy, np.float64).reshape(1, -1, 4)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(sides, 0, None).prod(axis=-1)
    either = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1) - shared
    return np.where(either > 0, shared / np.where(either > 0, either, 1), 0.0)


def _checked(field: str, value: ArrayLike, dtype: type, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return a read-only view of the wanted type, or say which field has which wrong shape."""
    array: NDArray[Any] = np.asarray(value).astype(dtype, copy=False).view()
    fits = array.ndim == len(shape) and all(w in (None, g) for w, g in zip(shape, array.shape, strict=True))
    if not fits:
        wanted = ", ".join("any" if side is None else str(side) for side in shape)
        raise bad_argument(field, allowed=f"of shape ({wanted})", given=array.shape)
    if not np.isfinite(array).all():
        raise bad_argument(field, allowed="finite numbers", given=array)
    array.flags.writeable = False
    return array
