"""Every architecture that can be trained, by name. What it is, not how: this table needs no torch.

The networks themselves are built in :mod:`mien.training.networks`, the classic models in
:mod:`mien.training.classic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.errors import unknown_name

FAMILIES = ("classic", "still", "sequence")
"""Features and a support vector machine; a network of one picture; a network of several in order."""

TIMM = "timm:"
"""What stands before the name of any backbone that timm knows."""

FACES = "dlib-faces"
"""The backbone that learned to tell people apart; :mod:`mien.training.identity`."""


@dataclass(frozen=True)
class Architecture:
    """What can be trained under one name.

    Parameters
    ----------
    name : str
    family : str
        One of :data:`FAMILIES`.
    summary : str
        One line.
    size : int
        Side of its crops in pixels, where the recipe does not say otherwise.
    colour : {"grey", "rgb"}
    backbone : str
        What a transfer network starts from: a timm model, or :data:`FACES`; empty for all others.
    counted : bool
        Whether its files compute in whole numbers of 8 bits (:mod:`mien.training.quantise`).
    defaults : mapping of str to value
        Fields of the recipe in which it differs from the common ones.
    """

    name: str
    family: str
    summary: str
    size: int
    colour: str = "grey"
    backbone: str = ""
    counted: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


ADAM: Mapping[str, Any] = {"optimiser": "adamw", "learning_rate": 2e-3, "weight_decay": 0.02}
TRANSFER: Mapping[str, Any] = {
    "optimiser": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.02,
    "epochs": 10,
    "batch": 32,
    "head_epochs": 2,
}
FROM_FACES: Mapping[str, Any] = {"learning_rate": 0.03, "epochs": 20, "learning": 1.0}
WINDOW: Mapping[str, Any] = {**ADAM, "learning_rate": 1e-3, "batch": 32, "epochs": 20}

_TABLE = (
    Architecture("svm-hog", "classic", "support vector machine over histograms of gradients", 48),
    Architecture("svm-lbp", "classic", "support vector machine over local binary patterns", 48),
    Architecture("svm-geometry", "classic", "support vector machine over 70 landmarks", 48),
    Architecture("cnn-svm", "classic", "support vector machine over a network's embedding", 44),
    Architecture(
        "cnn",
        "still",
        "plain convolutions, as EmoPy's ConvolutionalNN",
        48,
        defaults={**ADAM, "learning_rate": 1e-3},
    ),
    Architecture("cnn-bn", "still", "the same with dropout and batch normalisation", 48, defaults=ADAM),
    Architecture(
        "mini-xception",
        "still",
        "separable convolutions, 0.06 M weights (Arriaga et al. 2017)",
        48,
        defaults={**ADAM, "learning_rate": 4e-3},
    ),
    Architecture(
        "resnet", "still", "residual network of 14 convolutions, 2.8 M weights; ships", 44, counted=True
    ),
    Architecture(
        "resnet-slim", "still", "residual network of 14 convolutions, 1.8 M weights", 44, counted=True
    ),
    Architecture(
        "resnet-deep", "still", "residual network of 20 convolutions, 4.4 M weights", 44, counted=True
    ),
    Architecture(
        "resnet-tiny", "still", "residual network of 10 convolutions, 0.5 M weights; ships", 44, counted=True
    ),
    Architecture(
        "resnet-wide",
        "still",
        "residual network of 18 convolutions, 11 M weights; a teacher",
        44,
        counted=True,
    ),
    Architecture(
        "vit", "still", "small vision transformer, from scratch", 48, defaults={**ADAM, "learning_rate": 1e-3}
    ),
    Architecture(
        "gru", "sequence", "convolutions, then a gated recurrent unit over frames", 48, defaults=WINDOW
    ),
    Architecture(
        "lstm", "sequence", "convolutions, then a long short-term memory over frames", 48, defaults=WINDOW
    ),
    Architecture(
        "convlstm",
        "sequence",
        "long short-term memory with convolutions (Shi et al. 2015)",
        48,
        defaults=WINDOW,
    ),
    Architecture("timedelay", "sequence", "3-D convolutions over the past frames", 48, defaults=WINDOW),
    Architecture(
        "face-resnet",
        "still",
        "residual network of 27 convolutions, 4.4 M weights, from dlib's face recognition",
        112,
        backbone=FACES,
        counted=True,
        defaults=FROM_FACES,
    ),
    *(
        Architecture(
            name,
            "still",
            f"{backbone} from ImageNet weights (timm)",
            size,
            "rgb",
            backbone,
            defaults=TRANSFER,
        )
        for name, backbone, size in (
            ("inception-v3", "inception_v3", 139),
            ("xception", "legacy_xception", 128),
            ("vgg16", "vgg16_bn", 96),
            ("vgg19", "vgg19_bn", 96),
            ("resnet50", "resnet50", 96),
            ("efficientnet-b0", "efficientnet_b0", 96),
            ("convnext-tiny", "convnext_tiny", 96),
            ("mobilenet-v3", "mobilenetv3_large_100", 96),
            ("vit-tiny", "vit_tiny_patch16_224", 224),
        )
    ),
)

ARCHITECTURES: Mapping[str, Architecture] = {one.name: one for one in _TABLE}
"""The architectures with a name of their own; any other backbone of timm is ``timm:NAME``."""


def list_architectures(family: str | None = None) -> list[str]:
    """Return the names of what can be trained.

    Parameters
    ----------
    family : {"classic", "still", "sequence"}, optional
        Only one family.

    Examples
    --------
    >>> list_architectures("sequence")
    ['convlstm', 'gru', 'lstm', 'timedelay']
    """
    if family is not None and family not in FAMILIES:
        raise unknown_name("family", family, FAMILIES)
    return sorted(one.name for one in _TABLE if family in (None, one.family))


def get_architecture(name: str) -> Architecture:
    """Return what a name stands for; ``timm:NAME`` stands for any backbone of timm.

    Raises
    ------
    UnknownNameError
        If there is no such architecture.
    """
    if name.startswith(TIMM) and len(name) > len(TIMM):
        backbone = name.removeprefix(TIMM)
        return Architecture(
            name, "still", f"{backbone} from its weights (timm)", 224, "rgb", backbone, defaults=TRANSFER
        )
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, [*ARCHITECTURES, TIMM + "NAME"])
    return ARCHITECTURES[name]
