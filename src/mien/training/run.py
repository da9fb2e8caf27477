"""From data to a finished model in one call: train, calibrate, export, measure, write the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.catalog import Head, Metric, ModelCard, TrainingData, load_card
from mien.faces.align import CropSpec
from mien.faces.detect import Detector, PointDetector
from mien.labels import FERPLUS8
from mien.models.network import load_model
from mien.runtime import Session
from mien.sources.datasets import LabelledImages
from mien.training.augment import cut
from mien.training.data import Geometry, crop_matrices, detected_geometry
from mien.training.detector import DetectorRecipe, FacePoint, fit_detector
from mien.training.evaluate import Report, evaluate_model
from mien.training.evaluate_detector import DetectorReport, evaluate_detector
from mien.training.export import LARGE, export_expression, export_network, write_card
from mien.training.fit import ExpressionModule, Recipe, TrainingSet, fit, prepare
from mien.training.material import Grey, load_material
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

DETECTOR_DATA = (
    TrainingData("FER2013", FER2013.terms, "faces with landmarks, pasted into scenes", 26_939),
    TrainingData("muxspace/facial_expressions",
                 "Apache-2.0 as stated there; many pictures from LFW: research use",
                 "faces with landmarks, pasted into scenes", 6_665),
    TrainingData("FairFace", "CC BY 4.0 (Karkkainen and Joo 2021)",
                 "photographs with a teacher's boxes", 360),
    TrainingData("Caltech-101", "CC BY 4.0 (Li, Andreeto, Ranzato, Perona)",
                 "305 photographs with a teacher's boxes, 1,952 backgrounds", 2_257),
    TrainingData("Intel sample videos", "CC BY 4.0", "video frames with a teacher's boxes", 122),
    TrainingData("YuNet-n", "Apache-2.0", "the teacher of those boxes", 0),
)  # fmt: skip


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


def train_detector(
    folder: str | Path,
    recipe: DetectorRecipe,
    *,
    run: str | Path,
    out: str | Path,
    name: str,
    picture: Grey,
    command: str,
    teacher: Detector | None = None,
) -> DetectorReport:
    """Train a face detector and write it.

    Its threshold is the score at which the backgrounds give one false face in 100 pictures.

    Parameters
    ----------
    folder : path
        See :func:`mien.training.material.load_material`.
    recipe : DetectorRecipe
    run, out, name
        As for :func:`train_expression`.
    picture : ndarray of shape (H, W), uint8
        Grey, sides divisible by 32, free to share: it goes into the golden file.
    command : str
        What was typed, for the card.
    teacher : Detector, optional
        See :func:`mien.training.material.load_material`.

    Returns
    -------
    DetectorReport
        On the part that is set aside.
    """
    module = fit_detector(load_material(folder, teacher=teacher), recipe, run)
    return finish_detector(module.network, folder, out=out, name=name, picture=picture, command=command)


def finish_detector(
    network: FacePoint, folder: str | Path, *, out: str | Path, name: str, picture: Grey, command: str
) -> DetectorReport:
    """Export a trained detector, measure it and enter threshold and numbers in its card."""
    card = ModelCard(
        name=name,
        task="detection",
        summary="Faces with five landmarks in grey pictures of any size.",
        licence="Apache-2.0",
        size_px=0,
        colour="grey",
        score_threshold=0.5,
        trained_with=command,
        training_data=DETECTOR_DATA,
        limits=(
            "Trained on faces from 11 pixels, turned up to about 40 degrees in the plane. Profiles, faces "
            "more than half covered and faces upside down are often missed; its reference boxes are another "
            "detector's, not people's."
        ),
    )
    file = export_network(
        _WithSigmoid(network),
        {"picture": picture[None]},
        ["score", "box", "points"],
        card,
        out,
        dynamic_axes={"picture": {0: "n", 1: "height", 2: "width"}},
        others=[{"picture": np.tile(picture, (2, 1))[None, :64, :96]}],
        storage="float16",
        tolerance=0.05,
    )
    aside = load_material(folder, set_aside=True)
    report = evaluate_detector(PointDetector(Session(file), name, 0.02), aside)
    write_card(replace(load_card(file.with_suffix(".toml")), **_detector_numbers(report)), out)
    return report


def _detector_numbers(report: DetectorReport) -> dict[str, Any]:
    rule = "found: overlap 0.5 or more with a reference box of YuNet-n that it was sure of (0.6)"
    command = "mien evaluate-detector DATA"
    metrics = [
        Metric(
            "recall",
            round(r.value, 4),
            round(r.low, 4),
            round(r.high, 4),
            r.n,
            f"{data}, set aside",
            rule,
            command,
        )
        for data, r in report.recall.items()
    ]
    return {"score_threshold": round(report.score_threshold, 4), "metrics": tuple(metrics)}


def golden_scene(portrait: NDArray[np.uint8]) -> Grey:
    """Return a small grey part of a portrait, of a size that the detector's network takes as it is.

    Parameters
    ----------
    portrait : ndarray of shape (H, W, 3), uint8
        RGB.
    """
    import cv2

    grey = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (128, 160), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]  # uint8


class _WithSigmoid(nn.Module):
    """The detector as it ships: scores from 0 to 1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        score, box, points = self.network(picture)
        return torch.sigmoid(score), box, points
