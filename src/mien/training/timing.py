"""How long a model takes for an answer, on one thread of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.models import Model
from mien.training.evaluate import SequenceModel

MANY = 32
"""Crops, or windows, of the larger batch."""

REPEATS = 7
"""Runs of which the median counts; fewer where they take long."""

PATIENCE_S = 3.0
"""After so long no further run is begun, once there were three."""


def milliseconds_per_answer(model: Model, crops: NDArray[np.uint8]) -> tuple[float, float]:
    """Measure a model that was loaded with ``threads=1``.

    Parameters
    ----------
    model : Model
        A model of sequences is given windows: an answer then takes all its frames.
    crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
        One crop or more, as the model cuts them; repeated to :data:`MANY`. Finding and cutting faces is
        not measured.

    Returns
    -------
    one, batch : float
        Milliseconds per answer, one at a time and :data:`MANY` at a time: the median of several runs after
        one that is not counted.
    """
    many = crops[np.arange(MANY) % len(crops)]
    ask: Callable[[NDArray[np.uint8]], Any] = model.predict_proba
    if isinstance(model, SequenceModel) and model.frames > 1:
        many = np.repeat(many[:, None], model.frames, axis=1)
        ask = model.predict_windows
    with _one_thread():
        return _median_ms(ask, many[:1]), _median_ms(ask, many) / MANY


def _median_ms(ask: Callable[[NDArray[np.uint8]], Any], batch: NDArray[np.uint8]) -> float:
    ask(batch)
    taken: list[float] = []
    while len(taken) < REPEATS and (len(taken) < 3 or sum(taken) < PATIENCE_S):
        start = time.perf_counter()
        ask(batch)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1000


def _one_thread() -> AbstractContextManager[Any]:
    """Hold the linear algebra of classic models to one thread; it comes with scikit-learn."""
    if find_spec("threadpoolctl") is None:
        return nullcontext()
    import threadpoolctl  # type: ignore[import-untyped]  # ships no types

    limits: AbstractContextManager[Any] = threadpoolctl.threadpool_limits(1)
    return limits
