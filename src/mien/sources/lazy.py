"""Pictures read only when asked for: parts of pictures, frames of films, several corpora as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, FrameError, SourceError, bad_argument
from mien.sources.decode import count_shown, opened, picture_stream
from mien.sources.frame import Frame
from mien.sources.images import read_image
from mien.sources.labelled import Images
from mien.sources.video import VideoFile

Picture = NDArray[np.uint8]

KEPT_BYTES = 2**27
"""How much of a film is kept in memory, for frames that are asked for again; at least one frame."""


class BoxedPaths(Sequence[Picture]):
    """Parts of pictures on disk, cut out when indexed.

    Parameters
    ----------
    paths : list of path
        n pictures.
    box_xyxy : ndarray of shape (n, 4)
        Left, top, right, bottom of the part in pixels; a row with NaN for the whole picture.
    margin : float
        How much is added on each side, in widths and heights of the box; the border of the picture ends it.

    Raises
    ------
    DatasetError
        When a box has no area inside its picture.
    """

    def __init__(self, paths: list[Path], box_xyxy: NDArray[np.floating], *, margin: float) -> None:
        boxes = np.asarray(box_xyxy, np.float64)
        if boxes.shape != (len(paths), 4):
            raise bad_argument("box_xyxy", allowed=f"of shape ({len(paths)}, 4)", given=boxes.shape)
        self._paths, self._margin, self._boxes = paths, margin, boxes

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # one picture at a time; slices are not asked for
        image, box = read_image(self._paths[index]), self._boxes[index]
        if np.isnan(box).any():
            return image
        height, width = image.shape[:2]
        inside = min(box[2], width) > max(box[0], 0) and min(box[3], height) > max(box[1], 0)
        if not inside:
            raise DatasetError(
                f"{self._paths[index]}: the box {box.tolist()} (left, top, right, bottom) has no area "
                f"inside the picture of {width} x {height} pixels."
            )
        grown = box + self._margin * np.tile(box[2:] - box[:2], 2) * [-1, -1, 1, 1]
        left, top = np.floor(np.maximum(grown[:2], 0)).astype(int)
        right, bottom = np.ceil(np.minimum(grown[2:], [width, height])).astype(int)
        return image[top:bottom, left:right].copy()


class ClipFrames(Sequence[Picture]):
    """The frames of clips, in films or in files of their own; the film last asked for stays open.

    Parameters
    ----------
    frames : list of (path, int or None)
        The file of each frame, and its number in it where that is a film.
    """

    def __init__(self, frames: list[tuple[Path, int | None]]) -> None:
        self._frames = frames
        self._open: _OpenFilm | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as above
        file, number = self._frames[index]
        if number is None:
            return read_image(file)
        if self._open is None or self._open.path != file:
            self._open = None  # its frames make room before the next film's come
            self._open = _OpenFilm(file)
        return self._open.frame(number).copy()


class _OpenFilm:
    """A film whose frames are asked for by number, mostly in order.

    Parameters
    ----------
    path : path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._film = VideoFile(path, on_error=self._miss)
        self._running = iter(self._film)
        self._next = 0
        self._times_s: dict[int, float] = {}
        self._kept: dict[int, Picture] = {}
        self._broken: dict[int, FrameError] = {}

    def frame(self, number: int) -> Picture:
        """Return a frame, upright RGB.

        Raises
        ------
        FrameError
            If it cannot be decoded.
        SourceError
            If the film ends before it.
        """
        if number not in self._kept and number not in self._broken:
            self._read_to(number)
        if number in self._broken:
            raise self._broken[number]
        if number not in self._kept:
            raise SourceError(f"{self.path} has {self._next} frames that can be read, not {number + 1}.")
        return self._kept[number]

    def _read_to(self, number: int) -> None:
        if number < self._next:
            self._go_back(number)
        for frame in self._running:
            self._keep(frame)
            if frame.index >= number:
                return

    def _go_back(self, number: int) -> None:
        time_s, end_s = self._times_s[number], self._film.duration_s
        if end_s is None or time_s < end_s:
            self._film.start_at(time_s, index=number)
        else:  # the container states too short a film
            self._film.start_at(0.0)
        self._running = iter(self._film)
        self._kept.clear()

    def _keep(self, frame: Frame) -> None:
        self._times_s[frame.index] = frame.time_s or 0.0
        self._next = frame.index + 1
        self._kept[frame.index] = frame.image
        while len(self._kept) > 1 and sum(image.nbytes for image in self._kept.values()) > KEPT_BYTES:
            del self._kept[next(iter(self._kept))]

    def _miss(self, error: SourceError) -> None:
        if isinstance(error, FrameError):
            self._broken[error.index] = error
            self._next = error.index + 1


class JoinedImages(Sequence[Picture]):
    """The pictures of several corpora, one corpus after the other."""

    def __init__(self, parts: Sequence[Images]) -> None:
        self._parts = list(parts)
        self._ends = list(accumulate(len(part) for part in self._parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as above
        place = range(len(self))[index]
        part = bisect_right(self._ends, place)
        return self._parts[part][place - (self._ends[part - 1] if part else 0)]


def count_frames(film: Path) -> int:
    """Return how many frames a film shows, without decoding them.

    Raises
    ------
    SourceError
        If it cannot be read as a film.
    """
    with opened(str(film)) as container:
        return count_shown(container, picture_stream(container, str(film)), str(film))
