"""The network that told people apart: its file is read, and answers in colour as the network does in grey."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mien.errors import ArgumentError, MissingExtraError, ModelError
from mien.labels import EKMAN7
from mien.sources.labelled import LabelledImages
from mien.training import identity
from mien.training.architectures import get_architecture
from mien.training.augment import cut
from mien.training.data import prepare
from mien.training.fit import fit
from mien.training.identity import BLOCKS, MEAN, SCALE, FaceResnet
from mien.training.recipe import recipe_for

WIDTHS = [BLOCKS[0][0], *(width for width, count in BLOCKS for _ in range(2 * count))]


def whole(value):
    data = value.to_bytes((value.bit_length() + 7) // 8 or 1, "little")
    return bytes([len(data)]) + data


def layer(kind, *tensors):
    """Write a layer as the file does: its kind, a version, four lengths, the numbers."""
    numbers = np.concatenate([np.asarray(one, "<f4").ravel() for one in tensors])
    return kind + b"\x01\x02" + whole(len(numbers)) + b"\x01\x01" * 3 + numbers.tobytes()


def some_layers():
    rng = np.random.default_rng(0)
    inputs, layers = 3, []
    for i, width in enumerate(WIDTHS):
        side = 3 if i else 7
        weight = rng.normal(0, (2 / (inputs * side * side)) ** 0.5, (width, inputs, side, side))
        layers.append(
            (weight, rng.normal(0, 0.1, width), rng.uniform(0.5, 1.5, width), rng.normal(0, 0.1, width))
        )
        inputs = width
    return [tuple(torch.from_numpy(part).float() for part in one) for one in layers]


def write(path, layers):
    content = b"\x05dlib-net"
    for weight, bias, scale, shift in layers:
        content += layer(b"con_4", weight, bias) + b"\x02\x07" + layer(b"affine_", scale, shift) + b"relu_"
    path.write_bytes(content)
    return path


def in_colour(layers, x):
    """Answer for colours of 0 to 255, a layer after the other."""

    def step(x, i, stride=1, border=1):
        weight, bias, scale, shift = layers[i]
        return F.conv2d(x, weight, bias, stride, border) * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)

    x = F.max_pool2d(step((x - torch.tensor(MEAN).view(1, 3, 1, 1)) / SCALE, 0, 2, 0).relu(), 3, 2)
    i = 1
    for stage, (width, count) in enumerate(BLOCKS):
        for j in range(count):
            halves = stage > 0 and j == 0
            seen = step(step(x, i, *((2, 0) if halves else (1, 1))).relu(), i + 1)
            kept = F.avg_pool2d(x, 2) if halves else x
            total = torch.zeros(
                len(x), width, max(seen.shape[2], kept.shape[2]), max(seen.shape[3], kept.shape[3])
            )
            for part in (seen, kept):
                total[:, : part.shape[1], : part.shape[2], : part.shape[3]] += part
            x, i = total.relu(), i + 2
    return x.mean(dim=(2, 3))


@pytest.mark.parametrize("size", [96, 112])
def test_the_file_answers_as_its_own_network_would(tmp_path, size):
    layers = some_layers()
    network = FaceResnet(str(write(tmp_path / "faces.dat", layers))).eval()
    grey = torch.randn(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    shown = (identity.FACE_DEVIATION * grey + identity.FACE_MEAN).expand(-1, 3, -1, -1)
    with torch.no_grad():
        answer, wanted = network(grey), in_colour(layers, shown)
    assert answer.shape == (2, network.features)
    torch.testing.assert_close(answer, wanted, rtol=1e-3, atol=1e-3)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        FaceResnet(str(tmp_path / "none.dat"))
    (tmp_path / "text.dat").write_text("con_4 and affine_, but no numbers")
    with pytest.raises(ModelError, match=r"text\.dat holds the weights of another network"):
        FaceResnet(str(tmp_path / "text.dat"))
    layers = some_layers()
    short = write(tmp_path / "short.dat", layers)
    short.write_bytes(short.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cut short"):
        FaceResnet(str(short))
    with pytest.raises(ModelError, match="another network"):
        FaceResnet(str(write(tmp_path / "fewer.dat", layers[:-1])))
    with pytest.raises(ModelError, match="another network"):
        FaceResnet(str(write(tmp_path / "other.dat", layers[::-1])))


def test_too_small_pictures_are_refused():
    network = FaceResnet("", identity.SMALLEST)
    assert network(torch.zeros(2, 1, identity.SMALLEST, identity.SMALLEST)).shape == (2, network.features)
    with pytest.raises(ArgumentError, match="from 64"):
        FaceResnet("", identity.SMALLEST - 1)


def test_without_the_package_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(identity, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="pip install face_recognition_models"):
        FaceResnet("hub")


def test_the_package_is_not_imported(monkeypatch, tmp_path):
    """It imports what newer Pythons no longer have."""
    package = tmp_path / identity.PACKAGE
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    layers = some_layers()
    write(package / "models" / identity.FILE, layers)
    monkeypatch.syspath_prepend(tmp_path)
    network = FaceResnet("hub")
    torch.testing.assert_close(network.blocks[0].body[0].weight, layers[1][0])


@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")  # inside Lightning
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:DeprecationWarning")
def test_training_goes_on_from_the_file(tmp_path):
    """The normalisations that the file lacks are set up, so that the first steps lose nothing of it."""
    file = write(tmp_path / "faces.dat", some_layers())
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (24, 48, 48)).astype(np.uint8)
    label = np.arange(24) % 7
    names = np.arange(24).astype(str)
    corpus = LabelledImages("noise", EKMAN7, pictures, label, np.full(24, "Training"), names, None)
    recipe = recipe_for(
        "face-resnet", pretrained=str(file), size=64, epochs=1, batch=8, held_out=0.2, average=0.0
    )
    assert recipe.learning == 1 and get_architecture("face-resnet").colour == "grey"
    recipe = replace(recipe, learning_rate=0.0, weight_decay=0.0)
    data = prepare([corpus], recipe)
    module = fit(data, recipe, tmp_path / "run")
    start = FaceResnet(str(file)).eval()
    crops = cut(data.pictures["picture"][:4], data.pictures["aligned"][:4], 64)
    crops = module.network.standardise(crops[:, None])
    with torch.no_grad():
        answer, wanted = module.network.trunk(crops), start(crops)
    error = (answer - wanted).abs().mean() / wanted.abs().mean()
    assert error < 0.25  # its statistics are those of altered copies now
    further = replace(recipe, base=str(tmp_path / "run"), pretrained="hub")  # whose package need not be there
    assert fit(data, further, tmp_path / "further").network.trunk.features == start.features
    assert all(p.requires_grad for p in module.network.trunk.parameters() if isinstance(p, nn.Parameter))
