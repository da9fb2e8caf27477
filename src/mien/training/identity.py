"""A network that learned to tell people apart from millions of faces, as a start for expressions.

Its layers and weights are those of dlib's face recognition (King 2017, in the public domain), a residual
network of 29 convolutions after He et al. 2016 (arXiv 1512.03385), here without its last block, which
leaves one cell of the face. The file is the one of the package face_recognition_models,
``dlib_face_recognition_resnet_model_v1.dat``; it is read as numbers, nothing in it is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mien.errors import MissingExtraError, ModelError, bad_argument

PACKAGE = "face_recognition_models"
FILE = "dlib_face_recognition_resnet_model_v1.dat"

BLOCKS = ((32, 3), (64, 4), (128, 3), (256, 3))
"""Width and number of the blocks of each stage; all but the first stage begin by halving the map."""

MEAN = (122.782, 117.001, 104.298)
"""Of the red, green and blue that the weights were trained with; King 2017."""

SMALLEST = 64
"""Side of the smallest pictures of which something remains after four halvings without a border."""

SCALE = 256.0
"""By which they were divided."""

FACE_MEAN, FACE_DEVIATION = 118.0, 58.0
"""What a standardised grey crop is taken to have had: about what faces have in the mean."""

LAYER = re.compile(rb"(?:con_4|affine_)\x01\x02")
"""Where the numbers of a layer begin in the file: its kind, and the version of what follows."""


class FaceResnet(nn.Module):
    """The trunk: standardised grey faces (n, 1, S, S) to (n, 256), the mean over the last map.

    Parameters
    ----------
    weights : str
        "" for random ones, "hub" for those of the installed package, or their file.
    size : int
        Side of its pictures in pixels, from 64.

    Raises
    ------
    ArgumentError
        If the pictures are too small.
    ModelError
        If the file is another one.
    MissingExtraError
        If the package is asked for and not installed.
    """

    def __init__(self, weights: str, size: int = 112) -> None:
        super().__init__()
        if size < SMALLEST:
            raise bad_argument("size", allowed=f"from {SMALLEST} for this network", given=size)
        self.stem = nn.Conv2d(1, BLOCKS[0][0], 7, 2, bias=False)
        self.norm = nn.BatchNorm2d(BLOCKS[0][0])
        blocks, width = [], BLOCKS[0][0]
        for stage, (outputs, count) in enumerate(BLOCKS):
            for i in range(count):
                blocks.append(IdentityBlock(width, outputs, halves=i == 0 and stage > 0))
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.features = width
        if weights:
            _load(self, Path(_installed() if weights == "hub" else weights))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 3, 2)
        return self.blocks(x).mean(dim=(2, 3))  # type: ignore[no-any-return]  # a Tensor


class IdentityBlock(nn.Module):
    """Two convolutions beside a shortcut without weights; the smaller of the two is filled up with zeros.

    Parameters
    ----------
    inputs, outputs : int
        Widths.
    halves : bool
        Whether the map is halved, by steps of two without a border.
    """

    def __init__(self, inputs: int, outputs: int, *, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        stride, border = (2, 0) if halves else (1, 1)
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, border, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        seen, kept = self.body(x), F.avg_pool2d(x, 2) if self.halves else x
        shape = [max(a, b) for a, b in zip(seen.shape[1:], kept.shape[1:], strict=True)]
        return F.relu(_filled(seen, shape) + _filled(kept, shape))


def _filled(x: Tensor, shape: list[int]) -> Tensor:
    """Fill up (n, c, h, w) with zeros behind, to a shape (c, h, w)."""
    missing = [wanted - had for wanted, had in zip(shape, x.shape[1:], strict=True)]
    if not any(missing):
        return x
    return F.pad(x, (0, missing[2], 0, missing[1], 0, missing[0]))


def _installed() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"Starting from faces needs the package {PACKAGE!r}: pip install {PACKAGE}; or give its file "
            f"{FILE} (--pretrained FILE), or start from random weights (--pretrained none)."
        )
    return Path(spec.submodule_search_locations[0]) / "models" / FILE


@torch.no_grad()
def _load(network: FaceResnet, path: Path) -> None:
    """Put the file's numbers into a network, as they act on standardised grey."""
    layers = _layers(path)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    try:
        for convolution, norm in zip(convolutions, norms, strict=True):
            first = convolution is network.stem
            shape = (
                convolution.out_channels,
                3 if first else convolution.in_channels,
                *convolution.kernel_size,
            )
            weight, bias = _split(next(layers), shape)
            if first:
                weight, bias = _grey(weight, bias)
            convolution.weight.copy_(weight)
            scale, shift = _split(next(layers), (len(bias),))
            norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
            norm.bias.copy_(shift + scale * bias)
    except (StopIteration, ValueError) as error:
        raise ModelError(f"{path} holds the weights of another network than {FILE}.") from error


def _grey(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Turn a first layer of colours in their own range into one of standardised grey."""
    weight = weight / SCALE
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    bias = bias + (weight * (FACE_MEAN - mean)).sum(dim=(1, 2, 3))
    return FACE_DEVIATION * weight.sum(dim=1, keepdim=True), bias


def _split(numbers: NDArray[np.float32], shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Take apart what a layer multiplies with, of a given shape, and what it adds."""
    given = torch.from_numpy(numbers.copy())
    size = int(np.prod(shape))
    if len(given) != size + shape[0]:
        raise ValueError(f"{len(given)} numbers for {size + shape[0]}")
    return given[:size].view(shape), given[size:]


def _layers(path: Path) -> Iterator[NDArray[np.float32]]:
    """Yield the numbers of every convolution and scaling of a file, from the picture on."""
    if not path.is_file():
        raise ModelError(f"{path} does not exist; expected {FILE}.")
    content = path.read_bytes()
    place = 0
    while (found := LAYER.search(content, place)) is not None:
        place, count = found.end(), 1
        for _ in range(4):
            length, place = _whole(content, place)
            count *= length
        if count < 0 or place + 4 * count > len(content):
            raise ModelError(f"{path} is cut short; expected {FILE}.")
        yield np.frombuffer(content, "<f4", count, place)
        place += 4 * count


def _whole(content: bytes, place: int) -> tuple[int, int]:
    """Read a whole number: how many bytes it has, then these, the lowest first."""
    length = content[place] & 0x0F
    return int.from_bytes(content[place + 1 : place + 1 + length], "little"), place + 1 + length
