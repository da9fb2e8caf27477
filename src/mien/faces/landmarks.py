"""Where the parts of a face lie: 70 landmarks of a crop, by a network in an ONNX file.

By them the five landmarks of a face that a detector has found are found more exactly.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.catalog import ModelCard, find_model
from mien.errors import ModelError, bad_argument
from mien.faces.align import CropSpec, invert, transform
from mien.faces.faces import Faces
from mien.runtime import Session

POINTS = 70
"""The 68 points of iBUG (Sagonas et al. 2013), then the subject's right and left iris centre."""

FIVE_OF_70 = (68, 69, 30, 48, 54)
"""Our five landmarks among them: the iris centres, the tip of the nose, the corners of the mouth."""

MOST_MOVE = 0.5
"""A face whose landmarks would move further than this on average, in distances between the eyes, keeps those
of the detector: it is a profile, or covered, or no face."""

OUTPUT = "points"
"""The network's output: x and y of each point in turn, in fractions of the crop's side."""

BATCH = 256
"""Most crops in one run, so that memory stays bounded."""

PARTS: dict[str, tuple[int, ...]] = {
    "chin": (8,),
    "jaw_right": (4,),
    "jaw_left": (12,),
    "brow_right_outer": (17,),
    "brow_right_middle": (19,),
    "brow_right_inner": (21,),
    "brow_left_inner": (22,),
    "brow_left_middle": (24,),
    "brow_left_outer": (26,),
    "nose_root": (27,),
    "nose_tip": (30,),
    "nostril_right": (31,),
    "nose_base": (33,),
    "nostril_left": (35,),
    "eye_right": (36, 37, 38, 39, 40, 41),
    "eye_right_outer": (36,),
    "eye_right_inner": (39,),
    "lid_right_upper": (37, 38),
    "lid_right_lower": (40, 41),
    "eye_left": (42, 43, 44, 45, 46, 47),
    "eye_left_inner": (42,),
    "eye_left_outer": (45,),
    "lid_left_upper": (43, 44),
    "lid_left_lower": (46, 47),
    "mouth_right": (48,),
    "mouth_left": (54,),
    "lip_upper_edge": (51,),
    "lip_lower_edge": (57,),
    "lip_upper_inner": (62,),
    "lip_lower_inner": (66,),
    "iris_right": (68,),
    "iris_left": (69,),
}
"""Named points of a face, each the mean of some of the 70 landmarks; right and left are the subject's."""


class LandmarkModel:
    """A network that finds the landmarks of faces already cut.

    Parameters
    ----------
    card : ModelCard
        How the network is used.
    path : path
        Its ONNX file: one input, grey crops (n, S, S) of 0 to 255 as float32, and the output "points" of
        shape (n, 140).
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
        if len(self.session.input_names) != 1 or OUTPUT not in self.session.output_names:
            raise ModelError(
                f"{path} is no network of landmarks: expected one input and the output {OUTPUT!r}; it has "
                f"the inputs {self.session.input_names} and the outputs {self.session.output_names}."
            )

    def __repr__(self) -> str:
        return f"LandmarkModel({self.name!r})"

    def predict(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Find the landmarks.

        Parameters
        ----------
        crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
            Grey or RGB, cut by the template and margin of the card; those of another side than the
            network's are scaled for it. n may be 0.

        Returns
        -------
        ndarray of shape (n, 70, 2), float32
            Pixels of the crops given, (0, 0) the outer corner of the first; not limited to the crop.

        Raises
        ------
        ArgumentError
            If they are no crops.
        ModelError
            If the network cannot run on them, or answers with something that is no number.
        """
        grey = as_grey(crops)
        parts = [self._run(grey[i : i + BATCH]) for i in range(0, len(grey), BATCH)]
        return np.concatenate([np.empty((0, POINTS, 2), np.float32), *parts]) * np.float32(grey.shape[1])

    def locate(self, image: NDArray[np.uint8], landmarks_xy: ArrayLike) -> NDArray[np.float64]:
        """Find the landmarks of faces whose five points are about known.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3) or (H, W), uint8
            RGB or grey.
        landmarks_xy : array_like of shape (n, 5, 2)
            Pixels of `image`; those of a face may not all coincide.

        Returns
        -------
        ndarray of shape (n, 70, 2), float64
            Pixels of `image`.
        """
        matrix = self._spec.matrices(landmarks_xy)
        return transform(self.predict(self._spec.cut(image, landmarks_xy)), invert(matrix))

    def refine(self, image: NDArray[np.uint8], faces: Faces) -> Faces:
        """Find the five landmarks of faces more exactly than the detector that found them.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3) or (H, W), uint8
            RGB or grey.
        faces : Faces
            With five landmarks each, pixels of `image`.

        Returns
        -------
        Faces
            The same, with other landmarks.
        """
        if not len(faces):
            return faces
        matrix = self._spec.matrices(faces.landmarks_xy)
        turnable = np.abs(matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]) > 1e-9
        landmarks = faces.landmarks_xy.copy()
        if turnable.any():
            before = faces.landmarks_xy[turnable]
            found = self.locate(image, before)[:, FIVE_OF_70]
            eyes = np.linalg.norm(before[:, 0] - before[:, 1], axis=1)
            near = np.linalg.norm(found - before, axis=2).mean(axis=1) <= MOST_MOVE * eyes
            landmarks[turnable] = np.where(near[:, None, None], found, before).astype(np.float32)
        return replace(faces, landmarks_xy=landmarks)

    @property
    def _spec(self) -> CropSpec:
        return CropSpec(self.card.template, self.card.margin, self.card.size_px)

    def _run(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the points of one batch in fractions of its side."""
        feed = {self.session.input_names[0]: _resized(grey, self.card.size_px).astype(np.float32)}
        points = self.session.run(feed, [OUTPUT])[0]
        if points.shape != (len(grey), 2 * POINTS) or not np.isfinite(points).all():
            raise ModelError(
                f"{self.session.path}: the output {OUTPUT!r} of shape {points.shape} must be numbers of "
                f"shape ({len(grey)}, {2 * POINTS})."
            )
        return points.reshape(-1, POINTS, 2).astype(np.float32, copy=False)


def load_landmarks(name_or_file: str | Path = "default", *, threads: int | None = None) -> LandmarkModel:
    """Load a network of landmarks.

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
    card, path = find_model(name_or_file, "landmarks")
    return LandmarkModel(card, path, threads=threads)


def as_grey(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return crops without their colour.

    Parameters
    ----------
    crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
        Grey or RGB.

    Returns
    -------
    ndarray of shape (n, S, S), uint8

    Raises
    ------
    ArgumentError
        If they are no crops.
    """
    shape = crops.shape
    if (
        crops.dtype != np.uint8
        or shape[1:2] != shape[2:3]
        or shape[3:] not in ((), (3,))
        or not all(shape[1:])
    ):
        raise bad_argument(
            "crops", allowed="uint8 of shape (n, S, S) or (n, S, S, 3)", given=f"{crops.dtype} {shape}"
        )
    if crops.ndim == 3:
        return crops
    import cv2

    grey = np.empty(shape[:3], np.uint8)
    for target, crop in zip(grey, crops, strict=True):
        cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY, dst=target)
    return grey


def _resized(grey: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    side = grey.shape[1]
    if side == size:
        return grey
    import cv2

    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    resized = np.empty((len(grey), size, size), np.uint8)
    for target, crop in zip(resized, grey, strict=True):
        target[:] = cv2.resize(crop, (size, size), interpolation=how)
    return resized
