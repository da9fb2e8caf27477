"""The same person over the frames of one source: by motion, and by how the face looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.appearance import FACE, correlation, describe, is_cut, same_moment, same_person, thumbnail_of
from mien.faces.faces import Faces

CONFIRMED = 3
"""How many times a face must have been detected until it is believed."""

SURE = 0.75
"""Score from which a newcomer has a row at once; with less, when believed. Things and noise are taken for
faces with scores just above a detector's threshold, and noise in a frame or two only."""

TENTATIVE_S = 0.3
"""A face that is not yet believed, and was missed in a frame, is forgotten after so many seconds."""

STEPS = 2.5
"""Nobody has left within so many steps from frame to frame, however long: one frame may miss a face."""

VELOCITY_S = 0.15
"""Time constant of a face's mean velocity, seconds."""

COAST_S = 0.4
"""A face out of sight is expected to have gone on for about so many seconds, at its last velocity."""

FIRST_LOOK_S, LOOK_S, UNLIKE_S = 0.1, 1.5, 3.0
"""Time constants of a face's mean look, seconds: when it is not yet believed; later; and later when it does
not look like itself, because it is covered or turned."""

ALIKE = 0.8
"""A face that correlates less with the mean of the past does not look like itself."""

ROOM = 30.0
"""How many faces would fit into a picture side by side: a newcomer appears in any of these places."""

STEP, DRIFT = 0.1, 0.6
"""How far a face is from where it was expected, in face sizes: at once, and for each second out of sight."""

JUMP, CUT = -3.0, -2.0
"""How much a place far from the expected one speaks against being the same person, since cameras are pushed;
and another scene, since the next one often shows somebody else."""

ZOOM = 0.25
"""Spread of the logarithm of a face's size, as against the last one seen."""

STAY, STAY_S = 3.0, 0.5
"""How much being in sight a moment ago speaks for being the same person, and how soon that fades, seconds."""

MOMENT_S = 0.08
"""Looks further apart in time than about this are of different moments, seconds."""

YOUNG_S, RECALL = 1.5, 1.0
"""Who came out from behind something may only be recognised a little later: for so many seconds a newcomer
can still turn out to be somebody lost before, when so much speaks for it."""

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Track:
    """What is known of one person.

    Attributes
    ----------
    number : int
        From 0; below it while the face has no row yet.
    box_xyxy : ndarray of shape (4,), float64
        Where the face was last, pixels.
    landmarks_xy : ndarray of shape (p, 2), float64
        The same.
    found_box_xyxy, found_landmarks_xy : ndarray, float64
        When the detector found it last: what its box is carried along from.
    velocity : ndarray of shape (2,), float64
        Pixels a second.
    look, last_look : ndarray of shape (LENGTH,), float64
        By :func:`mien.faces.appearance.describe`: mean of the past, and the last one.
    score : float
        How sure the detector was the last time, 0 to 1.
    detections : int
        How often the detector found it.
    born_s, seen_s, detected_s : float
        When it was first seen, last seen at all, and last seen by the detector.
    best_score : float
        How sure the detector ever was, 0 to 1.
    """

    number: int
    box_xyxy: Float
    landmarks_xy: Float
    found_box_xyxy: Float
    found_landmarks_xy: Float
    velocity: Float
    look: Float
    last_look: Float
    score: float
    detections: int
    born_s: float
    seen_s: float
    detected_s: float
    best_score: float = 1.0  # states of earlier versions have none

    @property
    def is_confirmed(self) -> bool:
        """Whether it was found often enough to be believed."""
        return self.detections >= CONFIRMED

    @property
    def side_px(self) -> float:
        """Side of a square as large as its box, pixels."""
        return max(1.0, math.sqrt(float(np.prod(self.box_xyxy[2:] - self.box_xyxy[:2]))))

    def shift(self, time_s: float) -> Float:
        """Return how far it is expected to have moved at a time, shape (2,), pixels."""
        out_of_sight_s = max(0.0, time_s - self.seen_s)
        return self.velocity * (-COAST_S * math.expm1(-out_of_sight_s / COAST_S))

    def moved(self, box_xyxy: Float, landmarks_xy: Float, look: Float, time_s: float) -> Self:
        """Return the track with where and how the face was seen at a time."""
        passed = max(0.0, time_s - self.seen_s)
        velocity = self.velocity
        if passed > 0:
            new = (_middle(box_xyxy) - _middle(self.box_xyxy)) / passed
            velocity = velocity - math.expm1(-passed / VELOCITY_S) * (new - velocity)
        alike = correlation(look[None], self.look[None], FACE)[0, 0] >= ALIKE
        constant_s = LOOK_S if alike else UNLIKE_S if self.is_confirmed else FIRST_LOOK_S
        mean = self.look - math.expm1(-passed / constant_s) * (look - self.look)
        return replace(
            self,
            box_xyxy=box_xyxy,
            landmarks_xy=landmarks_xy,
            velocity=velocity,
            look=mean,
            last_look=look,
            seen_s=time_s,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, from which :meth:`from_dict` makes the very same."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the track of which these are the values."""
        known: dict[str, Any] = {
            f.name: values[f.name] for f in fields(cls) if f.default is MISSING or f.name in values
        }
        for name, value in known.items():
            if isinstance(value, list):
                known[name] = np.array(value, np.float64)
        return cls(**known)


class Tracker:
    """Gives the faces of each frame the numbers of their people.

    A face has its number from its first row on: in the frame in which it is first seen, unless it is a
    newcomer of whom the detector is unsure, who has to be found :data:`CONFIRMED` times. Which detection is
    whose is decided for all together, by how likely each pair is against a newcomer: how far the face is
    from where its motion would have taken it, how its size changed, and how it looks.

    Parameters
    ----------
    forget_s : float
        A person who was not seen for so many seconds has left; who comes then is somebody new. Where frames
        are far apart, :data:`STEPS` steps from frame to frame if that is longer.
    sure : float
        Score of the detector from which a newcomer has a row at once, 0 to 1; 0 for all. In the first frame,
        and where frames are more than :data:`TENTATIVE_S` apart, everybody has.

    Attributes
    ----------
    tracks : tuple of Track
        All that are remembered, in the order of their numbers.
    step_s : float
        From frame to frame, seconds: the shorter of the last two steps, so that one long pause of a quick
        film or camera does not count.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    """

    def __init__(self, *, forget_s: float = 3.0, sure: float = SURE) -> None:
        if not forget_s > 0:
            raise bad_argument("forget_s", allowed="a positive number of seconds", given=forget_s)
        if not 0 <= sure <= 1:
            raise bad_argument("sure", allowed="from 0 to 1", given=sure)
        self.forget_s = forget_s
        self.sure = sure
        self.tracks: tuple[Track, ...] = ()
        self.step_s = 0.0
        self._next = 0
        self._time_s: float | None = None
        self._last_step_s = 0.0
        self._thumbnail: Float | None = None

    @property
    def in_sight(self) -> tuple[Track, ...]:
        """Those that were seen in the last frame."""
        return tuple(track for track in self.tracks if track.seen_s == self._time_s)

    def update(
        self, faces: Faces, time_s: float, image: NDArray[np.uint8], *, followed: Sequence[Track] = ()
    ) -> Faces:
        """Take what was detected in the next frame.

        Parameters
        ----------
        faces : Faces
            With five landmarks each.
        time_s : float
            Seconds; not before that of the last frame.
        image : ndarray of shape (H, W, 3), uint8
            The frame, RGB.
        followed : sequence of Track
            Tracks carried to this frame in another way (:mod:`mien.faces.follow`): those that no
            detection belongs to are believed.

        Returns
        -------
        Faces
            In the order of their numbers; with `track_id`. Those that have no row yet are left out.
        """
        takes_all = self._time_s is None
        self._pass(time_s)
        takes_all = takes_all or self.step_s > TENTATIVE_S
        looks = describe(image, faces.box_xyxy, faces.landmarks_xy)
        worth = evidence(self.tracks, faces, looks, time_s, is_cut=self._look_at(image))
        owner = self._recall(assign(worth), worth, time_s)
        box, points = faces.box_xyxy.astype(np.float64), faces.landmarks_xy.astype(np.float64)
        lowest = min([0, *(track.number for track in self.tracks)]) - 1
        seen: dict[int, Track] = {}
        for i, j in enumerate(owner):
            track = _born(lowest - i, looks[i], box[i], points[i], time_s) if j < 0 else self.tracks[j]
            score = float(faces.score[i])
            found = replace(
                track.moved(box[i], points[i], looks[i], time_s),
                found_box_xyxy=box[i],
                found_landmarks_xy=points[i],
                score=score,
                best_score=max(score, track.best_score),
                detections=track.detections + 1,
                detected_s=time_s,
            )
            if found.number < 0 and (takes_all or found.is_confirmed or score >= self.sure):
                found = replace(found, number=self._next)
                self._next += 1
            seen[found.number] = found
        matched = {int(j) for j in owner}
        self.tracks = tuple(track for j, track in enumerate(self.tracks) if j not in matched)
        seen = {track.number: track for track in followed} | seen
        return self._keep(seen, time_s)

    def carry(self, followed: Sequence[Track], time_s: float, image: NDArray[np.uint8]) -> Faces:
        """Take a frame in which nothing was detected, but every face followed; return its faces."""
        self._pass(time_s)
        self._look_at(image)
        return self._keep({track.number: track for track in followed}, time_s)

    def state(self) -> dict[str, Any]:
        """Return all that is remembered, as plain values for JSON."""
        return {
            "next": self._next,
            "time_s": self._time_s,
            "last_step_s": self._last_step_s,
            "thumbnail": None if self._thumbnail is None else self._thumbnail.tolist(),
            "tracks": [track.to_dict() for track in self.tracks],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._next = int(state["next"])
        time_s = state["time_s"]
        self._time_s = None if time_s is None else float(time_s)
        self._last_step_s = float(state.get("last_step_s", 0.0))  # earlier states have none
        thumbnail = state["thumbnail"]
        self._thumbnail = None if thumbnail is None else np.array(thumbnail, np.float64)
        self.tracks = tuple(Track.from_dict(values) for values in state["tracks"])

    def _look_at(self, image: NDArray[np.uint8]) -> bool:
        """Remember a frame; return whether its scene is another than that of the frame before."""
        before, self._thumbnail = self._thumbnail, thumbnail_of(image)
        return before is not None and is_cut(self._thumbnail, before)

    def _pass(self, time_s: float) -> None:
        """Come to the time of the next frame."""
        step_s = 0.0 if self._time_s is None else time_s - self._time_s
        self.step_s = min(step_s, self._last_step_s or step_s)
        self._last_step_s = step_s
        self._forget(time_s)

    def _forget(self, time_s: float) -> None:
        """Forget who has left, and who is not yet believed and was missed in the last frame."""
        left_s, in_sight = max(self.forget_s, STEPS * self.step_s), self.in_sight
        self.tracks = tuple(
            track
            for track in self.tracks
            if time_s - track.seen_s <= (left_s if track.is_confirmed or track in in_sight else TENTATIVE_S)
        )

    def _recall(self, owner: NDArray[np.int64], worth: Float, time_s: float) -> NDArray[np.int64]:
        """Give newcomers the numbers of those they turn out to be; their own are not used again."""
        taken = set(owner.tolist())
        lost = [j for j, t in enumerate(self.tracks) if j not in taken and t.is_confirmed]
        for i, j in enumerate(owner):
            young = None if j < 0 else self.tracks[j]
            if young is None or time_s - young.born_s > YOUNG_S:
                continue
            before = [k for k in lost if self.tracks[k].seen_s < young.born_s]
            best = max(before, key=lambda k: worth[i, k], default=None)
            if best is not None and worth[i, best] > RECALL:
                owner[i] = best
                lost.remove(best)
                self.tracks = tuple(replace(t, detections=0) if t is young else t for t in self.tracks)
        return owner

    def _keep(self, seen: dict[int, Track], time_s: float) -> Faces:
        known = {track.number: track for track in self.tracks} | seen
        self.tracks = tuple(known[number] for number in sorted(known))
        self._time_s = time_s
        self._forget(time_s)
        return faces_of([seen[number] for number in sorted(seen) if number >= 0])


def _born(number: int, look: Float, box: Float, points: Float, time_s: float) -> Track:
    still = np.zeros(2)
    return Track(number, box, points, box, points, still, look, look, 0.0, 0, time_s, time_s, time_s, 0.0)


def faces_of(tracks: Sequence[Track]) -> Faces:
    """Return where the faces of tracks were last."""
    if not tracks:
        return Faces.empty()
    return Faces(
        np.array([track.box_xyxy for track in tracks], np.float32),
        np.array([track.score for track in tracks], np.float32),
        np.array([track.landmarks_xy for track in tracks], np.float32),
        np.array([track.number for track in tracks], np.int64),
    )


def evidence(
    tracks: Sequence[Track], faces: Faces, looks: Float, time_s: float, *, is_cut: bool = False
) -> Float:
    """Return how much speaks for a face to be a track's, rather than a newcomer's.

    Parameters
    ----------
    tracks : sequence of m Track
    faces : Faces
        n faces found at `time_s`.
    looks : ndarray of shape (n, LENGTH), float64
        Of these faces.
    time_s : float
        Seconds.
    is_cut : bool
        Whether the scene is another than that of the frame before: then places mean nothing.

    Returns
    -------
    ndarray of shape (n, m), float64
        Logarithm of how many times likelier.
    """
    if not tracks or not len(faces):
        return np.empty((len(faces), len(tracks)))
    box = faces.box_xyxy.astype(np.float64)
    out_of_sight_s = np.array([time_s - track.seen_s for track in tracks])
    expected = np.array([_middle(track.box_xyxy) + track.shift(time_s) for track in tracks])
    side = np.array([track.side_px for track in tracks])
    face_side = np.sqrt(np.maximum(1, (box[:, 2:] - box[:, :2]).prod(axis=1)))[:, None]
    off = np.linalg.norm(_middle(box)[:, None] - expected, axis=2) / np.sqrt(side * face_side)
    spread = STEP + DRIFT * out_of_sight_s
    place = np.log(ROOM / (2 * np.pi * spread**2)) - 0.5 * (off / spread) ** 2
    size = -0.5 * (np.log(face_side / side) / ZOOM) ** 2
    stay = STAY * np.exp(-out_of_sight_s / STAY_S)
    mean, last = (np.array([getattr(t, name) for t in tracks]) for name in ("look", "last_look"))
    look = np.maximum(same_person(looks, mean), same_person(looks, last))
    if is_cut:
        return look + CUT
    moment = np.exp(-((out_of_sight_s / MOMENT_S) ** 2))
    look += moment * (same_moment(looks, last) - look)
    motion: Float = np.maximum(place + np.maximum(size, JUMP), JUMP)
    return motion + stay + look


def assign(evidence: Float) -> NDArray[np.int64]:
    """Choose for each face a track or none, so that the evidence of all together is largest.

    Parameters
    ----------
    evidence : ndarray of shape (n, m), float64
        Of :func:`evidence`; only pairs above zero are made.

    Returns
    -------
    ndarray of shape (n,), int64
        Column of each row's track; -1 for a newcomer. The assignment of Kuhn (1955), by scipy.
    """
    owner = np.full(len(evidence), -1, np.int64)
    worth = np.maximum(evidence, 0)
    if worth.any():
        from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]  # ships no types

        rows, columns = linear_sum_assignment(worth, maximize=True)
        made = worth[rows, columns] > 0
        owner[rows[made]] = columns[made]
    return owner


def _middle(box_xyxy: Float) -> Float:
    return (box_xyxy[..., :2] + box_xyxy[..., 2:]) / 2
