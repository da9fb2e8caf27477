"""A finished face detector in one call: train, export, measure on what was set aside, write the card."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.catalog import DEFAULTS, Metric, ModelCard, TrainingData, load_card
from mien.faces.detect import Detector, load_detector
from mien.sources.fer2013 import TERMS as FER2013_TERMS
from mien.training.detector import DetectorRecipe, fit_detector, some_scenes
from mien.training.evaluate_detector import DetectorReport, evaluate_detector
from mien.training.export import export_network, write_card
from mien.training.facepoint import FacePoint
from mien.training.material import Grey, Material, load_material
from mien.training.metrics import wilson_interval

BOXED = "photographs with a teacher's boxes"
EXACT = ("network.stem.0.", "network.score.", "network.box.", "network.points.")
"""Layers of a detector that stay in float32, the first and the last; the others compute in bytes. Rounding
these as well costs 3 points of recall on fairface540 (experiment D6); rounding the others costs none."""

DETECTOR_DATA = {
    "fer2013": ("FER2013", FER2013_TERMS, "faces with landmarks, pasted into scenes"),
    "faces_wild": (
        "muxspace/facial_expressions",
        "Apache-2.0 as stated there; many pictures from LFW: research use",
        "faces with landmarks, pasted into scenes",
    ),
    "fairface540": ("FairFace", "CC BY 4.0 (Karkkainen and Joo 2021)", BOXED),
    "caltech_faces": ("Caltech-101", "CC BY 4.0 (Li, Andreeto, Ranzato, Perona)", BOXED),
    "clips": ("Intel sample videos", "CC BY 4.0", BOXED),
    "without_landmarks": ("FER2013 and muxspace/facial_expressions", "as above", BOXED),
    "backgrounds": ("Caltech-101", "CC BY 4.0 (Li, Andreeto, Ranzato, Perona)", "pictures without a face"),
}
"""What each part of the material is, on which terms, and what it is used for."""


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
    material = load_material(folder, teacher=teacher)
    module = fit_detector(material, recipe, run)
    sources = detector_sources(material)
    aside = load_material(folder, set_aside=True)
    typical = some_scenes(material, recipe).byte().numpy()
    return finish_detector(
        module.network,
        aside,
        sources,
        out=out,
        name=name,
        picture=picture,
        command=command,
        typical=typical,
    )


def detector_sources(material: Material) -> tuple[TrainingData, ...]:
    """Say for a card what a detector learned from, and who drew the boxes."""
    parts: dict[str, Sized] = {**material.portraits, **material.photos, "backgrounds": material.backgrounds}
    sources = [TrainingData(*DETECTOR_DATA[name], images=len(part)) for name, part in parts.items()]
    return (*sources, TrainingData("YuNet-n", "Apache-2.0", "the teacher of those boxes", 0))


def finish_detector(
    network: FacePoint,
    aside: Material,
    sources: tuple[TrainingData, ...],
    *,
    out: str | Path,
    name: str,
    picture: Grey,
    command: str,
    typical: Grey,
) -> DetectorReport:
    """Export a trained detector, measure it on what was set aside and enter the numbers in its card.

    It computes in bytes, but for :data:`EXACT`; `typical` are scenes (n, H, W), uint8, by which the ranges of
    its layers are set. The other parameters are those of :func:`train_detector`.
    """
    card = ModelCard(
        name=name,
        task="detection",
        summary="Faces with five landmarks in grey pictures of any size.",
        licence="Apache-2.0",
        size_px=0,
        colour="grey",
        base=DEFAULTS["landmarks"],
        score_threshold=0.5,
        trained_with=command,
        training_data=sources,
        limits=(
            "Trained on faces from 12 pixels, turned up to about 40 degrees in the plane. Profiles, faces "
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
        storage="int8",
        typical=[{"picture": typical[i : i + 8]} for i in range(0, len(typical), 8)],
        exact=EXACT,
    )
    report = evaluate_detector(load_detector(file, score_threshold=0.02), aside)
    write_card(replace(load_card(file.with_suffix(".toml")), **detector_numbers(report)), out)
    return report


def detector_numbers(report: DetectorReport) -> dict[str, Any]:
    """Return the fields of a card that a measurement fills: threshold and metrics."""
    command = "mien evaluate-detector DATA"
    rule = "found: overlap 0.5 or more with a reference box that the teacher was sure of (0.6)"
    n = report.backgrounds
    numbers = [
        (
            "pictures with a false face",
            (count / max(1, n), *wilson_interval(count, max(1, n))),
            n,
            f"backgrounds {how}",
            "score as on the card",
        )
        for how, count in report.fooled.items()
    ]
    numbers += [("recall", (r.value, r.low, r.high), r.n, name, rule) for name, r in report.recall.items()]
    error = "mean distance from the 70-point geometry in eye distances, over the faces found"
    numbers += [
        ("landmark error", (e.value, e.low, e.high), e.n, name, error)
        for name, e in report.landmark_error.items()
    ]
    metrics = [
        Metric(name, round(value, 4), round(low, 4), round(high, 4), of, f"{data}, set aside", rule, command)
        for name, (value, low, high), of, data, rule in numbers
        if of
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
