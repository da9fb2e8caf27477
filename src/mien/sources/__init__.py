"""Where frames come from. :func:`open_source` opens whatever a user names."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.errors import SourceError, bad_argument
from mien.sources.frame import Frame, Source
from mien.sources.images import IMAGE_SUFFIXES, ImageFiles, named_path, natural_key, not_found
from mien.sources.pixels import MAX_PIXELS, check_array, is_pil_image
from mien.sources.video import VideoFile, is_film

__all__ = ["Frame", "Source", "find_film", "open_source"]

ErrorHandler = Callable[[SourceError], None]

BYTES = (bytes, bytearray, memoryview)
"""What holds the content of a file."""


def open_source(spec: Any, *, on_error: ErrorHandler | None = None, max_pixels: float = MAX_PIXELS) -> Source:
    """Open pictures or a film for reading, wherever they are.

    Parameters
    ----------
    spec : path, str, bytes, ndarray, PIL.Image.Image, Source, or a list of these
        A picture's file; a folder (with its sub-folders, in the order in which people sort names; hidden
        files and files that are not named like pictures are left out); a pattern ("photos/*.jpg", "**" for
        any depth); the content of a file; an array of shape (H, W), (H, W, 3) or (H, W, 4), uint8 or
        uint16, RGB; a PIL picture. Or one film, by the name or the first bytes of its file; to read a part
        of it see :class:`mien.sources.video.VideoFile`. Whatever is a source already is returned as it is.
    on_error : callable, optional
        Called with every SourceError, at opening (a missing path, a folder without pictures) and while
        reading (a file that is no picture); the reading goes on with the next one. By default the first
        error is raised.
    max_pixels : float
        Limit on the width x height of a picture, checked before it is decoded.

    Returns
    -------
    Source
        Of still pictures, with ``len()``; or a :class:`mien.sources.video.VideoFile`.

    Raises
    ------
    SourceNotFoundError
        If a path or pattern leads to nothing.
    SourceError
        If a folder or pattern has no pictures, a folder cannot be listed, or a film cannot be read.
    ArgumentError
        If `spec`, or an element of it, is none of the above, or a film is not alone.

    Examples
    --------
    >>> import numpy as np
    >>> with open_source(np.zeros((4, 6), np.uint8)) as frames:
    ...     [frame.size_px for frame in frames]
    [(6, 4)]
    """
    if isinstance(spec, Source) and not hasattr(spec, "read") and not isinstance(spec, BYTES):
        return spec
    specs = list(spec) if isinstance(spec, (list, tuple)) else [spec]
    film = find_film(specs)
    if film is not None:
        try:
            return VideoFile(film, on_error=on_error, max_pixels=max_pixels)
        except SourceError as error:
            if on_error is None:
                raise
            on_error(error)
            return ImageFiles([])
    items: list[object] = []
    for one in specs:
        try:
            items += _expand(one, on_error)
        except SourceError as error:
            if on_error is None:
                raise
            on_error(error)
    return ImageFiles(items, on_error=on_error, max_pixels=max_pixels)


def find_film(specs: Sequence[object]) -> Path | None:
    """Return the film that is meant by what a user named, or None if that is pictures.

    Raises
    ------
    ArgumentError
        If there are several films, or a film and something else.
    """
    films = [film for one in specs for film in _films(one)]
    if films and (len(films) > 1 or len(specs) > 1):
        given = f"{len(specs)} things, among them {films[0]}" if len(specs) > 1 else f"{len(films)} films"
        raise bad_argument(
            "source", allowed="pictures, or one film by itself: its times are its own", given=given
        )
    return films[0] if films else None


def _films(spec: object) -> list[Path]:
    """Return the films among the files that one element of a spec names; folders are for pictures."""
    if not isinstance(spec, (str, os.PathLike)) or not str(spec):
        return []
    path = named_path(spec)
    try:
        if path.exists() or not glob.has_magic(str(path)):
            return [path] if is_film(path) else []
    except (OSError, ValueError):
        return []  # a name that is not allowed: who opens it will say so
    matches = [Path(name) for name in glob.glob(str(path), recursive=True)]
    films = [match for match in matches if is_film(match)]
    return films if len(films) == sum(match.is_file() for match in matches) else []


def _expand(spec: object, on_error: ErrorHandler | None) -> list[object]:
    """Return the single pictures that one element of a spec stands for."""
    if isinstance(spec, np.ndarray):
        check_array(spec)
        return [spec]
    if isinstance(spec, BYTES) or is_pil_image(spec):
        return [spec]
    if isinstance(spec, (str, os.PathLike)) and str(spec):
        return list(_expand_path(named_path(spec), on_error))
    allowed = "a path, a folder, a pattern, the bytes of a file, an array, a PIL picture, or a list of these"
    raise bad_argument("source", allowed=allowed, given=spec)


def _expand_path(path: Path, on_error: ErrorHandler | None) -> list[Path]:
    try:
        if path.is_dir():
            return _in_folder(path, on_error)
        if path.exists():
            return [path]
    except (OSError, ValueError) as error:  # a name too long, or with a null character
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{str(path)!r} cannot be opened: {reason}.") from error
    if glob.has_magic(str(path)):
        return _matching(path)
    raise not_found(path)


def _in_folder(folder: Path, on_error: ErrorHandler | None) -> list[Path]:
    def refuse(error: OSError) -> None:
        refusal = SourceError(f"{error.filename} cannot be listed: {error.strerror}.")
        if on_error is None:
            raise refusal from error
        on_error(refusal)

    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if not name.startswith(".")]
    return _pictures(found, f"{folder} has no pictures in it or in its sub-folders")


def _matching(pattern: Path) -> list[Path]:
    matches = [Path(name) for name in glob.glob(str(pattern), recursive=True)]
    return _pictures([match for match in matches if match.is_file()], f"{pattern} matches no pictures")


def _pictures(files: Iterable[Path], otherwise: str) -> list[Path]:
    chosen = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not chosen:
        raise SourceError(f"{otherwise} (names that end in {', '.join(IMAGE_SUFFIXES)}).")
    return sorted(chosen, key=natural_key)
