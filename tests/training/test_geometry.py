"""Geometry files, and crops by landmarks or as they are."""

import numpy as np
import pytest

from mien.errors import DatasetError
from mien.faces.align import template_points
from mien.faces.landmarks import FIVE_OF_70
from mien.training.geometry import Geometry, crop_matrices, load_geometry

NAMES = ("browInnerUp", "eyeBlinkLeft", "eyeBlinkRight", "jawLeft", "jawRight")


@pytest.fixture
def geometry_file(tmp_path):
    rng = np.random.default_rng(0)
    columns = {
        "row": np.array([10, 30, 20]),
        "found": np.array([1, 0, 1]),
        "landmarks_xy": rng.uniform(0, 48, (3, 70, 2)).astype(np.float16),
        "blendshapes": rng.integers(0, 256, (3, 5)).astype(np.uint8),
        "blendshape_names": np.array(NAMES),
    }
    path = tmp_path / "geometry.npz"
    np.savez(path, **columns)
    return path, columns


def test_geometry_is_ordered_by_row(geometry_file):
    path, columns = geometry_file
    geometry = load_geometry(path, np.array([20, 10]))
    np.testing.assert_array_equal(geometry.landmarks_xy, columns["landmarks_xy"][[2, 0]][:, FIVE_OF_70])
    np.testing.assert_allclose(geometry.blendshapes, columns["blendshapes"][[2, 0]] / 255, atol=1e-6)
    assert geometry.found.all()


def test_geometry_without_a_row_says_which(geometry_file):
    with pytest.raises(DatasetError, match="row 99"):
        load_geometry(geometry_file[0], np.array([10, 99]))


def test_a_file_that_is_no_geometry_says_what_it_lacks(tmp_path):
    np.savez(tmp_path / "other.npz", row=np.arange(3))
    with pytest.raises(DatasetError, match="landmarks_xy"):
        load_geometry(tmp_path / "other.npz", np.array([0]))


def test_mirrored_columns_swap_sides():
    geometry = Geometry(
        np.ones(1, bool), np.zeros((1, 5, 2), np.float32), np.zeros((1, 5), np.float32), NAMES
    )
    assert geometry.mirrored_columns() == [0, 2, 1, 4, 3]


def test_crops_follow_landmarks_where_found_and_the_frame_elsewhere():
    target = template_points("fer2013-mean", 0.0, 44)
    geometry = Geometry(
        np.array([True, False]),
        np.stack([target + 7, target]).astype(np.float32),
        np.zeros((2, 0), np.float32),
        (),
    )
    aligned, whole = crop_matrices(geometry, np.array([[48, 48], [48, 48]]), "fer2013-mean", 0.0, 44)
    np.testing.assert_allclose(aligned[0], [[1, 0, -7], [0, 1, -7]], atol=1e-4)
    np.testing.assert_array_equal(aligned[1], whole[1])
    np.testing.assert_allclose(whole[0], [[44 / 48, 0, 0], [0, 44 / 48, 0]], atol=1e-6)


def test_select_keeps_all_columns_together(geometry_file):
    geometry = load_geometry(geometry_file[0], np.array([10, 30, 20]))
    part = geometry.select(np.array([2, 0]))
    whole = load_geometry(geometry_file[0], np.array([20, 10]))
    for field in ("found", "landmarks_xy", "blendshapes"):
        np.testing.assert_array_equal(getattr(part, field), getattr(whole, field))
    assert part.blendshape_names == whole.blendshape_names == NAMES
