"""What finished networks say of the training pictures: learned beside the labels by the network to come.

A label is one person's word, or ten people's; the mean of several networks says of each picture what it
resembles, which tells a small network more (distillation, Hinton et al. 2015, arXiv 1503.02531).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from mien.errors import bad_argument
from mien.training.augment import cut
from mien.training.data import MOVEMENTS, TrainingSet
from mien.training.networks import ExpressionNetwork
from mien.training.recipe import Recipe
from mien.training.runs import averaged_weights

TAUGHT = "_taught"
"""What the name of a head is followed by in the targets that come from teachers."""

BATCH = 256


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
    ArgumentError
        If a teacher lacks one of the heads, or wants crops of another kind.
    """
    heads = [name for name in data.heads if name != MOVEMENTS]
    given: dict[str, Tensor] = {}
    names = [name for name in recipe.teachers.split(",") if name]
    for name in names:
        teacher = load_teacher(name, data.heads, recipe)
        for head, probability in _answers(teacher, data, heads, recipe.size).items():
            given[head] = given.get(head, torch.zeros(())) + probability / len(names)
    return replace(data, targets=data.targets | {head + TAUGHT: p for head, p in given.items()})


def load_teacher(folder: str, heads: dict[str, int], recipe: Recipe) -> ExpressionNetwork:
    """Return the network of a finished run, with its averaged weights.

    Parameters
    ----------
    folder : str
        Of the run.
    heads : dict of str to int
        Those that it must have.
    recipe : Recipe
        Of the network to come, whose crops it must take.
    """
    weights = averaged_weights(folder)
    own = Recipe(**json.loads((Path(folder) / "recipe.json").read_text()))
    theirs = {
        name.removeprefix("network.heads.").removesuffix(".weight"): len(value)
        for name, value in weights.items()
        if name.startswith("network.heads.") and name.endswith(".weight")
    }
    lacking = [name for name, k in heads.items() if name != MOVEMENTS and theirs.get(name) != k]
    if lacking:
        raise bad_argument("teachers", allowed=f"runs with the label sets {', '.join(lacking)}", given=folder)
    if (own.template, own.margin, own.size, own.frames) != (
        recipe.template,
        recipe.margin,
        recipe.size,
        recipe.frames,
    ):
        kind = f"{recipe.size} px, template {recipe.template}, margin {recipe.margin:.4f}"
        raise bad_argument("teachers", allowed=f"runs on the same crops ({kind})", given=folder)
    network = ExpressionNetwork(own.arch, theirs, size=own.size)
    network.load_state_dict({name.removeprefix("network."): value for name, value in weights.items()})
    return network.eval()


@torch.no_grad()
def _answers(teacher: ExpressionNetwork, data: TrainingSet, heads: list[str], size: int) -> dict[str, Tensor]:
    """Return the probabilities of each head for all samples."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    teacher = teacher.to(device)
    views = [name for name in ("aligned", "detected") if name in data.pictures]
    parts: dict[str, list[Tensor]] = {head: [] for head in heads}
    for start in range(0, len(data), BATCH):
        rows = data.rows[start : start + BATCH]
        mean: dict[str, Tensor] = {}
        for view in views:
            crops = cut(data.pictures["picture"][rows].to(device), data.pictures[view][rows].to(device), size)
            for shown in (crops, _mirrored(crops)):
                scores = teacher(shown)
                for head in heads:
                    probability = F.softmax(scores[head].float(), dim=1) / (2 * len(views))
                    mean[head] = mean.get(head, torch.zeros((), device=device)) + probability
        for head in heads:
            parts[head].append(mean[head].cpu())
    return {head: torch.cat(each) for head, each in parts.items()}


def _mirrored(crops: Tensor) -> Tensor:
    """Mirror crops (n, S, S), (n, S, S, 3) or (n, t, S, S) left to right."""
    return crops.flip(2 if crops.shape[-1] == 3 else crops.ndim - 1)
