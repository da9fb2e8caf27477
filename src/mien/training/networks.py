"""A trunk by the name of its architecture, with one linear head per label set.

A network takes crops as they are cut (grey ``(n, S, S)``, RGB ``(n, S, S, 3)``, sequences
``(n, t, S, S)``; 0 to 255) and returns one score array per head. Whatever normalisation it needs is its
own first layer, so that training and inference cannot disagree about it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mien.errors import bad_argument
from mien.training.architectures import FACES, Architecture, get_architecture
from mien.training.identity import FaceResnet
from mien.training.layers import Standardise
from mien.training.sequences import SEQUENCES
from mien.training.stills import STILLS, Transfer, VisionTransformer

EMBEDDING = "embedding"
"""Name of the output that holds a trunk's answer, before the heads."""


class ExpressionNetwork(nn.Module):
    """A trunk with one linear head per label set.

    Parameters
    ----------
    arch : str
        See :func:`mien.training.architectures.list_architectures`; not a classic one.
    heads : mapping of str to int
        Number of outputs by the name of the head.
    size : int, optional
        Side of its crops in pixels; by default the architecture's.
    dropout : float
        Share of the features hidden from the heads while training, 0 to 1.
    weights : str
        What a transfer network starts from; see :class:`mien.training.stills.Transfer`.
    """

    def __init__(
        self, arch: str, heads: Mapping[str, int], *, size: int = 0, dropout: float = 0.0, weights: str = ""
    ) -> None:
        super().__init__()
        self.architecture = get_architecture(arch)
        self.standardise = nn.Identity() if self.architecture.colour == "rgb" else Standardise()
        self.trunk = build_trunk(self.architecture, size or self.architecture.size, weights)
        self.dropout = nn.Dropout(dropout)
        self.features = int(self.trunk.features)  # type: ignore[arg-type]  # every trunk says it
        self.heads = nn.ModuleDict({name: nn.Linear(self.features, k) for name, k in heads.items()})

    def embed(self, crops: Tensor) -> Tensor:
        """Return what the trunk says of crops: (n, features)."""
        x = crops
        if self.architecture.family == "still":
            planes = crops.permute(0, 3, 1, 2) if self.architecture.colour == "rgb" else crops[:, None]
            x = planes.contiguous(memory_format=torch.channels_last)
        return self.trunk(self.standardise(x))  # type: ignore[no-any-return]  # a Tensor

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Score crops.

        Parameters
        ----------
        crops : Tensor of shape (n, S, S), (n, S, S, 3) or (n, t, S, S)
            0 to 255.

        Returns
        -------
        dict of str to Tensor of shape (n, k)
            Logits by head.
        """
        x = self.dropout(self.embed(crops))
        return {name: head(x) for name, head in self.heads.items()}


def build_trunk(architecture: Architecture, size: int, weights: str) -> nn.Module:
    """Build the trunk of an architecture.

    Parameters
    ----------
    architecture : Architecture
        A network, not a classic model.
    size : int
        Side of its pictures in pixels.
    weights : str
        What a transfer network starts from.
    """
    if architecture.family == "classic":
        raise bad_argument("arch", allowed="a network", given=architecture.name)
    if architecture.backbone == FACES:
        return FaceResnet(weights, size)
    if architecture.backbone:
        return Transfer(architecture.backbone, weights, size)
    if architecture.name == "vit":
        return VisionTransformer(size)
    return {**STILLS, **SEQUENCES}[architecture.name]()
