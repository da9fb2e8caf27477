"""Training goes on from a run or from a model's file, which answers as before until it learns."""

import copy

import cv2
import numpy as np
import pytest
import torch
from matplotlib.cbook import get_sample_data

from mien.catalog import WEIGHTS, Head, ModelCard
from mien.errors import ModelError
from mien.labels import EKMAN7, FERPLUS8
from mien.models import load_model
from mien.runtime import Session
from mien.training.base import keep_of_base, start_from
from mien.training.export import export_expression
from mien.training.facepoint import FacePoint
from mien.training.networks import ExpressionNetwork

HEADS = {"ekman7": 7}
CARD = ModelCard(
    name="base.test",
    task="expression",
    summary="x",
    licence="x",
    size_px=48,
    colour="grey",
    template="fer2013-mean",
    heads=(Head("ekman7", "ekman7"),),
)


def trained(arch):
    """A network whose normalisations have seen something, and the crops they saw."""
    torch.manual_seed(1)
    network = ExpressionNetwork(arch, HEADS)
    crops = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (32, 48, 48))).float()
    with torch.no_grad():
        for _ in range(20):
            network(crops)
    return network.eval(), crops


@pytest.mark.parametrize("arch", ["resnet", "cnn", "mini-xception"])
def test_a_file_answers_alike_and_its_normalisations_are_set_up_for_training(arch, tmp_path):
    network, crops = trained(arch)
    file = export_expression(network, CARD, tmp_path, crops.numpy().astype(np.uint8), storage="float32")
    torch.manual_seed(2)
    fresh = ExpressionNetwork(arch, {"ekman7": 7, "anger+fear": 2})
    start_from(fresh, str(file), crops)
    with torch.no_grad():
        torch.testing.assert_close(
            fresh.eval()(crops)["ekman7"], network(crops)["ekman7"], atol=2e-3, rtol=1e-3
        )
        learning = fresh.train()(crops)["ekman7"]  # dropout is 0: only the statistics of the batch differ
    if arch != "cnn":
        torch.testing.assert_close(learning, network(crops)["ekman7"], atol=2e-2, rtol=1e-2)


def test_a_file_in_bytes_gives_its_weights_back(tmp_path):
    network, crops = trained("resnet-tiny")
    bytes_ = crops.numpy().astype(np.uint8)
    file = export_expression(network, CARD, tmp_path, bytes_, storage="int8", typical=bytes_)
    fresh = ExpressionNetwork("resnet-tiny", HEADS)
    start_from(fresh, str(file), crops)
    with torch.no_grad():
        wanted, given = (one.eval()(crops)["ekman7"] for one in (network, fresh))
    assert (given - wanted).square().mean().sqrt() < 0.1 * wanted.std()


def test_the_shipped_network_can_be_trained_further():
    model = load_model("resnet.ferplus", labels="ekman7")
    crops = np.random.default_rng(0).integers(0, 256, (16, 44, 44), dtype=np.uint8)
    fresh = ExpressionNetwork("resnet", HEADS)
    start_from(fresh, "resnet.ferplus", torch.from_numpy(crops).float())
    with torch.no_grad():
        given = fresh.eval()(torch.from_numpy(crops).float())["ekman7"].numpy()
    wanted = model.scores(crops)  # in whole numbers, which noise fills less well than faces do
    assert np.sqrt(np.mean((given - wanted) ** 2)) < 0.2 * wanted.std()


def test_a_base_of_another_architecture_is_refused():
    with pytest.raises(ModelError, match="Choose the architecture"):
        start_from(ExpressionNetwork("cnn", HEADS), "resnet.ferplus", torch.zeros(1, 44, 44))


def run_of(network, folder):
    """The folder that a run of a network leaves, as far as going on from it asks."""
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": weights}, folder / "last.ckpt")
    return str(folder)


def test_a_deeper_network_grows_from_a_shallower_run_and_answers_alike_until_it_learns(tmp_path):
    network, crops = trained("resnet")
    deep = ExpressionNetwork("resnet-deep", HEADS)
    start_from(deep, run_of(network, tmp_path), crops)
    with torch.no_grad():
        torch.testing.assert_close(deep.eval()(crops)["ekman7"], network(crops)["ekman7"])
    deep.train()(crops)["ekman7"].square().sum().backward()
    added = [layer.body[-1].weight.grad for layer in (deep.trunk[8], deep.trunk[11], deep.trunk[14])]
    assert all(float(gradient.abs().max()) > 0 for gradient in added), "what was added can learn"


def test_a_shallower_network_does_not_start_from_a_deeper_run(tmp_path):
    network, crops = trained("resnet-deep")
    with pytest.raises(ModelError, match="Choose the architecture"):
        start_from(ExpressionNetwork("resnet", HEADS), run_of(network, tmp_path), crops)


def test_a_part_of_the_base_is_kept_and_heads_it_lacked_stay(tmp_path):
    before, crops = trained("resnet-tiny")
    base = run_of(before, tmp_path)
    network = ExpressionNetwork("resnet-tiny", {**HEADS, "own2": 2})
    with torch.no_grad():
        for value in network.parameters():
            value.normal_(0, 0.1)
    new = copy.deepcopy(network.state_dict())
    keep_of_base(network, base, 0.25, crops)
    old = before.state_dict()
    for name, value in network.named_parameters():
        wanted = new[name] if "own2" in name else 0.25 * old[name] + 0.75 * new[name]
        torch.testing.assert_close(value.data, wanted, atol=1e-5, rtol=1e-4)


def test_statistics_are_those_of_the_kept_network(tmp_path):
    before, crops = trained("resnet-tiny")
    network = copy.deepcopy(before).train()
    momenta = [m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    keep_of_base(network, run_of(before, tmp_path), 0.5, crops)
    assert network.training
    assert momenta == [m.momentum for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    first = next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen = []
    handle = first.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    with torch.no_grad():
        network.eval()(crops)
    handle.remove()
    torch.testing.assert_close(first.running_mean, seen[0].mean((0, 2, 3)), atol=1e-5, rtol=1e-4)


def test_a_detector_goes_on_from_its_file():
    torch.manual_seed(0)
    network = FacePoint()
    portrait = cv2.imread(str(get_sample_data("grace_hopper.jpg", asfileobj=False)), cv2.IMREAD_GRAYSCALE)
    scenes = torch.from_numpy(np.stack([portrait[:320, 100:420], portrait[200:520, 100:420]])).float()
    start_from(network, "facepoint.scenes", scenes, task="detection")
    session = Session(WEIGHTS / "facepoint.scenes.onnx")
    stored = session.run({session.input_names[0]: scenes[:1].numpy()}, session.output_names)
    with torch.no_grad():
        score, box, points = network.eval()(scenes[:1])
    for mine, theirs in zip((torch.sigmoid(score), box, points), stored, strict=True):
        assert mine.shape == theirs.shape  # and the file computes in whole numbers
        assert np.sqrt(np.mean((mine.numpy() - theirs) ** 2)) < 0.06 * theirs.std()


def test_a_detector_grows_from_a_run_of_fewer_blocks_and_answers_alike_until_it_learns(tmp_path):
    torch.manual_seed(0)
    network = FacePoint().eval()
    with torch.no_grad():
        network.stages[1][-1].body[-1].weight.zero_()
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    fewer = {name: value for name, value in weights.items() if not name.startswith("network.stages.1.3.")}
    assert len(fewer) < len(weights)
    torch.save({"state_dict": fewer}, tmp_path / "last.ckpt")
    fresh = FacePoint().eval()
    scenes = torch.randint(0, 256, (1, 64, 96)).float()
    start_from(fresh, str(tmp_path), scenes, task="detection")
    with torch.no_grad():
        for mine, theirs in zip(fresh(scenes), network(scenes), strict=True):
            torch.testing.assert_close(mine, theirs)
    fresh.train()(scenes)[0].square().sum().backward()
    assert float(fresh.stages[1][-1].body[-1].weight.grad.abs().max()) > 0, "what was added can learn"


def test_a_detector_does_not_go_on_from_a_model_of_expressions():
    with pytest.raises(ModelError, match="a model for expression"):
        start_from(
            FacePoint(), str(WEIGHTS / "resnet.ferplus.onnx"), torch.zeros(2, 64, 64), task="detection"
        )


def test_heads_of_data_that_a_model_does_not_know_begin_with_what_its_first_head_reads():
    crops = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (64, 44, 44))).float()
    heads = {"ekman7": 7, "anger+fear": 2, "joy+surprise": 2, "blendshapes": 3}
    begun = {}
    for data in ((), ("FER2013", "FER+"), ("my-faces",)):
        torch.manual_seed(0)
        network = ExpressionNetwork("resnet", {"ferplus8": 8, **heads})
        start_from(network, "resnet.ferplus", crops, data=data)
        begun[data] = network.heads
    first = begun[()]["ferplus8"].weight
    fear, surprise = (FERPLUS8.index(name) for name in ("fear", "surprise"))
    mine = begun["my-faces",]
    assert torch.equal(mine["ferplus8"].weight, first)
    kept = [FERPLUS8.index(name) for name in EKMAN7]
    assert torch.equal(mine["ekman7"].weight, first[kept])
    assert torch.equal(mine["ekman7"].bias, begun[()]["ferplus8"].bias[kept])
    assert torch.equal(mine["anger+fear"].weight[1], first[fear])
    assert torch.equal(mine["joy+surprise"].weight[1], first[surprise])
    for same in ("ekman7", "anger+fear", "joy+surprise", "blendshapes"):
        assert torch.equal(begun["FER2013", "FER+"][same].weight, begun[()][same].weight) == (
            same in ("ekman7", "blendshapes")
        )
    assert torch.equal(mine["joy+surprise"].weight[0], begun[()]["joy+surprise"].weight[0])
    assert not torch.equal(mine["ekman7"].weight, begun[()]["ekman7"].weight)
