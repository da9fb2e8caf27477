"""Composed scenes: faces lie where the scene says, on every layout; the unknown is not asked."""

import numpy as np
import pytest

from mien.training.material import Material, Photo, Portraits, five_points
from mien.training.scenes import Composer, Scene, face_box


def face_points(side):
    """70 points of a schematic upright face in a square picture."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0.3, 0.7, (70, 2))
    angle = np.linspace(0, np.pi, 17)
    points[:17] = np.column_stack([0.5 - 0.32 * np.cos(angle), 0.45 + 0.45 * np.sin(angle)])
    points[17:27] = np.column_stack([np.linspace(0.25, 0.75, 10), np.full(10, 0.28)])
    points[27:31] = np.column_stack([np.full(4, 0.5), np.linspace(0.38, 0.58, 4)])
    points[33] = (0.5, 0.62)
    points[36:42], points[42:48] = (0.35, 0.38), (0.65, 0.38)
    points[48], points[54] = (0.38, 0.75), (0.62, 0.75)
    points[68], points[69] = (0.35, 0.38), (0.65, 0.38)
    return (points * side).astype(np.float32)


@pytest.fixture(scope="module")
def material():
    rng = np.random.default_rng(0)

    def portraits(side):
        return Portraits(
            rng.integers(150, 256, (4, side, side)).astype(np.uint8), np.stack([face_points(side)] * 4)
        )

    photo = Photo(
        picture=rng.integers(0, 100, (200, 260)).astype(np.uint8),
        box_xyxy=np.array([[80, 50, 140, 130], [5, 5, 12, 14]], np.float32),
        landmarks_xy=np.zeros((2, 5, 2), np.float32),
        score=np.array([0.9, 0.45], np.float32),
        name="photo",
    )
    return Material(
        portraits={"fer2013": portraits(48), "faces_wild": portraits(160)},
        photos={"caltech_faces": [photo]},
        backgrounds=[rng.integers(0, 60, (120, 180)).astype(np.uint8)],
    )


def test_scenes_are_sound(material):
    composer = Composer(material, 160, seed=0)
    counts = []
    for _ in range(60):
        scene = composer.compose()
        assert scene.picture.shape == (160, 160)
        assert scene.picture.dtype == np.uint8
        assert len(scene.boxes) == len(scene.landmarks) == len(scene.sure)
        for box in scene.boxes:
            assert (box[2:] > box[:2]).all()
        counts.append(len(scene.boxes))
    assert min(counts) == 0
    assert max(counts) > 5


def test_same_seed_same_scenes(material):
    a, b = Composer(material, 96, seed=3), Composer(material, 96, seed=3)
    for _ in range(10):
        np.testing.assert_array_equal(a.compose().picture, b.compose().picture)


def test_pasted_faces_lie_in_their_boxes_and_keep_their_sides(material):
    composer = Composer(material, 256, seed=1)
    for _ in range(30):
        scene = composer._blank()
        composer._paste_face(scene, 60)
        for box, five in zip(scene.boxes, scene.landmarks, strict=True):
            if (box > 0).all() and (box < 256).all():
                assert (five >= box[:2]).all()
                assert (five <= box[2:]).all()
            shown = np.minimum(box[2:], 256) - np.maximum(box[:2], 0)
            assert np.prod(shown) >= 0.79 * np.prod(box[2:] - box[:2]), (
                "cut faces have the box of what is shown"
            )
            eyes = five[1] - five[0]
            mouth = five[3:].mean(0) - five[:2].mean(0)
            assert eyes[0] * mouth[1] - eyes[1] * mouth[0] > 0, "the right eye must stay on the face's right"
            visible = scene.picture[
                int(max(0, five[2, 1])) : int(five[2, 1]) + 3, int(max(0, five[2, 0])) : int(five[2, 0]) + 3
            ]
            if visible.size and (five[2] > 4).all() and (five[2] < 250).all():
                assert visible.max() > 0, "a face is drawn where the scene says it is"


def test_unsure_teacher_boxes_are_not_asked(material):
    composer = Composer(material, 128, seed=2)
    seen = set()
    for _ in range(60):
        scene = composer._blank()
        composer._lay_photo(scene, (0, 0, 128, 128), material.photos["caltech_faces"][0])
        seen |= {
            (round(float(np.ptp(box[::2]) / np.ptp(box[1::2])), 1), sure)
            for box, sure in zip(scene.boxes, scene.sure, strict=True)
        }
        assert all(np.isnan(five).all() for five in scene.landmarks)
    assert (0.8, False) in seen or (0.8, True) in seen


def test_cover_forgets_hidden_faces():
    scene = Scene(np.zeros((9, 9), np.uint8), [], [], [])
    for box in ([0, 0, 10, 10], [100, 100, 110, 110], [0, 0, 33, 10]):
        scene.add(np.array(box), np.zeros((5, 2)), True)
    scene.cover(np.array([-1, -1]), np.array([11, 11]))
    assert [box.tolist() for box in scene.boxes] == [[100, 100, 110, 110], [0, 0, 33, 10]]
    assert scene.sure == [True, False]


def test_face_box_holds_the_points_and_the_forehead():
    points = face_points(100)
    box = face_box(points)
    assert box[1] < points[:, 1].min()
    assert box[3] > points[:68, 1].max() - 5
    assert (five_points(points) > box[:2]).all()
    assert (five_points(points) < box[2:]).all()


def test_a_slip_of_a_face_is_neither_face_nor_background(material):
    composer = Composer(material, 100, seed=0)
    nothing = np.full((5, 2), np.nan)
    whole = (0, 0, 100, 100)
    for right, wanted in ((110.0, [True]), (170.0, [False]), (400.0, [False]), (4000.0, [])):
        scene = composer._blank()
        composer._enter(scene, np.array([70.0, 20.0, right, 60.0]), nothing, whole, True)
        assert scene.sure == wanted, f"a face of which {30 / (right - 70):.0%} is seen"


def test_drawn_things_hide_the_faces_they_cover(material):
    composer = Composer(material, 96, seed=0)
    hidden = 0
    for _ in range(40):
        scene = composer._blank()
        scene.add(np.array([20, 20, 60, 70]), np.zeros((5, 2)), True)
        composer._paste_clutter(scene, 80)
        hidden += not scene.boxes or not scene.sure[0]
    assert 8 < hidden < 40
