"""What was found is looked at again: cut with its surroundings, answered by a network, or refused."""

import shutil

import numpy as np
import onnx
import pytest
import tomli_w
from onnx import TensorProto, helper

from mien.catalog import ModelCard, find_model
from mien.errors import ModelError
from mien.faces.confirm import BATCH, load_confirm
from mien.faces.detect import load_detector


@pytest.fixture
def write(tmp_path):
    """Write a network that multiplies the score by how bright a crop is, and perhaps by something else."""

    def write(factor=1.0, inputs=("crops", "score"), output="confirmed"):
        card = ModelCard(
            name="confirm.toy",
            task="confirmation",
            summary="The brighter the surer.",
            licence="Apache-2.0",
            size_px=8,
            colour="grey",
            margin=0.5,
            score_threshold=0.2,
        )
        axes = onnx.numpy_helper.from_array(np.array([1, 2]), "axes")
        white = onnx.numpy_helper.from_array(np.array(255 / factor, np.float32), "white")
        nodes = [
            helper.make_node("ReduceMean", [inputs[0], "axes"], ["mean"], keepdims=0),
            helper.make_node("Div", ["mean", "white"], ["bright"]),
            helper.make_node("Mul", ["bright", inputs[1]], [output]),
        ]
        graph = helper.make_graph(
            nodes,
            card.name,
            [
                helper.make_tensor_value_info(inputs[0], TensorProto.FLOAT, ["n", 8, 8]),
                helper.make_tensor_value_info(inputs[1], TensorProto.FLOAT, ["n"]),
            ],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n"])],
            [axes, white],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        path = tmp_path / f"{card.name}.onnx"
        path.write_bytes(model.SerializeToString())
        path.with_suffix(".toml").write_text(tomli_w.dumps(card.to_dict()), encoding="utf-8")
        return path

    return write


def picture():
    """Black, but for a white square from (40, 20) to (60, 40)."""
    shown = np.zeros((100, 120), np.uint8)
    shown[20:40, 40:60] = 255
    return shown


@pytest.mark.parametrize("colour", [False, True])
def test_it_is_shown_the_box_and_half_of_its_side_around(write, colour):
    shown = np.repeat(picture()[..., None], 3, axis=2) if colour else picture()
    boxes = np.array([[40, 20, 60, 40], [42, 22, 58, 38], [0, 60, 20, 80]], np.float32)
    confirmed = load_confirm(write()).confirm(shown, boxes, np.array([0.8, 0.8, 0.8], np.float32))
    np.testing.assert_allclose(confirmed, [0.8 / 4, 0.8 * (20 / 32) ** 2, 0], atol=0.03)


def test_any_number_of_finds(write):
    model = load_confirm(write())
    assert model.confirm(picture(), np.empty((0, 4)), np.empty(0)).shape == (0,)
    many = BATCH + 3
    boxes = np.tile(np.array([40, 20, 60, 40], np.float32), (many, 1))
    score = np.linspace(0, 1, many, dtype=np.float32)
    np.testing.assert_allclose(model.confirm(picture(), boxes, score), score / 4, atol=0.03)


def test_other_networks_and_answers_are_refused(write):
    with pytest.raises(ModelError, match="confirms faces"):
        load_confirm(write(output="logit"))
    with pytest.raises(ModelError, match="confirms faces"):
        load_confirm(write(inputs=("pictures", "score")))
    with pytest.raises(ModelError, match="from 0 to 1"):
        load_confirm(write(factor=9.0)).confirm(picture(), np.array([[40, 20, 60, 40]]), np.array([0.9]))
    with pytest.raises(ModelError, match="confirmation"):
        load_confirm("facepoint.scenes")


def test_a_network_that_confirms_may_lie_beside_its_detector(write, tmp_path):
    confirm = write()
    card, file = find_model("facepoint.scenes", "detection")
    shutil.copy(file, tmp_path)
    own = {**card.to_dict(), "confirm": confirm.name, "base": "", "score_threshold": 0.01}
    (tmp_path / "facepoint.scenes.toml").write_text(tomli_w.dumps(own), encoding="utf-8")
    detector, plain = load_detector(tmp_path / file.name), load_detector()
    assert detector.sha256 != plain.sha256
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    assert (detector.candidates(noise).score >= 0.2).all(), (
        "the card's threshold says what is looked at again"
    )
