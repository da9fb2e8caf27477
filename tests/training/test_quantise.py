"""Convolutions in whole numbers answer nearly as before, and their weights can be had back."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.runtime import Session
from mien.training.quantise import dequantised, quantise


@pytest.fixture
def model():
    """A convolution after an addition of a constant, around which its input passes."""
    random = np.random.default_rng(0)
    weights = {
        "shift": np.full((1,), 5, np.float32),
        "layer.weight": random.normal(0, 0.3, (4, 4, 3, 3)).astype(np.float32),
        "layer.bias": random.normal(0, 1, 4).astype(np.float32),
    }
    nodes = [
        helper.make_node("Add", ["x", "shift"], ["shifted"], "constant"),
        helper.make_node("Conv", ["shifted", "layer.weight", "layer.bias"], ["c"], "conv", pads=[1] * 4),
        helper.make_node("Add", ["c", "shifted"], ["sum"], "around"),
        helper.make_node("Relu", ["sum"], ["y"], "relu"),
    ]
    shape = ["n", 4, 8, 8]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def examples(seed=0):
    random = np.random.default_rng(seed)
    return [{"x": random.normal(0, 1, (6, 4, 8, 8)).astype(np.float32)} for _ in range(3)]


def test_it_answers_nearly_as_before(model, tmp_path):
    onnx.save(model, tmp_path / "whole.onnx")
    onnx.save(quantise(model, examples()), tmp_path / "counted.onnx")
    feeds = examples(seed=1)[0]
    wanted = Session(tmp_path / "whole.onnx").run(feeds)[0]
    given = Session(tmp_path / "counted.onnx").run(feeds)[0]
    assert 0 < np.sqrt(((given - wanted) ** 2).mean()) < 0.03 * wanted.std()


def test_what_is_to_stay_exact_does(model, tmp_path):
    kept = quantise(model, examples(), exact=["layer."])
    assert "layer.weight" in {tensor.name for tensor in kept.graph.initializer}
    assert "layer.weight" not in {tensor.name for tensor in quantise(model, examples()).graph.initializer}


def test_weights_keep_seven_bits_and_come_back(model):
    counted = quantise(model, examples())
    stored = {t.name: numpy_helper.to_array(t) for t in counted.graph.initializer}
    kept = stored["layer.weight_quantized"]
    assert kept.dtype == np.int8
    assert np.abs(kept.astype(int)).max() <= 64
    given = dequantised(counted)
    weight = numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == "layer.weight"))
    np.testing.assert_allclose(given["layer.weight"], weight, atol=np.abs(weight).max() / 126)
    bias = numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == "layer.bias"))
    np.testing.assert_allclose(given["layer.bias"], bias, atol=0.01)


def test_what_belongs_to_no_layer_stays_as_it_is(model):
    counted = quantise(model, examples())
    inputs = {node.name: list(node.input) for node in counted.graph.node}
    assert inputs["constant"] == ["x", "shift"]
    assert all("Dequantize" in name for name in inputs["around"])
