"""Transfer from timm's backbones: random weights, or from a file; never from a network.

Needs timm, and with it torchvision: run by .ci/run in an environment of its own.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.errors import ModelError, UnknownNameError
from mien.labels import EKMAN7
from mien.models import load_model
from mien.sources.labelled import LabelledImages
from mien.training.architectures import ARCHITECTURES, FACES
from mien.training.module import thaw
from mien.training.recipe import recipe_for
from mien.training.run import train_model
from mien.training.stills import Transfer

pytestmark = [
    pytest.mark.timm,
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torchvision's and timm's own
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

SMALL = "mobilenetv3_small_050"
TRANSFERS = [one.name for one in ARCHITECTURES.values() if one.backbone not in ("", FACES)]


@pytest.mark.parametrize("name", TRANSFERS)
def test_every_backbone_of_the_table_is_built_and_scores(name):
    one = ARCHITECTURES[name]
    torch.manual_seed(0)
    trunk = Transfer(one.backbone, "", one.size).eval()
    x = torch.rand(2, 3, one.size, one.size) * 255
    with torch.no_grad():
        answer = trunk(x)
    assert answer.shape == (2, trunk.features) and torch.isfinite(answer).all()


def test_weights_come_from_a_file(tmp_path):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    donor = timm.create_model(SMALL, num_classes=1000)
    save_file(donor.state_dict(), str(tmp_path / "weights.safetensors"))
    trunk = Transfer(SMALL, str(tmp_path / "weights.safetensors"), 64)
    theirs, ours = donor.state_dict(), trunk.body.state_dict()
    shared = [name for name in ours if name in theirs and theirs[name].shape == ours[name].shape]
    assert len(shared) > 100
    for name in shared:
        torch.testing.assert_close(ours[name], theirs[name])


def test_without_a_network_it_says_what_to_do(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="give the file"):
        Transfer(SMALL, "hub", 64)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"conv.weight": torch.zeros(3)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(ModelError, match=r"other\.safetensors"):
        Transfer(SMALL, str(tmp_path / "other.safetensors"), 64)
    with pytest.raises(ModelError, match="does not exist"):
        Transfer(SMALL, str(tmp_path / "none.safetensors"), 64)


def test_an_unknown_backbone_names_the_nearest():
    with pytest.raises(UnknownNameError, match="resnet50"):
        Transfer("resnet_50", "", 64)


def test_first_the_head_then_the_upper_half():
    trunk = Transfer(SMALL, "", 64).train()
    thaw(trunk, 0.0)
    assert not any(p.requires_grad for p in trunk.parameters())
    assert not any(m.training for m in trunk.modules() if isinstance(m, torch.nn.BatchNorm2d))
    trunk.train()
    thaw(trunk, 0.5)
    learns = [p.requires_grad for p in trunk.parameters()]
    assert not any(learns[: len(learns) // 2]) and all(learns[len(learns) // 2 :])
    norms = [m.training for m in trunk.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not norms[0] and norms[-1]


def stripes(n):
    random = np.random.default_rng(0)
    level = np.arange(n) % 2
    wave = 60 * np.sin(np.arange(80) * 0.5)
    pictures = np.where(level[:, None, None], wave[None, :, None], wave[None, None, :])
    pictures = (pictures + 128 + random.normal(0, 10, (n, 80, 80))).clip(0, 255).astype(np.uint8)
    label = np.where(level, EKMAN7.index("happiness"), EKMAN7.index("anger"))
    colour = np.repeat(pictures[..., None], 3, axis=3)
    return LabelledImages("stripes", EKMAN7, colour, label, np.full(n, ""), np.arange(n).astype(str))


def test_a_transfer_network_is_trained_and_its_file_scores(tmp_path):
    corpus = stripes(96)
    recipe = recipe_for(
        f"timm:{SMALL}", size=64, epochs=10, batch=16, average=0.5, held_out=0.2, head_epochs=1, dropout=0.0
    )
    card = train_model(
        corpus, replace(recipe, learning_rate=3e-3), run=tmp_path / "run", out=tmp_path, name="timm.own"
    )
    assert card.colour == "rgb" and card.size_px == 64
    model = load_model(tmp_path / "timm.own.onnx")
    crops = np.stack([model.crop.cut_framed(image) for image in corpus.images])
    probability = model.predict_proba(crops)
    np.testing.assert_allclose(probability.sum(1), 1, atol=1e-5)
    assert (probability.argmax(1) == corpus.label).mean() > 0.8
