"""Test-time mirroring: the mean of a crop and its mirror image, and said to be that."""

import numpy as np
import pytest
from shades import LastShadeModel, ShadeModel, corpus

from mien.training.evaluate import SequenceModel, evaluate_model
from mien.training.mirrored import mirror


class LeftModel(ShadeModel):
    """Reads the shade at the left edge instead of the middle."""

    def predict_proba(self, crops):
        moved = crops.copy()
        moved[:, 4, 4] = crops[:, 4, 0]
        return super().predict_proba(moved)


class LeftSequenceModel(LastShadeModel):
    predict_proba = LeftModel.predict_proba


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 8, 8, 3), (0, 8, 8)])
def test_the_mean_of_a_crop_and_its_mirror_image(shape):
    crops = np.zeros(shape, np.uint8)
    crops[:, :, 7] = 30  # column 0 (anger) at the left edge, column 1 (disgust) at the right
    plain = crops[..., 0] if len(shape) == 4 else crops
    model = LeftModel()
    p = mirror(model).predict_proba(plain)
    assert p.shape == (shape[0], 7) and p.dtype == np.float32
    np.testing.assert_allclose(p[:, :2], np.full((shape[0], 2), (0.9 + 0.1 / 6) / 2), rtol=1e-6)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert model.batches == [shape[0]] * 2, "twice the work"


def test_only_columns_are_mirrored():
    """A picture is turned left to right, never upside down, and the order of a film is kept."""
    seen = []

    class Keeps(LeftSequenceModel):
        def predict_proba(self, crops):
            seen.append(crops)
            return np.full((len(crops), 7), 1 / 7, np.float32)

        def predict_windows(self, windows):
            seen.append(windows)
            return np.full((len(windows), 7), 1 / 7, np.float32)

    random = np.random.default_rng(0)
    crops = random.integers(0, 255, (2, 8, 8, 3), dtype=np.uint8)
    windows = random.integers(0, 255, (2, 3, 8, 8), dtype=np.uint8)
    both = mirror(Keeps())
    both.predict_proba(crops)
    both.predict_windows(windows)
    assert (seen[1] == np.flip(crops, 2)).all() and (seen[3] == np.flip(windows, 3)).all()


@pytest.mark.parametrize(("model", "several"), [(ShadeModel(), False), (LastShadeModel(), True)])
def test_a_model_of_sequences_stays_one(model, several):
    both = mirror(model)
    assert isinstance(both, SequenceModel) == several
    assert both.name == "shade.none with test-time mirroring"
    assert (both.labels, both.crop) == (model.labels, model.crop)


def test_its_windows_are_as_far_apart():
    model = LastShadeModel()
    model.step = 3
    assert (mirror(model).frames, mirror(model).step) == (model.frames, 3)


@pytest.mark.parametrize("model", [ShadeModel(), LastShadeModel()])
def test_an_evaluation_says_so(model):
    pictures = corpus([3, 4], [3, 0])
    plain, both = evaluate_model(model, pictures), evaluate_model(mirror(model), pictures)
    assert (plain.mirrored, both.mirrored) == (False, True)
    assert both.to_dict()["mirrored"] is True and "mirroring" in both.all.name
    assert both.all.accuracy == plain.all.accuracy == 0.5
