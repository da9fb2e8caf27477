"""Networks: every registered one behaves, and foreign files work from what their card says."""

import numpy as np
import pytest

from mien.catalog import WEIGHTS, Head, ModelCard, list_models
from mien.errors import ArgumentError, ModelError, UnknownNameError
from mien.faces.align import CropSpec
from mien.labels import EKMAN7
from mien.models import load_model
from mien.models.network import BATCH, NetworkModel, softmax

SIZE = 6
KEY = "anger+fear+neutral"

# Everything that ships, and an export of the same code, so that the suite never runs on nothing.


@pytest.fixture(scope="module", params=["toy", *[card.name for card in list_models("expression")]])
def file(request):
    return (
        request.getfixturevalue("toy_file") if request.param == "toy" else WEIGHTS / f"{request.param}.onnx"
    )


@pytest.fixture(scope="module")
def model(file):
    return load_model(file, threads=1)


def crops_for(model, n):
    size = model.crop.size
    shape = (n, size, size) + ((3,) if model.crop.colour == "rgb" else ())
    return np.random.default_rng(n).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("n", [0, 1, 2, 9, BATCH + 3])
def test_rows_sum_to_one(model, n):
    p = model.predict_proba(crops_for(model, n))
    assert p.shape == (n, len(model.labels)) and p.dtype == np.float32
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_all_at_once_equals_one_by_one(model):
    crops = crops_for(model, 7)
    single = np.concatenate([model.predict_proba(crop[None]) for crop in crops])
    np.testing.assert_allclose(model.predict_proba(crops), single, atol=1e-5)


def test_the_order_of_faces_does_not_matter(model):
    crops = crops_for(model, 7)
    order = np.random.default_rng(0).permutation(7)
    np.testing.assert_allclose(
        model.predict_proba(crops[order]), model.predict_proba(crops)[order], atol=1e-5
    )


def test_different_faces_get_different_answers(model):
    p = model.predict_proba(crops_for(model, 5))
    assert np.ptp(p, axis=0).max() > 1e-4


def test_crops_are_not_changed(model):
    crops = crops_for(model, 2)
    before = crops.copy()
    model.predict_proba(crops)
    np.testing.assert_array_equal(crops, before)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_flat_crop_gets_an_answer(model, shade):
    crops = np.full_like(crops_for(model, 1), shade)
    np.testing.assert_allclose(model.predict_proba(crops).sum(), 1, atol=1e-5)


def test_golden_answers_of_every_head(model, file):
    with np.load(file.with_suffix(".npz"), allow_pickle=False) as golden:
        for head in model.card.heads:
            alone = load_model(file, labels=head.labels, threads=1)
            assert alone.labels.key == head.labels
            np.testing.assert_allclose(alone.scores(golden["crops"]), golden[head.output], atol=1e-3)
            wanted = softmax(golden[head.output].astype(np.float64) / head.temperature)
            np.testing.assert_allclose(alone.predict_proba(golden["crops"]), wanted, atol=1e-3)


def test_all_heads_at_once_answer_as_each_alone(file):
    model = load_model(file, threads=1)
    together = model.predict_heads(crops_for(model, 3))
    assert list(together) == [head.labels for head in model.card.heads]
    for head in model.card.heads:
        alone = load_model(file, labels=head.labels, threads=1)
        np.testing.assert_array_equal(together[head.labels], alone.predict_proba(crops_for(model, 3)))


def test_all_heads_need_all_outputs(tmp_path):
    heads = (Head(KEY, "scores"), Head("ekman7", "other"))
    path = foreign(tmp_path, ("n", SIZE, SIZE), weights=np.ones((1, 3)))
    model = NetworkModel(card(heads=heads), path)
    with pytest.raises(ModelError, match="has no output 'other', which its card names"):
        model.predict_heads(np.zeros((1, SIZE, SIZE), np.uint8))


def test_golden_crop_is_cut_as_it_was(model, file):
    with np.load(file.with_suffix(".npz"), allow_pickle=False) as golden:
        if "picture" not in golden.files:
            pytest.skip("without a golden picture")
        cut = model.crop.cut(golden["picture"], golden["landmarks_xy"])
        assert np.abs(cut.astype(int) - golden["crop"]).max() <= 1


def test_what_it_is_called(model, file):
    assert model.name == file.stem and model.name in repr(model)
    assert isinstance(model.crop, CropSpec) and model.labels == model.card.heads[0].label_set


def test_wrong_crops_are_refused(model):
    size = model.crop.size
    for shape, dtype in (
        ((2, size + 1, size), np.uint8),
        ((size, size), np.uint8),
        ((1, size, size), np.float32),
    ):
        with pytest.raises(ArgumentError, match="crops must be uint8 of shape"):
            model.predict_proba(np.zeros(shape, dtype))


def test_an_unknown_label_set_is_refused(file):
    with pytest.raises(UnknownNameError, match="label set of the model"):
        load_model(file, labels="ekman9")


# Foreign files: three outputs that tell which colours arrive, in which order, in which range.


def foreign(tmp_path, shape, *, weights, outputs=("scores",), tail="Identity", input_name="pixels"):
    """Write a network that averages over the picture and multiplies the c means by `weights` (c, 3)."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    axes = [1, 2] if len(shape) == 3 or shape[3] in (1, 3) else [2, 3]
    constants = {"axes": np.array(axes), "columns": np.array([-1, len(weights)]), "w": np.float32(weights)}
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", [input_name, "axes"], ["mean"], keepdims=0),
            helper.make_node("Reshape", ["mean", "columns"], ["means"]),
            helper.make_node("MatMul", ["means", "w"], ["product"]),
            helper.make_node(tail, ["product"], [outputs[0]]),
        ],
        "foreign",
        [helper.make_tensor_value_info(input_name, 1, shape)],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path = tmp_path / "foreign.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def card(**fields):
    base = {
        "name": "foreign",
        "task": "expression",
        "summary": "s",
        "licence": "MIT",
        "size_px": SIZE,
        "colour": "grey",
        "template": "fer2013-mean",
        "heads": (Head(KEY, "scores"),),
    }
    return ModelCard(**(base | fields))


GREY_CASES = {
    "(n, S, S)": (("n", SIZE, SIZE), 1),
    "(n, 1, S, S)": (("n", 1, SIZE, SIZE), 1),
    "(n, 3, S, S)": (("n", 3, SIZE, SIZE), 3),
    "(n, S, S, 1)": (("n", SIZE, SIZE, 1), 1),
    "(n, S, S, 3)": (("n", SIZE, SIZE, 3), 3),
    "(n, 1, any, any)": (("n", 1, "h", "w"), 1),
}


@pytest.mark.parametrize(("shape", "channels"), GREY_CASES.values(), ids=GREY_CASES)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_grey_crops_into_any_layout(tmp_path, shape, channels, n):
    weights = np.array([[1.0, 2.0, 3.0]] * channels) / channels
    model = NetworkModel(card(mean=(100.0,), std=(50.0,)), foreign(tmp_path, shape, weights=weights))
    crops = np.full((n, SIZE, SIZE), 150, np.uint8)
    np.testing.assert_allclose(model.scores(crops), np.tile([1.0, 2.0, 3.0], (n, 1)), rtol=1e-5)
    assert model.labels.names == ("anger", "fear", "neutral")


@pytest.mark.parametrize("shape", [("n", 3, SIZE, SIZE), ("n", SIZE, SIZE, 3)])
def test_colours_keep_their_order_and_their_range(tmp_path, shape):
    spec = card(colour="rgb", mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0))
    model = NetworkModel(spec, foreign(tmp_path, shape, weights=np.eye(3)))
    crops = np.broadcast_to(np.array([40, 60, 70], np.uint8), (2, SIZE, SIZE, 3))
    np.testing.assert_allclose(model.scores(crops), [[30.0, 20.0, 10.0]] * 2, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("n", [0, 1, 4, 6])
def test_a_file_with_a_fixed_batch(tmp_path, batch, n):
    model = NetworkModel(
        card(), foreign(tmp_path, (batch, 1, SIZE, SIZE), weights=np.array([[1.0, 0.0, -1.0]]))
    )
    crops = (
        np.stack([np.full((SIZE, SIZE), i, np.uint8) for i in range(n)])
        if n
        else np.zeros((0, SIZE, SIZE), np.uint8)
    )
    np.testing.assert_allclose(model.scores(crops)[:, 0], np.arange(n), atol=1e-5)


def test_temperature_and_probabilities(tmp_path):
    crops = np.full((1, SIZE, SIZE), 2, np.uint8)
    shape, weights = ("n", SIZE, SIZE), np.array([[0.5, 1.0, 1.5]])
    warm = card(heads=(Head(KEY, "scores", temperature=2.0),))
    p = NetworkModel(warm, foreign(tmp_path, shape, weights=weights)).predict_proba(crops)
    np.testing.assert_allclose(p, softmax(np.array([[0.5, 1.0, 1.5]])), rtol=1e-5)
    ready = card(heads=(Head(KEY, "scores", meaning="probabilities"),))
    p = NetworkModel(ready, foreign(tmp_path, shape, weights=np.array([[0.1, 0.4, 0.0]]))).predict_proba(
        crops
    )
    np.testing.assert_allclose(p, [[0.2, 0.8, 0.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (("n", SIZE + 1, SIZE), "takes an input of shape"),
        (("n", 4, SIZE, SIZE), "takes an input of shape"),
        (("n", 1, SIZE, 48), "takes an input of shape"),
    ],
)
def test_an_input_that_is_not_the_card_s(tmp_path, shape, message):
    with pytest.raises(ModelError, match=message) as caught:
        NetworkModel(card(), foreign(tmp_path, shape, weights=np.ones((1, 3))))
    assert "foreign.onnx" in str(caught.value)


def test_an_output_that_is_not_the_card_s(tmp_path):
    with pytest.raises(ModelError, match="has no output 'scores', which its card names; it has logits"):
        NetworkModel(
            card(), foreign(tmp_path, ("n", SIZE, SIZE), weights=np.ones((1, 3)), outputs=("logits",))
        )


def test_an_output_of_another_width(tmp_path):
    model = NetworkModel(card(), foreign(tmp_path, ("n", SIZE, SIZE), weights=np.ones((1, 7))))
    with pytest.raises(ModelError, match=r"shape \(1, 7\) for 1 crops"):
        model.predict_proba(np.zeros((1, SIZE, SIZE), np.uint8))


def test_an_answer_that_is_no_number(tmp_path):
    path = foreign(tmp_path, ("n", SIZE, SIZE), weights=-np.ones((1, 3)), tail="Log")
    with pytest.raises(ModelError, match="no numbers"):
        NetworkModel(card(), path).predict_proba(np.full((1, SIZE, SIZE), 9, np.uint8))


def test_two_inputs_are_refused(tmp_path):
    helper = pytest.importorskip("onnx").helper
    infos = [helper.make_tensor_value_info(name, 1, ["n", SIZE, SIZE]) for name in ("a", "b", "scores")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["scores"])], "g", infos[:2], infos[2:])
    path = tmp_path / "foreign.onnx"
    path.write_bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8
        ).SerializeToString()
    )
    with pytest.raises(ModelError, match=r"takes 2 inputs \(a, b\); expected one"):
        NetworkModel(card(), path)


def test_softmax_of_large_and_of_no_scores():
    np.testing.assert_allclose(softmax(np.array([[1e4, 1e4 - 1, -1e4]])).sum(), 1)
    assert softmax(np.empty((0, 3))).shape == (0, 3)
    assert EKMAN7.names[int(softmax(np.eye(7)[[3]]).argmax())] == "happiness"
