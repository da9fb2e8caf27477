"""The errors mien raises, and the one voice in which it words them.

::

    MienError
    ├── ArgumentError (also ValueError)      a parameter has a value that is not allowed
    │   └── UnknownNameError                 a name that is not registered; says the nearest match
    ├── SourceError                          something that should be read cannot be
    │   ├── SourceNotFoundError (also FileNotFoundError)
    │   ├── ImageError                       not a picture, truncated, or over the pixel limit
    │   ├── FrameError                       one frame of a film, which is passed over
    │   ├── CameraError                      no such camera, in use by another program, or gone
    │   └── DatasetError                     a labelled set whose layout is not the expected one
    ├── ModelError                           a model file that is no model, or not the right one
    ├── OutputError                          a result that cannot be written
    ├── ServerError                          a server that cannot listen where it should
    ├── StoryError (also ValueError)         rules of a story that cannot be followed
    └── MissingExtraError (also ImportError) an optional part that is not installed
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class MienError(Exception):
    """Base of every error mien raises on purpose."""


class ArgumentError(MienError, ValueError):
    """A parameter was given a value that is not allowed."""


class UnknownNameError(ArgumentError):
    """A name that is not known where it was used."""


class SourceError(MienError):
    """Something that should be read cannot be; the message names it."""


class SourceNotFoundError(SourceError, FileNotFoundError):
    """A path, or a pattern, that leads to nothing."""


class ImageError(SourceError):
    """A file or buffer that cannot be decoded into a picture."""


class FrameError(SourceError):
    """A frame of a film that cannot be decoded.

    Parameters
    ----------
    message : str
    index : int
        Its number in the film.
    time_s : float
        Its seconds from the start of the film.
    """

    def __init__(self, message: str, *, index: int, time_s: float) -> None:
        super().__init__(message)
        self.index = index
        self.time_s = time_s


class CameraError(SourceError):
    """A camera or stream that is not there, is in use, or has stopped."""


class DatasetError(SourceError):
    """A labelled set whose layout is not the one its reader expects."""


class ModelError(MienError):
    """A model file that cannot be used; the message says why."""


class OutputError(MienError):
    """A result that cannot be written."""


class StoryError(MienError, ValueError):
    """Rules of a story that cannot be followed; the message says which, and where they stand."""


class ServerError(MienError):
    """A server that cannot listen at its address."""


class MissingExtraError(MienError, ImportError):
    """An optional part of mien whose packages are not installed."""


def bad_argument(parameter: str, *, allowed: str, given: object) -> ArgumentError:
    """Word the error for a parameter outside its allowed values.

    Parameters
    ----------
    parameter : str
        Name of the parameter as the caller wrote it.
    allowed : str
        What would have been accepted, as a phrase ("a number from 0 to 1").
    given : object
        What was received; shown with ``repr``.
    """
    return ArgumentError(f"{parameter} must be {allowed}; given {_short(given)}.")


def unknown_name(kind: str, given: str, known: Iterable[str]) -> UnknownNameError:
    """Word the error for a name that is not known, with the nearest match.

    Parameters
    ----------
    kind : str
        What the name should name ("emotion", "model").
    given : str
        The name received.
    known : iterable of str
        Every accepted name.
    """
    names = sorted(set(known))
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(given.lower(), folded, n=1, cutoff=0.5)
    hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
    return UnknownNameError(f"{given!r} is not a known {kind}.{hint} Known: {', '.join(names) or 'none'}.")


def require(module: str, *, purpose: str, extra: str) -> ModuleType:
    """Import an optional module, or say what it is for and how to install it.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    purpose : str
        What it is needed for ("training a network").
    extra : str
        The extra of mien that brings it.

    Raises
    ------
    MissingExtraError
        If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f"{purpose} needs the package {package!r}. Install it with: pip install 'mien[{extra}]'"
        ) from error


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
