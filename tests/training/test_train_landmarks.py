"""The network of 70 landmarks: names in a mirror, learning, and its file."""

import numpy as np
import pytest
import torch

from mien.faces.align import TEMPLATES
from mien.faces.landmarks import FIVE_OF_70, PARTS, load_landmarks
from mien.training.landmarks import MIRRORED, LandmarkRecipe, finish_landmarks, fit_landmarks
from mien.training.material import Material, Portraits


def test_names_in_a_mirror():
    assert sorted(MIRRORED) == list(range(70))
    assert [MIRRORED[i] for i in MIRRORED] == list(range(70))
    for part, points in PARTS.items():
        sides = {"right": "left", "left": "right"}
        side = next((s for s in sides if s in part.split("_")), None)
        twin = part if side is None else part.replace(side, sides[side])
        assert {MIRRORED[i] for i in points} == set(PARTS[twin]), part


def faces(n, seed=0):
    """Grey squares with bright blobs at the five points of a face of random place, size and turn."""
    random = np.random.default_rng(seed)
    shape = np.zeros((70, 2), np.float32) + 0.5
    shape[list(FIVE_OF_70)] = TEMPLATES["fer2013-mean"]
    pictures, points = np.full((n, 48, 48), 60, np.uint8), np.empty((n, 70, 2), np.float32)
    yy, xx = np.mgrid[:48, :48] + 0.5
    for i in range(n):
        bent = shape + random.normal(0, 0.04, (70, 2))
        bent[[j for j in range(70) if j not in FIVE_OF_70]] = bent[list(FIVE_OF_70)].mean(0)
        points[i] = bent * random.uniform(34, 46) + random.uniform(0, 6, 2)
        for x, y in points[i][list(FIVE_OF_70)]:
            pictures[i][(xx - x) ** 2 + (yy - y) ** 2 < 9] = 220
    return Portraits(pictures, points)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Checkpoint directory")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")  # inside Lightning
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:DeprecationWarning")
def test_it_learns_where_points_lie_and_its_file_says_so(tmp_path):
    learned = Material({"fer2013": faces(600)}, {}, [])
    aside = Material({"fer2013": faces(60, seed=1)}, {}, [])
    recipe = LandmarkRecipe(epochs=25, batch=32, average=0.9)
    module = fit_landmarks(learned, recipe, tmp_path / "run")
    card = finish_landmarks(module, learned, aside, out=tmp_path, name="points70.test", command="typed")
    assert card.task == "landmarks" and card.metrics[0].n == 60
    assert card.metrics[0].low <= card.metrics[0].value <= card.metrics[0].high < 0.2
    model = load_landmarks(tmp_path / "points70.test.onnx")
    with np.load(tmp_path / "points70.test.npz") as golden:
        given = model.predict(golden["crops"]).reshape(len(golden["crops"]), -1) / golden["crops"].shape[1]
        np.testing.assert_allclose(given, golden["points"], atol=1e-5)
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["epoch"] == 24
