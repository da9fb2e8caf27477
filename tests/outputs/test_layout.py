from __future__ import annotations

import numpy as np
import pytest

from mien.outputs.layout import place_labels


def corners(box: object, size: object, picture: tuple[int, int], **options: object) -> np.ndarray:
    return place_labels(box, size, picture, **options).corner_xy  # type: ignore[arg-type]  # passed on


def test_a_label_lies_under_its_face_where_there_is_room() -> None:
    placement = place_labels([[10, 10, 50, 50]], [[30, 20]], (200, 200), gap=4)
    assert placement.corner_xy.tolist() == [[10, 54]]
    assert placement.on_own.tolist() == [0]
    assert corners([[10, 60, 50, 90]], [[30, 20]], (200, 200), gap=4, first="above").tolist() == [[10, 36]]


@pytest.mark.parametrize(
    "box",
    [[0, 180, 40, 200], [180, 180, 260, 260], [-50, -50, 10, 10], [0, 0, 200, 200], [150, 90, 200, 110]],
)
def test_labels_stay_inside_the_picture(box: list[int]) -> None:
    ((x, y),) = corners([box], [[60, 30]], (200, 200), gap=3)
    assert 0 <= x <= 140
    assert 0 <= y <= 170


def test_labels_avoid_faces_and_each_other() -> None:
    box = np.array([[x, y, x + 40, y + 50] for y in (10, 110) for x in range(10, 400, 60)], float)
    size = np.full((len(box), 2), [50, 30])
    placement = place_labels(box, size, (420, 220), gap=3)
    assert placement.on_others == 0
    assert (placement.on_own == 0).all()
    label = np.concatenate([placement.corner_xy, placement.corner_xy + size], axis=1)
    for i in range(len(box)):
        others = np.concatenate([box, np.delete(label, i, axis=0)])
        apart = (label[i, 2:] <= others[:, :2]) | (label[i, :2] >= others[:, 2:])
        assert apart.any(axis=1).all()


def test_what_is_hidden_is_measured() -> None:
    placement = place_labels([[0, 0, 100, 100]], [[100, 25]], (100, 100))
    assert placement.on_own.tolist() == [0.25]
    crowded = place_labels([[0, 0, 10, 10], [0, 0, 10, 10]], [[10, 10], [10, 10]], (10, 10))
    assert crowded.on_others == pytest.approx(100 + 100 + 100)


def test_no_faces_need_no_place() -> None:
    placement = place_labels(np.empty((0, 4)), np.empty((0, 2)), (10, 10))
    assert placement.corner_xy.shape == (0, 2)
    assert placement.on_others == 0
