"""The contact sheet: a row for every transformation, seeded, in the model's size and colour."""

import numpy as np
import pytest
import torch

from mien.errors import ArgumentError
from mien.faces.align import TEMPLATES, CropSpec
from mien.testing import FixedDetector, make_faces
from mien.training.augmentation import TRANSFORMATIONS, Augmentation
from mien.training.preview import draw_preview

GREY = CropSpec("fer2013-mean", -1 / 24, 44)
COLOUR = CropSpec("fer2013-mean", 0.0, 60, "rgb")
NONE = Augmentation.preset("none")
LABELS = 176


def picture(side=200, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return np.kron(small, np.ones((side // 8, side // 8, 1), np.uint8))


def tiles(sheet, factor, size, rows, columns):
    """Cut the sheet into its crops: (rows, columns, S, S, 3)."""
    step = size * factor + 4
    left = [LABELS + c * step + (12 if c else 0) for c in range(columns)]
    found = [
        [sheet[30 + r * step :, x:][: size * factor : factor, : size * factor : factor] for x in left]
        for r in range(rows)
    ]
    return np.array(found)


def test_every_transformation_has_a_row_and_the_first_column_is_the_plain_crop():
    sheet = draw_preview([picture()], GREY, Augmentation(), draws=3, rows=2)
    found = tiles(sheet, 3, 44, len(TRANSFORMATIONS) + 2, 4)
    assert sheet.shape == (30 + 21 * 136, LABELS + 4 * 136 + 12, 3)
    plain = GREY.cut_framed(picture())
    for row in found:
        assert np.abs(row[0, ..., 0].astype(int) - plain).mean() < 4  # cut twice, once by a coarse margin
        assert (row[1:] != row[:1]).any(axis=(1, 2, 3)).mean() > 0.6
    assert (found[..., 0] == found[..., 1]).all()


def test_nothing_together_is_the_crop_itself_but_each_alone_is_shown():
    sheet = draw_preview([picture()], COLOUR, NONE, draws=2, rows=1)
    found = tiles(sheet, 2, 60, len(TRANSFORMATIONS) + 1, 3)
    assert (found[-1] == found[-1, :1]).all()
    for row in found[:-1]:
        assert (row[1:] != row[:1]).any()
    assert (found[..., 0] != found[..., 2]).any()


def test_a_sheet_is_seeded_and_leaves_the_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    sheets = [draw_preview([picture()], GREY, Augmentation(), draws=2, rows=1, seed=s) for s in (0, 0, 1)]
    torch.testing.assert_close(torch.rand(1), expected)
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert (sheets[0] != sheets[2]).any()


def test_rows_take_the_pictures_in_turn():
    sheet = draw_preview([picture(seed=0), picture(seed=1)], GREY, NONE, draws=1, rows=1)
    found = tiles(sheet, 3, 44, 4, 2)[:, 0]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])
    assert (found[0] != found[1]).any()


def test_the_face_is_cut_by_its_landmarks():
    # In the canvas around a picture of 320 pixels, 640 wide, the face is found 320 wide in the middle.
    whole = np.full((320, 320, 3), 200, np.uint8)
    for x, y in np.array(TEMPLATES["fer2013-mean"]) * 320:
        whole[int(y) - 10 : int(y) + 10, int(x) - 10 : int(x) + 10] = 0
    detector = FixedDetector(make_faces(1, (640, 640)))
    sheet = draw_preview([whole], GREY, NONE, detector=detector, draws=1, rows=1)
    framed = draw_preview([whole], GREY, NONE, draws=1, rows=1)
    found, plain = (tiles(s, 3, 44, 1, 2)[0, 0].astype(int) for s in (sheet, framed))
    assert np.abs(found - plain).mean() < 3


@pytest.mark.parametrize("settings", [{"draws": 0}, {"rows": 0}])
def test_nothing_to_draw(settings):
    with pytest.raises(ArgumentError, match="one or more"):
        draw_preview([picture()], GREY, NONE, **settings)
    with pytest.raises(ArgumentError, match="images must be"):
        draw_preview([], GREY, NONE)
