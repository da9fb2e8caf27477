"""The benchmark's own arithmetic; what it measures is not tested here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("skimage")

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "run.py"


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("benchmark_run", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save(path, nodes, weights):
    initializers = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    crops = onnx.helper.make_tensor_value_info("crops", onnx.TensorProto.FLOAT, ["n", 2, 6, 6])
    scores = onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph(nodes, "counted", [crops], [scores], initializers)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(
    ("last", "shape"),
    [
        (("MatMul", {}), (64, 5)),
        (("Gemm", {"transB": 1}), (5, 64)),
    ],
)
def test_multiply_adds_are_those_worked_out_by_hand(run, tmp_path, n, last, shape):
    kind, attributes = last
    node = onnx.helper.make_node
    file = save(
        tmp_path / "small.onnx",
        [
            node("Conv", ["crops", "kernel"], ["maps"], pads=[1, 1, 1, 1], strides=[2, 2], group=2),
            node("Relu", ["maps"], ["bright"]),
            node("Slice", ["bright", "starts", "ends", "axes"], ["part"]),
            node("Flatten", ["part"], ["flat"]),
            node(kind, ["flat", "weight"], ["scores"], **attributes),
        ],
        {
            "kernel": np.ones((16, 1, 3, 3), np.float32),
            "weight": np.ones(shape, np.float32),
            "starts": np.array([0, 0]),
            "ends": np.array([2, 2]),
            "axes": np.array([2, 3]),
        },
    )
    convolution = 16 * 3 * 3 * (1 * 3 * 3)  # 16 maps of 3 x 3 places, each from 3 x 3 pixels of one channel
    assert run.multiply_adds(file, {"crops": np.zeros((n, 2, 6, 6), np.float32)}) == n * (
        convolution + 64 * 5
    )


def test_pieces_of_work_are_timed_in_turn(run):
    order = []
    times = run.alternate([lambda: order.append("a"), lambda: order.append("b")], 3)
    assert "".join(order) == "ab" * 5
    assert [len(part) for part in times] == [3, 3]


@pytest.mark.parametrize("shape", [(480, 640), (1000, 300), (20, 900)])
def test_pictures_are_fitted_whole(run, shape):
    fitted = run.fit(np.full((*shape, 3), 7, np.uint8))
    assert fitted.shape == (480, 640, 3)
    share = (fitted == 7).all(axis=2).mean()
    scale = min(480 / shape[0], 640 / shape[1])
    assert share == pytest.approx(scale**2 * shape[0] * shape[1] / (480 * 640), rel=0.05)
