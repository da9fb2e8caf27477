"""What finished models say of the training pictures: learned beside the labels by the network to come.

A label is one person's word, or ten people's; the mean of several networks says of each picture what it
resembles, which tells a small network more (distillation, Hinton et al. 2015, arXiv 1503.02531).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mien.catalog import find_model
from mien.errors import bad_argument
from mien.models import Model, load_model
from mien.models.network import NetworkModel
from mien.models.temporal import SequenceModel
from mien.training.architectures import get_architecture
from mien.training.augment import cut
from mien.training.data import MOVEMENTS, TrainingSet
from mien.training.networks import ExpressionNetwork
from mien.training.recipe import Recipe, listed
from mien.training.runs import averaged_weights

TAUGHT = "_taught"
"""What the name of a head is followed by in the targets that come from teachers."""

BATCH = 256


@dataclass(frozen=True)
class Teacher:
    """What answers for a finished network.

    Parameters
    ----------
    size : int
        Side of its crops in pixels.
    colour : {"grey", "rgb"}
    ask : callable
        From crops, float32 from 0 to 255, to the probabilities of each head, (n, k) float32.
    """

    size: int
    colour: str
    ask: Callable[[Tensor], dict[str, Tensor]]


def teach(data: TrainingSet, recipe: Recipe) -> TrainingSet:
    """Add to the targets what the recipe's teachers say of each sample.

    Parameters
    ----------
    data : TrainingSet
    recipe : Recipe
        Names the teachers.

    Returns
    -------
    TrainingSet
        With targets ``HEAD_taught`` (n, k) float32, rows that sum to one: the mean over the teachers, over
        the alignments there are, and over the picture and its mirror image.

    Raises
    ------
    SourceNotFoundError
        If a folder holds no run.
    UnknownNameError, ModelError
        If there is no such model, or its files are not what its card says.
    ArgumentError
        If a teacher lacks one of the heads, or wants crops of another kind.
    """
    heads = {name: k for name, k in data.heads.items() if name != MOVEMENTS}
    given: dict[str, Tensor] = {}
    names = listed(recipe.teachers)
    for name in names:
        teacher = load_teacher(name, heads, recipe)
        for head, probability in _answers(teacher, data, heads, recipe.size).items():
            given[head] = given.get(head, torch.zeros(())) + probability / len(names)
    return replace(data, targets=data.targets | {head + TAUGHT: p for head, p in given.items()})


def load_teacher(name: str, heads: Mapping[str, int], recipe: Recipe) -> Teacher:
    """Return what answers for a teacher: a run's network, with its averaged weights, or a finished model.

    Parameters
    ----------
    name : str
        Folder of a run, or a model's name or file. A model answers as it does in use: calibrated.
    heads : mapping of str to int
        Label sets that it must have, with their numbers of emotions.
    recipe : Recipe
        Of the network to come, whose crops it must take, though perhaps larger or smaller, or as colours.
    """
    return _run(name, heads, recipe) if Path(name).is_dir() else _model(name, heads, recipe)


def _run(folder: str, heads: Mapping[str, int], recipe: Recipe) -> Teacher:
    weights = averaged_weights(folder)
    own = Recipe(**json.loads((Path(folder) / "recipe.json").read_text()))
    theirs = {
        name.removeprefix("network.heads.").removesuffix(".weight"): len(value)
        for name, value in weights.items()
        if name.startswith("network.heads.") and name.endswith(".weight")
    }
    _check(folder, theirs, heads, (own.template, own.margin, own.frames, own.step), recipe)
    colour = _colour(folder, get_architecture(own.arch).colour, recipe)
    network = ExpressionNetwork(own.arch, theirs, size=own.size)
    network.load_state_dict({name.removeprefix("network."): value for name, value in weights.items()})
    network = network.to(_device()).eval()

    def ask(crops: Tensor) -> dict[str, Tensor]:
        scores = network(crops.to(_device()))
        return {head: F.softmax(scores[head].float(), dim=1).cpu() for head in heads}

    return Teacher(own.size, colour, ask)


def _model(name: str, heads: Mapping[str, int], recipe: Recipe) -> Teacher:
    card, path = find_model(name, "expression")
    kind = (card.template, card.margin, card.frames, card.step)
    _check(name, {head.labels: len(head.label_set) for head in card.heads}, heads, kind, recipe)
    models = [load_model(path, labels=head) for head in heads]
    colour = _colour(name, card.colour, recipe)

    def ask(crops: Tensor) -> dict[str, Tensor]:
        shown = crops.round().clamp(0, 255).byte().cpu().numpy()
        answers = _ask(models, shown)
        return {head: torch.from_numpy(answers[head]) for head in heads}

    return Teacher(card.size_px, colour, ask)


def _ask(models: Sequence[Model], crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return what one model's heads say of crops, each of which stands for itself where it must."""
    first = models[0]
    if isinstance(first, NetworkModel):
        return first.predict_heads(crops)
    return {
        model.labels.key: model.predict_windows(crops)
        if isinstance(model, SequenceModel)
        else model.predict_proba(crops)
        for model in models
    }


def _check(
    name: str,
    theirs: Mapping[str, int],
    heads: Mapping[str, int],
    kind: tuple[str, float, int, int],
    recipe: Recipe,
) -> None:
    """Refuse a teacher without one of the heads, or of other crops."""
    lacking = [head for head, k in heads.items() if theirs.get(head) != k]
    if lacking:
        raise bad_argument("teachers", allowed=f"some with the label sets {', '.join(lacking)}", given=name)
    if kind != (recipe.template, recipe.margin, recipe.frames, recipe.step):
        several = f"{recipe.frames} a sample, step {recipe.step}"
        wanted = f"{several}, template {recipe.template}, margin {recipe.margin:.4f}"
        raise bad_argument("teachers", allowed=f"some on the same crops ({wanted})", given=name)


def _colour(name: str, theirs: str, recipe: Recipe) -> str:
    """Return a teacher's colour; one of grey faces cannot teach what it does not see."""
    if theirs == "grey" and get_architecture(recipe.arch).colour == "rgb":
        raise bad_argument("teachers", allowed="some on crops in colour", given=name)
    return theirs


@torch.no_grad()
def _answers(teacher: Teacher, data: TrainingSet, heads: Iterable[str], size: int) -> dict[str, Tensor]:
    """Return the probabilities of each head for all samples, whose alignments are for crops of `size`."""
    device = _device()
    views = [name for name in ("aligned", "detected") if name in data.pictures]
    parts: dict[str, list[Tensor]] = {head: [] for head in heads}
    for start in range(0, len(data), BATCH):
        rows = data.rows[start : start + BATCH]
        mean: dict[str, Tensor] = {}
        for view in views:
            alignment = data.pictures[view][rows].to(device) * (teacher.size / size)
            crops = cut(data.pictures["picture"][rows].to(device), alignment, teacher.size)
            if teacher.colour == "rgb" and crops.ndim == 3:
                crops = crops[..., None].expand(-1, -1, -1, 3)
            for shown in (crops, _mirrored(crops)):
                for head, probability in teacher.ask(shown).items():
                    mean[head] = mean.get(head, torch.zeros(())) + probability / (2 * len(views))
        for head in heads:
            parts[head].append(mean[head])
    return {head: torch.cat(each) for head, each in parts.items()}


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _mirrored(crops: Tensor) -> Tensor:
    """Mirror crops (n, S, S), (n, S, S, 3) or (n, t, S, S) left to right."""
    return crops.flip(2 if crops.shape[-1] == 3 else crops.ndim - 1)
