"""Test-time mirroring: a face is read twice, as it is and as in a mirror, and the mean is the answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.models import Model
from mien.training.evaluate import SequenceModel

MIRRORED = "with test-time mirroring"
"""What is added to the name of a model that reads each face twice."""


def mirror(model: Model) -> MirroredModel:
    """Return a model that reads each face twice; see :class:`MirroredModel`."""
    if isinstance(model, SequenceModel) and model.frames > 1:
        return MirroredSequenceModel(model)
    return MirroredModel(model)


class MirroredModel:
    """A model whose answer is the mean of its answers for a crop and for the mirror image of the crop.

    It takes twice the work for each face, so its numbers stand beside those of the model itself, never in
    their place.

    Parameters
    ----------
    model : Model
    """

    mirrored = True

    def __init__(self, model: Model) -> None:
        self.labels, self.crop = model.labels, model.crop
        self.name = f"{model.name} {MIRRORED}"
        self._model = model

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities of shape (n, k) for crops of shape (n, S, S[, 3])."""
        as_is = self._model.predict_proba(crops)
        return (as_is + self._model.predict_proba(np.ascontiguousarray(crops[:, :, ::-1]))) / np.float32(2)


class MirroredSequenceModel(MirroredModel):
    """The same for a model that looks at several crops in order: all of them are mirrored."""

    def __init__(self, model: SequenceModel) -> None:
        super().__init__(model)
        self.frames, self.step = model.frames, getattr(model, "step", 1)
        self._windows = model.predict_windows

    def predict_windows(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities of shape (m, k) for windows of shape (m, t, S, S[, 3]), oldest first."""
        mirrored = np.ascontiguousarray(windows[:, :, :, ::-1])
        return (self._windows(windows) + self._windows(mirrored)) / np.float32(2)
