"""Support vector machines learn, keep what is set aside out of it, and are written as they were trained."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from sklearn.base import clone

import mien
from mien.catalog import Head, ModelCard, load_card
from mien.errors import ArgumentError, DatasetError, ModelError, UnknownNameError
from mien.faces.detect import load_detector
from mien.labels import EKMAN7
from mien.models.classic import UNSEEN, class_scores
from mien.sources.images import read_image
from mien.sources.labelled import LabelledImages
from mien.training import classic
from mien.training.architectures import list_architectures
from mien.training.classic import BASES, build_classic, export_classic, fit_classic, train_classic
from mien.training.metrics import fit_temperature
from mien.training.recipe import recipe_for

HAPPY, SAD, FEAR = (EKMAN7.index(name) for name in ("happiness", "sadness", "fear"))


def stripes(n, seed=0, size=20, noise=10):
    """Pictures of level stripes (happiness) and upright stripes (sadness), with noise."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n)
    wave = 60 * np.sin(np.arange(size) * 0.9)
    pictures = np.where(kind[:, None, None] == 1, wave[None, None, :], wave[None, :, None])
    pictures = (pictures + 128 + rng.normal(0, noise, (n, size, size))).clip(0, 255).astype(np.uint8)
    return pictures, np.where(kind == 1, SAD, HAPPY)


def card(**fields):
    base = {
        "name": "svm.toy",
        "task": "expression",
        "summary": "s",
        "licence": "MIT",
        "size_px": 20,
        "colour": "grey",
        "template": "fer2013-mean",
        "heads": (Head("ekman7", "ekman7"),),
    }
    return ModelCard(**(base | fields))


@pytest.fixture(scope="module")
def bases(write_landmarker, write_embedder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {"svm-geometry": write_landmarker(folder), "cnn-svm": write_embedder(folder)}


@pytest.fixture
def few(monkeypatch):
    """Have a few dozen pictures count as many."""
    monkeypatch.setattr(classic, "EXACT", 40)
    monkeypatch.setattr(classic, "SAMPLE", 30)
    monkeypatch.setattr(classic, "COMPONENTS", 10)


@pytest.mark.parametrize("arch", list_architectures("classic"))
@pytest.mark.parametrize("rows", [10, 10**6])
def test_every_classic_architecture_can_be_built(arch, rows):
    pipeline = build_classic(arch, rows=rows, seed=3, class_weight="balanced")
    assert repr(clone(pipeline)) == repr(pipeline)
    assert pipeline["svm"].class_weight == "balanced" and pipeline["svm"].random_state == 3
    exact = type(pipeline["svm"]).__name__ == "SVC"
    assert exact == (rows == 10 and arch != "cnn-svm")
    assert ("kernel" in pipeline.named_steps) == (rows > 10 and arch != "cnn-svm")


def test_what_cannot_be_built():
    with pytest.raises(UnknownNameError, match=r"'svm-hug' is not a known classic .*'svm-hog'"):
        build_classic("svm-hug", rows=10)
    with pytest.raises(UnknownNameError, match="'resnet' is not"):
        build_classic("resnet", rows=10)
    with pytest.raises(ArgumentError, match="base must be left out for svm-lbp"):
        build_classic("svm-lbp", rows=10, base="resnet.ferplus")


def right(fitted, n=100, seed=9, **options):
    crops, label = stripes(n, seed, **options)
    return float((class_scores(fitted.pipeline, crops, 7).argmax(axis=1) == label).mean())


@pytest.mark.parametrize("arch", list_architectures("classic"))
def test_it_learns_from_few(arch, bases):
    fitted = fit_classic(*stripes(80), 7, arch, base=bases.get(arch))
    assert right(fitted) > 0.9 and fitted.images == 80 and fitted.temperature == 1


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("arch", list_architectures("classic"))
def test_it_learns_from_many(arch, bases):
    fitted = fit_classic(*stripes(160), 7, arch, base=bases.get(arch))
    assert right(fitted) > 0.9
    assert arch == "cnn-svm" or "kernel" in fitted.pipeline.named_steps


@pytest.mark.usefixtures("few")
def test_it_repeats_itself():
    crops, label = stripes(90)
    scores = [
        class_scores(fit_classic(crops, label, 7, "svm-hog", seed=s).pipeline, crops, 7) for s in (1, 1, 2)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


def test_nothing_is_learned_from_what_is_set_aside():
    crops, label = stripes(90)
    aside = np.arange(90) < 30
    wrong = np.where(aside, np.where(label == HAPPY, SAD, HAPPY), label)
    fitted = fit_classic(crops, wrong, 7, "svm-lbp", held_out=aside)
    alone = fit_classic(crops[30:], label[30:], 7, "svm-lbp")
    test = stripes(20, 5)[0]
    wanted = class_scores(alone.pipeline, test, 7)
    np.testing.assert_array_equal(class_scores(fitted.pipeline, test, 7), wanted)
    assert fitted.images == 60 and fitted.temperature > 10, "it should doubt what is always wrong"


def test_it_is_calibrated_on_what_is_set_aside():
    crops, label = stripes(160, noise=130)
    aside = np.arange(160) < 80
    label[:5], label[5:8] = FEAR, -1  # never seen, and unknown
    fitted = fit_classic(crops, label, 7, "svm-hog", held_out=aside)
    scores = class_scores(fitted.pipeline, crops[8:80], 7)
    assert fitted.temperature == pytest.approx(fit_temperature(scores, label[8:80]), rel=1e-4)
    assert 0.05 < fitted.temperature < 19


@pytest.mark.parametrize("held", [0, 1])
def test_too_little_to_calibrate_on(held):
    fitted = fit_classic(*stripes(30), 7, "svm-hog", held_out=np.arange(30) < held)
    assert fitted.temperature == 1 and fitted.images == 30 - held


def test_columns_keep_their_places():
    crops, label = stripes(60)
    scores = class_scores(fit_classic(crops, label, 7, "svm-hog").pipeline, crops, 7)
    seen = np.isin(np.arange(7), (HAPPY, SAD))
    assert (scores[:, ~seen] == UNSEEN).all() and np.abs(scores[:, seen]).max() < 100
    np.testing.assert_allclose(scores[:, HAPPY], -scores[:, SAD])


def test_a_picture_without_a_label_is_left_out():
    crops, label = stripes(60)
    hidden = np.where(np.arange(60) < 20, -1, label)
    fitted = fit_classic(crops, hidden, 7, "svm-hog")
    wanted = class_scores(fit_classic(crops[20:], label[20:], 7, "svm-hog").pipeline, crops, 7)
    np.testing.assert_array_equal(class_scores(fitted.pipeline, crops, 7), wanted)
    assert fitted.images == 40


def test_rare_emotions_can_weigh_more():
    crops, label = stripes(200, noise=130)
    rest = np.flatnonzero(label == SAD)[15:]
    label[rest] = -1
    found = {}
    for weight in (None, "balanced"):
        fitted = fit_classic(crops, label, 7, "svm-hog", class_weight=weight)
        found[weight] = (class_scores(fitted.pipeline, crops[rest], 7).argmax(axis=1) == SAD).mean()
    assert found["balanced"] > found[None]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda c, y: (c, np.full(20, HAPPY)), DatasetError, r"1 class\(es\) are left"),
        (lambda c, y: (c, np.full(20, -1)), DatasetError, "0 labelled pictures"),
        (lambda c, y: (c[:0], y[:0]), DatasetError, "0 labelled pictures"),
        (lambda c, y: (c, y[:5]), ArgumentError, r"label must be of shape \(20,\)"),
        (lambda c, y: (c, y + 4), ArgumentError, "label must be from -1 to 6"),
    ],
)
def test_what_cannot_be_learned(change, error, message):
    with pytest.raises(error, match=message):
        fit_classic(*change(*stripes(20)), 7, "svm-hog")


def test_a_mask_of_another_length():
    with pytest.raises(ArgumentError, match="held_out must be of shape"):
        fit_classic(*stripes(20), 7, "svm-hog", held_out=np.zeros(4, bool))


# Files


@pytest.fixture(scope="module")
def pipeline():
    return fit_classic(*stripes(60), 7, "svm-hog").pipeline


def test_the_card_is_completed(pipeline, tmp_path):
    path = export_classic(pipeline, card(), tmp_path / "new", stripes(3)[0])
    made = load_card(path.with_suffix(".toml"))
    assert path.name == "svm.toy.skops" and made.format == "skops" and made.base == ""
    assert made.size_bytes == path.stat().st_size and len(made.sha256) == 64
    assert {"mien", "scikit-learn", "skops"} <= {name for name, _ in made.versions}
    assert made.parameters >= pipeline["svm"].support_vectors_.size
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".npz", ".skops", ".toml"]


def test_the_file_answers_as_the_pipeline(pipeline, tmp_path):
    crops = stripes(5, 3)[0]
    path = export_classic(pipeline, card(), tmp_path, crops, extras={"note": np.arange(3)})
    wanted = class_scores(pipeline, crops, 7)
    np.testing.assert_allclose(mien.load_model(path).scores(crops), wanted, atol=1e-5)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as golden:
        np.testing.assert_array_equal(golden["crops"], crops)
        np.testing.assert_allclose(golden["ekman7"], wanted, atol=1e-5)
        assert golden["note"].tolist() == [0, 1, 2]


def test_it_refuses_a_file_that_answers_otherwise(pipeline, tmp_path, monkeypatch):
    monkeypatch.setattr(classic, "class_scores", lambda *given: class_scores(*given) + 0.01)
    with pytest.raises(ModelError, match=r"differ from the pipeline's by 0\.01"):
        export_classic(pipeline, card(), tmp_path, stripes(3)[0])
    assert not list(tmp_path.iterdir()), "something was left behind"


def test_what_cannot_be_written(pipeline, tmp_path):
    with pytest.raises(ArgumentError, match="crops must be one crop or more"):
        export_classic(pipeline, card(), tmp_path, stripes(0)[0])
    two = (Head("ekman7", "ekman7"), Head("ferplus8", "ferplus8"))
    with pytest.raises(ArgumentError, match="card must be with one head"):
        export_classic(pipeline, card(heads=two), tmp_path, stripes(1)[0])
    with pytest.raises(ModelError, match="was fitted on the classes"):
        export_classic(pipeline, card(heads=(Head("anger+fear", "x"),)), tmp_path, stripes(1)[0])


def test_the_pipeline_is_left_as_it_was(bases, tmp_path):
    fitted = fit_classic(*stripes(60), 7, "cnn-svm", base=bases["cnn-svm"]).pipeline
    export_classic(fitted, card(), tmp_path, stripes(2)[0])
    assert fitted["features"].model == bases["cnn-svm"]
    assert {"embedder.toy.onnx", "embedder.toy.toml"} <= {path.name for path in tmp_path.iterdir()}


def test_a_network_of_the_same_name_is_not_replaced(bases, write_embedder, tmp_path):
    fitted = fit_classic(*stripes(60), 7, "cnn-svm", base=bases["cnn-svm"]).pipeline
    before = write_embedder(tmp_path, seed=5).read_bytes()
    with pytest.raises(ModelError, match="is another network than"):
        export_classic(fitted, card(), tmp_path, stripes(2)[0])
    assert (tmp_path / "embedder.toy.onnx").read_bytes() == before
    assert not list(tmp_path.glob("svm.toy*"))


# From pictures to answers


def corpus(n=60, size=48):
    pictures, label = stripes(n, size=size)
    names = np.arange(n).astype(str)
    return LabelledImages("stripes", EKMAN7, pictures, label, np.full(n, "Training"), names, terms="free")


@pytest.fixture(scope="module")
def portrait():
    return get_sample_data("grace_hopper.jpg", asfileobj=False)


@pytest.mark.parametrize("arch", ["svm-hog", "svm-lbp"])
def test_from_a_corpus_to_a_photograph(arch, tmp_path, portrait):
    recipe = recipe_for(arch, held_out=0.2)
    path = train_classic(
        corpus(),
        recipe,
        out=tmp_path,
        name=f"{arch}.stripes",
    )
    model = mien.load_model(path)
    crops = np.stack([model.crop.cut_framed(picture) for picture in stripes(50, 7, 48)[0]])
    assert (model.predict_proba(crops).argmax(axis=1) == stripes(50, 7)[1]).mean() > 0.9
    readings = mien.Analyzer(model=model).analyze(portrait)
    assert len(readings) and readings.model == path.stem and readings.labels == EKMAN7
    np.testing.assert_allclose(readings.probability.sum(axis=1), 1, atol=1e-5)


def test_the_card_says_what_was_learned(tmp_path, portrait):
    picture = read_image(portrait)
    recipe = recipe_for("svm-hog", held_out=0.25, size=40, balance="loss")
    path = train_classic(
        corpus(),
        recipe,
        out=tmp_path,
        name="svm-hog.stripes",
        detector=load_detector(),
        picture=picture,
        command="mien train stripes",
    )
    made = load_card(path.with_suffix(".toml"))
    assert (made.size_px, made.colour, made.template) == (40, "grey", recipe.template)
    assert made.heads[0].labels == "ekman7" and made.heads[0].temperature != 1
    assert made.trained_with == "mien train stripes" and made.limits
    (source,) = made.training_data
    assert (source.name, source.terms, source.images) == ("stripes", "free", 45)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as golden:
        cut = mien.load_model(path).crop.cut(golden["picture"], golden["landmarks_xy"])
        np.testing.assert_array_equal(cut, golden["crops"])


def test_faces_are_cut_as_the_base_needs_them(bases, tmp_path):
    recipe = recipe_for("cnn-svm", base=str(bases["cnn-svm"]))
    path = train_classic(corpus(), recipe, out=tmp_path, name="cnn-svm.stripes")
    made = load_card(path.with_suffix(".toml"))
    assert (made.size_px, made.margin, made.base) == (20, 0.0, "embedder.toy.onnx")
    recipe = recipe_for("svm-geometry", base=str(bases["svm-geometry"]), size=32, held_out=0.0)
    path = train_classic(corpus(), recipe, out=tmp_path, name="svm-geometry.stripes")
    made = load_card(path.with_suffix(".toml"))
    assert (made.size_px, made.margin, made.base) == (32, 0.0, "points70.toy.onnx")
    assert mien.load_model(path).predict_proba(np.zeros((1, 32, 32), np.uint8)).shape == (1, 7)


@pytest.mark.parametrize("arch", BASES)
def test_networks_that_ship_are_named_not_copied(arch, tmp_path):
    path = train_classic(corpus(), recipe_for(arch), out=tmp_path, name=f"{arch}.stripes")
    assert load_card(path.with_suffix(".toml")).base == BASES[arch]
    assert {one.stem for one in tmp_path.iterdir()} == {path.stem}
    assert mien.load_model(path.with_suffix(".toml")).name == path.stem


def test_classic_models_need_no_torch():
    code = "import sys, mien.training.classic, mien.models.features; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("arch", ["svm-hog", "svm-lbp"])
def test_copies_among_the_pictures_do_not_blur_the_scores(arch, few, tmp_path):
    """Copies make the kernel matrix singular, and its inverse root multiplies rounding."""
    random = np.random.default_rng(0)
    crops = np.repeat(random.integers(0, 256, (30, 20, 20), dtype=np.uint8), 4, axis=0)
    label = np.arange(120) // 4 % 2
    fitted = fit_classic(crops, label, 7, arch)
    alone = np.concatenate([class_scores(fitted.pipeline, crop[None], 7) for crop in crops[:8]])
    np.testing.assert_allclose(class_scores(fitted.pipeline, crops, 7)[:8], alone, atol=1e-4)
