"""From data to a finished model in one call: train, calibrate, export, measure, write the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.catalog import Head, Metric, ModelCard, TrainingData, load_card
from mien.faces.align import CropSpec
from mien.faces.detect import Detector
from mien.labels import FERPLUS8
from mien.models import load_model
from mien.sources.labelled import LabelledImages
from mien.training.augment import cut
from mien.training.data import Geometry, crop_matrices, detected_geometry
from mien.training.evaluate import Report, evaluate_model
from mien.training.export import LARGE, export_expression, write_card
from mien.training.fit import ExpressionModule, Recipe, TrainingSet, fit, prepare
from mien.training.metrics import fit_temperature

EMOTION_HEADS = ("ferplus8", "ekman7")
"""The heads that ship, in this order; others only help training."""

FER2013 = TrainingData(
    name="FER2013",
    terms="the 2013 Kaggle challenge (Goodfellow et al. 2013, arXiv 1307.0414): web pictures, research use",
    use="pictures and seven labels",
    images=0,
)
FERPLUS = TrainingData(
    name="FER+",
    terms="MIT (Barsoum et al. 2016, arXiv 1608.01041)",
    use="ten votes a picture",
    images=0,
)
GEOMETRY = TrainingData(
    name="MediaPipe face landmarker",
    terms="Apache-2.0 model output",
    use="landmarks to align by, facial movements as an auxiliary task",
    images=0,
)

LIMITS = (
    "Trained on web pictures of mostly frontal faces, labelled by how others read them. Contempt, disgust "
    "and fear are rare in the data and often missed; profiles, faces under 24 pixels and heavy shadow are "
    "read worse; it says what a face shows, not what a person feels."
)


def train_expression(
    labelled: LabelledImages,
    voted: LabelledImages | None,
    geometry: Geometry | None,
    recipe: Recipe,
    *,
    run: str | Path,
    out: str | Path,
    name: str,
    picture: NDArray[np.uint8],
    detector: Detector,
    command: str,
) -> ModelCard:
    """Train an expression network on FER2013 and write it, calibrated and measured on PublicTest.

    Parameters
    ----------
    labelled, voted, geometry, recipe
        See :func:`mien.training.fit.prepare`.
    run : path
        Folder of the run: recipe, checkpoint, log. A run that was stopped goes on from there.
    out : path
        Folder for ``NAME.onnx``, ``NAME.toml`` and ``NAME.npz``.
    name : str
        ``architecture.tag``.
    picture : ndarray of shape (H, W, 3), uint8
        RGB, with a face, free to share: it goes into the golden file.
    detector : Detector
        Finds that face, and aligns the pictures that the network is measured on.
    command : str
        What was typed, for the card.

    Returns
    -------
    ModelCard
    """
    data = prepare(labelled, voted, geometry, recipe)
    module = fit(data, recipe, run)
    temperatures = calibrate(module, data, detector)
    sources = [replace(FER2013, images=int((~data.held_out).sum()))]
    sources += [replace(FERPLUS, images=sources[0].images)] if voted is not None else []
    sources += [replace(GEOMETRY, images=int(geometry.found.sum()))] if geometry is not None else []
    card = ModelCard(
        name=name,
        task="expression",
        summary=f"Displayed expression of one grey face of {recipe.size} x {recipe.size} px ({recipe.arch}).",
        licence="Apache-2.0",
        size_px=recipe.size,
        colour="grey",
        template=recipe.template,
        margin=recipe.margin,
        heads=tuple(Head(head, head, "logits", round(t, 4)) for head, t in temperatures.items()),
        trained_with=command,
        training_data=tuple(sources),
        limits=LIMITS,
    )
    network = store_as_bytes(module.network.eval())
    landmarks = detector.detect(picture).landmarks_xy[:1]
    spec = CropSpec(card.template, card.margin, card.size_px, card.colour)
    export_expression(
        network,
        card,
        out,
        spec.cut(picture, landmarks),
        picture=picture,
        landmarks_xy=landmarks,
        storage="int8",
    )
    return measure_expression(Path(out) / f"{name}.onnx", [c for c in (voted, labelled) if c], detector)


def measure_expression(file: Path, corpora: Sequence[LabelledImages], detector: Detector) -> ModelCard:
    """Measure a written model on PublicTest and enter the numbers in its card.

    Parameters
    ----------
    file : Path
        The ONNX file.
    corpora : sequence of LabelledImages
        Whole corpora, each with a PublicTest split.
    detector : Detector
        Aligns the pictures.
    """
    metrics: list[Metric] = []
    for corpus in corpora:
        votes = " --ferplus fer2013new.csv" if corpus.labels == FERPLUS8 else ""
        command = f"mien evaluate fer2013.csv{votes} --split PublicTest --model {file.stem}"
        model = load_model(file, labels=corpus.labels.key)
        result = evaluate_model(model, corpus, split="PublicTest", detector=detector, missed="framed")
        for label, report in (
            ("", result.all),
            (" without the pictures that also stand in Training", result.clean),
        ):
            if report is not None:
                metrics += _numbers(report, f"{corpus.name} PublicTest{label}", corpus.rule, command)
    card = replace(load_card(file.with_suffix(".toml")), metrics=tuple(metrics))
    write_card(card, file.parent)
    return card


def _numbers(report: Report, data: str, rule: str, command: str) -> list[Metric]:
    values = {
        "accuracy": (report.accuracy, report.low, report.high),
        "expected calibration error": (report.ece, report.ece_low, report.ece_high),
    }
    return [
        Metric(name, round(value, 4), round(low, 4), round(high, 4), report.n, data, rule, command)
        for name, (value, low, high) in values.items()
    ]


def calibrate(module: ExpressionModule, data: TrainingSet, detector: Detector) -> dict[str, float]:
    """Fit the temperature of every head that ships on the part of Training that was set aside.

    The pictures are cut as they will be in use, by the landmarks of the detector: whoever calibrates on
    better crops than those in use is too sure of himself.

    Returns
    -------
    dict of str to float
        By head, in the order in which they ship.
    """
    rows = torch.from_numpy(np.flatnonzero(data.held_out))
    pictures = data.columns["picture"][rows]
    recipe = module.recipe
    shapes = np.tile(pictures.shape[1:], (len(pictures), 1))
    found = detected_geometry(list(pictures.numpy()), detector)
    aligned, _ = crop_matrices(found, shapes, recipe.template, recipe.margin, recipe.size)
    with torch.no_grad():
        logits = module.network.eval()(cut(pictures, torch.from_numpy(aligned), recipe.size))
    temperatures = {}
    for head in EMOTION_HEADS:
        if head in logits:
            label = data.columns[head + "_label"][rows].numpy()
            known = label >= 0
            temperatures[head] = fit_temperature(logits[head].float().numpy()[known], label[known])
    return temperatures


def store_as_bytes(network: nn.Module) -> nn.Module:
    """Round the large weights, in place, to what 8 bits and one scale for each output channel can hold.

    The network that is exported with such storage is then the one that was rounded, to the last bit;
    folding batch normalisation into a convolution only changes the scales.
    """
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.numel() >= LARGE:
                axes = tuple(range(1, layer.weight.ndim))
                scale = layer.weight.abs().amax(dim=axes, keepdim=True).clamp(min=1e-12) / 127
                layer.weight.copy_(torch.round(layer.weight / scale) * scale)
    return network
