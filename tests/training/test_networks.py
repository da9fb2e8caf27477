"""Every network by name: what it takes, what it gives, and that its file answers alike."""

import numpy as np
import pytest
import torch

from mien.catalog import Head, ModelCard
from mien.errors import ArgumentError, UnknownNameError
from mien.models import load_model
from mien.training.architectures import ARCHITECTURES, get_architecture, list_architectures
from mien.training.export import export_expression
from mien.training.networks import ExpressionNetwork

HEADS = {"ekman7": 7, "ferplus8": 8}
OURS = [
    name
    for name in list_architectures()
    if get_architecture(name).family != "classic" and not get_architecture(name).backbone
]
FRAMES = 6


def crops(name, n, seed=0):
    one = get_architecture(name)
    shape = (FRAMES, one.size, one.size) if one.family == "sequence" else (one.size, one.size)
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def network(name):
    """A network with random weights whose normalisations have seen something."""
    torch.manual_seed(0)
    built = ExpressionNetwork(name, HEADS)
    with torch.no_grad():
        built(torch.from_numpy(crops(name, 16)).float())
    return built.eval()


def test_the_table_has_all_families():
    assert {get_architecture(name).family for name in list_architectures()} == {
        "classic",
        "still",
        "sequence",
    }
    assert list_architectures() == sorted(ARCHITECTURES)
    assert set(list_architectures("sequence")) == {"gru", "lstm", "convlstm", "timedelay"}
    assert get_architecture("timm:resnet18").backbone == "resnet18"
    with pytest.raises(UnknownNameError, match="'mini-xception'"):
        get_architecture("minixception")
    with pytest.raises(UnknownNameError):
        list_architectures("stills")


@pytest.mark.parametrize("name", OURS)
def test_rows_are_scored_one_by_one_as_together(name):
    built = network(name)
    x = torch.from_numpy(crops(name, 3, seed=1)).float()
    with torch.no_grad():
        together, embedding = built(x), built.embed(x)
        alone = [built(x[i : i + 1]) for i in range(3)]
    assert {head: tuple(s.shape) for head, s in together.items()} == {"ekman7": (3, 7), "ferplus8": (3, 8)}
    assert embedding.shape == (3, built.features)
    for head, scores in together.items():
        torch.testing.assert_close(scores, torch.cat([one[head] for one in alone]), atol=2e-4, rtol=1e-3)
        assert scores.std(0).max() > 1e-4, "different faces have different scores"


@pytest.mark.parametrize("name", OURS)
def test_brightness_does_not_matter(name):
    built = network(name)
    x = torch.from_numpy(crops(name, 2, seed=1)).float() * 0.5
    with torch.no_grad():
        dark, bright = built(x)["ekman7"], built(x + 90)["ekman7"]
    torch.testing.assert_close(dark, bright, atol=2e-3, rtol=1e-2)


@pytest.mark.parametrize("name", list_architectures("sequence"))
def test_the_order_of_frames_matters(name):
    built = network(name)
    x = torch.from_numpy(crops(name, 2, seed=1)).float()
    with torch.no_grad():
        forward, backward = built(x)["ekman7"], built(x.flip(1))["ekman7"]
    assert (forward - backward).abs().max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_the_file_of_every_network_answers_like_it(name, tmp_path):
    one = get_architecture(name)
    card = ModelCard(
        name=f"{name}.test",
        task="expression",
        summary="Random weights.",
        licence="Apache-2.0",
        size_px=one.size,
        colour=one.colour,
        template="fer2013-mean",
        frames=FRAMES if one.family == "sequence" else 1,
        heads=(Head("ferplus8", "ferplus8"), Head("ekman7", "ekman7")),
    )
    built = network(name)
    file = export_expression(built, card, tmp_path, crops(name, 2, seed=2), tolerance=0.05)
    model = load_model(file, labels="ekman7")
    x = crops(name, 5, seed=3)
    given = model.predict_windows(x) if one.family == "sequence" else model.predict_proba(x)
    with torch.no_grad():
        wanted = torch.softmax(built(torch.from_numpy(x).float())["ekman7"], 1).numpy()
    np.testing.assert_allclose(given, wanted, atol=0.02)
    still = crops("resnet", 2)[:, : one.size, : one.size] if one.family != "sequence" else x[:, 0]
    if one.family == "sequence":
        assert model.frames == FRAMES
        np.testing.assert_allclose(
            model.predict_proba(still), model.predict_windows(np.repeat(still[:, None], FRAMES, 1)), atol=1e-6
        )
    else:
        assert model.embed(x).shape == (5, built.features) and model.embed(x[:0]).shape == (0, built.features)


@pytest.mark.parametrize(("name", "size"), [("vit", 50), ("svm-hog", 48)])
def test_what_cannot_be_built_says_why(name, size):
    with pytest.raises(ArgumentError):
        ExpressionNetwork(name, HEADS, size=size)
