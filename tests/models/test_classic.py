"""Classic models behave as networks do, and a file that holds anything else is not loaded."""

import pickle
import sys
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import skops.io as skops
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from mien.catalog import Head, ModelCard, load_card
from mien.errors import ArgumentError, MissingExtraError, ModelError, UnknownNameError
from mien.labels import EKMAN7
from mien.models import load_model
from mien.models.classic import ClassicModel, load_pipeline
from mien.models.features import HogFeatures
from mien.models.network import softmax
from mien.training.classic import export_classic, fit_classic

SIZE = 20
ARCHS = ("svm-hog", "svm-lbp", "svm-geometry", "cnn-svm")
SEEN = [EKMAN7.index(name) for name in ("happiness", "neutral", "sadness")]


def card(**fields):
    base = {
        "name": "svm.toy",
        "task": "expression",
        "summary": "s",
        "licence": "MIT",
        "size_px": SIZE,
        "colour": "grey",
        "template": "fer2013-mean",
        "heads": (Head("ekman7", "ekman7", temperature=0.5),),
    }
    return ModelCard(**(base | fields))


def stripes(n, seed=0):
    """Level, upright and slanting stripes in noise, for three of the seven emotions."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    y, x = np.mgrid[:SIZE, :SIZE]
    wave = 60 * np.sin(0.9 * np.stack([y, x, x + y]))[kind]
    crops = (wave + 128 + rng.normal(0, 10, (n, SIZE, SIZE))).clip(0, 255).astype(np.uint8)
    return crops, np.array(SEEN)[kind]


@pytest.fixture(scope="module", params=ARCHS)
def file(request, tmp_path_factory, write_landmarker, write_embedder):
    folder = tmp_path_factory.mktemp("classic")
    writers = {"svm-geometry": write_landmarker, "cnn-svm": write_embedder}
    base = writers[request.param](folder) if request.param in writers else None
    crops, label = stripes(90)
    fitted = fit_classic(crops, label, 7, request.param, base=base)
    return export_classic(fitted.pipeline, card(), folder, crops[:4])


@pytest.fixture(scope="module")
def model(file):
    return load_model(file, threads=1)


@pytest.mark.parametrize("n", [0, 1, 2, 9, 259])
def test_rows_sum_to_one(model, n):
    p = model.predict_proba(stripes(n)[0])
    assert p.shape == (n, 7) and p.dtype == np.float32
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


def test_all_at_once_equals_one_by_one(model):
    crops = stripes(7)[0]
    single = np.concatenate([model.predict_proba(crop[None]) for crop in crops])
    np.testing.assert_allclose(model.predict_proba(crops), single, atol=1e-5)


def test_the_order_of_faces_does_not_matter(model):
    crops = stripes(7)[0]
    order = np.random.default_rng(0).permutation(7)
    np.testing.assert_allclose(
        model.predict_proba(crops[order]), model.predict_proba(crops)[order], atol=1e-5
    )


def test_different_faces_get_different_answers(model):
    assert np.ptp(model.predict_proba(stripes(9)[0]), axis=0).max() > 1e-3


def test_crops_are_not_changed(model):
    crops = stripes(2)[0]
    before = crops.copy()
    model.predict_proba(crops)
    np.testing.assert_array_equal(crops, before)


def test_emotions_it_never_saw_get_nothing(model):
    p = model.predict_proba(stripes(20)[0])
    unseen = sorted(set(range(7)) - set(SEEN))
    assert (p[:, unseen] < 1e-9).all() and (p[:, SEEN].max(axis=0) > 0.2).all()


@pytest.mark.parametrize("shade", [0, 255])
def test_a_flat_crop_gets_an_answer(model, shade):
    p = model.predict_proba(np.full((1, SIZE, SIZE), shade, np.uint8))
    np.testing.assert_allclose(p.sum(), 1, atol=1e-5)


def test_golden_answers(model, file):
    with np.load(file.with_suffix(".npz"), allow_pickle=False) as golden:
        scores = model.scores(golden["crops"])
        np.testing.assert_allclose(scores, golden["ekman7"], atol=1e-4)
        wanted = softmax(golden["ekman7"].astype(np.float64) / 0.5)
        np.testing.assert_allclose(model.predict_proba(golden["crops"]), wanted, atol=1e-5)


def test_what_it_is_called(model):
    assert isinstance(model, ClassicModel) and model.name == "svm.toy" and "svm.toy" in repr(model)
    assert model.labels == EKMAN7 and model.crop.size == SIZE


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((2, 21, 20), np.uint8), ((20, 20), np.uint8), ((1, 20, 20, 3), np.uint8), ((1, 20, 20), float)],
)
def test_wrong_crops_are_refused(model, shape, dtype):
    with pytest.raises(ArgumentError, match="crops must be uint8 of shape"):
        model.predict_proba(np.zeros(shape, dtype))


def test_an_unknown_label_set_is_refused(file):
    with pytest.raises(UnknownNameError, match="label set of the model"):
        load_model(file, labels="ferplus8")


# Files


@pytest.fixture(scope="module")
def fitted():
    crops, label = stripes(60)
    return fit_classic(crops, label, 7, "svm-hog").pipeline


def kept(tmp_path, value):
    path = tmp_path / "svm.toy.skops"
    skops.dump(value, path)
    return path


def shout(rows):
    raise AssertionError("a file's function was run")


class Stranger(HogFeatures):
    """Ours by descent, not by name."""


FOREIGN = {
    "a function": (lambda p: Pipeline([("features", FunctionTransformer(shout)), *p.steps[1:]]), "shout"),
    "another class": (lambda p: Pipeline([("features", Stranger()), *p.steps[1:]]), "Stranger"),
    "a module's function": (lambda p: Pipeline([("features", FunctionTransformer(warnings.warn))]), "warn"),
}


@pytest.mark.parametrize(("change", "name"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_not_trusted_is_named_and_not_loaded(tmp_path, fitted, change, name):
    path = kept(tmp_path, change(fitted))
    with pytest.raises(ModelError, match=f"not trusted and was not loaded: .*{name}") as caught:
        load_pipeline(path)
    assert "svm.toy.skops" in str(caught.value)


OTHERS = {
    "no pipeline": (lambda p: StandardScaler(), "expected a pipeline"),
    "another classifier": (lambda p: Pipeline([p.steps[0], ("svm", LogisticRegression())]), "LogisticReg"),
    "an unknown step": (lambda p: Pipeline([p.steps[0], ("more", PCA()), p.steps[-1]]), "step 'more'"),
    "no features": (
        lambda p: Pipeline([("scale", StandardScaler()), p.steps[-1]]),
        "has the steps scale, svm",
    ),
    "another order": (lambda p: Pipeline([p.steps[-1], p.steps[0]]), "has the steps svm, features"),
    "passed through": (lambda p: Pipeline([("features", "passthrough"), p.steps[-1]]), "builtins.str"),
    "data": (lambda p: {"features": [1, 2]}, "holds a builtins.dict"),
}


@pytest.mark.parametrize(("change", "message"), OTHERS.values(), ids=OTHERS)
def test_what_is_harmless_but_not_ours(tmp_path, fitted, change, message):
    path = kept(tmp_path, change(fitted))
    with pytest.raises(ModelError, match=message) as caught:
        ClassicModel(card(), path)
    assert "svm.toy.skops" in str(caught.value)


class Bomb:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return shout, (0,)


@pytest.mark.parametrize(
    "content", [pickle.dumps(Bomb()), b"", b"PK\x03\x04 cut short", "missing", "no schema", "cut"]
)
def test_what_is_no_skops_file(tmp_path, fitted, content):
    path = tmp_path / "svm.toy.skops"
    if content == "no schema":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("other.json", "{}")
    elif content == "cut":
        path.write_bytes(kept(tmp_path, fitted).read_bytes()[:2000])
    elif content != "missing":
        path.write_bytes(content)
    with pytest.raises(ModelError, match="is no skops file that can be loaded") as caught:
        load_pipeline(path)
    assert "svm.toy.skops" in str(caught.value)


@pytest.mark.parametrize("classes", [[0, 7], [-1, 1], ["anger", "fear"]])
def test_classes_that_are_no_columns(tmp_path, classes):
    crops, label = stripes(30)
    y = np.array(classes)[(label == SEEN[0]).astype(int)]
    path = kept(tmp_path, Pipeline([("features", HogFeatures()), ("svm", LinearSVC())]).fit(crops, y))
    with pytest.raises(ModelError, match="was fitted on the classes"):
        ClassicModel(card(), path)


def test_a_machine_that_was_never_fitted(tmp_path):
    path = kept(tmp_path, Pipeline([("features", HogFeatures()), ("svm", LinearSVC())]))
    with pytest.raises(ModelError, match=r"was fitted on the classes \[\]"):
        ClassicModel(card(), path)


def test_a_card_of_another_size(tmp_path, fitted):
    model = ClassicModel(card(size_px=40), kept(tmp_path, fitted))
    with pytest.raises(ModelError, match="cannot run on crops"):
        model.predict_proba(np.zeros((1, 40, 40), np.uint8))


@pytest.mark.parametrize("module", ["sklearn", "skops.io"])
def test_what_is_not_installed_is_named(monkeypatch, tmp_path, fitted, module):
    path = kept(tmp_path, fitted)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"mien\[classic\]"):
        load_pipeline(path)


# The network of the features


@pytest.fixture
def on_network(write_embedder, tmp_path):
    crops, label = stripes(60)
    pipeline = fit_classic(crops, label, 7, "cnn-svm", base=write_embedder(tmp_path)).pipeline
    return export_classic(pipeline, card(), tmp_path, crops[:2])


def test_the_base_is_on_the_card_by_its_file(on_network, tmp_path):
    assert load_card(tmp_path / "svm.toy.toml").base == "embedder.toy.onnx"
    with zipfile.ZipFile(on_network) as archive:
        assert str(tmp_path) not in archive.read("schema.json").decode(), "where it was trained"


def test_both_move_together(on_network, tmp_path):
    crops = stripes(3)[0]
    before = load_model(on_network).predict_proba(crops)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in [*tmp_path.glob("svm.toy.*"), *tmp_path.glob("embedder.toy.*")]:
        path.rename(moved / path.name)
    np.testing.assert_allclose(load_model(moved / on_network.name).predict_proba(crops), before, atol=1e-5)


def test_without_its_base(on_network, tmp_path):
    (tmp_path / "embedder.toy.onnx").unlink()
    with pytest.raises(ModelError, match=r"embedder\.toy\.onnx does not exist"):
        load_model(on_network)


def test_on_another_base(on_network, write_embedder, tmp_path):
    write_embedder(tmp_path, seed=1)
    with pytest.raises(ModelError, match="on which the classifier was trained"):
        load_model(on_network)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"margin": 0.1}, "the card says margin = 0.1"),
        ({"size_px": 24}, "the card says size_px = 24"),
        ({"colour": "rgb"}, "the card says colour = 'rgb'"),
        ({"base": ""}, "its features need a network; the card's base is ''"),
        ({"base": "nobody.knows"}, "'nobody.knows' is not a known model"),
    ],
)
def test_a_card_that_does_not_fit_its_base(on_network, fields, message):
    changed = replace(card(base="embedder.toy.onnx"), **fields)
    with pytest.raises((ModelError, UnknownNameError), match=message):
        ClassicModel(changed, on_network)


def test_a_base_that_nothing_needs(tmp_path, fitted):
    with pytest.raises(ModelError, match="its features need no network"):
        ClassicModel(card(base="x.onnx"), kept(tmp_path, fitted))
