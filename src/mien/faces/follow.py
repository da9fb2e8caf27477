"""Faces from frame to frame without the detector: the network of landmarks looks where they should be.

That costs a fraction of a detection, and is sure of itself or says that it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.align import fit_similarity, transform
from mien.faces.appearance import BOX, FACE, correlation, describe
from mien.faces.faces import overlap
from mien.faces.landmarks import FIVE_OF_70, LandmarkModel
from mien.faces.track import Track

MOST_SHIFT = 0.25
"""A face further from where it was expected has to be detected, in distances between the eyes."""

MOST_ZOOM = 1.2
"""And one that became larger or smaller than by this since the last frame."""

LEAST_ALIKE, LEAST_STEADY = 0.75, 0.82
"""And one that no longer looks like itself, or all at once looks different: what its face correlates with the
mean of the past, and all of it with the frame before (:func:`mien.faces.appearance.correlation`)."""

NEAR = 1.3
"""Faces whose middles are nearer than this, in sides of their boxes, are about to cross."""

AWAITED_S = 0.5
"""Who went out of sight is looked for on every frame for so many seconds; then as newcomers are."""

UNDETECTED_S = 1.0
"""A face that the detector has not found for so many seconds is not followed any more; one of which it never
was sure, as soon as it looks and does not find it: things can be followed as well as faces."""

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Step:
    """Where a track was followed to.

    Attributes
    ----------
    track : Track
    is_sure : bool
        Whether it is still that face.
    """

    track: Track
    is_sure: bool


class Follower:
    """Follows faces that a detector has found.

    Parameters
    ----------
    landmarks : LandmarkModel
        The one by which the detector refines its landmarks: crops stay the same, followed or detected.
    detect_every_s : float
        The detector looks at least every so many seconds, so that newcomers are seen; 0 for every frame.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    """

    def __init__(self, landmarks: LandmarkModel, detect_every_s: float) -> None:
        if not detect_every_s >= 0:
            raise bad_argument("detect_every_s", allowed="0 or more seconds", given=detect_every_s)
        self.landmarks = landmarks
        self.detect_every_s = detect_every_s

    def follow(self, tracks: Sequence[Track], time_s: float, image: NDArray[np.uint8]) -> list[Step]:
        """Look for the faces of tracks where they should be now.

        Parameters
        ----------
        tracks : sequence of Track
            Those seen in the last frame, with five landmarks each.
        time_s : float
            Seconds.
        image : ndarray of shape (H, W, 3), uint8
            The frame, RGB.

        Returns
        -------
        list of Step
            One for each track.
        """
        if not tracks:
            return []
        expected = np.array([track.landmarks_xy + track.shift(time_s) for track in tracks])
        eyes = np.linalg.norm(expected[:, 0] - expected[:, 1], axis=1)
        if not (eyes > 1).all():
            return [Step(track, is_sure=False) for track in tracks]
        found = self.landmarks.locate(image, expected)[:, FIVE_OF_70]
        sure = np.linalg.norm(found - expected, axis=2).mean(axis=1) <= MOST_SHIFT * eyes
        sides = np.array(image.shape[1::-1])
        sure &= ((found >= 0) & (found <= sides)).all(axis=(1, 2))
        found = np.where(sure[:, None, None], found, expected)
        carried = [_carried(track, points) for track, points in zip(tracks, found, strict=True)]
        looks = describe(image, np.array([box for box, _ in carried]), found)
        steps = []
        for track, points, (box, zoom), look, is_near in zip(
            tracks, found, carried, looks, sure, strict=True
        ):
            alike = correlation(look[None], track.look[None], FACE)[0, 0] >= LEAST_ALIKE
            steady = correlation(look[None], track.last_look[None], BOX)[0, 0] >= LEAST_STEADY
            is_sure = is_near and alike and steady and 1 / MOST_ZOOM <= zoom <= MOST_ZOOM
            steps.append(Step(track.moved(box, points, look, time_s), bool(is_sure)))
        return steps

    def needs_detection(self, tracks: Sequence[Track], steps: Sequence[Step], time_s: float) -> bool:
        """Tell whether the detector has to look at a frame.

        Parameters
        ----------
        tracks : sequence of Track
            All that are remembered, also those out of sight.
        steps : sequence of Step
            Where those in sight were followed to.
        time_s : float
            Seconds.
        """
        if not steps or not all(step.is_sure for step in steps):
            return True
        in_sight = {step.track.number for step in steps}
        if any(t.number not in in_sight and time_s - t.seen_s <= AWAITED_S for t in tracks):
            return True
        followed = [step.track for step in steps]
        # A little early rather than a frame late: times of frames are rounded.
        if any(time_s - t.detected_s >= self.detect_every_s - 1e-3 or not t.is_confirmed for t in followed):
            return True
        return _are_near(followed)


def believed(
    steps: Sequence[Step], time_s: float, found_xyxy: NDArray[np.floating], sure: float
) -> list[Track]:
    """Return the followed tracks that stand although the detector did not find them.

    Parameters
    ----------
    steps : sequence of Step
    time_s : float
        Seconds.
    found_xyxy : ndarray of shape (n, 4)
        Boxes that the detector did find: who is there is not somebody else.
    sure : float
        Score from which the detector was sure of a face.
    """
    tracks = [
        step.track
        for step in steps
        if step.is_sure
        and step.track.is_confirmed
        and step.track.best_score >= sure
        and time_s - step.track.detected_s <= UNDETECTED_S
    ]
    if not tracks or not len(found_xyxy):
        return tracks
    shared = overlap(np.array([track.box_xyxy for track in tracks]), found_xyxy).max(axis=1)
    return [track for track, part in zip(tracks, shared, strict=True) if part < 0.2]


def _carried(track: Track, points: Float) -> tuple[Float, float]:
    """Return the box that belongs to landmarks now, and how much larger they are than in the last frame."""
    middle = (track.found_box_xyxy[:2] + track.found_box_xyxy[2:]) / 2
    half = (track.found_box_xyxy[2:] - track.found_box_xyxy[:2]) / 2
    matrix = fit_similarity(track.found_landmarks_xy[None], points[None])
    scale, before = _scale(matrix), _scale(fit_similarity(track.landmarks_xy[None], points[None]))
    middle = transform(middle[None, None], matrix)[0, 0]
    return np.concatenate([middle - half * scale, middle + half * scale]), before


def _scale(matrix: Float) -> float:
    return float(np.hypot(matrix[0, 0, 0], matrix[0, 1, 0]))


def _are_near(tracks: Sequence[Track]) -> bool:
    box = np.array([track.box_xyxy for track in tracks])
    side = np.array([track.side_px for track in tracks])
    middle = (box[:, :2] + box[:, 2:]) / 2
    apart = np.linalg.norm(middle[:, None] - middle, axis=2) / np.maximum(side[:, None], side)
    return bool((apart[np.triu_indices(len(tracks), 1)] < NEAR).any())
