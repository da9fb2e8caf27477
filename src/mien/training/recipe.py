"""Everything that decides a training run, besides the data."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from mien.errors import bad_argument, unknown_name
from mien.training.architectures import get_architecture
from mien.training.augmentation import Augmentation

OPTIMISERS = ("sgd", "adamw")
BALANCES = ("none", "loss", "sampling")
PRECISIONS = ("bf16-mixed", "16-mixed", "32-true")


def listed(names: str) -> list[str]:
    """Return what a field names that takes several, separated by commas."""
    return [name for name in names.split(",") if name]


@dataclass(frozen=True)
class Recipe:
    """How an expression network is trained. Make one with :func:`recipe_for`.

    Parameters
    ----------
    arch : str
        See :func:`mien.training.architectures.list_architectures`.
    size : int
        Side of the crops in pixels.
    template, margin
        How faces are cut; see :mod:`mien.faces.align`.
    frames, step, hop : int
        For sequences: pictures a window, every which is taken, and every which labelled picture ends a
        window, 0 for windows that do not overlap; see :func:`mien.sources.labelled.sequence_windows`.
    epochs : int
        Times every picture is seen; 0 to take the mean of the weights of finished runs as it is.
    batch, seed : int
    optimiser : {"sgd", "adamw"}
        SGD with Nesterov momentum 0.9, or AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101).
    learning_rate : float
        Largest rate of the one-cycle schedule (Smith and Topin 2018, arXiv 1708.07120).
    weight_decay : float
    dropout : float
        Share of the features hidden from the heads while training.
    smoothing : float
        Label smoothing of the single labels; votes need none.
    mixup : float
        Parameter of the Beta distribution by which pairs of faces are mixed (Zhang et al. 2018, arXiv
        1710.09412); 0 for none.
    sharpness : float
        How far from the weights, as a Euclidean norm, the loss is to be low as well: the radius of
        sharpness-aware steps (Foret et al. 2021, arXiv 2010.01412), usually 0.05 to 0.2; 0 for plain ones,
        which take half the time.
    balance : {"none", "loss", "sampling"}
        What is done for rare emotions: nothing; a weight by the effective number of samples (Cui et al.
        2019, arXiv 1901.05555); or each emotion drawn equally often.
    augment : str
        A preset, and changes to it: see :meth:`mien.training.augmentation.Augmentation.parse`.
    untouched : float
        Share of the copies that are mirrored and moved, but keep their light, sharpness and all they show.
    whole : float
        Share of the copies that are cut as the picture is, not by landmarks, so that ready-cropped
        faces work too. Without effect on pictures of more than 64 pixels, or of several sizes, or in
        colour: of those only the surroundings of the face are kept.
    detected : float
        Share of the copies that are cut by the landmarks of the detector in use, where a geometry gives
        others, more exact: what the model will see has the detector's errors. Without effect where `whole`
        has none.
    blendshapes : float
        Weight of predicting facial movements as an auxiliary task, where the geometry has them.
    average : float
        Decay of the running average of the weights, which is what is kept.
    held_out : float
        Share set aside to follow the run and to calibrate.
    split_seed : int
        Decides which pictures these are. `seed` does not, so that networks of several seeds learn from the
        same pictures and can be combined; a run that goes on from another's weights must keep it.
    patience : int
        Epochs without improvement on what is set aside after which the run ends; 0 for never.
    precision : {"bf16-mixed", "16-mixed", "32-true"}
    teachers : str
        Folders of finished runs, or models' names or files, separated by commas, whose mean answer is
        learned beside the labels (distillation, Hinton et al. 2015, arXiv 1503.02531); empty for none.
    taught : float
        How much of the loss is the teachers'; the rest is the labels'.
    base : str
        What the weights start from: a run's folder, or a model's file or name; empty for none. Several,
        separated by commas, for the mean of their weights (Wortsman et al. 2022, arXiv 2203.05482), which
        is worth something only where they went on from the same ones.
    keep : float
        How much of the base is kept in the finished weights (WiSE-FT, Wortsman et al. 2022, arXiv
        2109.01903): 0 for what training ends with; 0.5 often holds on to what was known before and keeps
        most of what is new.
    pretrained : str
        For transfer: "hub", a file of weights, or empty for random ones.
    head_epochs : int
        For transfer: epochs in which only the heads learn; after them a part of the backbone learns too.
    learning : float
        For transfer: the share of the backbone's layers, from its end, that then learns.
    """

    arch: str = "resnet"
    size: int = 44
    template: str = "fer2013-mean"
    margin: float = -1 / 24
    frames: int = 1
    step: int = 1
    hop: int = 0
    epochs: int = 50
    batch: int = 128
    seed: int = 0
    optimiser: str = "sgd"
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    dropout: float = 0.3
    smoothing: float = 0.1
    mixup: float = 0.0
    sharpness: float = 0.0
    balance: str = "none"
    augment: str = "default"
    untouched: float = 0.0
    whole: float = 0.25
    detected: float = 0.0
    blendshapes: float = 2.0
    average: float = 0.999
    held_out: float = 0.05
    split_seed: int = 0
    patience: int = 0
    precision: str = "bf16-mixed"
    teachers: str = ""
    taught: float = 0.5
    base: str = ""
    keep: float = 0.0
    pretrained: str = ""
    head_epochs: int = 0
    learning: float = 0.5

    def __post_init__(self) -> None:
        for name, allowed in {
            "optimiser": OPTIMISERS,
            "balance": BALANCES,
            "precision": PRECISIONS,
        }.items():
            if getattr(self, name) not in allowed:
                raise unknown_name(name, str(getattr(self, name)), allowed)
        for name in ("size", "frames", "step", "batch"):
            if getattr(self, name) < 1:
                raise bad_argument(name, allowed="a whole number from 1", given=getattr(self, name))
        if self.epochs < (0 if self.base else 1):
            raise bad_argument("epochs", allowed="1 or more, or 0 with a base", given=self.epochs)
        Augmentation.parse(self.augment)  # says what is wrong with it
        for name in ("dropout", "smoothing", "untouched", "whole", "detected", "average", "held_out", "keep"):
            if not 0 <= getattr(self, name) < 1:
                raise bad_argument(name, allowed="from 0, and below 1", given=getattr(self, name))
        if not self.held_out and get_architecture(self.arch).family != "classic":
            raise bad_argument("held_out", allowed="above 0: networks are calibrated by it", given=0)
        if self.keep and not self.base:
            raise bad_argument("keep", allowed="0 without a base to keep something of", given=self.keep)
        for name in ("taught", "learning"):
            if not 0 <= getattr(self, name) <= 1:
                raise bad_argument(name, allowed="from 0 to 1", given=getattr(self, name))
        for name in (
            "learning_rate",
            "weight_decay",
            "mixup",
            "sharpness",
            "blendshapes",
            "patience",
            "head_epochs",
            "hop",
        ):
            if getattr(self, name) < 0:
                raise bad_argument(name, allowed="0 or more", given=getattr(self, name))


FINE_TUNING = {"epochs": 12, "average": 0.98, "held_out": 0.15, "batch": 32}
"""What differs where a finished model goes on with a few hundred pictures of one's own, beside a tenth of the
learning rate. Whoever goes on from the folder of a run has its data, and the architecture's recipe holds."""


def recipe_for(arch: str, **changes: Any) -> Recipe:
    """Return the recipe of an architecture, with changes of one's own.

    Parameters
    ----------
    arch : str
    **changes
        Fields of :class:`Recipe`; those that are None are left at their defaults.

    Raises
    ------
    UnknownNameError
        If there is no such architecture, or no such field.
    """
    one = get_architecture(arch)
    known = {field.name for field in fields(Recipe)}
    for name in changes:
        if name not in known:
            raise unknown_name("field of a recipe", name, known)
    chosen = {name: value for name, value in changes.items() if value is not None}
    base = str(chosen.get("base", ""))
    frames = {"frames": 8} if one.family == "sequence" else {}
    own = replace(Recipe(arch=one.name, size=one.size), **{**frames, **one.defaults})
    small: dict[str, Any] = {}
    if not all(Path(one).is_dir() for one in listed(base)):
        small = FINE_TUNING | {"learning_rate": own.learning_rate / 10}
    return replace(own, **{**small, **chosen})
