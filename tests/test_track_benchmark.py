"""What the tracking benchmark counts."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def track(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    import track

    yield track
    for name in set(sys.modules) - before:
        if name in ("track", "films", "film_kinds"):
            del sys.modules[name]


BOX = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)


def rows(boxes, numbers):
    from mien.faces.faces import Faces

    n = len(numbers)
    boxes = np.asarray(boxes, np.float32).reshape(n, 4)
    return Faces(boxes, np.ones(n, np.float32), np.zeros((n, 5, 2), np.float32), np.array(numbers, np.int64))


def truth(track, people, visible=None):
    shown = np.ones(len(people)) if visible is None else np.array(visible)
    return track.Truth(np.array(people, np.int64), BOX[: len(people)].astype(float), shown)


def test_all_is_well(track):
    score = track.judge([(rows(BOX, [3, 4]), truth(track, [0, 1]))] * 3)
    assert (score.frames, score.wanted, score.found, score.own) == (3, 6, 6, 6)
    assert (score.switches, score.takeovers, score.false_rows, score.false_tracks) == (0, 0, 0, 0)


def test_a_person_with_a_new_number(track):
    score = track.judge([(rows(BOX[:1], [n]), truth(track, [0])) for n in (3, 3, 5)])
    assert (score.switches, score.takeovers, score.own, score.found) == (1, 0, 2, 3)


def test_a_number_with_a_new_person(track):
    score = track.judge([(rows(BOX[:1], [3]), truth(track, [p])) for p in (0, 0, 1)])
    assert (score.switches, score.takeovers) == (0, 1)


def test_nobody_is_there(track):
    away = np.array([[50, 50, 60, 60]], np.float32)
    score = track.judge([(rows(away, [7]), truth(track, [0]))])
    assert (score.found, score.wanted, score.false_rows, score.false_tracks) == (0, 1, 1, 1)


def test_who_is_hidden_need_not_be_found_but_may(track):
    assert track.judge([(rows([], []), truth(track, [0], [0.2]))]).wanted == 0
    score = track.judge([(rows(BOX[:1], [1]), truth(track, [0], [0.2]))])
    assert (score.wanted, score.found, score.false_rows) == (0, 0, 0)


def test_films_are_drawn_with_their_truth(track):
    from films import Person

    face = np.full((100, 80, 3), 250, np.uint8)
    alpha = np.zeros((100, 80), np.float32)
    alpha[5:-5, 5:-5] = 1
    person = Person(face, alpha, np.array([20.0, 20, 60, 70]))
    background = np.zeros((480, 640, 3), np.uint8)
    for kind in track.KINDS:
        film = kind(np.random.default_rng(0))
        frames = track.render(film, [person] * 4, background, 0)
        image, known = next(frames)
        assert image.shape == (480, 640, 3) and len(known.person) >= 1
        assert (known.visible <= 1).all() and known.visible.max() > 0.9
        left, top, right, bottom = known.box_xyxy[known.visible.argmax()].astype(int)
        assert image[top + 8 : bottom - 8, left + 8 : right - 8].mean() > 200
