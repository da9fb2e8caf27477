"""Pictures read only when asked for: parts of pictures, frames of films, several corpora as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, SourceError, bad_argument
from mien.sources.images import read_image
from mien.sources.labelled import Images

if TYPE_CHECKING:
    import av.container

Picture = NDArray[np.uint8]


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
    """The frames of clips, in films or in files of their own; the film last asked for is kept in memory.

    Parameters
    ----------
    frames : list of (path, int or None)
        The file of each frame, and its number in it where that is a film.
    """

    def __init__(self, frames: list[tuple[Path, int | None]]) -> None:
        self._frames = frames
        self._open: tuple[Path, list[Picture]] | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as above
        film, number = self._frames[index]
        if number is None:
            return read_image(film)
        if self._open is None or self._open[0] != film:
            self._open = (film, _decode(film))
        if number >= len(self._open[1]):
            raise SourceError(f"{film} has {len(self._open[1])} frames that can be read, not {number + 1}.")
        return self._open[1][number].copy()


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
    """Return how many frames a film has, without decoding them.

    Raises
    ------
    SourceError
        If it cannot be read as a film.
    """
    with _opened(film) as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))


def _decode(film: Path) -> list[Picture]:
    with _opened(film) as container:
        decoded = container.decode(container.streams.video[0])
        return [frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False) for frame in decoded]


@contextmanager
def _opened(film: Path) -> Iterator[av.container.InputContainer]:
    import av

    try:
        with av.open(str(film)) as container:
            if not container.streams.video:
                raise SourceError(f"{film} cannot be read as a film: it has no pictures, only sound.")
            yield container
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{film} cannot be read as a film: {error}.") from error
