"""Measure a face detector on what was set aside: false faces, recall, landmark error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.faces.align import template_points
from mien.faces.detect import Detector, surround
from mien.faces.faces import Faces, overlap
from mien.training.disturb import TEMPLATE, darken_noisily
from mien.training.material import Grey, Material, Photo, Portraits, five_points
from mien.training.metrics import wilson_interval
from mien.training.scenes import SURE

HIT = 0.5
"""A face counts as found when a box overlaps its reference by this much (intersection over union)."""

FALSE_FACES_A_PICTURE = 0.01
"""Every detector is compared at the score where it finds this many faces in pictures without any."""

FRAME_PX, DARK_FACE_PX = (640, 480), 160
"""Width and height of a camera's frame; and how large the face would be to which the noise of a dark one is
scaled (:func:`mien.training.disturb.darken_noisily`)."""


@dataclass(frozen=True)
class Recall:
    """How many reference faces were found.

    Parameters
    ----------
    found, n : int
    low, high : float
        95 % interval of the fraction (Wilson).
    """

    found: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """Fraction found."""
        return self.found / self.n if self.n else float("nan")


@dataclass(frozen=True)
class MeanError:
    """How far landmarks are from where they should be, on average.

    Parameters
    ----------
    value : float
        Mean, in units of the distance between the eyes; NaN over no faces.
    low, high : float
        95 % interval of the mean (normal approximation).
    n : int
        Faces.
    """

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, errors: NDArray[np.float64]) -> MeanError:
        """Average the errors of n faces."""
        if not len(errors):
            return cls(float("nan"), float("nan"), float("nan"), 0)
        mean = float(errors.mean())
        half = 1.96 * float(errors.std()) / len(errors) ** 0.5
        return cls(mean, mean - half, mean + half, len(errors))


@dataclass(frozen=True)
class DetectorReport:
    """What was measured of one detector.

    Parameters
    ----------
    name : str
    score_threshold : float
        The score at which it was measured.
    false_faces, backgrounds : int
        Faces found in so many pictures without a face.
    fooled : dict of str to int
        In how many of them there is at least one: as they are, at the size of a camera's frame ("as frames of
        640 x 480"), and taken by a camera in the dark ("as dark frames of 640 x 480").
    recall : dict of str to Recall
        By corpus.
    landmark_error : dict of str to MeanError
        By corpus: distance of the five landmarks from the reference, over the faces found.
    """

    name: str
    score_threshold: float
    false_faces: int
    backgrounds: int
    fooled: dict[str, int]
    recall: dict[str, Recall]
    landmark_error: dict[str, MeanError]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, for JSON."""
        return asdict(self) | {"recall": {k: asdict(v) | {"value": v.value} for k, v in self.recall.items()}}


def evaluate_detector(
    detector: Detector, material: Material, score_threshold: float | None = None
) -> DetectorReport:
    """Measure a detector.

    Parameters
    ----------
    detector : Detector
        Must return every face down to a low score; what counts is chosen here.
    material : Material
        The part that is set aside.
    score_threshold : float, optional
        By default the score at which the backgrounds give one false face in 100 pictures.
    """
    scores = [detector.detect(picture).score for picture in material.backgrounds]
    false = np.concatenate(scores)
    allowed = int(FALSE_FACES_A_PICTURE * len(material.backgrounds))
    threshold = threshold_for(false, allowed) if score_threshold is None else score_threshold
    frames = [map(as_frame, material.backgrounds) for _ in range(2)]
    shown = {
        "as they are": iter(scores),
        "as frames of 640 x 480": (detector.detect(one).score for one in frames[0]),
        "as dark frames of 640 x 480": (detector.detect(one).score for one in in_the_dark(frames[1])),
    }
    errors = {
        name: MeanError.of(landmark_errors(detector, portraits, threshold))
        for name, portraits in material.portraits.items()
    }
    return DetectorReport(
        name=detector.name,
        score_threshold=threshold,
        false_faces=int((false >= threshold).sum()),
        backgrounds=len(material.backgrounds),
        fooled={how: sum(bool((one >= threshold).any()) for one in found) for how, found in shown.items()},
        recall={name: recall(detector, photos, threshold) for name, photos in material.photos.items()},
        landmark_error=errors,
    )


def as_frame(picture: Grey) -> Grey:
    """Scale a picture so that it covers a camera's frame, and cut its middle: (480, 640), uint8."""
    import cv2

    (width, height), own = FRAME_PX, np.array(picture.shape)
    scale = max(height / own[0], width / own[1])
    rows, columns = np.maximum(np.rint(own * scale).astype(int), (height, width))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown = cv2.resize(picture, (int(columns), int(rows)), interpolation=how)
    top, left = (rows - height) // 2, (columns - width) // 2
    return np.ascontiguousarray(shown[top : top + height, left : left + width])


def in_the_dark(frames: Iterable[Grey]) -> Iterator[Grey]:
    """Yield frames as a camera takes them in the dark, with a fifth of the light; by a fixed seed."""
    random = np.random.default_rng(0)
    face = template_points(TEMPLATE, 0.0, DARK_FACE_PX)
    for frame in frames:
        yield darken_noisily(frame, face, random)[0]


def threshold_for(false_scores: NDArray[np.float32], allowed: int) -> float:
    """Return the lowest score that leaves at most so many false faces.

    Parameters
    ----------
    false_scores : ndarray of shape (n,)
        Scores of everything found where there is nothing.
    allowed : int
    """
    ordered = np.sort(false_scores)[::-1]
    return float(np.nextafter(ordered[allowed], np.float32(1))) if len(ordered) > allowed else 0.01


def recall(detector: Detector, photos: list[Photo], threshold: float) -> Recall:
    """Count the reference faces the teacher was sure of that a detector finds at a score."""
    found = total = 0
    for photo in photos:
        faces = detector.detect(photo.picture)
        boxes = faces.box_xyxy[faces.score >= threshold]
        wanted = photo.box_xyxy[photo.score >= SURE]
        total += len(wanted)
        if len(wanted) and len(boxes):
            found += int((overlap(wanted, boxes).max(axis=1) >= HIT).sum())
    low, high = wilson_interval(found, total) if total else (0.0, 1.0)
    return Recall(found=found, n=total, low=low, high=high)


def landmark_errors(detector: Detector, portraits: Portraits, threshold: float) -> NDArray[np.float64]:
    """Measure landmarks against the 70-point geometry, on pictures padded so that the face is not cut.

    Returns
    -------
    ndarray of shape (m,)
        Mean distance over the five landmarks in units of the distance between the eyes, for each face found.
    """
    errors = []
    for picture, points in zip(portraits.pictures, portraits.points_xy, strict=True):
        shown, scale, shift = surround(picture)
        faces = detector.detect(shown)
        faces = faces[faces.score >= threshold]
        wanted = five_points(points) * scale + shift
        main = nearest(faces, wanted)
        if main is not None:
            eyes = np.linalg.norm(wanted[0] - wanted[1])
            errors.append(np.linalg.norm(main - wanted, axis=1).mean() / max(eyes, 1e-6))
    return np.array(errors)


def nearest(faces: Faces, landmarks_xy: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """Return the landmarks of the face whose box holds most of the wanted ones, None when there is none."""
    if not len(faces):
        return None
    low, high = faces.box_xyxy[:, None, :2], faces.box_xyxy[:, None, 2:]
    held = ((landmarks_xy >= low) & (landmarks_xy <= high)).all(axis=2).sum(axis=1)
    best = int(held.argmax())
    return faces.landmarks_xy[best] if held[best] >= 3 else None
