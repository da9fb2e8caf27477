"""Several crops of one face in their order to probabilities of the last, by a network in an ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.catalog import ModelCard
from mien.errors import ModelError
from mien.faces.align import CropSpec
from mien.labels import LabelSet
from mien.models.network import ask, calibrated, check_crops, check_output
from mien.runtime import Session

BATCH = 64
"""Most windows in one run, so that memory stays bounded."""


class SequenceModel:
    """A network that scores windows: the past crops of a face, oldest first.

    Parameters
    ----------
    card : ModelCard
        How the network is used.
    path : path
        Its ONNX file: one input of shape (n, t, S, S), t being the card's frames.
    labels : str, optional
        Which of the card's label sets to answer in; by default the first.
    threads : int, optional
        Processor threads one run may use; by default as many as the machine has cores.

    Raises
    ------
    ModelError
        If the file is no model, or its input and outputs are not as the card says.
    UnknownNameError
        If the card has no such label set.
    """

    def __init__(
        self, card: ModelCard, path: str | Path, *, labels: str | None = None, threads: int | None = None
    ) -> None:
        self.card = card
        self.name = card.name
        self.frames = card.frames
        self.step = card.step
        self.head = card.head(labels)
        self.labels: LabelSet = self.head.label_set
        self.crop = CropSpec(card.template, card.margin, card.size_px, card.colour)
        self.session = Session(path, threads=threads)
        shapes = [self.session.input_shapes[name] for name in self.session.input_names]
        wanted = (card.frames, card.size_px, card.size_px)
        if len(shapes) != 1 or shapes[0][1:] != wanted:
            needed = ", ".join(map(str, wanted))
            raise ModelError(f"{path} takes {shapes}; its card's windows need one input of (n, {needed}).")
        check_output(self.session, self.head)

    def __repr__(self) -> str:
        return f"SequenceModel({self.name!r}, labels={self.labels.key!r}, frames={self.frames})"

    def predict_windows(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the expression that the last crop of each window displays.

        Parameters
        ----------
        windows : ndarray of shape (n, t, S, S), uint8
            Grey crops as :attr:`crop` cuts them, oldest first; n may be 0.

        Returns
        -------
        ndarray of shape (n, k), float32
            Rows that sum to one, over :attr:`labels`.

        Raises
        ------
        ArgumentError
            If the windows are not of the card's size and length.
        ModelError
            If the network cannot run on them, or answers with something that is no number.
        """
        check_crops(windows, (self.frames, *self.crop.shape), "windows")
        parts = [
            ask(self.session, windows[i : i + BATCH].astype(np.float32), self.head)
            for i in range(0, len(windows), BATCH)
        ]
        return calibrated(np.concatenate([np.empty((0, len(self.labels)), np.float32), *parts]), self.head)

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities for stills: each is shown for the whole window, as a face that does not move.

        Parameters
        ----------
        crops : ndarray of shape (n, S, S), uint8
            As :attr:`crop` cuts them.

        Returns
        -------
        ndarray of shape (n, k), float32
        """
        return self.predict_windows(np.repeat(crops[:, None], self.frames, axis=1))
