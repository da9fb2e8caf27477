"""What teachers say is the mean over them and over mirror images, and is learned beside the labels."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from mien.errors import ArgumentError, SourceNotFoundError, UnknownNameError
from mien.labels import EKMAN7
from mien.models import load_model
from mien.sources.labelled import LabelledImages
from mien.training import teachers
from mien.training.augment import cut
from mien.training.data import prepare
from mien.training.geometry import Geometry
from mien.training.module import ExpressionModule
from mien.training.networks import ExpressionNetwork
from mien.training.recipe import Recipe
from mien.training.teachers import TAUGHT, Teacher, load_teacher, teach

RECIPE = Recipe(arch="mini-xception", size=48, margin=0.0, held_out=0.2)
N = 12


def training_set(recipe=RECIPE):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (N, 48, 48)).astype(np.uint8)
    label = np.arange(N) % 7
    names = np.arange(N).astype(str)
    corpus = LabelledImages("noise", EKMAN7, pictures, label, np.full(N, "Training"), names, None)
    return prepare([corpus], recipe)


def finished_run(folder, seed, recipe=RECIPE, heads=None):
    torch.manual_seed(seed)
    network = ExpressionNetwork(recipe.arch, heads or {"ekman7": 7}, size=recipe.size)
    folder.mkdir()
    torch.save(
        {"state_dict": {f"network.{k}": v for k, v in network.state_dict().items()}}, folder / "last.ckpt"
    )
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe)))
    return network.eval()


def test_targets_are_the_mean_over_teachers_and_mirror_images(tmp_path):
    data = training_set()
    networks = [finished_run(tmp_path / name, seed) for seed, name in enumerate("ab")]
    recipe = replace(RECIPE, teachers=f"{tmp_path / 'a'},{tmp_path / 'b'}")
    taught = teach(data, recipe).targets["ekman7" + TAUGHT]
    crops = data.pictures["picture"].float()  # framed faces of the crop's own size and margin
    with torch.no_grad():
        wanted = sum(
            torch.softmax(network(view)["ekman7"], 1)
            for network in networks
            for view in (crops, crops.flip(2))
        )
    torch.testing.assert_close(taught, wanted / 4, atol=1e-3, rtol=0)
    torch.testing.assert_close(taught.sum(1), torch.ones(N))


def test_a_teacher_sees_crops_of_its_own_size(tmp_path):
    data = training_set()
    network = finished_run(tmp_path / "large", 0, replace(RECIPE, size=96))
    taught = teach(data, replace(RECIPE, teachers=str(tmp_path / "large"))).targets["ekman7" + TAUGHT]
    crops = cut(data.pictures["picture"], 2 * data.pictures["aligned"], 96)
    with torch.no_grad():
        wanted = sum(torch.softmax(network(view)["ekman7"], 1) for view in (crops, crops.flip(2))) / 2
    torch.testing.assert_close(taught, wanted, atol=1e-3, rtol=0)


def test_a_teacher_of_colours_is_shown_grey_as_colours(monkeypatch):
    data, seen = training_set(), []

    def ask(crops):
        seen.append(crops)
        return {"ekman7": torch.full((len(crops), 7), 1 / 7)}

    monkeypatch.setattr(teachers, "load_teacher", lambda *_: Teacher(64, "rgb", ask))
    teach(data, replace(RECIPE, teachers="colours"))
    plain, mirrored = seen
    assert plain.shape == (N, 64, 64, 3) and (plain == plain[..., :1]).all()
    torch.testing.assert_close(mirrored, plain.flip(2))


def test_a_grey_teacher_does_not_teach_colours():
    with pytest.raises(ArgumentError, match="in colour"):
        load_teacher("resnet.ferplus", {"ekman7": 7}, replace(Recipe(), arch="resnet50"))


def test_the_loss_is_shared_between_labels_and_teachers(tmp_path):
    finished_run(tmp_path / "a", 0)
    batch = {
        name: value[:4]
        for name, value in teach(
            training_set(), replace(RECIPE, teachers=str(tmp_path / "a"))
        ).targets.items()
    }
    logits = torch.randn(4, 7, generator=torch.Generator().manual_seed(1))
    flip = torch.zeros(4, dtype=torch.bool)

    def loss(taught):
        module = ExpressionModule(replace(RECIPE, taught=taught), {"ekman7": 7}, [])
        return module._losses("ekman7", logits, batch, flip)

    only_teacher = -(batch["ekman7" + TAUGHT] * logits.log_softmax(1)).sum(1)
    torch.testing.assert_close(loss(1.0), only_teacher)
    torch.testing.assert_close(loss(0.25), 0.75 * loss(0.0) + 0.25 * loss(1.0))


def test_a_teacher_of_other_crops_or_labels_is_refused(tmp_path):
    finished_run(tmp_path / "wide", 0, replace(RECIPE, margin=0.25))
    finished_run(tmp_path / "eight", 0, heads={"ferplus8": 8})
    with pytest.raises(ArgumentError, match=r"margin 0\.0000"):
        load_teacher(str(tmp_path / "wide"), {"ekman7": 7}, RECIPE)
    with pytest.raises(ArgumentError, match="ekman7"):
        load_teacher(str(tmp_path / "eight"), {"ekman7": 7}, RECIPE)
    with pytest.raises(SourceNotFoundError, match="holds no run"):
        load_teacher(str(tmp_path), {"ekman7": 7}, RECIPE)


def test_a_finished_model_teaches_as_it_answers_in_use():
    recipe = Recipe(held_out=0.2)  # the crops of the network that ships
    data = training_set(recipe)
    model = load_model("resnet.ferplus", labels="ekman7")
    taught = teach(data, replace(recipe, teachers="resnet.ferplus")).targets["ekman7" + TAUGHT]
    crops = cut(data.pictures["picture"], data.pictures["aligned"], recipe.size).round().byte()
    wanted = (model.predict_proba(crops.numpy()) + model.predict_proba(crops.flip(2).numpy())) / 2
    np.testing.assert_allclose(taught.numpy(), wanted, atol=1e-6)
    both = load_teacher("resnet.ferplus", {"ekman7": 7, "ferplus8": 8}, recipe).ask(crops.float())
    assert {name: tuple(value.shape) for name, value in both.items()} == {
        "ekman7": (N, 7),
        "ferplus8": (N, 8),
    }


def test_a_model_of_other_crops_or_labels_is_refused():
    with pytest.raises(ArgumentError, match=r"margin 0\.0000"):
        load_teacher("resnet.ferplus", {"ekman7": 7}, RECIPE)
    with pytest.raises(ArgumentError, match="own9"):
        load_teacher("resnet.ferplus", {"own9": 9}, Recipe())
    with pytest.raises(ArgumentError, match="step 2"):
        load_teacher("resnet.ferplus", {"ekman7": 7}, Recipe(step=2))
    with pytest.raises(UnknownNameError, match="Did you mean"):
        load_teacher("resnet.ferpluss", {"ekman7": 7}, Recipe())


class ShiftedEyes:
    """A detector whose landmarks lie further right than those of the geometry."""

    sha256 = "x"
    name = "shifted"

    def __init__(self, points):
        self.points = points

    def detect(self, image, *, min_face=None):
        from mien.faces.faces import Faces

        box = np.array([[0, 0, *image.shape[1::-1]]], np.float32)
        scale = image.shape[1] / 48
        return Faces(box, np.ones(1, np.float32), (self.points[None] + [6, 0]).astype(np.float32) * scale)


def test_a_share_of_the_copies_is_cut_by_the_detector_in_use():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (N, 48, 48)).astype(np.uint8)
    names, label = np.arange(N).astype(str), np.arange(N) % 7
    corpus = LabelledImages("noise", EKMAN7, pictures, label, np.full(N, "Training"), names, None)
    points = np.array([[16, 20], [32, 20], [24, 28], [18, 36], [30, 36]], np.float32)
    geometry = Geometry(np.ones(N, bool), np.tile(points, (N, 1, 1)), np.zeros((N, 0), np.float32), ())
    recipe = replace(RECIPE, detected=0.5, whole=0.0)
    data = prepare([corpus], recipe, geometry=geometry, detector=ShiftedEyes(points))
    assert not torch.allclose(data.pictures["aligned"], data.pictures["detected"])
    module = ExpressionModule(recipe, {"ekman7": 7}, [])
    torch.manual_seed(0)
    batch = {name: value.repeat(20, 1, 1) for name, value in data.pictures.items()}
    drawn = module._alignments(batch)
    by_detector = (drawn == batch["detected"]).flatten(1).all(1)
    by_geometry = (drawn == batch["aligned"]).flatten(1).all(1)
    assert (by_detector ^ by_geometry).all()
    assert 0.35 < by_detector.float().mean() < 0.65
    assert (
        "detected" not in prepare([corpus], RECIPE, geometry=geometry, detector=ShiftedEyes(points)).pictures
    )
