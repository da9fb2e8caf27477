"""Faces followed between detections: where they go, when that is not sure, and when the detector is due."""

import numpy as np
import pytest
from test_track import RATE, faces_in, portrait, scene

from mien.errors import ArgumentError
from mien.faces.follow import Follower, believed
from mien.faces.landmarks import FIVE_OF_70
from mien.faces.track import CONFIRMED, SURE, Tracker


class Seeing:
    """A network of landmarks that knows where the faces are."""

    def __init__(self):
        self.boxes = np.empty((0, 4), np.float32)

    def locate(self, image, landmarks_xy):
        known = faces_in(self.boxes).landmarks_xy
        found = np.zeros((len(landmarks_xy), 70, 2))
        for target, points in zip(found, landmarks_xy, strict=True):
            nearest = np.abs(known - points).sum(axis=(1, 2)).argmin()
            target[list(FIVE_OF_70)] = known[nearest]
        return found


def started(people, frames=CONFIRMED, score=0.9):
    """A tracker that has seen people who do not move, found with this score, and a follower."""
    tracker, seeing = Tracker(), Seeing()
    image, seeing.boxes = scene(people)
    for i in range(frames):
        tracker.update(faces_in(seeing.boxes, score), i / RATE, image)
    return tracker, Follower(seeing, 0.25), seeing, frames / RATE


def look(follower, tracker, seeing, people, time_s):
    image, seeing.boxes = scene(people)
    steps = follower.follow(tracker.in_sight, time_s, image)
    return steps, follower.needs_detection(tracker.tracks, steps, time_s)


def test_a_face_is_followed_with_its_box():
    tracker, follower, seeing, time_s = started([(1, 100, 80, 60)])
    for i in range(1, 4):
        steps, needed = look(follower, tracker, seeing, [(1, 100 + 3 * i, 80, 60 + i)], time_s)
        assert steps[0].is_sure and not needed
        tracker.carry([step.track for step in steps], time_s, scene([])[0])
        np.testing.assert_allclose(steps[0].track.box_xyxy, seeing.boxes[0], atol=0.01)
        time_s += 1 / RATE
    assert steps[0].track.velocity[0] > 0


def test_no_faces_need_the_detector():
    assert look(Follower(Seeing(), 0.25), Tracker(), Seeing(), [], 0.0) == ([], True)


@pytest.mark.parametrize(
    ("people", "why"),
    [
        ([(1, 118, 80, 60)], "it jumped"),
        ([(2, 100, 80, 60)], "it is somebody else"),
        ([(1, 98, 78, 80)], "it became much larger"),
    ],
)
def test_what_is_not_sure(people, why):
    tracker, follower, seeing, time_s = started([(1, 100, 80, 60)])
    steps, needed = look(follower, tracker, seeing, people, time_s)
    assert not steps[0].is_sure and needed, why


def test_the_detector_looks_now_and_then():
    tracker, follower, seeing, start = started([(1, 100, 80, 60)])
    due = []
    for i in range(8):
        steps, needed = look(follower, tracker, seeing, [(1, 100, 80, 60)], start + i / RATE)
        due.append(needed)
        tracker.carry([step.track for step in steps], start + i / RATE, scene([])[0])
    assert due == [False] * 6 + [True] * 2, "0.25 s after the last detection"


def test_a_face_that_is_new_or_lost_or_near_another_is_detected():
    alone = [(1, 40, 80, 60)]
    tracker, follower, seeing, time_s = started(alone, frames=CONFIRMED - 1)
    assert look(follower, tracker, seeing, alone, time_s)[1], "not yet believed"
    tracker, follower, seeing, time_s = started([*alone, (2, 200, 80, 60)])
    assert not look(follower, tracker, seeing, [*alone, (2, 200, 80, 60)], time_s)[1]
    tracker.update(faces_in(scene(alone)[1]), time_s, scene(alone)[0])
    assert look(follower, tracker, seeing, alone, time_s + 0.04)[1], "one is out of sight"
    for i in range(1, 30):
        tracker.update(faces_in(scene(alone)[1]), time_s + i / RATE, scene(alone)[0])
    assert not look(follower, tracker, seeing, alone, time_s + 30 / RATE)[1], "but not for long"
    beside = [(1, 40, 80, 60), (2, 110, 80, 60)]
    tracker, follower, seeing, time_s = started(beside)
    assert look(follower, tracker, seeing, beside, time_s)[1], "two are near each other"


def test_a_face_at_the_border_is_detected():
    tracker, follower, seeing, time_s = started([(1, 100, 80, 60)])
    seeing.boxes = np.array([[-45, 80, 15, 140]], np.float32)
    steps = follower.follow(tracker.in_sight, time_s, scene([])[0])
    assert not steps[0].is_sure


def test_a_followed_face_stands_for_a_while_without_a_detection():
    tracker, follower, seeing, time_s = started([(1, 100, 80, 60)])
    steps, _ = look(follower, tracker, seeing, [(1, 100, 80, 60)], time_s)
    none = np.empty((0, 4), np.float32)
    assert [track.number for track in believed(steps, time_s, none, SURE)] == [0]
    assert believed(steps, time_s + 2, none, SURE) == [], "undetected for too long"
    assert believed(steps, time_s, seeing.boxes, SURE) == [], "somebody was found there"
    away = np.array([[200, 10, 260, 70]], np.float32)
    assert len(believed(steps, time_s, away, SURE)) == 1


def test_what_the_detector_was_never_sure_of_does_not_stand_without_it():
    people = [(1, 100, 80, 60)]
    tracker, follower, seeing, time_s = started(people, score=0.55)
    steps, _ = look(follower, tracker, seeing, people, time_s)
    none = np.empty((0, 4), np.float32)
    assert steps[0].is_sure
    assert believed(steps, time_s, none, SURE) == []
    assert len(believed(steps, time_s, none, 0.5)) == 1
    image, boxes = scene(people)
    tracker.update(faces_in(boxes, 0.9), time_s, image)
    tracker.update(faces_in(boxes, 0.55), time_s + 1 / RATE, image)
    steps, _ = look(follower, tracker, seeing, people, time_s + 2 / RATE)
    assert len(believed(steps, time_s + 2 / RATE, none, SURE)) == 1, "it was sure once"


def test_faces_without_extent_are_not_followed():
    tracker, follower, _, time_s = started([(1, 100, 80, 60)])
    flat = np.full((5, 2), 120.0)
    track = tracker.tracks[0]
    object.__setattr__(track, "landmarks_xy", flat)
    assert [s.is_sure for s in follower.follow([track], time_s, scene([])[0])] == [False]


@pytest.mark.parametrize("every", [-1, float("nan")])
def test_wrong_values_are_refused(every):
    with pytest.raises(ArgumentError, match="detect_every_s must be 0 or more seconds"):
        Follower(Seeing(), every)


def test_portraits_differ():
    assert np.abs(portrait(1).astype(int) - portrait(2)).mean() > 20
