"""Networks of one picture: each function builds a trunk that maps (n, c, S, S) to (n, features)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import ModelError, bad_argument, require, unknown_name
from mien.training.layers import Attention, FixedScale, ResidualBlock, SeparableBlock, convolution


class Trunk(nn.Sequential):
    """Layers in a row that end in one vector a picture.

    Parameters
    ----------
    layers : sequence of Module
    features : int
        Length of the vector.
    """

    def __init__(self, *layers: nn.Module, features: int) -> None:
        super().__init__(*layers)
        self.features = features


def resnet() -> Trunk:
    """Build the residual network that ships: 14 convolutions, 2.8 M weights.

    One thin layer at full resolution, then three stages of two blocks: at 44 pixels the work is
    balanced over the stages, and full-resolution maps, which cost most in training, appear once.
    """
    blocks = ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1))
    return _residual([*convolution(1, 24), *convolution(24, 64, stride=2)], 64, blocks)


def resnet_slim() -> Trunk:
    """Build a slimmer `resnet`: 14 convolutions, 1.8 M weights, two thirds of the work."""
    blocks = ((48, 1), (48, 1), (104, 2), (104, 1), (208, 2), (208, 1))
    return _residual([*convolution(1, 24), *convolution(24, 48, stride=2)], 48, blocks)


def resnet_deep() -> Trunk:
    """Build `resnet` with a third block in every stage: 20 convolutions, 4.4 M weights, 1.5 times the work.

    A trained `resnet` grows into it: the blocks added begin as what changes nothing.
    """
    stages = ((64, 1), (128, 2), (256, 2))
    blocks = [(width, stride if i == 0 else 1) for width, stride in stages for i in range(3)]
    return _residual([*convolution(1, 24), *convolution(24, 64, stride=2)], 64, blocks)


def resnet_tiny() -> Trunk:
    """Build a small one: 10 convolutions, 0.5 M weights, a sixth of the work, no layer at full resolution."""
    blocks = ((64, 2), (64, 1), (104, 2), (104, 1))
    return _residual([*convolution(1, 16, stride=2), *convolution(16, 32)], 32, blocks)


def resnet_wide() -> Trunk:
    """Build a large one for others to learn from: 18 convolutions, 11 M weights, six times the work."""
    blocks = ((96, 1), (96, 1), (192, 2), (192, 1), (192, 1), (448, 2), (448, 1), (448, 1))
    return _residual([*convolution(1, 48), *convolution(48, 96, stride=2)], 96, blocks)


def _residual(stem: list[nn.Module], width: int, blocks: Sequence[tuple[int, int]]) -> Trunk:
    """Return blocks of given widths and strides after a stem, and the mean over what they see."""
    layers = list(stem)
    for outputs, stride in blocks:
        layers.append(ResidualBlock(width, outputs, stride))
        width = outputs
    return Trunk(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), features=width)


def cnn() -> Trunk:
    """Build plain convolutions: three pairs, each followed by pooling, and one linear layer.

    Of the kind of EmoPy's ConvolutionalNN: no normalisation, no dropout.
    """
    layers: list[nn.Module] = []
    width = 1
    for outputs in (32, 64, 128):
        layers += [nn.Conv2d(width, outputs, 3, 1, 1), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(outputs, outputs, 3, 1, 1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        width = outputs
    trunk = Trunk(*layers, *_flat(width, 256), features=256)
    for (
        layer
    ) in trunk.modules():  # He et al. 2015, arXiv 1502.01852: torch's own start fades from layer to layer
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # a bias is there
    return trunk


def cnn_bn() -> Trunk:
    """Build the same with batch normalisation after each convolution, and dropout after each pooling."""
    layers: list[nn.Module] = []
    width = 1
    for outputs in (32, 64, 128):
        layers += [*convolution(width, outputs), *convolution(outputs, outputs)]
        layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
        width = outputs
    return Trunk(*layers, *_flat(width, 256), features=256)


def _flat(width: int, outputs: int) -> list[nn.Module]:
    """Return a linear layer over the cells of a map; 5 x 5 of them, whatever the size of the picture."""
    return [
        nn.AdaptiveAvgPool2d(5),
        nn.Flatten(),
        nn.Linear(25 * width, outputs),
        nn.ReLU(inplace=True),
    ]


def mini_xception() -> Trunk:
    """Build mini-Xception (Arriaga et al. 2017, arXiv 1710.07557): 0.06 M weights, separable convolutions."""
    layers = [*convolution(1, 8), *convolution(8, 8)]
    width = 8
    for outputs in (16, 32, 64, 128):
        layers.append(SeparableBlock(width, outputs))
        width = outputs
    return Trunk(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), features=width)


class VisionTransformer(nn.Module):
    """A small vision transformer that learns from scratch.

    Two convolutions before the patches (Xiao et al. 2021, arXiv 2106.14881) stand for what a large
    transformer learns from millions of pictures; the mean over the patches is the answer.

    Parameters
    ----------
    size : int
        Side of its pictures in pixels, divisible by 8.
    width, layers, heads : int
    """

    def __init__(self, size: int = 48, width: int = 160, layers: int = 6, heads: int = 5) -> None:
        super().__init__()
        if size % 8:
            raise bad_argument("size", allowed="divisible by 8 for a vision transformer", given=size)
        self.features = width
        self.patches = nn.Sequential(
            *convolution(1, 32, 2), *convolution(32, 64, 2), nn.Conv2d(64, width, 2, 2)
        )
        self.place = nn.Parameter(0.02 * torch.randn(1, (size // 8) ** 2, width))
        self.layers = nn.Sequential(*(Attention(width, heads, 0.1) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        return self.norm(self.layers(patches + self.place)).mean(1)  # type: ignore[no-any-return]  # a Tensor


class Transfer(nn.Module):
    """A backbone of timm with the weights it learned from other pictures.

    Parameters
    ----------
    backbone : str
        Name of the model in timm.
    weights : str
        "" for random weights, "hub" to fetch those of timm, or a file of them (.safetensors, .pth).
    size : int
        Side of its pictures in pixels.

    Raises
    ------
    UnknownNameError
        If timm has no such model.
    ModelError
        If the weights cannot be had, or do not fit.
    """

    def __init__(self, backbone: str, weights: str, size: int) -> None:
        super().__init__()
        timm = require("timm", purpose=f"The backbone {backbone!r}", extra="timm")
        if not timm.is_model(backbone):
            raise unknown_name("model of timm", backbone, timm.list_models())
        options: dict[str, Any] = {"num_classes": 0, "global_pool": "avg"}
        if backbone.startswith(("vit_", "deit", "swin", "beit", "eva")):
            options["img_size"] = size
        if weights not in ("", "hub"):
            options["pretrained_cfg_overlay"] = {"state_dict": _read_weights(Path(weights))}
        try:
            self.body = timm.create_model(backbone, pretrained=bool(weights), **options)
        except Exception as error:  # timm, its hub client and torch each raise their own
            raise ModelError(_no_weights(backbone, weights, error)) from error
        if weights not in ("", "hub"):
            _check_names(self.body, options["pretrained_cfg_overlay"]["state_dict"], backbone, weights)
        config = self.body.pretrained_cfg
        self.scale = FixedScale(tuple(config["mean"]), tuple(config["std"]))
        with torch.no_grad():
            self.features = int(self.eval()(torch.zeros(1, 3, size, size)).shape[1])
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.scale(x))  # type: ignore[no-any-return]  # a Tensor


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of weights, never running anything in it."""
    if not path.is_file():
        raise ModelError(f"{path} does not exist; expected a file of weights (.safetensors, .pth).")
    try:
        if path.suffix == ".safetensors":
            safetensors = require("safetensors.torch", purpose="A .safetensors file", extra="timm")
            given = safetensors.load_file(path)
        else:
            given = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors each raise their own
        raise ModelError(f"{path} is no file of weights that can be read safely ({error}).") from error
    inner: dict[str, Tensor] | None = given.get("state_dict", given) if isinstance(given, dict) else None
    if not inner or not all(isinstance(value, Tensor) for value in inner.values()):
        raise ModelError(f"{path} holds no weights by name.")
    return inner


def _check_names(body: nn.Module, given: dict[str, Tensor], backbone: str, weights: str) -> None:
    """Refuse weights of another network, of which timm would load what fits: nothing."""
    wanted = [name for name, _ in body.named_parameters()]
    found = sum(name in given for name in wanted)
    if found < 0.9 * len(wanted):
        raise ModelError(
            f"{weights} holds the weights of another network: "
            f"of the {len(wanted)} of {backbone!r} it has {found}."
        )


def _no_weights(backbone: str, weights: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if weights == "hub":
        return (
            f"The weights of {backbone!r} cannot be fetched ({reason}). Without a network, fetch them "
            "elsewhere and give the file (--pretrained FILE), or start from random ones (--pretrained none)."
        )
    return f"{weights or backbone}: timm cannot build {backbone!r} with it ({reason})."


STILLS: dict[str, Callable[[], nn.Module]] = {
    "cnn": cnn,
    "cnn-bn": cnn_bn,
    "mini-xception": mini_xception,
    "resnet": resnet,
    "resnet-deep": resnet_deep,
    "resnet-slim": resnet_slim,
    "resnet-tiny": resnet_tiny,
    "resnet-wide": resnet_wide,
}
"""Trunks that take any size of picture, by the name of their architecture."""
