"""Export: what ships agrees with what was trained, or nothing ships."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from mien.catalog import Head, Metric, ModelCard, load_card
from mien.errors import ArgumentError, ModelError
from mien.models import load_model
from mien.runtime import Session
from mien.training import export
from mien.training.export import export_expression, export_network, write_card


def scores(network, crops):
    with torch.no_grad():
        return network(torch.from_numpy(crops).float())


def test_the_file_answers_as_the_network(toy_file, toy_network, toy_crops):
    session = Session(toy_file)
    assert session.input_names == ("crops",) and session.input_shapes["crops"] == (None, 20, 20)
    assert session.output_names == ("ferplus8", "ekman7"), "the card's heads in their order, no auxiliary one"
    for n in (0, 1, 5):
        wanted = scores(toy_network, toy_crops[:n])
        given = session.run({"crops": toy_crops[:n].astype(np.float32)})
        for name, answer in zip(session.output_names, given, strict=True):
            np.testing.assert_allclose(answer, wanted[name], atol=1e-3)


def test_the_card_is_completed(toy_file, toy_card):
    card = load_card(toy_file.with_suffix(".toml"))
    assert card.heads == toy_card.heads and card.metrics == toy_card.metrics
    assert card.size_bytes == toy_file.stat().st_size and len(card.sha256) == 64
    assert {"mien", "torch", "onnx"} <= {name for name, _ in card.versions}
    assert card.created[:2] == "20"
    weights = 12 * 9 + 12 * 2 + 12 * 24 * 9 + 24 * 2 + 24 * 15 + 15
    assert card.parameters == weights, "with the auxiliary head, or without a shipped one"


def test_the_golden_file_is_complete(toy_file, toy_crops):
    with np.load(toy_file.with_suffix(".npz"), allow_pickle=False) as golden:
        np.testing.assert_array_equal(golden["crops"], toy_crops)
        assert golden["crops"].dtype == np.uint8
        assert golden["ferplus8"].shape == (5, 8) and golden["ekman7"].shape == (5, 7)
        assert golden["picture"].shape == (70, 90, 3) and golden["crop"].shape == (1, 20, 20)


def test_the_network_is_left_as_it_was(toy_network, toy_card, toy_crops, tmp_path):
    toy_network.train()
    try:
        export_expression(toy_network, toy_card, tmp_path, toy_crops)
        assert toy_network.training and "blendshapes" in toy_network.heads
    finally:
        toy_network.eval()


def test_one_golden_crop_leaves_the_batch_free(toy_network, toy_card, toy_crops, tmp_path):
    path = export_expression(toy_network, toy_card, tmp_path / "new", toy_crops[:1])
    assert load_model(path).predict_proba(toy_crops).shape == (5, 8)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_storage(toy_network, toy_card, toy_crops, tmp_path, storage):
    path = export_expression(
        toy_network, toy_card, tmp_path, toy_crops, storage=storage, tolerance=0.3, typical=toy_crops
    )
    kinds = {t.data_type for t in onnx.load(path).graph.initializer if np.prod(t.dims) >= export.LARGE}
    assert kinds == {getattr(onnx.TensorProto, {"float32": "FLOAT", "int8": "INT8"}.get(storage, "FLOAT16"))}
    wanted = scores(toy_network, toy_crops)["ferplus8"]
    error = np.abs(load_model(path).scores(toy_crops) - wanted.numpy()).max()
    assert error < {"float32": 1e-4, "float16": 1e-2, "int8": 0.3}[storage]


def test_bytes_that_fit_no_picture_are_refused(toy_network, toy_card, toy_crops, tmp_path, monkeypatch):
    with pytest.raises(ArgumentError, match="typical"):
        export_expression(toy_network, toy_card, tmp_path, toy_crops, storage="int8")
    monkeypatch.setattr(export, "ROUNDING", 1e-6)
    with pytest.raises(ModelError, match="of its spread"):
        export_expression(toy_network, toy_card, tmp_path, toy_crops, storage="int8", typical=toy_crops)
    assert not list(tmp_path.iterdir()), "something was left behind"


def test_it_refuses_to_round_too_much(toy_network, toy_card, toy_crops, tmp_path):
    with pytest.raises(ModelError, match="differs from the network's by"):
        export_expression(toy_network, toy_card, tmp_path, toy_crops, storage="float16", tolerance=1e-6)
    assert not list(tmp_path.iterdir()), "something was left behind"


def test_a_refusal_leaves_the_earlier_export(toy_network, toy_card, toy_crops, tmp_path, monkeypatch):
    path = export_expression(toy_network, toy_card, tmp_path, toy_crops)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    true = export._pack

    def damage(model, storage):
        packed = true(model, storage)
        bias = next(t for t in packed.graph.initializer if list(t.dims) == [8])
        bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 0.01, bias.name))
        return packed

    monkeypatch.setattr(export, "_pack", damage)
    with pytest.raises(ModelError, match="'ferplus8' differs"):
        export_expression(toy_network, toy_card, tmp_path, toy_crops)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


@pytest.mark.parametrize("shape", [(0, 20, 20), (2, 20, 21), (20, 20)])
def test_wrong_golden_crops(toy_network, toy_card, tmp_path, shape):
    with pytest.raises(ArgumentError, match="crops must be of shape"):
        export_expression(toy_network, toy_card, tmp_path, np.zeros(shape, np.uint8))


def test_a_head_the_network_does_not_have(toy_network, toy_card, toy_crops, tmp_path):
    card = replace(toy_card, heads=(Head("affectnet8", "affectnet8"),))
    with pytest.raises(ArgumentError, match="heads that the network has"):
        export_expression(toy_network, card, tmp_path, toy_crops)


def test_unknown_storage(toy_network, toy_card, toy_crops, tmp_path):
    with pytest.raises(ArgumentError, match="storage must be one of"):
        export_expression(toy_network, toy_card, tmp_path, toy_crops, storage="int4")


class Pyramid(torch.nn.Module):
    """Two outputs, of a picture whose height and width are free; with a step that needs them even."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 4, 3, 2, 1)

    def forward(self, pictures):
        x = self.layer(pictures[:, None] / 255)
        back = torch.nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return x.flatten(2).transpose(1, 2), back.mean(dim=1) + pictures / 255


DETECTION = ModelCard(
    name="pyramid.none",
    task="detection",
    summary="s",
    licence="MIT",
    size_px=0,
    colour="grey",
    score_threshold=0.5,
)


def test_a_network_of_any_picture_size(tmp_path):
    random = np.random.default_rng(0)
    shapes = ((1, 32, 48), (1, 64, 32), (3, 32, 32))
    pictures = [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    network = Pyramid()
    path = export_network(
        network,
        {"pictures": pictures[0]},
        ["score", "map"],
        DETECTION,
        tmp_path,
        dynamic_axes={"pictures": {0: "n", 1: "h", 2: "w"}},
        others=[{"pictures": picture} for picture in pictures[1:]],
        extras={"box": np.arange(4)},
    )
    session = Session(path)
    assert session.input_shapes["pictures"] == (None, None, None)
    for picture in pictures:
        with torch.no_grad():
            wanted = network(torch.from_numpy(picture).float())
        for answer, right in zip(session.run({"pictures": picture.astype(np.float32)}), wanted, strict=True):
            np.testing.assert_allclose(answer, right, atol=1e-3)
    with np.load(path.with_suffix(".npz")) as golden:
        assert set(golden.files) == {"pictures", "score", "map", "box"}


def test_a_card_written_again(toy_card, tmp_path):
    path = write_card(toy_card, tmp_path)
    metric = Metric("accuracy", 0.9, 0.8, 0.95, 10, "d", "r", "c")
    assert write_card(replace(toy_card, metrics=(metric,)), tmp_path) == path
    assert load_card(path).metrics == (metric,)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
def test_the_network_that_ships(tmp_path, toy_card):
    from mien.training.networks import ExpressionNetwork

    network = ExpressionNetwork("resnet", {"ferplus8": 8, "ekman7": 7, "blendshapes": 52})
    crops = np.random.default_rng(0).integers(0, 256, (3, 44, 44), dtype=np.uint8)
    path = export_expression(network, replace(toy_card, size_px=44), tmp_path, crops)
    card = load_card(path.with_suffix(".toml"))
    assert card.parameters < 3e6 and card.size_bytes < 5.7e6
    operators = {node.op_type for node in onnx.load(path).graph.node}
    assert "BatchNormalization" not in operators, "normalisation is folded into the convolutions"
