"""Crops of a corpus: cut as in inference, kept by content, detector and spec."""

import numpy as np
import pytest

from mien.errors import ArgumentError, DatasetError
from mien.faces.align import CropSpec
from mien.faces.faces import Faces
from mien.training.crops import content_key, cut_corpus, detected_geometry

SPEC = CropSpec("fer2013-mean", 0.0, 16)
LANDMARKS = np.array([[[15, 18], [32, 18], [24, 28], [17, 37], [31, 37]]], np.float32)


class Counting:
    """Finds one face in bright pictures, and counts how often it is asked."""

    name, sha256 = "counting", "0" * 64

    def __init__(self):
        self.asked = 0

    def detect(self, image, *, min_face=None):
        self.asked += 1
        if image.mean() < 100:
            return Faces.empty()
        side = image.shape[0] / 2  # find_single surrounds the picture by half its side on every side
        scale = side / 48
        box = np.array([[side / 2, side / 2, side * 1.5, side * 1.5]], np.float32)
        return Faces(box, np.ones(1, np.float32), (LANDMARKS * scale + side / 2).astype(np.float32))


def pictures(n):
    random = np.random.default_rng(0)
    return [random.integers(100 * (i % 2), 100 + 100 * (i % 2), (48, 48), dtype=np.uint8) for i in range(n)]


@pytest.mark.parametrize("n", [0, 1, 4])
def test_without_a_detector_pictures_are_framed(n):
    result = cut_corpus(pictures(n), SPEC, None)
    assert result.crops.shape == (n, 16, 16) and result.found.all() and len(result) == n
    for crop, picture in zip(result.crops, pictures(n), strict=True):
        assert (crop == SPEC.cut_framed(picture)).all()


def test_a_face_that_is_found_is_cut_by_its_landmarks_and_others_are_framed():
    images = pictures(4)
    result = cut_corpus(images, SPEC, Counting())
    assert result.found.tolist() == [False, True, False, True]
    assert (result.crops[0] == SPEC.cut_framed(images[0])).all()
    assert not (result.crops[1] == SPEC.cut_framed(images[1])).all()


def test_what_is_kept_is_not_looked_for_again(tmp_path):
    images = [*pictures(4), pictures(4)[1]]
    first = Counting()
    fresh = cut_corpus(images, SPEC, first, cache=tmp_path)
    again = Counting()
    seen = []
    kept = cut_corpus(images, SPEC, again, cache=tmp_path, progress=lambda done, n: seen.append((done, n)))
    assert (kept.crops == fresh.crops).all() and (kept.found == fresh.found).all()
    assert again.asked == 0 < first.asked and seen == [(i, 5) for i in range(1, 6)]
    changed = images[1].copy()
    changed[0, 0] ^= 1
    cut_corpus([changed], SPEC, again, cache=tmp_path)
    assert again.asked > 0
    assert sorted(f.name.partition("-")[0] for f in tmp_path.iterdir()) == ["crops", "places"]


def test_another_spec_or_detector_has_crops_of_its_own(tmp_path):
    other = Counting()
    other.sha256 = "1" * 64
    cut_corpus(pictures(2), SPEC, Counting(), cache=tmp_path)
    same = Counting()
    cut_corpus(pictures(2), CropSpec("fer2013-mean", 0.1, 16), same, cache=tmp_path)
    assert not same.asked, "where the faces are does not depend on how they are cut"
    cut_corpus(pictures(2), SPEC, other, cache=tmp_path)
    assert (
        other.asked and len(list(tmp_path.glob("crops-*"))) == 3 and len(list(tmp_path.glob("places-*"))) == 2
    )


def test_detected_geometry_is_where_the_faces_are(tmp_path):
    for cache in (None, tmp_path, tmp_path):
        geometry = detected_geometry(pictures(4), Counting(), cache=cache)
        assert geometry.found.tolist() == [False, True, False, True]
        np.testing.assert_allclose(geometry.landmarks_xy[1], LANDMARKS[0], atol=1)
        assert geometry.blendshapes.shape == (4, 0)


def test_a_damaged_cache_is_named(tmp_path):
    cut_corpus(pictures(1), SPEC, None, cache=tmp_path)
    file = next(tmp_path.iterdir())
    file.write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(DatasetError, match=file.name):
        cut_corpus(pictures(1), SPEC, None, cache=tmp_path)


def test_a_detector_that_cannot_be_told_from_others_is_not_cached(tmp_path):
    detector = Counting()
    detector.sha256 = ""
    with pytest.raises(ArgumentError, match="cache"):
        cut_corpus(pictures(1), SPEC, detector, cache=tmp_path)


def test_keys_tell_shape_and_bytes_apart():
    flat = np.zeros((2, 8), np.uint8)
    assert len({content_key(flat), content_key(flat.reshape(4, 4)), content_key(flat + 1)}) == 3
