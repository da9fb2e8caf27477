"""Faces: checked arrays that index like an array, and none is a value like any other."""

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.faces.faces import Faces, overlap


def make(n, points=5):
    random = np.random.default_rng(n)
    low = random.uniform(-10, 100, (n, 2))
    return Faces(
        box_xyxy=np.concatenate([low, low + random.uniform(0, 50, (n, 2))], axis=1),
        score=random.uniform(0, 1, n),
        landmarks_xy=random.uniform(0, 100, (n, points, 2)),
        track_id=np.arange(n),
    )


@pytest.mark.parametrize("n", [0, 1, 4])
def test_arrays_have_the_stated_types_and_cannot_be_written(n):
    faces = make(n)
    assert len(faces) == n
    types = {"box_xyxy": np.float32, "score": np.float32, "landmarks_xy": np.float32, "track_id": np.int64}
    for field, dtype in types.items():
        value = getattr(faces, field)
        assert value.dtype == dtype and len(value) == n
        assert not value.flags.writeable


def test_the_callers_arrays_stay_theirs():
    box = np.zeros((1, 4), np.float32)
    Faces(box, np.zeros(1), np.zeros((1, 5, 2)))
    box[0] = 1


@pytest.mark.parametrize("points", [0, 5, 68])
def test_empty(points):
    faces = Faces.empty(points)
    assert len(faces) == 0 and faces.landmarks_xy.shape == (0, points, 2)
    assert len(faces[:]) == len(faces[[]]) == len(faces[np.zeros(0, bool)]) == 0


def test_without_tracks_every_identity_is_none():
    assert Faces(np.zeros((2, 4)), np.zeros(2), np.zeros((2, 5, 2))).track_id.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        ([2, 0], [2, 0]),
        ([], []),
        ([True, False, False, True], [0, 3]),
        (np.array([False, True, True, False]), [1, 2]),
        (np.array([3]), [3]),
        (0, [0]),
        (-1, [3]),
        (np.int64(2), [2]),
    ],
)
def test_indexing_keeps_all_fields_together(rows, kept):
    faces = make(4)
    chosen = faces[rows]
    for field in ("box_xyxy", "score", "landmarks_xy", "track_id"):
        np.testing.assert_array_equal(getattr(chosen, field), getattr(faces, field)[kept])


@pytest.mark.parametrize("rows", [4, -5, [7], [True, False]])
def test_indexing_outside_is_an_index_error(rows):
    with pytest.raises(IndexError):
        make(4)[rows]


def test_iterating_gives_one_face_at_a_time():
    assert [int(face.track_id[0]) for face in make(3)] == [0, 1, 2]


@pytest.mark.parametrize("counts", [(), (0,), (2,), (1, 0, 3)])
def test_concatenate(counts):
    joined = Faces.concatenate([make(n) for n in counts])
    assert len(joined) == sum(counts)
    assert joined.track_id.tolist() == [i for n in counts for i in range(n)]


def test_concatenate_refuses_different_landmarks():
    with pytest.raises(ArgumentError, match="equally many landmarks"):
        Faces.concatenate([make(1, points=5), make(1, points=6)])


GOOD = {
    "box_xyxy": np.zeros((2, 4)),
    "score": np.zeros(2),
    "landmarks_xy": np.zeros((2, 5, 2)),
    "track_id": [1, 2],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("box_xyxy", np.zeros((2, 3))),
        ("box_xyxy", np.zeros(4)),
        ("box_xyxy", [[0, 0, -1, 5], [0, 0, 1, 1]]),
        ("box_xyxy", [[0, 5, 1, 4], [0, 0, 1, 1]]),
        ("box_xyxy", np.full((2, 4), np.nan)),
        ("score", np.zeros(3)),
        ("score", np.zeros((2, 1))),
        ("score", [0.5, np.inf]),
        ("landmarks_xy", np.zeros((1, 5, 2))),
        ("landmarks_xy", np.zeros((2, 10))),
        ("landmarks_xy", np.zeros((2, 5, 3))),
        ("track_id", [1]),
    ],
)
def test_a_wrong_field_is_named(field, value):
    with pytest.raises(ArgumentError, match=f"^{field} must be .*; given"):
        Faces(**(GOOD | {field: value}))


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1),
        ([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3),
        ([0, 0, 4, 4], [1, 1, 3, 3], 1 / 4),
        ([0, 0, 1, 1], [1, 0, 2, 1], 0),
        ([0, 0, 1, 1], [5, 5, 6, 6], 0),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0),
    ],
)
def test_overlap(a, b, share):
    assert overlap([a], [b]) == pytest.approx(np.array([[share]]))
    assert overlap([b], [a]) == pytest.approx(np.array([[share]]))


def test_overlap_of_none():
    assert overlap(np.empty((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)
    assert overlap([[0, 0, 1, 1]] * 3, np.empty((0, 4))).shape == (3, 0)
