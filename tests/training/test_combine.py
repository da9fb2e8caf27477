"""Several networks in one file: it says what they say in the mean, and its parts can be trained further."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import mien
from mien.catalog import Head, ModelCard, TrainingData, load_card
from mien.errors import ArgumentError, ModelError
from mien.labels import EKMAN7
from mien.models import load_model
from mien.models.network import calibrated
from mien.sources.labelled import LabelledImages
from mien.training.base import start_from
from mien.training.combine import combine_models, write_combined
from mien.training.data import hold_out, together
from mien.training.export import export_expression, write_card
from mien.training.networks import ExpressionNetwork
from mien.training.run import Test as Measured

HEADS = {"ferplus8": 8, "ekman7": 7}
CROPS = np.random.default_rng(0).integers(0, 256, (24, 48, 48), dtype=np.uint8)


def written(folder, arch, seed, temperature):
    """Write a network that has seen something; return its file."""
    torch.manual_seed(seed)
    network = ExpressionNetwork(arch, HEADS)
    with torch.no_grad():
        for _ in range(20):
            network(torch.from_numpy(CROPS).float())
    card = ModelCard(
        name=f"{arch}.{seed}",
        task="expression",
        summary="x",
        licence="Apache-2.0",
        size_px=48,
        colour="grey",
        template="fer2013-mean",
        heads=tuple(Head(h, h, temperature=temperature) for h in HEADS),
        trained_with=f"mien train --seed {seed}",
        training_data=(TrainingData("faces", "free", "pictures", 100 * seed),),
    )
    storage = {"storage": "int8", "typical": CROPS} if arch == "resnet-tiny" else {"tolerance": 0.05}
    return export_expression(network.eval(), card, folder, CROPS[:2], **storage)


def with_card(file, folder, name, **changes):
    """Copy a file, with another card."""
    copied = folder / f"{name}.onnx"
    shutil.copyfile(file, copied)
    write_card(replace(load_card(file.with_suffix(".toml")), name=name, **changes), folder)
    return copied


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    return [written(folder, "cnn-bn", 1, 0.5), written(folder, "resnet-tiny", 2, 2.0)]


def test_it_says_what_its_members_say_in_the_mean(pair, tmp_path):
    file = write_combined(pair, "pair.test", tmp_path, command="mien combine")
    for labels in HEADS:
        members = [load_model(path, labels=labels) for path in pair]
        wanted = sum(m.scores(CROPS) / m.head.temperature for m in members) / 2
        given = load_model(file, labels=labels)
        np.testing.assert_allclose(given.scores(CROPS), wanted, atol=1e-3)
        np.testing.assert_allclose(given.predict_proba(CROPS), calibrated(wanted, given.head), atol=1e-3)
    embeddings = [load_model(path).embed(CROPS) for path in pair]
    np.testing.assert_allclose(load_model(file).embed(CROPS), np.hstack(embeddings), rtol=1e-4, atol=1e-4)


def test_its_card_says_what_it_is_made_of(pair, tmp_path):
    card = load_card(write_combined(pair, "pair.test", tmp_path, command="typed").with_suffix(".toml"))
    members = [load_card(path.with_suffix(".toml")) for path in pair]
    assert card.parameters == sum(one.parameters for one in members)
    assert card.training_data == members[1].training_data
    assert "cnn-bn + resnet-tiny" in card.summary
    assert card.trained_with == ("typed; cnn-bn.1: mien train --seed 1; resnet-tiny.2: mien train --seed 2")
    assert [head.temperature for head in card.heads] == [1.0, 1.0]
    golden = np.load(tmp_path / "pair.test.npz")
    model = load_model(tmp_path / "pair.test.onnx", labels="ekman7")
    np.testing.assert_allclose(model.scores(golden["crops"]), golden["ekman7"], atol=1e-4)


def test_a_combination_can_be_combined_again(pair, tmp_path):
    first = write_combined(pair, "pair.test", tmp_path)
    second = write_combined([first, pair[0]], "trio.test", tmp_path)
    members = [load_model(path) for path in (first, pair[0])]
    wanted = (members[0].scores(CROPS) + members[1].scores(CROPS) / 0.5) / 2
    np.testing.assert_allclose(load_model(second).scores(CROPS), wanted, atol=1e-3)
    fresh = ExpressionNetwork("resnet-tiny", HEADS)
    start_from(fresh, str(second), torch.from_numpy(CROPS).float())


@pytest.mark.parametrize(("arch", "place"), [("cnn-bn", 0), ("resnet-tiny", 1)])
def test_each_member_can_be_trained_further(pair, tmp_path, arch, place):
    file = write_combined(pair, "pair.test", tmp_path)
    crops = torch.from_numpy(CROPS).float()
    fresh = ExpressionNetwork(arch, HEADS)
    start_from(fresh, str(file), crops)
    with torch.no_grad():
        given = fresh.eval()(crops)["ekman7"].numpy()
    wanted = load_model(pair[place], labels="ekman7").scores(CROPS)
    assert np.sqrt(np.mean((given - wanted) ** 2)) < 0.1 * wanted.std()


def test_no_other_architecture_starts_from_it(pair, tmp_path):
    file = write_combined(pair, "pair.test", tmp_path)
    with pytest.raises(ModelError, match="Choose the architecture"):
        start_from(ExpressionNetwork("cnn", HEADS), str(file), torch.from_numpy(CROPS).float())


def test_only_label_sets_that_all_have_are_answered_in(pair, tmp_path):
    other = with_card(pair[0], tmp_path, "cnn-bn.3", heads=(Head("ekman7", "ekman7"),))
    card = load_card(write_combined([pair[0], other], "pair.test", tmp_path).with_suffix(".toml"))
    assert [head.labels for head in card.heads] == ["ekman7"]
    third = with_card(pair[0], tmp_path, "cnn-bn.4", heads=(Head("ferplus8", "ferplus8"),))
    with pytest.raises(ModelError, match="no label set in common"):
        write_combined([other, third], "none.test", tmp_path)
    assert not list(tmp_path.glob("none.test*"))


@pytest.mark.parametrize("change", [{"margin": 0.1}, {"mean": (127.0,)}, {"std": (2.0,)}])
def test_networks_of_other_crops_are_refused(pair, tmp_path, change):
    other = with_card(pair[1], tmp_path, "cnn-bn.3", **change)
    with pytest.raises(ModelError, match=r"other crops than cnn-bn\.1"):
        write_combined([pair[0], other], "pair.test", tmp_path)
    assert not list(tmp_path.glob("pair.test*"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"frames": 4}, "no network of single pictures"),
        ({"heads": (Head("ekman7", "ekman7", "probabilities"),)}, "answer ekman7 in logits"),
    ],
)
def test_other_kinds_of_models_are_refused(pair, tmp_path, change, complaint):
    other = with_card(pair[1], tmp_path, "other.3", **change)
    with pytest.raises(ModelError, match=complaint):
        write_combined([pair[0], other], "pair.test", tmp_path)


def test_one_is_not_enough(pair, tmp_path):
    with pytest.raises(ArgumentError, match="two or more"):
        write_combined(pair[:1], "pair.test", tmp_path)


def test_licences_of_different_members_are_all_named(pair, tmp_path):
    other = with_card(pair[1], tmp_path, "cnn-bn.3", licence="MIT")
    card = load_card(write_combined([pair[0], other], "pair.test", tmp_path).with_suffix(".toml"))
    assert card.licence == "Apache-2.0 AND MIT"


def test_it_is_calibrated_on_what_was_set_aside_and_measured(pair, tmp_path):
    random = np.random.default_rng(1)
    pictures = random.integers(0, 256, (400, 48, 48), dtype=np.uint8)
    model = load_model(write_combined(pair, "first.test", tmp_path), labels="ekman7")
    corpus = LabelledImages(
        "noise", EKMAN7, pictures, np.zeros(400, int), np.full(400, ""), np.arange(400).astype(str)
    )
    crops = np.stack([model.crop.cut_framed(picture) for picture in pictures])
    label = model.predict_proba(crops).argmax(axis=1)
    aside = hold_out(together(corpus), 0.25, 3)
    wrong = aside & (random.random(400) < 0.4)  # right wherever it is not calibrated, and at times there
    label[wrong] = (label[wrong] + random.integers(1, 7, wrong.sum())) % 7
    corpus = replace(corpus, label=label)
    card = combine_models(
        pair,
        [corpus],
        out=tmp_path,
        name="pair.test",
        held_out=0.25,
        split_seed=3,
        tests=[Measured(corpus, None, "typed")],
    )
    probability = load_model(tmp_path / "pair.test.onnx", labels="ekman7").predict_proba(crops)[aside]
    right = (probability.argmax(axis=1) == label[aside]).mean()
    assert 0.5 < right < 0.7
    assert probability.max(axis=1).mean() == pytest.approx(right, abs=0.01)
    assert model.predict_proba(crops)[aside].max(axis=1).mean() < 0.5
    assert card.head("ferplus8").temperature == 1
    assert [(m.name, m.n) for m in card.metrics][:1] == [("accuracy", 400)]
    readings = mien.Analyzer(model=load_model(tmp_path / "pair.test.onnx")).analyze(pictures[0])
    assert readings.model == "pair.test"
