"""Reading the detector's material: the two sides of the split share nothing, the layout is checked."""

import json

import cv2
import numpy as np
import pytest

from mien.errors import SourceNotFoundError
from mien.testing import FixedDetector, make_faces
from mien.training.material import load_material

FOLDERS = ("fer2013", "faces_wild", "caltech_faces", "fairface540", "clips", "backgrounds")


def write_portraits(folder, side, columns, rows, header):
    sheet = np.zeros((side * -(-len(rows) // columns), side * columns), np.uint8)
    for i in range(len(rows)):
        y, x = divmod(i, columns)
        sheet[y * side : (y + 1) * side, x * side : (x + 1) * side] = 10 * (i + 1) % 256
    cv2.imwrite(str(folder / "sheet_00.webp"), sheet, [cv2.IMWRITE_WEBP_QUALITY, 101])
    (folder / "labels.csv").write_text("\n".join([header, *rows]))
    np.savez(
        folder / "geometry.npz",
        found=np.array([True] * (len(rows) - 1) + [False]),
        landmarks_xy=np.full((len(rows), 70, 2), np.arange(len(rows))[:, None, None], np.float16),
    )


@pytest.fixture
def folder(tmp_path):
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    write_portraits(
        tmp_path / "fer2013",
        48,
        64,
        ["Training", "PublicTest", "Training", "PublicTest", "Training"],
        "usage",
    )
    people = [f"{2 * letter}_{i:02d}_0001.jpg" for i, letter in enumerate("ABCDEFGHIJ" * 3)]
    write_portraits(tmp_path / "faces_wild", 160, 32, people, "file")
    teacher = {"teacher": [{"box": [1, 2, 3, 4], "pts": list(range(10)), "score": 0.9}]}
    for name in ("caltech_faces", "fairface540"):
        for i in range(10):
            cv2.imwrite(str(tmp_path / name / f"{i:02d}.png"), np.full((20, 30, 3), i, np.uint8))
        (tmp_path / name / "labels.json").write_text(json.dumps({f"{i:02d}.png": teacher for i in range(10)}))
    (tmp_path / "clips" / "teacher_boxes.json").write_text("{}")
    for i in range(8):
        cv2.imwrite(str(tmp_path / "backgrounds" / f"{i}.jpg"), np.full((16, 16), 8 * i, np.uint8))
    return tmp_path


def test_the_two_sides_share_nothing_and_miss_nothing(folder):
    train, aside = load_material(folder), load_material(folder, set_aside=True)
    for name in ("caltech_faces", "fairface540"):
        names = [{photo.name for photo in side.photos[name]} for side in (train, aside)]
        assert not names[0] & names[1]
        assert len(names[0] | names[1]) == 10
        assert names[1]
    assert len(train.backgrounds) == 6
    assert len(aside.backgrounds) == 2
    values = [set(side.portraits["fer2013"].pictures[:, 0, 0].tolist()) for side in (train, aside)]
    assert values == [{10, 30}, {20, 40}], "by split, and only where a face was found"
    wild = [len(side.portraits["faces_wild"]) for side in (train, aside)]
    assert sum(wild) == 29


def test_boxes_become_corners(folder):
    photo = load_material(folder).photos["caltech_faces"][0]
    np.testing.assert_array_equal(photo.box_xyxy, [[1, 2, 4, 6]])
    np.testing.assert_array_equal(photo.landmarks_xy[0], np.arange(10).reshape(5, 2))
    assert photo.picture.shape == (20, 30)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_missing_folder_is_named(folder, name):
    for file in (folder / name).iterdir():
        file.unlink()
    (folder / name).rmdir()
    with pytest.raises(SourceNotFoundError, match=name):
        load_material(folder)


def test_a_teacher_boxes_the_portraits_without_landmarks(folder):
    faces = make_faces(1, (192, 192))
    photos = load_material(folder, teacher=FixedDetector(faces)).photos["without_landmarks"]
    assert [photo.picture.shape[0] for photo in photos] == [48, 160][: len(photos)]
    np.testing.assert_allclose(photos[0].box_xyxy, (faces.box_xyxy - 48) / 2, atol=1e-3)
    assert load_material(folder, teacher=FixedDetector(make_faces(0))).photos["without_landmarks"] == []
    assert "without_landmarks" not in load_material(folder).photos
