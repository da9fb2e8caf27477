"""Reads displayed facial expressions from pictures, on this machine alone.

>>> import mien
>>> readings = mien.analyze("photo.jpg")  # doctest: +SKIP

See :class:`mien.Analyzer`. What is reported is the expression a face displays, never what a person feels.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mien._version import __version__

if TYPE_CHECKING:
    from mien.analyzer import Analyzer, analyze
    from mien.catalog import ModelCard, list_models, register_model
    from mien.errors import MienError
    from mien.faces.detect import load_detector
    from mien.faces.faces import Faces
    from mien.labels import LabelSet
    from mien.models import load_model
    from mien.outputs.files import open_sink
    from mien.readings import Readings
    from mien.sources import open_source
    from mien.sources.frame import Frame

__all__ = [
    "Analyzer",
    "Faces",
    "Frame",
    "LabelSet",
    "MienError",
    "ModelCard",
    "Readings",
    "__version__",
    "analyze",
    "list_models",
    "load_detector",
    "load_model",
    "open_sink",
    "open_source",
    "register_model",
]

_HOMES = {
    "Analyzer": "mien.analyzer",
    "Faces": "mien.faces.faces",
    "Frame": "mien.sources.frame",
    "LabelSet": "mien.labels",
    "MienError": "mien.errors",
    "ModelCard": "mien.catalog",
    "Readings": "mien.readings",
    "analyze": "mien.analyzer",
    "list_models": "mien.catalog",
    "load_detector": "mien.faces.detect",
    "load_model": "mien.models",
    "open_sink": "mien.outputs.files",
    "open_source": "mien.sources",
    "register_model": "mien.catalog",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
