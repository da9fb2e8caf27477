"""Still pictures: files, bytes and pictures already in memory, all turned into upright RGB.

The one place where pictures are decoded and where the decoder's errors are translated.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from mien.errors import ImageError, SourceError, SourceNotFoundError
from mien.sources.frame import Frame
from mien.sources.headers import Header, check_complete, read_header, read_orientation, scan_jpeg
from mien.sources.pixels import MAX_PIXELS, check_limit, convert_image, to_rgb8

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif",
)  # fmt: skip
"""What the names of pictures end in; used to choose files in folders, never to choose a decoder."""


def read_image(source: str | Path | bytes, *, max_pixels: float = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read one picture, upright.

    JPEG, PNG, WebP, BMP, TIFF and GIF, recognised by their content. The EXIF orientation is applied,
    16-bit values are scaled to 8 bits, transparent parts are laid on mid grey (128), grey becomes RGB,
    and of an animation or a TIFF of many pages the first picture counts.

    Parameters
    ----------
    source : path or bytes
        A file, or the content of one.
    max_pixels : float
        Limit on width x height, checked from the header before anything is decoded.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        RGB.

    Raises
    ------
    SourceNotFoundError
        If the path leads to nothing; the message has the nearest name that exists.
    ImageError
        If it is no picture, truncated, damaged, over the limit, or cannot be opened.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read(io.BytesIO(source), "the bytes given", max_pixels)
    path = Path(source)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "not a regular file"
            raise ImageError(f"{path} cannot be read as a picture: it is {what}.")
        with path.open("rb") as stream:
            return _read(stream, str(path), max_pixels)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise not_found(path) from error
    except PermissionError as error:
        raise ImageError(f"{path} cannot be opened: you have no permission to read it.") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise ImageError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}.") from error


def named_path(name: str | os.PathLike[str]) -> Path:
    """Return the path that a user names: "~" is a home folder, unless there is a file of that very name."""
    path = Path(name)
    try:
        return path if os.path.lexists(path) else path.expanduser()
    except (RuntimeError, ValueError):  # nobody is called so, or no file can be
        return path


def not_found(path: Path) -> SourceNotFoundError:
    """Word the error for a path that leads to nothing, with the nearest name that exists."""
    missing = path
    while not (parent := missing.parent).is_dir() and parent != missing:
        missing = parent
    what = f"{path} does not exist"
    if missing != path:
        what += f": there is no {missing}"
    try:
        names = [entry.name for entry in missing.parent.iterdir()]
    except OSError:
        names = []  # a folder that may be entered but not listed: there is nothing to suggest
    near = difflib.get_close_matches(missing.name, names, n=1)
    hint = f" Did you mean {missing.parent / near[0]}?" if near else ""
    return SourceNotFoundError(f"{what}.{hint}")


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Order names as people do: "face9" before "face10", capitals beside small letters."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


class ImageFiles:
    """Still pictures one after the other, each read only when its turn comes.

    Parameters
    ----------
    items : sequence of path, bytes, ndarray or PIL.Image.Image
        What :func:`read_image` or :func:`convert_image` takes.
    on_error : callable, optional
        Called with the error of a picture that cannot be read, which is then left out; by default the
        error is raised.
    max_pixels : float
        Limit on the width x height of each picture.

    Notes
    -----
    ``Frame.index`` is the position among `items`, also when pictures before it could not be read.
    ``len()`` is the number of items.
    """

    def __init__(
        self,
        items: Sequence[object],
        *,
        on_error: Callable[[SourceError], None] | None = None,
        max_pixels: float = MAX_PIXELS,
    ) -> None:
        self._items = tuple(items)
        self._on_error = on_error
        self._max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self._items)

    @property
    def names(self) -> tuple[str, ...]:
        """What each picture is called in ``Frame.source``: its path, or what it is."""
        return tuple(_name(item) for item in self._items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        return None

    def __iter__(self) -> Iterator[Frame]:
        for index, item in enumerate(self._items):
            try:
                image = self._image(item)
            except SourceError as error:
                if self._on_error is None:
                    raise
                self._on_error(error)
                continue
            yield Frame(image, index=index, source=_name(item))

    def _image(self, item: object) -> NDArray[np.uint8]:
        if isinstance(item, (str, Path, bytes, bytearray, memoryview)):
            return read_image(item, max_pixels=self._max_pixels)  # type: ignore[arg-type]  # any bytes-like
        return convert_image(item, max_pixels=self._max_pixels)


def _name(item: object) -> str:
    if isinstance(item, (str, Path)):
        return str(item)
    if isinstance(item, np.ndarray):
        return "array"
    if isinstance(item, (bytes, bytearray, memoryview)):
        return "bytes"
    return str(getattr(item, "filename", "") or "image")


def _read(stream: BinaryIO, name: str, max_pixels: float) -> NDArray[np.uint8]:
    try:
        header = read_header(stream)
        check_limit(name, header.width, header.height, max_pixels)
        stream.seek(0)
        data = stream.read()
        check_complete(data, header.format)
        pixels, orientation = _decode(data, header)
    except ValueError as error:
        raise ImageError(f"{name} cannot be read as a picture: {error}.") from error
    return _turn_upright(to_rgb8(pixels), orientation)


def _decode(data: bytes, header: Header) -> tuple[NDArray[np.generic], int]:
    """Decode into RGB order as stored, with 1, 3 or 4 channels, and say how EXIF wants it turned."""
    import cv2

    buffer = np.frombuffer(_without_end_marker(data) if header.format == "JPEG" else data, np.uint8)
    try:
        pixels, kinds, blocks = cv2.imdecodeWithMetadata(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(f"its decoder refused it ({error.err or error})") from error
    if pixels is None or pixels.size == 0:
        raise ValueError("it is truncated or damaged, or a kind that is not supported")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"its values are {pixels.dtype}, not 8 or 16 bits; convert it first")
    if pixels.ndim == 3:
        code = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[pixels.shape[2]]
        pixels = cv2.cvtColor(pixels, code)
    exif = [bytes(np.asarray(block)) for kind, block in zip(kinds, blocks, strict=True) if kind == 0]
    turned_by_decoder = header.format == "TIFF"
    return pixels, read_orientation(exif[0]) if exif and not turned_by_decoder else 1


def _without_end_marker(data: bytes) -> bytes:
    """Make the decoder notice a JPEG of one scan whose data end too early.

    When it meets the end marker before it has every block, libjpeg fills the rest with grey and only
    warns. Without the marker it asks for more data, gets none, and fails. The zeros are what it may
    read ahead behind the last block; pictures of several scans need their marker and fail by themselves.
    """
    end, scans = scan_jpeg(data)
    return data[:end] + bytes(16) if scans == 1 else data[: end + 2]


def _turn_upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo how the camera was held; orientations numbered as in EXIF 2.32, tag 0x0112."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
