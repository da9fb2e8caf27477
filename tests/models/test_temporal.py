"""A model of sequences: windows in, stills shown for the whole window, wrong files and windows refused."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import tomli_w

from mien.catalog import Head, ModelCard
from mien.errors import ArgumentError, ModelError
from mien.models import load_model

CARD = ModelCard(
    name="sequence.toy",
    task="expression",
    summary="Random weights.",
    licence="Apache-2.0",
    size_px=8,
    colour="grey",
    template="fer2013-mean",
    frames=3,
    heads=(Head("ekman7", "ekman7", temperature=2.0),),
)


@pytest.fixture
def write(tmp_path):
    def write(card=CARD, *, frames=3, columns=7, output="ekman7", scale=1.0):
        weight = np.random.default_rng(0).normal(0, scale / 255, (frames * 64, columns)).astype(np.float32)
        helper = onnx.helper
        nodes = [
            helper.make_node("Flatten", ["windows"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], [output]),
        ]
        graph = helper.make_graph(
            nodes,
            "toy",
            [helper.make_tensor_value_info("windows", 1, ["n", frames, 8, 8])],
            [helper.make_tensor_value_info(output, 1, ["n", columns])],
            [onnx.numpy_helper.from_array(weight, "weight")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        path = tmp_path / f"{card.name}.onnx"
        path.write_bytes(model.SerializeToString())
        path.with_suffix(".toml").write_text(tomli_w.dumps(card.to_dict()), encoding="utf-8")
        return path, weight

    return write


def windows(n):
    return np.random.default_rng(1).integers(0, 256, (n, 3, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("n", [0, 1, 70])
def test_windows_are_scored_with_the_card_s_temperature(write, n):
    path, weight = write()
    scores = windows(n).reshape(n, 192) @ weight / 2
    wanted = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(load_model(path).predict_windows(windows(n)), wanted, atol=1e-4)


def test_a_still_is_a_face_that_does_not_move(write):
    model = load_model(write()[0])
    still = windows(4)[:, 0]
    shown = np.stack([still] * 3, axis=1)
    np.testing.assert_array_equal(model.predict_proba(still), model.predict_windows(shown))
    assert model.frames == 3 and "frames=3" in repr(model)


@pytest.mark.parametrize("step", [1, 2])
def test_the_distance_between_the_crops_is_the_card_s(write, step):
    assert load_model(write(replace(CARD, step=step))[0]).step == step


@pytest.mark.parametrize(
    "wrong", [windows(2)[:, :2], windows(2)[..., :7], windows(2).astype(np.float32), windows(2)[:, 0]]
)
def test_other_windows_are_refused(write, wrong):
    with pytest.raises(ArgumentError, match=r"windows must be uint8 of shape \(n, 3, 8, 8\)"):
        load_model(write()[0]).predict_windows(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 4}, r"windows need one input of \(n, 3, 8, 8\)"),
        ({"output": "other"}, "has no output 'ekman7'"),
        ({"columns": 8}, r"has shape \(2, 8\) for 2 crops"),
        ({"scale": np.nan}, "values that are no numbers"),
    ],
)
def test_files_that_are_not_as_their_card_says(write, options, message):
    path, _ = write(**options)
    with pytest.raises(ModelError, match=message):
        load_model(path).predict_windows(windows(2))


def test_a_card_of_stills_does_not_fit_windows(write):
    path, _ = write(replace(CARD, frames=1), frames=4)
    with pytest.raises(ModelError, match="takes an input of shape"):
        load_model(path)
