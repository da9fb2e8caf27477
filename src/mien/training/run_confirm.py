"""A finished network that confirms faces in one call: collect, train, export, measure, write cards."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.catalog import ModelCard, TrainingData, find_model, load_card
from mien.faces.confirm import INPUTS, OUTPUT
from mien.faces.detect import Detector, load_detector
from mien.training.candidates import Candidates, collect
from mien.training.cards import replacing
from mien.training.confirm import (
    HELD_OUT,
    TYPICAL,
    ConfirmModule,
    ConfirmRecipe,
    calibrate,
    divide,
    fit_confirm,
    logit,
    shown_crops,
)  # fmt: skip
from mien.training.evaluate_detector import DetectorReport, evaluate_detector
from mien.training.export import export_network, write_card
from mien.training.material import Material, load_material
from mien.training.run_detector import detector_numbers, detector_sources

EXACT = ("network.stem.0.",)
"""Layers that stay in float32; the others compute in bytes."""


def train_confirm(
    folder: str | Path,
    recipe: ConfirmRecipe,
    *,
    detector: str | Path,
    run: str | Path,
    out: str | Path,
    name: str,
    command: str,
    teacher: Detector | None = None,
) -> DetectorReport:
    """Train a network that confirms what a detector finds, and write both.

    Parameters
    ----------
    folder : path
        See :func:`mien.training.material.load_material`.
    recipe : ConfirmRecipe
    detector : str or path
        By name or file.
    run, out, name, command
        As for :func:`mien.training.run_detector.train_detector`.
    teacher : Detector, optional
        See :func:`mien.training.material.load_material`.

    Returns
    -------
    DetectorReport
        Of both together, on the part that is set aside.
    """
    material = load_material(folder, teacher=teacher)
    finder = load_detector(detector, score_threshold=recipe.floor)
    counts = {name: getattr(recipe, name) for name in ("scenes", "rounds", "singles")}
    fewer = {name: -(-count // HELD_OUT) for name, count in counts.items()}
    learned, held = divide(material)
    candidates = collect(learned, finder, **counts, seed=recipe.seed)
    module = fit_confirm(candidates, recipe, run, detector)
    calibrate(module.network, collect(held, finder, **fewer, seed=recipe.seed), recipe)
    return finish_confirm(
        module,
        candidates,
        load_material(folder, set_aside=True),
        detector=detector,
        sources=detector_sources(material),
        out=out,
        name=name,
        command=command,
    )


def finish_confirm(
    module: ConfirmModule,
    candidates: Candidates,
    aside: Material,
    *,
    detector: str | Path,
    sources: tuple[TrainingData, ...],
    out: str | Path,
    name: str,
    command: str,
) -> DetectorReport:
    """Export a trained network that confirms faces, and the detector with it, measured together.

    The scores of both are shifted so that the detector's threshold stays what it was: the score at which it
    finds one false face in 100 pictures.

    Parameters
    ----------
    module : ConfirmModule
    candidates : Candidates
        What was learned from.
    aside : Material
        What was set aside.
    detector : str or path
        Whose finds it learned to confirm, by name or file. It is written beside the network: the same
        weights, and a card with the network and the new numbers.
    sources : tuple of TrainingData
    out : path
        Folder for ``NAME.onnx``, ``NAME.toml`` and ``NAME.npz``, and for the detector's.
    name : str
        ``architecture.tag``.
    command : str
        What was typed, for the card.

    Returns
    -------
    DetectorReport
        Of the detector that confirms.
    """
    card = ModelCard(
        name=name,
        task="confirmation",
        summary="Whether what a detector found is a face, by a second look at it and around it.",
        licence="Apache-2.0",
        size_px=module.recipe.size,
        colour="grey",
        margin=module.recipe.margin,
        score_threshold=module.recipe.floor,
        trained_with=command,
        training_data=sources,
        limits="It learned from the finds of one detector: with another one its scores mean less. How well "
        "both find faces stands on the detector's card.",
    )
    _export(module, candidates, card, out)
    file = _with_confirm(detector, Path(out), f"{name}.onnx")
    own = load_card(file.with_suffix(".toml"))
    report = evaluate_detector(load_detector(file, score_threshold=0.02), aside)
    last: Any = module.network.judge[-1]
    last.bias.data += logit(torch.tensor(own.score_threshold)) - logit(torch.tensor(report.score_threshold))
    _export(module, candidates, card, out)
    report = replace(report, score_threshold=own.score_threshold)
    numbers = detector_numbers(report)
    write_card(replace(own, **numbers), out)
    mine = tuple(metric for metric in numbers["metrics"] if metric.name != "landmark error")
    write_card(replace(load_card(Path(out) / f"{name}.toml"), metrics=mine), out)
    return report


def _export(module: ConfirmModule, candidates: Candidates, card: ModelCard, out: str | Path) -> None:
    recipe = module.recipe
    random = np.random.default_rng(0)
    feed = {"crops": random.integers(0, 256, (4, recipe.size, recipe.size), np.uint8), "score": _SCORES}
    some = random.permutation(len(candidates))[:TYPICAL]
    typical = {"crops": shown_crops(candidates, some, recipe), "score": candidates.score[some]}
    export_network(
        _WithSigmoid(module.network),
        feed,
        [OUTPUT],
        card,
        out,
        dynamic_axes={key: {0: "n"} for key in INPUTS},
        others=[{key: value[:1] for key, value in feed.items()}],
        storage="int8",
        typical=[{key: value[i : i + 64] for key, value in typical.items()} for i in range(0, len(some), 64)],
        exact=EXACT,
    )


_SCORES = np.array([0.2, 0.4, 0.6, 0.8], np.float32)


def _with_confirm(detector: str | Path, out: Path, confirm: str) -> Path:
    """Write a detector's files again, with a card that names the network that confirms."""
    card, file = find_model(detector, "detection")
    target = out / file.name
    if target.resolve() != file.resolve():
        for suffix in (".npz", ".onnx"):
            if file.with_suffix(suffix).is_file():
                with replacing(target.with_suffix(suffix)) as part:
                    shutil.copy(file.with_suffix(suffix), part)
    write_card(replace(card, confirm=confirm), out)
    return target


class _WithSigmoid(nn.Module):
    """The network as it ships: one score from 0 to 1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor, score: Tensor) -> Tensor:
        return torch.sigmoid(self.network(crops, score)[0])
