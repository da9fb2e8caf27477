"""Every family as a scikit-learn estimator: clone, search and cross-validation."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from mien.errors import ArgumentError, UnknownNameError
from mien.training.estimator import ExpressionClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),  # inside Lightning
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:DeprecationWarning"),
]


def stripes(n, seed=0):
    random = np.random.default_rng(seed)
    level = random.random(n) < 0.5
    wave = 60 * np.sin(np.arange(48) * 0.9)
    pictures = np.where(level[:, None, None], wave[None, :, None], wave[None, None, :])
    pictures = (pictures + 128 + random.normal(0, 10, (n, 48, 48))).clip(0, 255).astype(np.uint8)
    return pictures, np.where(level, "level", "upright")


def test_the_constructor_only_stores():
    made = ExpressionClassifier("cnn", epochs=3, settings={"mixup": 0.1})
    again = clone(made)
    assert again.get_params() == made.get_params() and again is not made
    assert not [name for name in vars(made) if name.endswith("_")]


def test_a_classic_model_is_searched_and_cross_validated():
    faces, names = stripes(80)
    scores = cross_val_score(ExpressionClassifier("svm-lbp"), faces, names, cv=2)
    assert scores.shape == (2,) and scores.min() > 0.9
    search = GridSearchCV(ExpressionClassifier(), {"arch": ["svm-hog", "svm-lbp"]}, cv=2).fit(faces, names)
    assert search.best_score_ > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["mini-xception", "gru"])
def test_networks_learn_and_say_how_sure(arch):
    faces, names = stripes(200)
    if arch == "gru":
        faces = np.repeat(faces[:, None], 3, axis=1)
    settings = {"average": 0.5, "held_out": 0.2, "dropout": 0.0}
    learned = ExpressionClassifier(arch, epochs=12, batch=16, settings=settings).fit(faces, names)
    assert learned.classes_.tolist() == ["level", "upright"]
    probability = learned.predict_proba(faces)
    assert probability.shape == (200, 2)
    np.testing.assert_allclose(probability.sum(1), 1, atol=1e-5)
    assert learned.score(faces, names) > 0.9
    assert learned.predict(faces[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("arch", "faces", "names", "error"),
    [
        ("cnn", np.zeros((4, 48, 48)), list("aabb"), ArgumentError),
        ("gru", np.zeros((4, 48, 48), np.uint8), list("aabb"), ArgumentError),
        ("cnn", np.zeros((4, 48, 48), np.uint8), list("aaaa"), ArgumentError),
        ("cnn", np.zeros((4, 48, 48), np.uint8), list("ab"), ArgumentError),
        ("cnnn", np.zeros((4, 48, 48), np.uint8), list("aabb"), UnknownNameError),
    ],
)
def test_what_cannot_be_learned_is_refused(arch, faces, names, error):
    with pytest.raises(error):
        ExpressionClassifier(arch).fit(faces, names)
