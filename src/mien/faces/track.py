"""The same person over the frames of one source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.faces.faces import Faces, overlap


class Tracker:
    """Gives faces that overlap from frame to frame the same number."""

    def __init__(self) -> None:
        self._boxes = np.empty((0, 4), np.float32)
        self._ids = np.empty(0, np.int64)
        self._next = 0

    def update(self, faces: Faces, time_s: float, image: NDArray[np.uint8]) -> Faces:  # noqa: ARG002
        """Return the faces with `track_id`."""
        ids = np.full(len(faces), -1, np.int64)
        shared = overlap(faces.box_xyxy, self._boxes)
        while shared.size and shared.max() > 0.2:
            i, j = np.unravel_index(shared.argmax(), shared.shape)
            ids[i] = self._ids[j]
            shared[i], shared[:, j] = 0, 0
        new = np.flatnonzero(ids < 0)
        ids[new] = np.arange(self._next, self._next + len(new))
        self._next += len(new)
        self._boxes, self._ids = faces.box_xyxy, ids
        return replace(faces, track_id=ids)
