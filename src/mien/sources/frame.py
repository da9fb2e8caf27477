"""The value that flows out of every source, and what a source is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture with its place in time.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        RGB, at least one pixel.
    index : int
        Position in its source, from 0.
    time_s : float, optional
        Seconds from the start of the source; None for still pictures.
    source : str
        What to call the source in a message or a table: a path, or "array".
    captured_s : float, optional
        Of a live source: when the picture was taken, seconds of :func:`time.monotonic`.

    Raises
    ------
    ArgumentError
        If the picture has another shape or dtype, or the index is negative.
    """

    image: NDArray[np.uint8]
    index: int = 0
    time_s: float | None = None
    source: str = ""
    captured_s: float | None = None

    def __post_init__(self) -> None:
        check_image(self.image)
        if self.index < 0:
            raise bad_argument("index", allowed="0 or more", given=self.index)
        if self.time_s is not None and not np.isfinite(self.time_s):
            raise bad_argument("time_s", allowed="a finite number of seconds, or None", given=self.time_s)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        height, width = self.image.shape[:2]
        return width, height


@runtime_checkable
class Source(Protocol):
    """Anything that gives frames one after the other: opened with ``with``, read with ``for``.

    A source that knows how many frames it has also answers ``len()``.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...


def check_image(image: object, parameter: str = "image") -> None:
    """Raise unless a value is an RGB picture of shape (H, W, 3), uint8, with at least one pixel.

    Raises
    ------
    ArgumentError
        Naming `parameter`, what is wanted and what was given.
    """
    if not isinstance(image, np.ndarray):
        raise bad_argument(parameter, allowed="an array of shape (H, W, 3), uint8, RGB", given=image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        given = f"shape {image.shape}, {image.dtype}"
        raise bad_argument(parameter, allowed="an array of shape (H, W, 3), uint8, RGB", given=given)
