"""Find faces and their five landmarks: the shipped detector, and any YuNet-type ONNX file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.catalog import file_sha256, find_base, find_model
from mien.errors import ModelError, bad_argument
from mien.faces.confirm import ConfirmModel, load_confirm
from mien.faces.faces import Faces, overlap
from mien.faces.landmarks import LandmarkModel, load_landmarks
from mien.runtime import Session

STRIDES = (8, 16, 32)
"""Pixels between neighbouring places of the three grids, in YuNet-type detectors and in ours."""

SMALLEST_FACE_PX = 12.0
"""Height of the smallest face a network is expected to see, in pixels of what it is shown."""

LONGEST_SIDE_PX = 1280
"""A larger picture is scaled down to this, unless smaller faces are asked for."""

LEARNED_PX, LARGE_FACE_PX = 320, 160
"""Side of the scenes that the detector learned from, and height from which a face fills half of one.

Larger ones are looked for in a smaller copy of the picture: a network that sees parts alone takes jugs and
elephants for faces (docs/detector.md has the numbers).
"""

BOTH = 1.15
"""By how much the heights that two neighbouring copies answer for reach into each other."""

OVERLAP = 0.45
"""Of two boxes that overlap more than this (intersection over union), only the surer one stays."""

CHEST_ODDS = 4.0
"""By how much the odds of a face fall where it is small and lies on the chest of a larger one.

Medals, badges, prints and hands are common there: of 8 such boxes that YuNet-n draws on 540 photographs of
FairFace with a score above 0.5, 3 are faces by eye, 4 are hands, and one is unclear.
"""

SINGLE_FACE_PX = (96, 320)
"""Smallest and largest side at which a picture that is little more than a face is looked at."""

Float = NDArray[np.float32]


class Detector(Protocol):
    """Anything that finds faces."""

    name: str

    def detect(self, image: NDArray[np.uint8], *, min_face: float | None = None) -> Faces:
        """Find the faces of one picture, (H, W, 3) RGB, uint8."""


class PointDetector:
    """An anchor-free detector: for every place of three grids a score, a box and five landmarks.

    Parameters
    ----------
    session : Session
        A network of our kind (grey, one output per quantity) or of YuNet's (BGR, one output per
        quantity and grid); which one is read from its outputs.
    name : str
    score_threshold : float
        Faces with a lower score are left out, 0 to 1.
    landmarks : LandmarkModel, optional
        Finds the landmarks of the faces once more, and more exactly.
    confirm : ConfirmModel, optional
        Looks again at what the network finds, and says how sure both are.

    Raises
    ------
    ModelError
        If the network has other outputs.
    """

    def __init__(
        self,
        session: Session,
        name: str,
        score_threshold: float,
        landmarks: LandmarkModel | None = None,
        confirm: ConfirmModel | None = None,
    ) -> None:
        if not 0 < score_threshold < 1:
            raise bad_argument("score_threshold", allowed="a number between 0 and 1", given=score_threshold)
        self.name = name
        self.score_threshold = score_threshold
        self._session = session
        self._landmarks = landmarks
        self._confirm = confirm
        self._floor = score_threshold if confirm is None else confirm.card.score_threshold
        self._ask, self._fixed = _recognise(session, name)

    @property
    def landmarks(self) -> LandmarkModel | None:
        """The network that looks at its landmarks again, if there is one."""
        return self._landmarks

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of its files: what tells its answers from another detector's."""
        others = [one.session.path for one in (self._landmarks, self._confirm) if one is not None]
        return "+".join(file_sha256(path) for path in (self._session.path, *others))

    def detect(self, image: NDArray[np.uint8], *, min_face: float | None = None) -> Faces:
        """Find the faces of one picture.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3) or (H, W), uint8
            RGB or grey.
        min_face : float, optional
            Height in pixels of the smallest face wanted; smaller ones are left out. By default faces down
            to 12 pixels are found in pictures up to 1280 pixels, and in larger ones down to as much of
            the picture. A smaller number makes large pictures slower, a larger one faster.

        Returns
        -------
        Faces
            Surest first; coordinates in pixels of `image`.
        """
        found = self.candidates(image, min_face=min_face)
        score = found.score
        if self._confirm is not None:
            score = self._confirm.confirm(image, found.box_xyxy, score)
        score = doubt_chests(found.box_xyxy, score)
        sure = np.flatnonzero(score >= self.score_threshold)
        keep = sure[np.argsort(-score[sure], kind="stable")]
        faces = replace(found[keep], score=score[keep])
        return faces if self._landmarks is None else self._landmarks.refine(image, faces)

    def candidates(self, image: NDArray[np.uint8], *, min_face: float | None = None) -> Faces:
        """Find what the detector's own network takes for faces, before anything is looked at again.

        Parameters
        ----------
        image, min_face
            As for :meth:`detect`.

        Returns
        -------
        Faces
            Surest first; from the threshold on, or from the score on from which faces are confirmed.
        """
        if image.ndim not in (2, 3) or image.dtype != np.uint8 or 0 in image.shape:
            raise bad_argument(
                "image", allowed="a uint8 array (H, W, 3) or (H, W)", given=(image.shape, image.dtype)
            )
        if min_face is not None and not min_face > 0:
            raise bad_argument("min_face", allowed="a positive number of pixels", given=min_face)
        looks = [self._look(image, *look) for look in self._looks(image.shape[:2], min_face)]
        score, box, points = (np.concatenate(parts) for parts in zip(*looks, strict=True))
        if min_face is not None:
            large = box[:, 3] - box[:, 1] >= min_face
            score, box, points = score[large], box[large], points[large]
        keep = suppress(box, score, OVERLAP)
        return Faces(box_xyxy=box[keep], score=score[keep], landmarks_xy=points[keep])

    def _looks(self, shape: tuple[int, ...], min_face: float | None) -> list[tuple[float, float, float]]:
        """Return the scales to show a picture at, each with the heights it answers for, picture pixels."""
        longest = max(shape)
        first = LONGEST_SIDE_PX / longest if min_face is None else SMALLEST_FACE_PX / min_face
        fitting = [side / own for side, own in zip(self._fixed or (), shape, strict=False)]
        scales = [min(1.0, first, *fitting)]
        while scales[-1] * longest > 4 * LEARNED_PX:
            scales.append(scales[-1] / 4)
        if scales[-1] * longest > 1.25 * LEARNED_PX:
            scales.append(LEARNED_PX / longest)
        limits = [0.0, *(LARGE_FACE_PX / scale for scale in scales[:-1]), np.inf]
        return [(scale, limits[i] / BOTH, limits[i + 1] * BOTH) for i, scale in enumerate(scales)]

    def _look(
        self, image: NDArray[np.uint8], scale: float, low: float, high: float
    ) -> tuple[Float, Float, Float]:
        """Show the network a scaled picture; return what is over the threshold, in picture pixels."""
        shown, ratio = _resize(image, scale)
        height, width = self._fixed or tuple(
            -(-side // STRIDES[-1]) * STRIDES[-1] for side in shown.shape[:2]
        )
        score, box, points = self._ask(self._session, _pad(shown, height, width))
        sure = np.flatnonzero(score >= self._floor)
        corner, stride = _places(height, width, sure)
        middle = corner + box[sure, :2] * stride
        half = np.exp(np.minimum(box[sure, 2:], 8)) * stride / 2
        corners = np.concatenate([middle - half, middle + half], axis=1) * np.tile(ratio, 2)
        landmarks = (corner[:, None] + points[sure].reshape(-1, 5, 2) * stride[:, None]) * ratio
        tall = corners[:, 3] - corners[:, 1]
        own = (low < tall) & (tall <= high)
        return score[sure][own], corners[own].astype(np.float32), landmarks[own].astype(np.float32)


def load_detector(
    name_or_file: str | Path = "default", *, score_threshold: float | None = None, threads: int | None = None
) -> PointDetector:
    """Load a face detector.

    Parameters
    ----------
    name_or_file : str or path
        A shipped or registered name, or an ONNX file of our kind or of YuNet's.
    score_threshold : float, optional
        Overrides the card's, 0 to 1; 0.6 for a file without a card.
    threads : int, optional
        Processor threads the network may use; by default as many as there are cores.
    """
    file = Path(name_or_file)
    if file.suffix == ".onnx" and not file.with_suffix(".toml").exists():
        return PointDetector(
            Session(file, threads=threads), file.stem, 0.6 if score_threshold is None else score_threshold
        )
    card, path = find_model(name_or_file, task="detection")
    landmarks = load_landmarks(find_base(card.base, path), threads=threads) if card.base else None
    confirm = load_confirm(find_base(card.confirm, path), threads=threads) if card.confirm else None
    threshold = card.score_threshold if score_threshold is None else score_threshold
    return PointDetector(Session(path, threads=threads), card.name, threshold, landmarks, confirm)


def find_single(image: NDArray[np.uint8], detector: Detector) -> Faces:
    """Find the face of a picture that is little more than a face.

    The picture is brought to a size at which faces are found best and surrounded, since detectors are
    used to seeing where a face ends.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3) or (H, W), uint8
        RGB or grey.
    detector : Detector

    Returns
    -------
    Faces
        None or one, the one that fills most of the picture; coordinates in pixels of `image`.
    """
    canvas, scale, shift = surround(image)
    faces = detector.detect(canvas if canvas.ndim == 3 else np.repeat(canvas[..., None], 3, axis=2))
    if not len(faces):
        return faces
    box = (faces.box_xyxy - np.tile(shift, 2)) / np.tile(scale, 2)
    shared = overlap(box, np.array([[0, 0, *image.shape[1::-1]]], np.float32))[:, 0]
    best = shared.argmax()
    keep = slice(best, best + 1) if shared[best] > 0 else slice(0, 0)
    landmarks = (faces.landmarks_xy - shift) / scale
    return Faces(
        box_xyxy=box[keep].astype(np.float32),
        score=faces.score[keep],
        landmarks_xy=landmarks[keep].astype(np.float32),
        track_id=faces.track_id[keep],
    )


def surround(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Bring a picture to a side of 96 to 320 pixels and repeat its border around it.

    Half its size is added on every side.

    Returns
    -------
    canvas : ndarray, uint8
        As many channels as `image`.
    scale, shift : ndarray of shape (2,), float64
        ``point_in_canvas = point * scale + shift``, x then y.
    """
    import cv2

    height, width = image.shape[:2]
    factor = float(np.clip(min(height, width), *SINGLE_FACE_PX)) / min(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    shown = cv2.resize(image, size, interpolation=method)
    left, top = size[0] // 2, size[1] // 2
    canvas = cv2.copyMakeBorder(shown, top, top, left, left, cv2.BORDER_REPLICATE)
    return canvas, np.array([size[0] / width, size[1] / height]), np.array([left, top], np.float64)  # type: ignore[return-value]  # uint8


def suppress(box_xyxy: Float, score: Float, overlap: float) -> NDArray[np.int64]:
    """Choose the surest of boxes that overlap (non-maximum suppression).

    Parameters
    ----------
    box_xyxy : ndarray of shape (n, 4)
    score : ndarray of shape (n,)
    overlap : float
        Intersection over union above which the less sure box is dropped, 0 to 1.

    Returns
    -------
    ndarray of shape (m,), int64
        Rows that stay, surest first.
    """
    order = np.argsort(-score, kind="stable")
    area = np.prod(box_xyxy[:, 2:] - box_xyxy[:, :2], axis=1)
    keep = []
    while len(order):
        first, rest = order[0], order[1:]
        keep.append(first)
        low = np.maximum(box_xyxy[first, :2], box_xyxy[rest, :2])
        high = np.minimum(box_xyxy[first, 2:], box_xyxy[rest, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=1)
        order = rest[shared <= overlap * (area[first] + area[rest] - shared)]
    return np.array(keep, np.int64)


def doubt_chests(box_xyxy: Float, score: Float) -> Float:
    """Lower the scores of small faces on the chests of larger ones, by :data:`CHEST_ODDS`.

    A face lies on another's chest when it is less than a third as high, its middle lies between the other's
    chin and two heights below, within one and a quarter widths to the side, and the other is surer.

    Parameters
    ----------
    box_xyxy : ndarray of shape (n, 4)
    score : ndarray of shape (n,)
        0 to 1.

    Returns
    -------
    ndarray of shape (n,), float32
    """
    width, height = (box_xyxy[:, 2:] - box_xyxy[:, :2]).T
    x, y = (box_xyxy[:, 2:] + box_xyxy[:, :2]).T / 2
    aside = np.abs(x[:, None] - x) < 1.25 * width
    below = (y[:, None] > box_xyxy[:, 3]) & (y[:, None] < box_xyxy[:, 3] + 2 * height)
    lesser = (3 * height[:, None] < height) & (score[:, None] < score)
    on_chest = (aside & below & lesser).any(axis=1)
    odds = score / np.maximum(1 - score, 1e-6) / CHEST_ODDS
    return np.where(on_chest, odds / (1 + odds), score).astype(np.float32)


def _resize(image: NDArray[np.uint8], scale: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Scale a picture; return it with the ratios that carry its x and y back."""
    import cv2

    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    if (height, width) == image.shape[:2]:
        return image, np.ones(2)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    ratio = np.array([image.shape[1] / width, image.shape[0] / height])
    return cv2.resize(image, (width, height), interpolation=method), ratio  # type: ignore[return-value]  # uint8


def _pad(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    import cv2

    below, right = height - image.shape[0], width - image.shape[1]
    if not below and not right:
        return image
    return cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)  # type: ignore[return-value]  # uint8


def _places(
    height: int, width: int, index: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corner (m, 2) and the stride (m, 1) of the places with these numbers, finest grid first."""
    corner = np.empty((len(index), 2))
    strides = np.empty((len(index), 1))
    start = 0
    for stride in STRIDES:
        columns, rows = width // stride, height // stride
        here = (index >= start) & (index < start + rows * columns)
        place = index[here] - start
        corner[here] = np.stack([place % columns, place // columns], axis=1) * stride
        strides[here] = stride
        start += rows * columns
    return corner, strides


Ask = Callable[[Session, NDArray[np.uint8]], tuple[Float, Float, Float]]


def _recognise(session: Session, name: str) -> tuple[Ask, tuple[int, int] | None]:
    """Tell which kind of detector a network is, and the height and width it insists on."""
    outputs = set(session.output_names)
    shape = session.input_shapes[session.input_names[0]]
    sides = [side for side in shape[-2:] if side is not None]
    fixed = (sides[0], sides[1]) if len(sides) == 2 else None
    if {"score", "box", "points"} <= outputs:
        return _ask_ours, fixed
    if {f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in STRIDES} <= outputs:
        return _ask_yunet, fixed
    raise ModelError(
        f"{name} is not a face detector mien can use: its outputs are {', '.join(sorted(outputs))}; "
        "expected score, box, points, or YuNet's cls_8 ... kps_32."
    )


def _ask_ours(session: Session, image: NDArray[np.uint8]) -> tuple[Float, Float, Float]:
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    score, box, points = session.run(
        {session.input_names[0]: grey[None].astype(np.float32)}, ["score", "box", "points"]
    )
    return score[0], box[0] + (0.5, 0.5, 0, 0), points[0] + 0.5  # ours count from a place's middle


def _ask_yunet(session: Session, image: NDArray[np.uint8]) -> tuple[Float, Float, Float]:
    rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    bgr = np.ascontiguousarray(rgb[..., ::-1].transpose(2, 0, 1)[None], np.float32)
    names = [f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in STRIDES]
    answers = [a.reshape(-1, a.shape[-1]) for a in session.run({session.input_names[0]: bgr}, names)]
    cls, obj, box, points = (np.concatenate(answers[i : i + 3]) for i in range(0, 12, 3))
    return np.sqrt(np.clip(cls, 0, 1) * np.clip(obj, 0, 1))[:, 0], box, points
