"""Whether what a detector found is a face: a second network looks at each, and at what surrounds it.

A detector looks everywhere and must be quick at every place; where it has found something there is time for a
closer look, as in the later stages of MTCNN (Zhang et al. 2016). What lies around a face tells most where the
face is small, out of focus or dark.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.catalog import ModelCard, find_model
from mien.errors import ModelError
from mien.faces.align import cut_boxes
from mien.runtime import Session

INPUTS, OUTPUT = ("crops", "score"), "confirmed"
"""What the network is given of each candidate, and what it answers."""

BATCH = 256
"""Most candidates in one run, so that memory stays bounded."""


class ConfirmModel:
    """A network that says how sure it is of what a detector found.

    Parameters
    ----------
    card : ModelCard
        How the network is used: `size_px` and `margin` say how candidates are cut, `score_threshold` from
        which score of the detector on something is a candidate.
    path : path
        Its ONNX file: the inputs "crops" of shape (n, S, S), grey, 0 to 255, and "score" of shape (n,), the
        detector's, both float32; the output "confirmed" of shape (n,), a score from 0 to 1.
    threads : int, optional
        Processor threads one run may use; by default as many as the machine has cores.

    Raises
    ------
    ModelError
        If the file is no such network.
    """

    def __init__(self, card: ModelCard, path: str | Path, *, threads: int | None = None) -> None:
        self.card = card
        self.name = card.name
        self.session = Session(path, threads=threads)
        if set(self.session.input_names) != set(INPUTS) or OUTPUT not in self.session.output_names:
            raise ModelError(
                f"{path} is no network that confirms faces: expected the inputs {INPUTS} and the output "
                f"{OUTPUT!r}; it has the inputs {self.session.input_names} and the outputs "
                f"{self.session.output_names}."
            )

    def __repr__(self) -> str:
        return f"ConfirmModel({self.name!r})"

    def cut(self, image: NDArray[np.uint8], box_xyxy: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Cut candidates with what surrounds them.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3) or (H, W), uint8
            RGB or grey.
        box_xyxy : ndarray of shape (n, 4)
            Pixels of `image`.

        Returns
        -------
        ndarray of shape (n, S, S), uint8
        """
        return cut_boxes(image, box_xyxy, self.card.margin, self.card.size_px)

    def confirm(
        self, image: NDArray[np.uint8], box_xyxy: NDArray[np.floating], score: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Look again at what was found.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3) or (H, W), uint8
            RGB or grey.
        box_xyxy : ndarray of shape (n, 4)
            Pixels of `image`. n may be 0.
        score : ndarray of shape (n,)
            The detector's, 0 to 1.

        Returns
        -------
        ndarray of shape (n,), float32
            How sure both together are, 0 to 1.

        Raises
        ------
        ModelError
            If the network cannot run on them, or answers with something that is no score.
        """
        parts = [
            self._run(self.cut(image, box_xyxy[i : i + BATCH]), score[i : i + BATCH])
            for i in range(0, len(score), BATCH)
        ]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def _run(self, crops: NDArray[np.uint8], score: NDArray[np.floating]) -> NDArray[np.float32]:
        feed = dict(zip(INPUTS, (crops.astype(np.float32), score.astype(np.float32)), strict=True))
        confirmed = self.session.run(feed, [OUTPUT])[0]
        if confirmed.shape != score.shape or not ((confirmed >= 0) & (confirmed <= 1)).all():
            raise ModelError(
                f"{self.session.path}: the output {OUTPUT!r} of shape {confirmed.shape} must be numbers "
                f"from 0 to 1 of shape {score.shape}."
            )
        return confirmed.astype(np.float32, copy=False)


def load_confirm(name_or_file: str | Path = "default", *, threads: int | None = None) -> ConfirmModel:
    """Load a network that confirms faces.

    Parameters
    ----------
    name_or_file : str or path
        A name that :func:`mien.catalog.list_models` shows, "default", or an ONNX file with its card beside
        it.
    threads : int, optional
        Processor threads one run may use; by default as many as the machine has cores.

    Raises
    ------
    UnknownNameError
        If there is no such model.
    ModelError
        If its files are missing, damaged or not what the card says.
    """
    card, path = find_model(name_or_file, "confirmation")
    return ConfirmModel(card, path, threads=threads)
