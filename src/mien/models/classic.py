"""One still crop to probabilities of the displayed expression, by a classic model in a skops file.

A classic model is a scikit-learn pipeline: features of crops, scaling, a support vector machine. Its file
may hold nothing but the parts that mien builds such pipelines of, and is never unpickled.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.catalog import ModelCard, find_base, find_model
from mien.errors import MienError, ModelError, require
from mien.faces.align import CropSpec
from mien.labels import LabelSet
from mien.models.network import calibrated, check_crops

EXTRA = "classic"
"""What of mien brings the packages needed here."""

BATCH = 256
"""Most crops in one run, so that memory stays bounded."""

UNSEEN = -1e4
"""Score of an emotion that was not in the training data: at no temperature does its probability exceed 0."""

OURS = tuple(
    f"mien.models.features.{name}"
    for name in ("HogFeatures", "LbpFeatures", "GeometryFeatures", "EmbeddingFeatures", "EvenScale")
)
"""Types that a file may hold besides those of scikit-learn and numpy that skops itself knows to be safe."""

STEPS = {
    "features": OURS[:-1],
    "reduce": ("sklearn.decomposition._pca.PCA",),
    "scale": ("sklearn.preprocessing._data.StandardScaler",),
    "even": OURS[-1:],
    "kernel": ("sklearn.kernel_approximation.Nystroem",),
    "svm": ("sklearn.svm._classes.LinearSVC", "sklearn.svm._classes.SVC"),
}
"""Steps a pipeline may have, in this order, and their types; the first and the last are always there."""


class ClassicModel:
    """A classic model that scores single crops.

    Parameters
    ----------
    card : ModelCard
        How the model is used. Its `base` names the network whose features it looks at: one beside the
        file, or one of :func:`mien.catalog.list_models`.
    path : path
        Its skops file.
    labels : str, optional
        Which of the card's label sets to answer in; it has one.
    threads : int, optional
        Processor threads the network of features may use; by default as many as the machine has cores.

    Raises
    ------
    ModelError
        If the file is none, holds types that are not trusted, or is not what the card says.
    UnknownNameError
        If the card has no such label set.
    MissingExtraError
        If scikit-learn or skops is not installed.
    """

    def __init__(
        self, card: ModelCard, path: str | Path, *, labels: str | None = None, threads: int | None = None
    ) -> None:
        self.card = card
        self.name = card.name
        self.path = Path(path)
        self.head = card.head(labels)
        self.labels: LabelSet = self.head.label_set
        self.crop = CropSpec(card.template, card.margin, card.size_px, card.colour)
        self.pipeline = load_pipeline(self.path)
        _check_classes(self.pipeline, self.labels, self.path)
        _set_base(self.pipeline, card, self.path, threads)

    def __repr__(self) -> str:
        return f"ClassicModel({self.name!r}, labels={self.labels.key!r})"

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the displayed expression.

        Parameters
        ----------
        crops : ndarray of shape (n, S, S) for grey or (n, S, S, 3) for RGB, uint8
            As :attr:`crop` cuts them; n may be 0.

        Returns
        -------
        ndarray of shape (n, k), float32
            Rows that sum to one, over :attr:`labels`; 0 for an emotion that was not in the training data.

        Raises
        ------
        ArgumentError
            If the crops are not of the card's size and colour.
        ModelError
            If the model cannot run on them, or answers with something that is no number.
        """
        return calibrated(self.scores(crops), self.head)

    def scores(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return how far each crop lies on each emotion's side, before temperature and softmax.

        Parameters
        ----------
        crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
            As :attr:`crop` cuts them.

        Returns
        -------
        ndarray of shape (n, k), float32
        """
        check_crops(crops, self.crop.shape)
        try:
            scores = class_scores(self.pipeline, crops, len(self.labels))
        except MienError:
            raise
        except (ValueError, AttributeError, TypeError) as error:  # scikit-learn's, of a file that was changed
            raise ModelError(f"{self.path} cannot run on crops {crops.shape}: {error}") from error
        if not np.isfinite(scores).all():
            raise ModelError(f"{self.path}: the scores hold values that are no numbers.")
        return scores


def class_scores(pipeline: Any, crops: NDArray[np.uint8], k: int) -> NDArray[np.float32]:
    """Return a fitted pipeline's decisions as one column for each class of a label set.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline
        Fitted on columns of the label set.
    crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
        n may be 0.
    k : int
        Classes of the label set.

    Returns
    -------
    ndarray of shape (n, k), float32
        Signed distances from the machine's boundaries; :data:`UNSEEN` for a class it was not fitted on.
    """
    scores = np.full((len(crops), k), UNSEEN, np.float32)
    for i in range(0, len(crops), BATCH):
        decision = pipeline.decision_function(crops[i : i + BATCH])
        if decision.ndim == 1:  # of two classes, the machine's boundary has the second on its positive side
            decision = np.stack([-decision, decision], axis=1)
        scores[i : i + BATCH, pipeline.classes_] = decision
    return scores


def load_pipeline(path: Path) -> Any:
    """Read a classic model's pipeline.

    Parameters
    ----------
    path : Path
        The skops file.

    Raises
    ------
    ModelError
        If it is no such file, or holds types that are not trusted; the message names them.
    MissingExtraError
        If scikit-learn or skops is not installed.
    """
    purpose = "Using a classic model"
    require("sklearn", purpose=purpose, extra=EXTRA)
    skops = require("skops.io", purpose=purpose, extra=EXTRA)
    try:
        data = path.read_bytes()
        foreign = sorted(set(skops.get_untrusted_types(data=data)) - set(OURS))
        if foreign:
            raise ModelError(
                f"{path} holds types that are not trusted and was not loaded: {', '.join(foreign)}. A "
                "classic model holds only what mien trains; do not use a file of unknown origin."
            )
        pipeline = skops.loads(data, trusted=list(OURS))
    except _DAMAGED as error:
        raise ModelError(f"{path} is no skops file that can be loaded: {_told(error)}.") from error
    _check_steps(pipeline, path)
    return pipeline


_DAMAGED = (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, ImportError)
"""What skops raises on files that are none, are cut short, or name what does not exist."""


def base_of(pipeline: Any) -> str:
    """Return the task of the network whose features a pipeline looks at; empty where it needs none."""
    return str(getattr(pipeline["features"], "task", ""))


def _told(error: Exception) -> str:
    return f"{type(error).__name__}, {error}".partition("\n")[0][:300].rstrip(".")


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _check_steps(pipeline: Any, path: Path) -> None:
    """Refuse whatever is safe to load, but no pipeline of ours."""
    if _type_name(pipeline) != "sklearn.pipeline.Pipeline":
        raise ModelError(f"{path} holds a {_type_name(pipeline)}; expected a pipeline that mien trained.")
    steps = list(pipeline.steps)
    for name, step in steps:
        if _type_name(step) not in STEPS.get(name, ()):
            allowed = ", ".join(STEPS.get(name, STEPS))
            raise ModelError(f"{path}: the step {name!r} is a {_type_name(step)}; expected {allowed}.")
    names = [name for name, _ in steps]
    if names != [name for name in STEPS if name in names] or not {"features", "svm"} <= set(names):
        raise ModelError(
            f"{path} has the steps {', '.join(names)}; expected {', '.join(STEPS)}, in this order."
        )


def _check_classes(pipeline: Any, labels: LabelSet, path: Path) -> None:
    classes = np.asarray(getattr(pipeline["svm"], "classes_", ()))
    fits = classes.dtype.kind == "i" and classes.ndim == 1 and len(classes) > 1
    if not fits or classes.min() < 0 or classes.max() >= len(labels):
        raise ModelError(
            f"{path} was fitted on the classes {classes.tolist()}; expected columns of {labels.key!r}, "
            f"0 to {len(labels) - 1}."
        )


def _set_base(pipeline: Any, card: ModelCard, path: Path, threads: int | None) -> None:
    """Point the features at the network the card names, and see that faces are cut alike for both."""
    task = base_of(pipeline)
    if bool(task) != bool(card.base):
        need = "a network" if task else "no network"
        raise ModelError(f"{path}: its features need {need}; the card's base is {card.base!r}.")
    if not task:
        return
    wanted = find_base(card.base, path)
    base, _ = find_model(wanted, task)
    same = ("template", "margin") if task == "landmarks" else ("template", "margin", "size_px", "colour")
    for field in same:
        if getattr(base, field) != getattr(card, field):
            raise ModelError(
                f"{path}: the card says {field} = {getattr(card, field)!r}, but its base {base.name!r} needs "
                f"{getattr(base, field)!r}."
            )
    pipeline.set_params(features__model=str(wanted), features__threads=threads)
    pipeline["features"].network()
