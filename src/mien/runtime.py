"""The ONNX Runtime session: the only place that knows the runtime and its errors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError, bad_argument, unknown_name

ERRORS_ONLY = 3
"""ONNX Runtime's log level that leaves its warnings out."""


class Session:
    """A loaded model file. May be run from several threads at once.

    Parameters
    ----------
    path : path
        An ONNX file.
    threads : int, optional
        Processor threads one run may use; by default as many as the machine has cores.
    providers : sequence of str, optional
        ONNX Runtime's execution providers, best first; by default the processor.

    Attributes
    ----------
    input_names, output_names : tuple of str
    input_shapes, output_shapes : dict of str to tuple
        Shape of each, by name; None for an axis of any length.
    providers : tuple of str
        What was obtained of the providers asked for.

    Raises
    ------
    ModelError
        If the file is missing, or no model that the runtime can load.
    """

    def __init__(
        self, path: str | Path, *, threads: int | None = None, providers: Sequence[str] | None = None
    ) -> None:
        self.path = Path(path)
        self._session = _load(self.path, threads, list(providers or ("CPUExecutionProvider",)))
        self.input_shapes = _shapes(self._session.get_inputs())
        self.output_shapes = _shapes(self._session.get_outputs())
        self.input_names, self.output_names = tuple(self.input_shapes), tuple(self.output_shapes)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())

    def __repr__(self) -> str:
        return f"Session({str(self.path)!r})"

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None
    ) -> list[NDArray[Any]]:
        """Run the model once.

        Parameters
        ----------
        feeds : mapping of str to ndarray
            One array for each input.
        outputs : sequence of str, optional
            Which outputs to compute; by default all, in the file's order.

        Returns
        -------
        list of ndarray

        Raises
        ------
        ModelError
            If the model has other inputs or outputs, or cannot run on these arrays.
        """
        if set(feeds) != set(self.input_names):
            raise ModelError(
                f"{self.path} takes the inputs {_listed(self.input_names)}; given {_listed(feeds)}. "
                "Is it a model for this task?"
            )
        absent = set(outputs or ()) - set(self.output_names)
        if absent:
            raise ModelError(
                f"{self.path} has no output {_listed(sorted(absent))}; it has {_listed(self.output_names)}."
            )
        try:
            answer: list[NDArray[Any]] = self._session.run(list(outputs or self.output_names), dict(feeds))
        except _runtime_errors() as error:
            given = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in feeds.items())
            raise ModelError(f"{self.path} cannot run on {given}: {_first_line(error)}") from error
        return answer


def available_providers() -> tuple[str, ...]:
    """Return the execution providers that the installed ONNX Runtime has."""
    return tuple(_onnxruntime().get_available_providers())


def _onnxruntime() -> Any:
    """Import ONNX Runtime with its telemetry off: since 1.29 it reports to its makers unless told not to."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library is loaded
    import onnxruntime  # type: ignore[import-untyped]  # ships no types

    onnxruntime.disable_telemetry_events()  # for a library that somebody else loaded before
    return onnxruntime


def _shapes(values: Sequence[Any]) -> dict[str, tuple[int | None, ...]]:
    return {
        value.name: tuple(side if isinstance(side, int) else None for side in value.shape) for value in values
    }


def _load(path: Path, threads: int | None, providers: list[str]) -> Any:
    onnxruntime = _onnxruntime()
    for name in providers:
        if name not in available_providers():
            raise unknown_name(
                "execution provider of the installed ONNX Runtime", name, available_providers()
            )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    # Threads that wait sleep instead of spinning: detector and network take turns on the same cores, and
    # would steal them from each other and from whatever else is running.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or threads < 1:
            raise bad_argument("threads", allowed="a whole number from 1", given=threads)
        options.intra_op_num_threads = int(threads)
    if not path.is_file():
        raise ModelError(f"{path} does not exist, or is no file; expected an ONNX model.")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except _runtime_errors() as error:
        raise ModelError(
            f"{path} is no ONNX model that can be loaded: {_first_line(error)} "
            "Check that the file is complete and was exported as ONNX."
        ) from error


def _runtime_errors() -> tuple[type[Exception], ...]:
    """Return what the runtime may raise; its own errors have no common base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # type: ignore[import-untyped]  # ships no types

    own = [
        value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)
    ]
    return (*own, RuntimeError, ValueError, TypeError)


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0].rpartition(" : ")[2]
    return text[:300].rstrip(".") + "."


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names) or "none"
