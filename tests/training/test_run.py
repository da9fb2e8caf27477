"""From data to a model file in one call, on a small made-up corpus."""

from dataclasses import replace

import numpy as np
import pytest

import mien
from mien.catalog import load_card
from mien.faces.align import TEMPLATES, CropSpec
from mien.faces.faces import Faces
from mien.labels import EKMAN7, FERPLUS8
from mien.models import load_model
from mien.sources.labelled import LabelledImages
from mien.training.cards import noise_crops
from mien.training.recipe import Recipe, recipe_for
from mien.training.run import Test as Measured
from mien.training.run import train_model


class Framed:
    """A detector that says every picture is one face, framed like the template."""

    name = "framed"

    def detect(self, image, *, min_face=None):
        height, width = image.shape[:2]
        points = np.array(TEMPLATES["fer2013-mean"], np.float32) * (width / 2, height / 2) + (
            width / 4,
            height / 4,
        )
        box = np.array([[width / 4, height / 4, width * 0.75, height * 0.75]], np.float32)
        return Faces(box, np.ones(1, np.float32), points[None].astype(np.float32), np.full(1, -1, np.int64))


def corpora(n=120):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (n, 48, 48)).astype(np.uint8)
    split = np.array(["Training", "Training", "PublicTest"] * (n // 3))
    pictures[2] = pictures[0]  # one that leaks
    label = rng.integers(0, 7, n)
    labelled = LabelledImages("FER2013", EKMAN7, pictures, label, split, np.arange(n).astype(str))
    votes = (
        rng.integers(0, 5, (n, 8)).astype(np.float32)
        + np.eye(8, dtype=np.float32)[rng.integers(0, 8, n)] * 20
    )
    voted = replace(labelled, name="FER+", labels=FERPLUS8, votes=votes, label=votes.argmax(1))
    return labelled, voted


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")  # inside Lightning
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_a_trained_model_is_a_file_with_a_card(tmp_path):
    labelled, voted = corpora()
    picture = np.random.default_rng(1).integers(0, 256, (90, 90, 3)).astype(np.uint8)
    learned = [one.select(one.split == "Training") for one in (voted, labelled)]
    command = "mien evaluate fer2013.csv{} --split PublicTest --model {{model}}"
    card = train_model(
        learned[0],
        Recipe(epochs=1, batch=16, average=0.5, held_out=0.2),
        run=tmp_path / "run",
        out=tmp_path / "out",
        name="resnet.test",
        others=learned[1:],
        picture=picture,
        detector=Framed(),
        tests=[
            Measured(voted, "PublicTest", command.format(" --ferplus fer2013new.csv")),
            Measured(labelled, "PublicTest", command.format("")),
        ],
        command="mien train",
    )
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "resnet.test.npz",
        "resnet.test.onnx",
        "resnet.test.toml",
    ]
    assert load_card(tmp_path / "out" / "resnet.test.toml") == card
    assert [head.labels for head in card.heads] == ["ferplus8", "ekman7"]
    accuracy = [m for m in card.metrics if m.name == "accuracy"]
    assert [(m.data, m.n) for m in accuracy] == [
        ("FER+ PublicTest", 40),
        ("FER+ PublicTest without the pictures that also stand in Training", 39),
        ("FER2013 PublicTest", 40),
        ("FER2013 PublicTest without the pictures that also stand in Training", 39),
    ]
    assert all(m.low <= m.value <= m.high for m in accuracy)
    errors = [m for m in card.metrics if m.name == "expected calibration error"]
    assert [m for m in errors if not 0 <= m.low < m.high <= 1] == []
    assert card.trained_with == "mien train"
    assert (
        accuracy[0].command
        == "mien evaluate fer2013.csv --ferplus fer2013new.csv --split PublicTest --model resnet.test"
    )
    assert {d.name for d in card.training_data} == {"FER2013", "FER+"}
    model = load_model(tmp_path / "out" / "resnet.test.onnx", labels="ekman7")
    golden = np.load(tmp_path / "out" / "resnet.test.npz")
    np.testing.assert_array_equal(model.crop.cut(golden["picture"], golden["landmarks_xy"]), golden["crop"])
    assert model.predict_proba(golden["crop"]).shape == (1, 7)
    again = train_model(  # the weights of the run as they are
        learned[0],
        Recipe(epochs=0, batch=16, held_out=0.2, base=str(tmp_path / "run")),
        run=tmp_path / "again",
        out=tmp_path / "again" / "out",
        name="resnet.again",
        others=learned[1:],
        picture=picture,
        detector=Framed(),
    )
    assert again.training_data == card.training_data
    assert again.heads == card.heads
    same = load_model(tmp_path / "again" / "out" / "resnet.again.onnx", labels="ekman7")
    crops = np.random.default_rng(2).integers(0, 256, (9, 44, 44)).astype(np.uint8)
    np.testing.assert_allclose(same.predict_proba(crops), model.predict_proba(crops), atol=1e-5)


def faces(n):
    """Pictures of level stripes and of upright ones, with noise; whole photographs, not crops."""
    random = np.random.default_rng(0)
    level = np.arange(n) % 2
    wave = 60 * np.sin(np.arange(90) * 0.5)
    pictures = np.where(level[:, None, None], wave[None, :, None], wave[None, None, :])
    pictures = (pictures + 128 + random.normal(0, 10, (n, 90, 90))).clip(0, 255).astype(np.uint8)
    label = np.where(level, EKMAN7.index("happiness"), EKMAN7.index("anger"))
    split, source = np.full(n, ""), np.arange(n).astype(str)
    return LabelledImages("stripes", EKMAN7, list(pictures), label, split, source, terms="made up")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")  # inside Lightning
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.parametrize("arch", ["svm-hog", "cnn", "convlstm"])
def test_every_family_ends_in_a_file_that_analyzes_a_photograph(arch, tmp_path):
    corpus = faces(120)
    if arch == "convlstm":
        corpus = replace(corpus, sequence=np.arange(120).astype(str), position=np.arange(120))
    changes = {
        "epochs": 4,
        "batch": 16,
        "average": 0.5,
        "held_out": 0.2,
        "frames": 3 if arch == "convlstm" else 1,
        "step": 2,
    }
    recipe = recipe_for(arch, **changes)
    out = tmp_path / "out"
    measured = [Measured(corpus, None, "typed")]
    card = train_model(corpus, recipe, run=tmp_path / "run", out=out, name=f"{arch}.own", tests=measured)
    file = out / f"{arch}.own.{card.format}"
    assert load_card(file.with_suffix(".toml")) == card and card.metrics[0].n == 120
    assert (card.frames, card.step) == ((3, 2) if arch == "convlstm" else (1, 1))
    assert card.training_data[0].terms == "made up"
    model = load_model(file)
    readings = mien.Analyzer(model=model).analyze(corpus.images[0])
    assert readings.model == card.name
    with np.load(file.with_suffix(".npz")) as golden:
        shown = [model.crop.cut_framed(picture) for picture in corpus.images]
        crops = golden["crops"].reshape(-1, *shown[0].shape)
        assert not any((crop == face).all() for face in shown for crop in crops), "no face of the data"


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_golden_crops_show_nobody(colour):
    spec = CropSpec("fer2013-mean", 0.0, 30, colour)
    crops = noise_crops(spec, 3)
    assert crops.shape == ((3, 30, 30, 3) if colour == "rgb" else (3, 30, 30)) and crops.std() > 10
    assert (crops == noise_crops(spec, 3)).all()
