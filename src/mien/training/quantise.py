"""A network whose convolutions count in whole numbers of 8 bits: three times as fast where processors can.

Weights keep 7 of the 8 bits: older processors multiply pairs of bytes into 16 bits, which 8 and 8 bits
overflow (ONNX Runtime calls it ``reduce_range``), and a file must answer alike everywhere.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (  # type: ignore[import-untyped]  # ships no types
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

Feeds = Mapping[str, NDArray[Any]]

COUNTED = ("Conv", "Add", "Relu")
"""The operators that count in whole numbers; what joins them must too, or time is lost in converting."""


def quantise(
    model: onnx.ModelProto, examples: Sequence[Feeds], *, exact: Sequence[str] = ()
) -> onnx.ModelProto:
    """Return a network that computes its convolutions in 8 bits, everything else in float32.

    Parameters
    ----------
    model : ModelProto
        In float32, its normalisations folded into the convolutions.
    examples : sequence of mapping
        Inputs as they will be, by name; from them the range of every layer is taken.
    exact : sequence of str
        What the names of the weights begin with whose convolutions stay in float32, too.

    Returns
    -------
    ModelProto
        Each convolution between operators that round (``QuantizeLinear``) and widen
        (``DequantizeLinear``), which ONNX Runtime merges into convolutions of whole numbers.
    """
    with tempfile.TemporaryDirectory() as folder, _hushed():
        target = Path(folder) / "counted.onnx"
        quantize_static(
            model,
            target,
            _Reader(examples),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(COUNTED),
            nodes_to_exclude=[*_with_constants(model), *_with_weights(model, exact)],
        )
        return onnx.load(target)


def dequantised(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a file in float32, whether they are kept in 8 bits or not, by their own names.

    Parameters
    ----------
    model : ModelProto
    """
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = {}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            value, scale = stored[node.input[0]].astype(np.float32), stored[node.input[1]]
            along = scale.reshape(-1, *[1] * (value.ndim - 1)) if scale.ndim else scale
            weights[node.input[0].removesuffix("_quantized")] = (value * along).astype(np.float32)
    return weights


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Gives the examples one after the other."""

    def __init__(self, examples: Sequence[Feeds]) -> None:
        self.rest: Iterator[Feeds] = iter(examples)

    def get_next(self) -> Feeds | None:
        return next(self.rest, None)


def _with_constants(model: onnx.ModelProto) -> list[str]:
    """Return the additions of a constant: they belong to the normalisation of the crop, not to a layer."""
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {out for node in model.graph.node if node.op_type == "Constant" for out in node.output}
    return [n.name for n in model.graph.node if n.op_type == "Add" and constants.intersection(n.input)]


def _with_weights(model: onnx.ModelProto, prefixes: Sequence[str]) -> list[str]:
    """Return the convolutions whose weights have a name that begins with one of these."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [node.name for node in convolutions if node.input[1].startswith(tuple(prefixes))]


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep back the advice to simplify the graph first, which the export has done."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
