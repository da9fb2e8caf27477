"""A finished expression model in one call: prepare, train, calibrate, export, measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.catalog import Head, Metric, ModelCard, TrainingData, load_card
from mien.errors import bad_argument
from mien.faces.align import CropSpec
from mien.faces.detect import Detector
from mien.models import load_model
from mien.models.temporal import SequenceModel
from mien.sources.labelled import LabelledImages
from mien.training.architectures import get_architecture
from mien.training.augment import cut
from mien.training.cards import LIMITS, noise_crops, training_data
from mien.training.crops import Progress, detected_geometry
from mien.training.data import SMALL, TrainingSet, labelled_rows, prepare
from mien.training.evaluate import Report, evaluate_model
from mien.training.export import export_expression, write_card
from mien.training.fit import fit
from mien.training.geometry import Geometry, crop_matrices
from mien.training.heritage import gather, inherited, write_note
from mien.training.metrics import fit_temperature
from mien.training.module import ExpressionModule
from mien.training.recipe import Recipe, listed
from mien.training.runs import check_base, check_log, open_run

TYPICAL = 512
"""Pictures by which the ranges of layers are set where a network computes in bytes."""

GEOMETRY = TrainingData(
    name="MediaPipe face landmarker",
    terms="Apache-2.0 model output",
    use="landmarks to align by, facial movements as an auxiliary task",
    images=0,
)


@dataclass(frozen=True)
class Test:
    """Where a finished model is measured.

    Parameters
    ----------
    corpus : LabelledImages
        Whole, so that pictures which also stand in Training can be told.
    split : str or None
        Which part of it.
    command : str
        What to type to measure it again; ``{model}`` stands for the model's name.
    """

    corpus: LabelledImages
    split: str | None
    command: str


def train_model(
    corpus: LabelledImages,
    recipe: Recipe,
    *,
    run: str | Path,
    out: str | Path,
    name: str,
    others: Sequence[LabelledImages] = (),
    geometry: Geometry | None = None,
    detector: Detector | None = None,
    tests: Sequence[Test] = (),
    picture: NDArray[np.uint8] | None = None,
    command: str = "",
    cache: str | Path | None = None,
    devices: int = 1,
    log: str = "csv",
    progress: Progress | None = None,
) -> ModelCard:
    """Train a model on labelled pictures and write it, calibrated and measured.

    Parameters
    ----------
    corpus : LabelledImages
        What to learn from, all of it; a part is set aside to calibrate. Pictures without a label are left
        out.
    recipe : Recipe
    run : path
        Folder of the run: recipe, checkpoint, log. A run that was stopped goes on from there.
    out : path
        Folder for the file of weights ``NAME.onnx`` (classic models: ``NAME.skops``), the card
        ``NAME.toml`` and the golden tensors ``NAME.npz``.
    name : str
        ``architecture.tag``.
    others : sequence of LabelledImages, optional
        The same pictures under further labellings; each becomes a head of a network.
    geometry : Geometry, optional
        Of all pictures of `corpus`: landmarks to cut by, and facial movements to learn beside the emotions.
    detector : Detector, optional
        Finds the landmarks where `geometry` has none, and aligns the pictures that the model is calibrated
        and measured on. Without it pictures are taken as faces framed like the template.
    tests : sequence of Test, optional
        What to measure the model on; the numbers go into its card.
    picture : ndarray of shape (H, W, 3), uint8, optional
        RGB, with a face, free to share: it goes into the golden file. Faces of the data never do.
    command : str
        What was typed, for the card.
    cache : path, optional
        Folder in which crops are kept for the next run.
    devices, log
        See :func:`mien.training.fit.fit`.
    progress : callable, optional
        Called with the number of pictures cut, and of all.

    Returns
    -------
    ModelCard
    """
    corpora = [corpus, *others]
    sizes = {len(one) for one in corpora}
    if len(sizes) > 1:
        raise bad_argument("others", allowed=f"the same {len(corpus)} pictures", given=sorted(sizes))
    family = get_architecture(recipe.arch).family
    if not others:
        rows = labelled_rows(corpus, sequences=family == "sequence")
        corpora = [corpus.select(rows)]
        geometry = None if geometry is None else geometry.select(rows)
    if family == "classic":
        from mien.training.classic import train_classic

        file = train_classic(
            corpora[0],
            recipe,
            out=out,
            name=name,
            detector=detector,
            command=command,
            cache=cache,
            progress=progress,
            picture=picture,
        )
        return measure(file, tests, detector, cache)
    others_behind = inherited(recipe)  # what is not known or does not fit is said before faces are cut
    check_log(log)
    for base in listed(recipe.base):
        check_base(base, recipe)
    open_run(run, recipe)
    data = prepare(corpora, recipe, geometry=geometry, detector=detector, cache=cache, progress=progress)
    module = fit(data, recipe, run, devices=devices, log=log)
    sources = [training_data(one, int((~data.held_out).sum())) for one in corpora]
    if geometry is not None:
        sources.append(replace(GEOMETRY, images=int(geometry.found.sum())))
    behind = gather([*sources, *others_behind])
    write_note(run, behind)
    card = _card(recipe, name, [one.labels.key for one in corpora], behind, command)
    file = _export(module, card, out, picture, detector, _typical(data, recipe))
    calibrate(file, recipe, data, detector if geometry is not None else None)
    return measure(file, tests, detector, cache)


def _card(
    recipe: Recipe,
    name: str,
    heads: Sequence[str],
    sources: tuple[TrainingData, ...],
    command: str,
) -> ModelCard:
    architecture = get_architecture(recipe.arch)
    sequence = architecture.family == "sequence"
    what = f"{recipe.frames} grey faces in order" if sequence else f"one {architecture.colour} face"
    return ModelCard(
        name=name,
        task="expression",
        summary=f"Displayed expression of {what}, {recipe.size} x {recipe.size} px ({recipe.arch}).",
        licence="Apache-2.0",
        size_px=recipe.size,
        colour=architecture.colour,
        template=recipe.template,
        margin=recipe.margin,
        frames=recipe.frames if sequence else 1,
        step=recipe.step if sequence else 1,
        heads=tuple(Head(head, head, "logits") for head in heads),
        trained_with=command,
        training_data=sources,
        limits=LIMITS,
    )


def _export(
    module: ExpressionModule,
    card: ModelCard,
    out: str | Path,
    picture: NDArray[np.uint8] | None,
    detector: Detector | None,
    typical: NDArray[np.uint8],
) -> Path:
    """Write the network; where its architecture says so, so that it computes in bytes."""
    counted = get_architecture(module.recipe.arch).counted
    spec = CropSpec(card.template, card.margin, card.size_px, card.colour)
    landmarks = None
    if picture is not None:
        landmarks = None if detector is None else detector.detect(picture).landmarks_xy[:1]
        crops = spec.cut_framed(picture)[None] if landmarks is None else spec.cut(picture, landmarks)
    else:
        crops = noise_crops(spec, 2)
    if card.frames > 1:
        crops = np.stack([np.roll(crops, i, axis=1) for i in range(card.frames)], axis=1)
        landmarks = None
    return export_expression(
        module.network.eval(),
        card,
        out,
        crops,
        picture=picture if landmarks is not None else None,
        landmarks_xy=landmarks,
        storage="int8" if counted else "float16",
        tolerance=0.05,
        typical=typical if counted else None,
    )


def _typical(data: TrainingSet, recipe: Recipe) -> NDArray[np.uint8]:
    """Return crops of what was learned from, by which the ranges of layers in bytes are set."""
    learned = np.random.default_rng(0).permutation(np.flatnonzero(~data.held_out))[:TYPICAL]
    rows = data.rows[torch.from_numpy(learned)]
    alignment = data.pictures.get("detected", data.pictures["aligned"])[rows]
    crops = cut(data.pictures["picture"][rows], alignment, recipe.size)
    return crops.round().clamp(0, 255).byte().numpy()


def measure(
    file: Path, tests: Sequence[Test], detector: Detector | None, cache: str | Path | None = None
) -> ModelCard:
    """Measure a written model and enter the numbers in its card.

    Parameters
    ----------
    file : Path
        The file of weights.
    tests : sequence of Test
    detector : Detector, optional
        Aligns the pictures.
    cache : path, optional
    """
    metrics: list[Metric] = []
    card = load_card(file.with_suffix(".toml"))
    known = {head.labels for head in card.heads}
    for test in tests:
        key = test.corpus.labels.key
        model = load_model(file, labels=key if key in known else None)
        result = evaluate_model(
            model, test.corpus, split=test.split, detector=detector, missed="framed", cache=cache
        )
        command = test.command.format(model=card.name)
        for label, report in (
            ("", result.all),
            (" without the pictures that also stand in Training", result.clean),
        ):
            if report is not None:
                metrics += _numbers(report, f"{result.data}{label}", test.corpus.rule, command)
    if metrics:
        card = replace(card, metrics=tuple(metrics))
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


def calibrate(file: Path, recipe: Recipe, data: TrainingSet, detector: Detector | None) -> None:
    """Fit the temperature of every head of a written model on what was set aside, and enter it in the card.

    Parameters
    ----------
    file : Path
        The file of weights.
    recipe : Recipe
    data : TrainingSet
    detector : Detector, optional
        Where the data were cut by other landmarks than those in use: the detector in use, by whose
        landmarks they are cut again. Whoever calibrates on better crops is too sure of himself.
    """
    samples = torch.from_numpy(np.flatnonzero(data.held_out))
    crops = _held_out_crops(recipe, data, data.rows[samples], detector)
    card = load_card(file.with_suffix(".toml"))
    heads = []
    for head in card.heads:
        head = calibrated_head(file, head, crops, data.targets[head.labels + "_label"][samples].numpy())
        if recipe.balance == "none":
            head = replace(head, frequency=_frequency(data, head.labels))
        heads.append(head)
    write_card(replace(card, heads=tuple(heads)), file.parent)


def calibrated_head(
    file: Path, head: Head, crops: NDArray[np.uint8], label: NDArray[np.integer[Any]]
) -> Head:
    """Return a head of a written model, whose temperature is 1, with the one that fits what was set aside.

    Parameters
    ----------
    file : Path
        The file of weights.
    head : Head
    crops : ndarray of shape (n, ...), uint8
        As the model takes them; it has not learned from them.
    label : ndarray of shape (n,), int
        Column of each, -1 where it is not known. Where less than two emotions are known there is nothing to
        fit, and the head is returned as it is.
    """
    known = label >= 0
    if len(np.unique(label[known])) < 2:
        return head
    scores = _scores(file, head.labels, crops[known])
    return replace(head, temperature=round(fit_temperature(scores, label[known]), 4))


def _frequency(data: TrainingSet, labels: str) -> tuple[float, ...]:
    """Return the share of each emotion in what was learned from: of the votes, where there are votes."""
    learned = torch.from_numpy(~data.held_out)
    target, weight = data.targets[labels][learned], data.targets[labels + "_weight"][learned]
    if not target.is_floating_point():
        target = torch.nn.functional.one_hot(target, data.heads[labels]).float()
    total = (target * weight[:, None]).sum(0, dtype=torch.float64)
    return tuple((total / total.sum().clamp(min=1e-12)).numpy().round(5).tolist()) if total.any() else ()


def _held_out_crops(
    recipe: Recipe, data: TrainingSet, rows: Tensor, detector: Detector | None
) -> NDArray[np.uint8]:
    """Cut pictures as they will be cut in use."""
    pictures = data.pictures["picture"][rows]
    aligned = data.pictures.get("detected", data.pictures["aligned"])[rows]
    small = pictures.ndim == 3 and max(pictures.shape[1:]) <= SMALL
    if detector is not None and small and "detected" not in data.pictures:
        found = detected_geometry(list(pictures.numpy()), detector)
        shapes = np.tile(pictures.shape[1:], (len(pictures), 1))
        matrices, _ = crop_matrices(found, shapes, recipe.template, recipe.margin, recipe.size)
        aligned = torch.from_numpy(matrices)
    return cut(pictures, aligned, recipe.size).round().clamp(0, 255).byte().numpy()


def _scores(file: Path, labels: str, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits of one head of a model that is not calibrated yet, up to a constant a row."""
    model = load_model(file, labels=labels)
    ask = model.predict_windows if isinstance(model, SequenceModel) else model.predict_proba
    scores: NDArray[np.float32] = np.log(np.maximum(ask(crops), np.float32(1e-12)))
    return scores
