"""Every architecture as a scikit-learn estimator."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin  # type: ignore[import-untyped]  # ships no types
from sklearn.utils.validation import check_is_fitted  # type: ignore[import-untyped]  # ships no types

from mien.errors import bad_argument
from mien.labels import LabelSet
from mien.models import load_model
from mien.sources.labelled import LabelledImages
from mien.training.architectures import get_architecture
from mien.training.recipe import recipe_for
from mien.training.run import train_model


class ExpressionClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # of Any: no types
    """Faces to probabilities, by any architecture of the training wing.

    The constructor only stores; what is learned ends in an underscore. Faces are taken as they are, framed
    like the template: align them before with :class:`mien.faces.align.CropSpec`, or use
    ``mien train``, which finds them.

    Parameters
    ----------
    arch : str
        See :func:`mien.training.architectures.list_architectures`.
    epochs, batch, learning_rate : number, optional
        By default those of the architecture's recipe.
    seed : int
        Decides what chance decides.
    base : str, optional
        A model to go on from.
    settings : dict, optional
        Further fields of :class:`mien.training.recipe.Recipe`.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
        The labels, sorted; the columns of `predict_proba`.
    model_ : mien.models.Model
        What was learned.
    card_ : mien.catalog.ModelCard

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> cross_val_score(ExpressionClassifier("svm-hog"), faces, names)  # doctest: +SKIP
    """

    def __init__(
        self,
        arch: str = "resnet",
        *,
        epochs: int | None = None,
        batch: int | None = None,
        learning_rate: float | None = None,
        seed: int = 0,
        base: str | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.arch = arch
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.seed = seed
        self.base = base
        self.settings = settings

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # as scikit-learn names it
        """Learn from faces.

        Parameters
        ----------
        X : array_like of shape (n, H, W) or (n, H, W, 3), or (n, t, H, W) for sequences, uint8
            Grey or RGB.
        y : array_like of shape (n,)
            Their labels, of any kind.

        Raises
        ------
        ArgumentError
            If the shapes do not fit, or there are fewer than two classes.
        """
        faces, names = self._faces(X), np.asarray(y)
        if names.shape != (len(faces),):
            raise bad_argument("y", allowed=f"one label for each of {len(faces)} faces", given=names.shape)
        self.classes_, column = np.unique(names, return_inverse=True)
        if len(self.classes_) < 2:
            raise bad_argument("y", allowed="labels of two classes or more", given=self.classes_)
        recipe = recipe_for(
            self.arch,
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=self.learning_rate,
            seed=self.seed,
            base=self.base,
            **(self.settings or {}),
        )
        if self._sequences:
            if recipe.step != 1:
                raise bad_argument("step", allowed="1: what is given are windows already", given=recipe.step)
            recipe = replace(recipe, frames=faces.shape[1])
        corpus = self._corpus(faces, column.astype(np.int64))
        with tempfile.TemporaryDirectory() as folder:
            name = f"{recipe.arch.replace(':', '-')}.fitted"
            self.card_ = train_model(corpus, recipe, run=Path(folder) / "run", out=folder, name=name)
            self.model_ = load_model(Path(folder) / f"{name}.{self.card_.format}")
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:  # as scikit-learn names it
        """Return calibrated probabilities of shape (n, k), columns in the order of `classes_`."""
        check_is_fitted(self, "model_")
        faces = self._faces(X)
        spec = self.model_.crop
        if self._sequences:
            n, t = faces.shape[:2]
            cut = [spec.cut_framed(face) for face in faces.reshape(n * t, *faces.shape[2:])]
            windows = np.array(cut, np.uint8).reshape(n, t, spec.size, spec.size)
            return self.model_.predict_windows(windows)  # type: ignore[attr-defined,no-any-return]  # a SequenceModel
        crops = np.array([spec.cut_framed(face) for face in faces], np.uint8).reshape(-1, *spec.shape)
        return self.model_.predict_proba(crops)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # as scikit-learn names it
        """Return the most probable label of each face, (n,)."""
        probability = self.predict_proba(X)
        chosen: NDArray[Any] = self.classes_[probability.argmax(axis=1)]
        return chosen

    @property
    def _sequences(self) -> bool:
        return get_architecture(self.arch).family == "sequence"

    def _faces(self, X: ArrayLike) -> NDArray[np.uint8]:  # as scikit-learn names it
        faces = np.asarray(X)
        grey = faces.ndim == 3 or (faces.ndim == 4 and faces.shape[-1] == 3)
        if faces.dtype != np.uint8 or not (faces.ndim == 4 if self._sequences else grey):
            wanted = "(n, t, H, W)" if self._sequences else "(n, H, W) or (n, H, W, 3)"
            raise bad_argument("X", allowed=f"uint8 of shape {wanted}", given=f"{faces.dtype} {faces.shape}")
        return faces

    def _corpus(self, faces: NDArray[np.uint8], column: NDArray[np.int64]) -> LabelledImages:
        labels = LabelSet("+".join(names := [f"class{i}" for i in range(len(self.classes_))]), tuple(names))
        n = len(faces)
        sequence = position = None
        label = column
        if self._sequences:
            t = faces.shape[1]
            label = np.full((n, t), -1, np.int64)
            label[:, -1] = column
            faces, label = faces.reshape(n * t, *faces.shape[2:]), label.ravel()
            sequence = np.repeat(np.arange(n).astype(str), t)
            position = np.tile(np.arange(t), n)
        return LabelledImages(
            name="faces given to fit",
            labels=labels,
            images=faces,
            label=label,
            split=np.full(len(faces), "", "U1"),
            source=np.arange(len(faces)).astype(str),
            sequence=sequence,
            position=position,
        )
