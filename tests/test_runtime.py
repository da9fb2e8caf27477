"""The session: what it tells of a model, and one kind of error whatever goes wrong."""

import numpy as np
import pytest

from mien.errors import ArgumentError, ModelError, UnknownNameError
from mien.runtime import Session, available_providers

helper = pytest.importorskip("onnx").helper


@pytest.fixture
def file(tmp_path):
    """A model of two inputs: the sum of rows of any number, and their product."""
    float32 = 1
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Mul", ["a", "b"], ["product"])],
        "two",
        [helper.make_tensor_value_info(name, float32, ["n", 3]) for name in "ab"],
        [helper.make_tensor_value_info(name, float32, ["n", 3]) for name in ("sum", "product")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path = tmp_path / "two.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def ones(n, k=3):
    return np.ones((n, k), np.float32)


@pytest.mark.parametrize("threads", [None, 1, 2, np.int64(1)])
def test_it_tells_inputs_outputs_and_providers(file, threads):
    session = Session(file, threads=threads)
    assert session.input_names == ("a", "b") and session.output_names == ("sum", "product")
    assert session.input_shapes == {"a": (None, 3), "b": (None, 3)}
    assert session.providers == ("CPUExecutionProvider",)
    assert "two.onnx" in repr(session)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_outputs_come_in_the_order_asked_for(file, n):
    session = Session(str(file))
    total, product = session.run({"a": 2 * ones(n), "b": 3 * ones(n)})
    np.testing.assert_array_equal(total, 5 * ones(n))
    np.testing.assert_array_equal(product, 6 * ones(n))
    (alone,) = session.run({"b": 3 * ones(n), "a": 2 * ones(n)}, ["product"])
    np.testing.assert_array_equal(alone, product)
    swapped = session.run({"a": 2 * ones(n), "b": 3 * ones(n)}, ["product", "sum"])
    np.testing.assert_array_equal(swapped[1], total)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "takes the inputs 'a', 'b'; given none"),
        ({"a": ones(1)}, "takes the inputs 'a', 'b'; given 'a'"),
        ({"a": ones(1), "b": ones(1), "c": ones(1)}, "given 'a', 'b', 'c'"),
        ({"a": ones(1), "b": ones(1, 4)}, r"cannot run on a \(1, 3\) float32, b \(1, 4\) float32"),
        ({"a": ones(1), "b": np.ones(3, np.float32)}, "cannot run on"),
        ({"a": ones(1), "b": np.ones((1, 3), np.float64)}, "float64"),
    ],
)
def test_wrong_feeds(file, feeds, message):
    with pytest.raises(ModelError, match=message) as caught:
        Session(file).run(feeds)
    assert str(file) in str(caught.value)


def test_an_output_it_does_not_have(file):
    with pytest.raises(ModelError, match="has no output 'quotient'; it has 'sum', 'product'"):
        Session(file).run({"a": ones(1), "b": ones(1)}, ["quotient"])


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n", None])
def test_what_is_no_model(file, content):
    file.write_bytes(file.read_bytes()[:-40] if content is None else content)
    with pytest.raises(ModelError, match=r"two\.onnx is no ONNX model that can be loaded") as caught:
        Session(file)
    assert caught.value.__cause__ is not None and "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ModelError, match="does not exist, or is no file"):
            Session(path)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_wrong_threads(file, threads):
    with pytest.raises(ArgumentError, match="threads must be a whole number"):
        Session(file, threads=threads)


def test_providers():
    assert "CPUExecutionProvider" in available_providers()


def test_unknown_provider(file):
    with pytest.raises(UnknownNameError, match="Did you mean 'CPUExecutionProvider'"):
        Session(file, providers=["cpuexecutionprovidr"])


def test_the_runtime_neither_reports_nor_prepares_to(toy_file, tmp_path):
    """Since 1.29 it keeps an identifier and a queue of events in the home folder, unless told not to."""
    import os
    import subprocess
    import sys

    code = "import sys; from mien.runtime import Session; Session(sys.argv[1])"
    hidden = {"CI", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code, str(toy_file)], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
