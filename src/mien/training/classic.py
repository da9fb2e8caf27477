"""Train the classic models: features of a face, and a support vector machine over them. No torch."""

from __future__ import annotations

import copy
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from numpy.typing import NDArray

from mien.catalog import Head, ModelCard, file_sha256, find_model, list_models
from mien.errors import DatasetError, ModelError, bad_argument, require, unknown_name
from mien.faces.align import CropSpec
from mien.faces.detect import Detector
from mien.models.classic import EXTRA, ClassicModel, base_of, class_scores
from mien.sources.labelled import LabelledImages
from mien.sources.splits import split_rows
from mien.training.architectures import get_architecture, list_architectures
from mien.training.cards import LIMITS, complete_card, noise_crops, replacing, training_data
from mien.training.crops import Progress, cut_corpus
from mien.training.metrics import fit_temperature
from mien.training.recipe import Recipe

EXACT = 4000
"""Up to so many training pictures the machine compares every pair; the time grows with their square."""

SAMPLE = 2000
"""Beyond, it compares each with so many of them (Nystroem's approximation, Williams and Seeger 2001)."""

COMPONENTS = 200
"""Principal components of the features that are kept in the approximation."""

STRENGTH = 1.0
"""C of the support vector machines: what a wrong training picture costs."""

BASES = {"svm-geometry": "points70.faces", "cnn-svm": "resnet.ferplus"}
"""The network whose features an architecture looks at, unless another is named."""

TOLERANCE = 1e-3
"""Most by which a score may differ between the pipeline and its file."""

PACKAGES = ("numpy", "scikit-image", "scikit-learn", "skops")
"""Whose versions the card notes."""


@dataclass(frozen=True)
class FittedClassic:
    """A pipeline that has learned.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline
        From crops to decisions; its classes are columns of the label set.
    temperature : float
        What decisions are divided by, so that the probabilities are calibrated; 1 where nothing was set
        aside to calibrate on.
    images : int
        Pictures it learned from.
    """

    pipeline: Any
    temperature: float
    images: int


def build_classic(
    arch: str,
    *,
    rows: int,
    seed: int = 0,
    base: str | Path | None = None,
    class_weight: str | Mapping[int, float] | None = None,
) -> Any:
    """Return the pipeline of a classic architecture, not yet fitted.

    Parameters
    ----------
    arch : {"svm-hog", "svm-lbp", "svm-geometry", "cnn-svm"}
    rows : int
        Training pictures there will be; decides between the exact machine and its approximation.
    seed : int
    base : str or path, optional
        For "svm-geometry" the network of landmarks, for "cnn-svm" the network whose embedding is taken: a
        name or a file. By default one that ships.
    class_weight : "balanced" or mapping, optional
        What a wrong picture of each class costs, as scikit-learn means it; by default all the same.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Takes crops (n, S, S) or (n, S, S, 3), uint8.

    Raises
    ------
    UnknownNameError
        If it is no classic architecture.
    MissingExtraError
        If scikit-learn or scikit-image is not installed.
    """
    if arch not in list_architectures("classic"):
        raise unknown_name("classic architecture", arch, list_architectures("classic"))
    if base and arch not in BASES:
        raise bad_argument("base", allowed=f"left out for {arch}, which needs no network", given=base)
    parts = [("features", _features(arch, base)), *_machine(arch, rows, seed, class_weight)]
    return _sklearn("pipeline").Pipeline(parts)


def _features(arch: str, base: str | Path | None) -> Any:
    _sklearn("base")
    from mien.models import features

    if arch == "svm-hog":
        return features.HogFeatures()
    if arch == "svm-lbp":
        return features.LbpFeatures()
    kind = features.GeometryFeatures if arch == "svm-geometry" else features.EmbeddingFeatures
    return kind(model=base or BASES[arch])


def _machine(arch: str, rows: int, seed: int, class_weight: Any) -> list[tuple[str, Any]]:
    """Return what follows the features.

    An embedding was made to be told apart by planes. The other features need a curved boundary, by
    Gaussian kernels whose width follows from the spread of the features.
    """
    from mien.models.features import EvenScale

    svm = _sklearn("svm")
    plane = svm.LinearSVC(C=STRENGTH, dual=False, tol=1e-2, class_weight=class_weight, random_state=seed)
    scale = ("scale", _sklearn("preprocessing").StandardScaler())
    if arch == "cnn-svm":
        return [scale, ("svm", plane)]
    if rows <= EXACT:
        curved = svm.SVC(C=STRENGTH, gamma="scale", class_weight=class_weight, random_state=seed)
        return [scale, ("svm", curved)] if arch == "svm-geometry" else [("svm", curved)]
    kernel = ("kernel", _sklearn("kernel_approximation").Nystroem(n_components=SAMPLE, random_state=seed))
    even = ("even", EvenScale())
    if arch == "svm-geometry":
        return [scale, even, kernel, ("svm", plane)]
    pca = _sklearn("decomposition").PCA(COMPONENTS, svd_solver="covariance_eigh", random_state=seed)
    return [("reduce", pca), even, kernel, ("svm", plane)]


def fit_classic(
    crops: NDArray[np.uint8],
    label: NDArray[np.int64],
    k: int,
    arch: str,
    *,
    seed: int = 0,
    held_out: NDArray[np.bool_] | None = None,
    base: str | Path | None = None,
    class_weight: str | Mapping[int, float] | None = None,
) -> FittedClassic:
    """Train a classic model, and calibrate it on what is set aside.

    Parameters
    ----------
    crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
    label : ndarray of shape (n,), int
        Column in the label set; -1 for a picture that is left out.
    k : int
        Classes of the label set. Those without a picture get probability 0.
    arch, seed, base, class_weight
        See :func:`build_classic`.
    held_out : ndarray of shape (n,), bool, optional
        Rows to calibrate on, from which nothing else is learned.

    Raises
    ------
    ArgumentError
        If labels and crops do not fit each other.
    DatasetError
        If what remains to learn from has fewer than two classes.
    """
    aside = np.zeros(len(crops), bool) if held_out is None else held_out
    for name, value in {"label": label, "held_out": aside}.items():
        if value.shape != (len(crops),):
            raise bad_argument(name, allowed=f"of shape ({len(crops)},), as the crops", given=value.shape)
    if len(label) and not -1 <= label.min() <= label.max() < k:
        raise bad_argument("label", allowed=f"from -1 to {k - 1}", given=(label.min(), label.max()))
    learned = (label >= 0) & ~aside
    seen = np.unique(label[learned])
    if len(seen) < 2:
        raise DatasetError(
            f"{int(learned.sum())} labelled pictures of {len(seen)} class(es) are left to learn from; a "
            "classic model needs two classes or more."
        )
    rows = int(learned.sum())
    pipeline = build_classic(arch, rows=rows, seed=seed, base=base, class_weight=class_weight)
    pipeline.fit(crops[learned], label[learned].astype(np.int64))
    checked = aside & np.isin(label, seen)
    temperature = 1.0
    if len(np.unique(label[checked])) > 1:
        temperature = fit_temperature(class_scores(pipeline, crops[checked], k), label[checked])
    return FittedClassic(pipeline, temperature, rows)


def export_classic(
    pipeline: Any,
    card: ModelCard,
    folder: str | Path,
    crops: NDArray[np.uint8],
    *,
    extras: Mapping[str, NDArray[Any]] | None = None,
) -> Path:
    """Write a fitted pipeline as NAME.skops, with its card NAME.toml and its golden scores NAME.npz.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline
        Of :func:`fit_classic`.
    card : ModelCard
        Of one head. Without `format`, `base`, `sha256`, `size_bytes`, `parameters`, `created` and
        `versions`, which are filled in.
    folder : path
        Where to write; made if it does not exist. A network that the pipeline looks through is copied
        there too, unless it is known by name.
    crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
        At least one, for the golden file.
    extras : mapping of str to ndarray, optional
        More arrays for the golden file.

    Returns
    -------
    Path
        The skops file.

    Raises
    ------
    ModelError
        If the file does not agree with the pipeline, or holds a type that is not trusted. Nothing is
        written.
    """
    if not len(crops):
        raise bad_argument("crops", allowed="one crop or more", given=crops.shape)
    if len(card.heads) != 1:
        raise bad_argument("card", allowed="with one head", given=[head.labels for head in card.heads])
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    kept = copy.deepcopy(pipeline)
    base = _bring_base(kept, target)
    card = replace(card, format="skops", base=base)
    with ExitStack() as stack:  # moved in the reverse order: the card, which makes the model known, last
        card_file, golden_file, skops_file = (
            stack.enter_context(replacing(target / (card.name + suffix)))
            for suffix in (".toml", ".npz", ".skops")
        )
        skops = require("skops.io", purpose="Writing a classic model", extra=EXTRA)
        skops_file.write_bytes(skops.dumps(kept, compression=zipfile.ZIP_DEFLATED))
        answers = _compare(pipeline, card, skops_file, crops)
        golden: dict[str, NDArray[Any]] = {"crops": crops, card.heads[0].output: answers, **(extras or {})}
        with golden_file.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **golden)
        finished = complete_card(card, skops_file, parameters=_count(kept), packages=PACKAGES)
        card_file.write_text(tomli_w.dumps(finished.to_dict()), encoding="utf-8")
    return target / f"{card.name}.skops"


def _head(corpus: LabelledImages, fitted: FittedClassic, *, balanced: bool) -> Head:
    """Return the output of a fitted model, with the frequency of each emotion where it was learned."""
    count = np.bincount(corpus.label[corpus.label >= 0], minlength=len(corpus.labels))
    frequency = () if balanced else tuple((count / count.sum()).round(5).tolist())
    key = corpus.labels.key
    return Head(key, key, "logits", round(fitted.temperature, 4), frequency)


def train_classic(
    corpus: LabelledImages,
    recipe: Recipe,
    *,
    out: str | Path,
    name: str,
    detector: Detector | None = None,
    command: str = "",
    cache: str | Path | None = None,
    progress: Progress | None = None,
    picture: NDArray[np.uint8] | None = None,
) -> Path:
    """Train a classic model on a corpus and write it, calibrated.

    Parameters
    ----------
    corpus : LabelledImages
        What to learn from; byte-identical pictures stay on one side of what is set aside.
    recipe : Recipe
        Of its fields arch, size, template, margin, seed, balance, held_out, split_seed and base matter. Where
        the features come from a network, faces are cut as that one needs them; and if it learned from these
        pictures already, what is set aside is not new to it, and the model comes out a little too sure.
    out, name, detector, command, cache, progress, picture
        See :func:`mien.training.run.train_model`.

    Returns
    -------
    Path
        The skops file.
    """
    spec, base = _spec(recipe)
    cut = cut_corpus(corpus.images, spec, detector, cache=cache, progress=progress)
    held_out = np.zeros(len(corpus), bool)
    if recipe.held_out > 0:
        shares = {"learned": 1 - recipe.held_out, "held": recipe.held_out}
        held_out = split_rows(corpus, shares, seed=recipe.split_seed) == "held"
    fitted = fit_classic(
        cut.crops,
        corpus.label,
        len(corpus.labels),
        recipe.arch,
        seed=recipe.seed,
        held_out=held_out,
        base=base,
        class_weight=None if recipe.balance == "none" else "balanced",
    )
    card = ModelCard(
        name=name,
        task="expression",
        summary=f"Displayed expression of one {spec.colour} face: {get_architecture(recipe.arch).summary}.",
        licence="Apache-2.0",
        size_px=spec.size,
        colour=spec.colour,
        template=spec.template,
        margin=spec.margin,
        heads=(_head(corpus, fitted, balanced=recipe.balance != "none"),),
        trained_with=command,
        training_data=(training_data(corpus, fitted.images),),
        limits=LIMITS,
    )
    crops, extras = _golden(spec, picture, detector)
    return export_classic(fitted.pipeline, card, out, crops, extras=extras)


def _spec(recipe: Recipe) -> tuple[CropSpec, str | None]:
    """Return how faces are cut, and the network of the features."""
    if recipe.arch not in BASES:
        return CropSpec(recipe.template, recipe.margin, recipe.size), recipe.base or None
    base = recipe.base or BASES[recipe.arch]
    if recipe.arch == "svm-geometry":
        card, _ = find_model(base, "landmarks")
        return CropSpec(card.template, card.margin, recipe.size), base
    card, _ = find_model(base, "expression")
    return CropSpec(card.template, card.margin, card.size_px, card.colour), base


def _golden(
    spec: CropSpec, picture: NDArray[np.uint8] | None, detector: Detector | None
) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
    """Return crops that may be shared: of a picture that is free to share, or of noise."""
    if picture is None:
        return noise_crops(spec, 2), {}
    if detector is None:
        return spec.cut_framed(picture)[None], {}
    landmarks = detector.detect(picture).landmarks_xy[:1]
    crops = spec.cut(picture, landmarks)
    return crops, {"picture": picture, "landmarks_xy": landmarks, "crop": crops}


def _bring_base(pipeline: Any, folder: Path) -> str:
    """Have the pipeline's network at hand beside its file; return how the card and the pipeline name it."""
    task = base_of(pipeline)
    if not task:
        return ""
    card, path = find_model(pipeline["features"].model, task)
    name = card.name
    if name not in {one.name for one in list_models(task)} or find_model(name, task)[1] != path:
        name = path.name
        copied = folder / name
        if copied.is_file() and file_sha256(copied) != file_sha256(path):
            raise ModelError(f"{copied} is another network than {path}, on which the classifier was trained.")
        for source in (path.with_suffix(".toml"), path.with_suffix(".npz"), path):
            if source.is_file() and not (folder / source.name).is_file():
                with replacing(folder / source.name) as temporary:
                    shutil.copyfile(source, temporary)
    pipeline.set_params(features__model=name, features__threads=None)
    return name


def _compare(pipeline: Any, card: ModelCard, file: Path, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Refuse a file that answers differently from the pipeline; return its answers."""
    model = ClassicModel(card, file, threads=1)
    wanted = class_scores(pipeline, crops, len(model.labels))
    answers = model.scores(crops)
    alone = model.scores(crops[:1])
    difference = max(float(np.abs(wanted - answers).max()), float(np.abs(wanted[:1] - alone).max()))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The written scores differ from the pipeline's by {difference:.2g}; at most {TOLERANCE:.2g} is "
            "allowed. Nothing was written."
        )
    return answers


def _count(pipeline: Any) -> int:
    """Return how many numbers the steps after the features have learned."""
    fitted = [value for _, step in pipeline.steps[1:] for value in vars(step).values()]
    return sum(value.size for value in fitted if isinstance(value, np.ndarray) and value.dtype.kind == "f")


def _sklearn(module: str) -> Any:
    return require(f"sklearn.{module}", purpose="Training a classic model", extra=EXTRA)
