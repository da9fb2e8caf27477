"""Who is who: by motion, by look, over gaps and crossings; and the same again from a saved state."""

import json

import cv2
import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.faces.align import template_points
from mien.faces.appearance import BOX, FACE, LENGTH, correlation, describe, is_cut, same_person, thumbnail_of
from mien.faces.faces import Faces
from mien.faces.track import CONFIRMED, TENTATIVE_S, Tracker, assign, evidence

SIZE = (240, 360)
RATE = 25.0
UNIT = template_points("fer2013-mean", margin=0.0, size=1)


def portrait(seed, side=60):
    """A smooth pattern with a colour, of which no two are alike."""
    random = np.random.default_rng(seed)
    grey = cv2.resize(
        random.uniform(0, 1, (5, 5)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC
    )
    colour = random.uniform(0.4, 1, 3)
    return np.clip(255 * grey[..., None] * colour, 0, 255).astype(np.uint8)


def scene(people, seed=9):
    """A picture with portraits at (seed, x, y, side), later ones in front, and where each of them is."""
    image = cv2.resize(np.random.default_rng(seed).integers(60, 200, (8, 12, 3), np.uint8), SIZE[::-1])
    boxes = []
    for number, x, y, side in people:
        x, y = round(x), round(y)
        image[y : y + side, x : x + side] = portrait(number, side)
        boxes.append([x, y, x + side, y + side])
    return image, np.array(boxes, np.float32).reshape(-1, 4)


def faces_in(boxes, score=0.9):
    side = boxes[:, 2:] - boxes[:, :2]
    points = boxes[:, None, :2] + UNIT * side[:, None]
    return Faces(boxes, np.full(len(boxes), score, np.float32), points.astype(np.float32))


def run(tracker, film, start=0, rate_hz=RATE):
    """Track a film of scenes; a face is found where it is not said to be hidden. Numbers by frame."""
    answers = []
    for index, (people, hidden) in enumerate(film, start):
        image, boxes = scene(people)
        seen = [i for i in range(len(boxes)) if people[i][0] not in hidden]
        found = tracker.update(faces_in(boxes[seen]), index / rate_hz, image)
        order = [int(np.abs(found.box_xyxy - boxes[i]).sum(axis=1).argmin()) for i in seen]
        answers.append({people[i][0]: int(found.track_id[j]) for i, j in zip(seen, order, strict=True)})
    return answers


def test_numbers_from_the_first_row_and_in_order():
    tracker = Tracker()
    image, boxes = scene([(1, 200, 50, 60), (2, 20, 50, 60)])
    found = tracker.update(faces_in(boxes), 0.0, image)
    assert found.track_id.tolist() == [0, 1]
    np.testing.assert_array_equal(found.box_xyxy, boxes)
    turned = tracker.update(faces_in(boxes[::-1]), 0.04, image)
    assert turned.track_id.tolist() == [0, 1]
    np.testing.assert_array_equal(turned.box_xyxy, boxes)


@pytest.mark.parametrize("faces", [Faces.empty(), faces_in(scene([(1, 20, 50, 60)])[1])])
def test_empty_frames_are_fine(faces):
    tracker = Tracker()
    image = scene([])[0]
    assert len(tracker.update(Faces.empty(), 0.0, image)) == 0
    assert len(tracker.update(faces, 0.1, image)) == len(faces)
    assert len(tracker.update(Faces.empty(), 0.2, image)) == 0


def crossing(frames=50):
    film = []
    for i in range(frames):
        left, right = 20 + 5 * i, 280 - 5 * i
        hidden = {1} if abs(left - right) < 55 else set()
        film.append(([(1, left, 80, 60), (2, right, 84, 60)], hidden))
    return film


def test_two_people_pass_each_other():
    answers = run(Tracker(), crossing())
    last = answers[-1]
    assert last == answers[0] and len(set(last.values())) == 2
    assert {a[2] for a in answers} == {answers[0][2]}


def test_overlap_alone_would_exchange_them_when_frames_are_few():
    answers = run(Tracker(), crossing()[::5])
    assert answers[-1] == answers[0]


def test_whoever_is_hidden_for_a_while_is_the_same_person():
    film = [([(1, 20 + 4 * i, 80, 60)], {1} if 20 <= i < 40 else set()) for i in range(60)]
    numbers = {n for a in run(Tracker(), film) for n in a.values()}
    assert numbers == {0}


@pytest.mark.parametrize("gap", [0, 5, 25])
def test_somebody_else_in_the_same_place_is_somebody_else(gap):
    still = [([(1, 100, 80, 60)], set())] * 20
    nobody = [([], set())] * gap
    other = [([(2, 103, 82, 60)], set())] * 20
    answers = run(Tracker(), still + nobody + other)
    assert {a[1] for a in answers[:20]} == {0}
    assert {a[2] for a in answers[20 + gap :]} == {1}


def test_a_person_away_for_long_is_new():
    film = [([(1, 100, 80, 60)], set())] * 10 + [([], set())] * 30 + [([(1, 100, 80, 60)], set())] * 5
    assert run(Tracker(forget_s=3), film)[-1] == {1: 0}
    assert run(Tracker(forget_s=1), film)[-1] == {1: 1}


def test_the_same_place_after_a_cut_means_nothing():
    tracker = Tracker()
    run(tracker, [([(1, 100, 80, 60)], set())] * 10)
    image = 255 - scene([])[0]
    image[80:140, 100:160] = portrait(2)
    found = tracker.update(faces_in(np.array([[100, 80, 160, 140]], np.float32)), 0.4, image)
    assert found.track_id.tolist() == [1]
    image, boxes = scene([(1, 250, 30, 60)])
    assert tracker.update(faces_in(boxes), 0.44, image).track_id.tolist() == [0], "cut back, elsewhere"


def test_a_newcomer_turns_out_to_be_somebody_lost():
    film = [([(1, 100, 80, 60)], set())] * 20 + [([], set())] * 10
    tracker = Tracker()
    run(tracker, film)
    image, boxes = scene([(1, 100, 80, 60)])
    covered = image.copy()
    covered[80:140, 100:140] = 90
    numbers = [
        int(tracker.update(faces_in(boxes), (30 + i) / RATE, shown).track_id[0])
        for i, shown in enumerate([covered] * 4 + [image] * 20)
    ]
    assert numbers[0] == 1 and numbers[-1] == 0


def test_what_is_seen_once_is_forgotten_soon():
    tracker = Tracker()
    run(tracker, [([(1, 100, 80, 60)], set())])
    run(tracker, [([], set())], start=int(TENTATIVE_S * RATE) + 2)
    assert tracker.tracks == ()
    run(tracker, [([(1, 100, 80, 60)], set())] * CONFIRMED, start=20)
    run(tracker, [([], set())], start=20 + CONFIRMED + int(TENTATIVE_S * RATE) + 2)
    assert [track.number for track in tracker.tracks] == [1]


def numbers_of(tracker, scores, rate_hz=RATE, start=0):
    """Show somebody who stands still, found with these scores (0: not); the numbers in each frame."""
    image, boxes = scene([(1, 100, 80, 60)])
    found = [faces_in(boxes, score) if score else Faces.empty() for score in scores]
    return [
        tracker.update(faces, i / rate_hz, image).track_id.tolist() for i, faces in enumerate(found, start)
    ]


def test_a_newcomer_of_whom_the_detector_is_unsure_has_a_row_when_believed():
    assert numbers_of(Tracker(), [0, 0.55, 0.55, 0.55, 0.55]) == [[], [], [], [0], [0]]
    assert numbers_of(Tracker(), [0, 0.55, 0.8, 0.55]) == [[], [], [0], [0]], "once sure is enough"
    assert numbers_of(Tracker(sure=0.5), [0, 0.55]) == [[], [0]]
    assert numbers_of(Tracker(), [0.55, 0.55]) == [[0], [0]], "in the first frame nobody is a newcomer"


def test_what_is_taken_for_a_face_now_and_then_gets_no_number():
    tracker = Tracker()
    answers = numbers_of(tracker, [0, *([0.55] + [0] * 9) * 20])
    assert not any(answers)
    image, boxes = scene([(2, 200, 80, 60)])
    assert tracker.update(faces_in(boxes), 201 / RATE, image).track_id.tolist() == [0]


def test_where_frames_are_far_apart_nobody_has_to_wait():
    assert numbers_of(Tracker(), [0, 0, 0.55], rate_hz=1) == [[], [], [0]]


def test_a_known_face_may_be_found_with_any_score():
    assert numbers_of(Tracker(), [0, 0.9, 0.54, 0.54, 0, 0.54]) == [[], [0], [0], [0], [], [0]]


def test_several_who_have_to_wait_are_kept_apart():
    tracker, people = Tracker(), [(1, 20, 80, 60), (2, 100, 80, 60), (3, 180, 80, 60)]
    image, boxes = scene(people)
    tracker.update(Faces.empty(), 0.0, image)
    rows = []
    for i, shown in enumerate([boxes, boxes[::-1], boxes[1:], boxes], 1):
        found = tracker.update(faces_in(shown, 0.55), i / RATE, image)
        again = Tracker()
        again.restore(json.loads(json.dumps(tracker.state())))
        tracker = again
        rows.append(dict(zip(found.track_id.tolist(), found.box_xyxy[:, 0].tolist(), strict=True)))
    assert rows == [{}, {}, {0: 100.0, 1: 180.0}, {0: 100.0, 1: 180.0, 2: 20.0}]


def test_memory_is_bounded():
    tracker = Tracker()
    for i in range(200):
        run(tracker, [([(i, 10 + 29 * i % 280, 80, 40)], set())], start=i * 5)
        assert len(tracker.tracks) < 12


def test_time_counts_and_not_frames():
    fast = [([(1, 20 + 1.0 * i, 80, 60)], {1} if 100 <= i < 200 else set()) for i in range(250)]
    tracker = Tracker()
    numbers = set()
    for i, (people, hidden) in enumerate(fast):
        image, boxes = scene(people)
        found = tracker.update(faces_in(boxes[: 0 if hidden else 1]), i / 100, image)
        numbers |= set(found.track_id.tolist())
    assert numbers == {0}


@pytest.mark.parametrize("rate_hz", [0.2, 1, 2, 3, 5])
def test_few_frames_a_second_keep_those_who_stay(rate_hz):
    still = [([(1, 60, 80, 60), (2, 130, 84, 60)], set())] * 8
    tracker = Tracker()
    assert run(tracker, still, rate_hz=rate_hz) == [{1: 0, 2: 1}] * 8
    assert all(track.is_confirmed for track in tracker.tracks)
    assert tracker.step_s == pytest.approx(1 / rate_hz)


@pytest.mark.parametrize("rate_hz", [0.2, 1, 2, 3])
def test_few_frames_a_second_tell_somebody_else_in_the_same_place(rate_hz):
    one, other = ([(1, 100, 80, 60)], set()), ([(2, 103, 82, 60)], set())
    answers = run(Tracker(), [one] * 5 + [other] * 5, rate_hz=rate_hz)
    assert answers == [{1: 0}] * 5 + [{2: 1}] * 5


@pytest.mark.parametrize(("away", "number"), [(1, 0), (2, 0), (3, 1), (5, 1)])
@pytest.mark.parametrize("rate_hz", [1, 2, 3])
def test_few_frames_a_second_forget_those_who_left(rate_hz, away, number):
    here, nobody = ([(1, 100, 80, 60)], set()), ([], set())
    film = [here] * 4 + [nobody] * (away * rate_hz) + [here] * 3
    answers = run(Tracker(forget_s=3), film, rate_hz=rate_hz)
    assert answers[:4] == [{1: 0}] * 4 and answers[-3:] == [{1: number}] * 3


@pytest.mark.parametrize(("missed", "number"), [(1, 0), (2, 1)])
def test_steps_longer_than_forgetting_may_miss_a_face_once(missed, number):
    here, nobody = ([(1, 100, 80, 60)], set()), ([], set())
    film = [here] * 4 + [nobody] * missed + [here]
    assert run(Tracker(), film, rate_hz=0.2)[-1] == {1: number}


def test_long_steps_need_not_be_even():
    tracker = Tracker()
    image, boxes = scene([(1, 100, 80, 60)])
    numbers = [
        tracker.update(faces_in(boxes[: 0 if time_s == 22 else 1]), time_s, image).track_id.tolist()
        for time_s in (0, 4, 10, 17, 22, 28, 35)
    ]
    assert numbers == [[0], [0], [0], [0], [], [0], [0]]


def test_who_is_not_yet_believed_is_forgotten_once_missed():
    tracker = Tracker()
    here, nobody = ([(1, 100, 80, 60)], set()), ([], set())
    assert run(tracker, [here, here, nobody], rate_hz=2) == [{1: 0}, {1: 0}, {}]
    assert tracker.tracks == ()


def test_a_pause_of_a_quick_film_is_no_long_step():
    tracker = Tracker(forget_s=3)
    still = [([(1, 100, 80, 60)], set())] * 10
    assert run(tracker, still)[-1] == {1: 0}
    assert run(tracker, still, start=10 + 2 * int(RATE)) == [{1: 0}] * 10
    assert run(tracker, still, start=20 + 6 * int(RATE)) == [{1: 1}] * 10


@pytest.mark.parametrize("rate_hz", [0.2, 2, RATE])
@pytest.mark.parametrize("done", [0, 1, 2, 30])
def test_a_saved_state_goes_on_identically(rate_hz, done):
    film = crossing()
    one, two = Tracker(), Tracker()
    run(one, film[:done], rate_hz=rate_hz)
    two.restore(json.loads(json.dumps(one.state())))
    rest = [run(tracker, film[done:], start=done, rate_hz=rate_hz) for tracker in (one, two)]
    assert rest[0] == rest[1]
    assert one.state() == two.state()


def test_a_state_that_knows_no_steps_is_taken():
    one, two = Tracker(), Tracker()
    run(one, crossing()[:30])
    state = one.state()
    del state["last_step_s"]
    two.restore(state)
    assert run(two, crossing()[30:], start=30) == run(one, crossing()[30:], start=30)


@pytest.mark.parametrize("forget_s", [0, -1, float("nan")])
def test_wrong_values_are_refused(forget_s):
    with pytest.raises(ArgumentError, match="forget_s must be a positive number of seconds"):
        Tracker(forget_s=forget_s)


@pytest.mark.parametrize("sure", [-0.1, 1.1, float("nan")])
def test_sure_is_a_score(sure):
    with pytest.raises(ArgumentError, match="sure must be from 0 to 1"):
        Tracker(sure=sure)


def test_assignment_is_best_for_all_together():
    assert assign(np.array([[5.0, 4.0], [4.0, -1.0]])).tolist() == [1, 0]
    assert assign(np.array([[-2.0, -1.0]])).tolist() == [-1]
    assert assign(np.empty((0, 3))).tolist() == []
    assert assign(np.empty((2, 0))).tolist() == [-1, -1]


def test_evidence_falls_with_distance_and_rises_with_time():
    tracker = Tracker()
    run(tracker, [([(1, 100, 80, 60)], set())] * 5)
    places = [(1, x, 80, 60) for x in (100, 130, 220)]
    soon, late = [], []
    for place in places:
        image, boxes = scene([place])
        faces = faces_in(boxes)
        looks = describe(image, faces.box_xyxy, faces.landmarks_xy)
        soon.append(evidence(tracker.tracks, faces, looks, 5 / RATE)[0, 0])
        late.append(evidence(tracker.tracks, faces, looks, 2.0)[0, 0])
    assert soon[0] > soon[1] > soon[2]
    assert soon[0] - soon[1] > late[0] - late[1]


# looks


def test_looks_do_not_depend_on_place_size_and_brightness():
    image, boxes = scene([(1, 30, 40, 60), (1, 180, 90, 90), (2, 270, 20, 60)])
    faces = faces_in(boxes)
    looks = describe((image * 0.7).astype(np.uint8), faces.box_xyxy, faces.landmarks_xy)
    assert looks.shape == (3, LENGTH)
    for part in (BOX, FACE):
        alike = correlation(looks, looks, part)
        assert alike[0, 1] > 0.9 > 0.7 > alike[0, 2]
    assert same_person(looks, looks)[0, 1] > 2 > -3 > same_person(looks, looks)[0, 2]


def test_faces_at_the_border_have_looks():
    image = scene([])[0]
    boxes = np.array([[-30, -30, 20, 20], [340, 220, 420, 300], [500, 500, 520, 520]], np.float32)
    faces = faces_in(boxes)
    looks = describe(image, faces.box_xyxy, faces.landmarks_xy)
    assert np.isfinite(looks).all()
    assert describe(image, np.empty((0, 4)), np.empty((0, 5, 2))).shape == (0, LENGTH)


def test_a_cut_is_told_from_motion():
    a, b = scene([(1, 30, 40, 60)])[0], scene([(1, 38, 42, 60)])[0]
    assert not is_cut(thumbnail_of(b), thumbnail_of(a))
    assert is_cut(thumbnail_of(scene([], seed=1)[0]), thumbnail_of(a))
    assert not is_cut(thumbnail_of((0.5 * a).astype(np.uint8)), thumbnail_of(a)), "less light is no cut"


def test_pictures_without_a_pattern_are_like_all_others():
    boxes = np.array([[100, 80, 160, 140]], np.float32)
    tracker = Tracker()
    for i in range(6):
        image = np.full((*SIZE, 3), 10 + 40 * i, np.uint8)
        assert tracker.update(faces_in(boxes), i / RATE, image).track_id.tolist() == [0]
        assert not is_cut(thumbnail_of(image), thumbnail_of(scene([])[0]))
