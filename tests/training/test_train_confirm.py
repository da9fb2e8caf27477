"""The network that confirms: it learns to tell finds apart, and is written with its detector."""

import numpy as np
import pytest

from mien.catalog import load_card
from mien.faces.detect import load_detector
from mien.training.candidates import Candidates
from mien.training.confirm import ConfirmRecipe, calibrate, divide, fit_confirm
from mien.training.material import Material, Portraits
from mien.training.run_confirm import finish_confirm


def finds(n, seed):
    """Noise; faces have a dark middle, and the detector says nothing of either."""
    random = np.random.default_rng(seed)
    crops = random.integers(60, 200, (n, 64, 64)).astype(np.uint8)
    face = np.arange(n) % 2 == 0
    crops[face, 22:42, 22:42] //= 3
    return Candidates(crops, random.uniform(0.2, 0.8, n).astype(np.float32), face, random.random(n) < 0.5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")  # inside Lightning
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:DeprecationWarning")
def test_it_learns_to_tell_and_the_detector_asks_it(tmp_path):
    learned, others = finds(600, 0), finds(100, 1)
    recipe = ConfirmRecipe(epochs=6, batch=32, average=0.9)
    module = fit_confirm(learned, recipe, tmp_path / "run", "facepoint.scenes")
    calibrate(module.network, finds(200, 3), recipe)
    grey = np.random.default_rng(2).integers(0, 256, (64, 96)).astype(np.uint8)
    aside = Material(portraits={}, photos={}, backgrounds=[grey])
    report = finish_confirm(
        module,
        learned,
        aside,
        detector="facepoint.scenes",
        sources=(),
        out=tmp_path,
        name="confirm.test",
        command="typed",
    )
    card = load_card(tmp_path / "confirm.test.toml")
    assert (card.task, card.size_px, card.score_threshold) == ("confirmation", 64, 0.15)
    own = load_card(tmp_path / "facepoint.scenes.toml")
    assert own.confirm == "confirm.test.onnx"
    assert own.score_threshold == pytest.approx(report.score_threshold, abs=1e-4) and own.metrics[0].n == 1
    detector = load_detector(tmp_path / "facepoint.scenes.onnx")
    assert detector.sha256 != load_detector().sha256
    model = detector._confirm
    canvas, boxes = (
        np.concatenate(list(others.crops), axis=1),
        np.arange(100)[:, None] * 64 + (22, 22, 42, 42),
    )
    boxes[:, [1, 3]] = (22, 42)
    answers = model.confirm(canvas, boxes.astype(np.float32), others.score)
    assert ((answers > 0.5) == others.face).mean() > 0.95
    with np.load(tmp_path / "confirm.test.npz") as golden:
        feed = {"crops": golden["crops"].astype(np.float32), "score": golden["score"]}
        given = model.session.run(feed, ["confirmed"])[0]
        np.testing.assert_allclose(given, golden["confirmed"], atol=1e-5)


def test_what_is_calibrated_by_is_not_learned_from():
    portraits = Portraits(np.arange(20, dtype=np.uint8)[:, None, None], np.arange(20.0)[:, None, None])
    learned, held = divide(Material({"fer2013": portraits}, {"clips": list("abcdefghij")}, list(range(17))))
    assert held.backgrounds == [0, 8, 16] and held.photos["clips"] == ["a", "i"]
    assert held.portraits["fer2013"].pictures.ravel().tolist() == [0, 8, 16]
    np.testing.assert_array_equal(held.portraits["fer2013"].points_xy.ravel(), [0, 8, 16])
    assert len(learned.backgrounds) == 14 and len(learned.portraits["fer2013"]) == 17
    assert not set(learned.photos["clips"]) & set(held.photos["clips"])
