"""Which data stand behind a model: its own, and those of what it started from or learned of.

Whoever uses a model is bound by the terms of all of them, so that a card names all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from mien.catalog import TrainingData, find_model
from mien.training.architectures import FACES, get_architecture
from mien.training.cards import replacing
from mien.training.recipe import Recipe, listed

NOTE = "training_data.json"
"""What a run's folder says of the data behind its weights."""

DLIB = TrainingData(
    "dlib face recognition",
    "weights in the public domain (King 2017, dlib.net); the faces they learned from, some 3 million from "
    "the web, have terms of their own",
    "what the weights started from",
    0,
)


def gather(sources: Iterable[TrainingData]) -> tuple[TrainingData, ...]:
    """Name every data set once, with the use that the most pictures of it had; the first of equals.

    Parameters
    ----------
    sources : iterable of TrainingData
    """
    named: dict[str, TrainingData] = {}
    for source in sources:
        if source.name not in named or source.images > named[source.name].images:
            named[source.name] = source
    return tuple(named.values())


def inherited(recipe: Recipe) -> tuple[TrainingData, ...]:
    """Return the data behind a recipe's base, its given weights and its teachers.

    Parameters
    ----------
    recipe : Recipe

    Raises
    ------
    UnknownNameError, ModelError
        If there is no such model.
    """
    behind: list[TrainingData] = []
    for name in listed(recipe.base):
        behind += _behind(name, "the base")
    if recipe.pretrained and not recipe.base:
        behind.append(_given(recipe))
    for name in listed(recipe.teachers):
        behind += _behind(name, "a teacher")
    return gather(behind)


def write_note(folder: str | Path, sources: Iterable[TrainingData]) -> None:
    """Note in a run's folder the data behind its weights, for models that go on from them.

    Parameters
    ----------
    folder : path
    sources : iterable of TrainingData
    """
    with replacing(Path(folder) / NOTE) as part:
        part.write_text(json.dumps([asdict(source) for source in sources], indent=1), encoding="utf-8")


def _behind(name: str, role: str) -> list[TrainingData]:
    """Return the data behind a run's folder, or a model's name or file."""
    folder = Path(name)
    if not folder.is_dir():
        card, _ = find_model(name, "expression")
        return [replace(data, use=f"{data.use} (of {role}, {card.name})") for data in card.training_data]
    note = folder / NOTE
    if not note.is_file():
        unknown = "not noted: it was trained before such notes were kept"
        return [TrainingData(f"the run {folder.name}", unknown, f"{role} of the weights", 0)]
    known = [TrainingData(**one) for one in json.loads(note.read_text(encoding="utf-8"))]
    return [replace(data, use=f"{data.use} (of {role}, the run {folder.name})") for data in known]


def _given(recipe: Recipe) -> TrainingData:
    backbone = get_architecture(recipe.arch).backbone
    if backbone == FACES:
        return DLIB
    where = "timm's weights" if recipe.pretrained == "hub" else Path(recipe.pretrained).name
    return TrainingData(
        f"{backbone} ({where})", "as whoever gave the weights says", "what the weights started from", 0
    )
