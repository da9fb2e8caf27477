"""Training and measuring the models; nothing outside imports it but commands, when they run.

>>> from mien.training import list_architectures
>>> "svm-hog" in list_architectures()
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.training.architectures import list_architectures
    from mien.training.estimator import ExpressionClassifier
    from mien.training.recipe import recipe_for
    from mien.training.run import train_model

__all__ = ["ExpressionClassifier", "list_architectures", "recipe_for", "train_model"]

_HOMES = {
    "ExpressionClassifier": "mien.training.estimator",
    "list_architectures": "mien.training.architectures",
    "recipe_for": "mien.training.recipe",
    "train_model": "mien.training.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mien.training' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
