"""A recipe refuses what cannot be trained by, before a picture is looked at."""

import pytest

from mien.errors import ArgumentError, UnknownNameError
from mien.training.recipe import Recipe, recipe_for


@pytest.mark.parametrize("arch", ["resnet", "vit", "cnn-bn", "gru"])
def test_a_finished_model_goes_on_at_a_tenth_of_the_rate(arch, tmp_path):
    own = recipe_for(arch)
    onward = recipe_for(arch, base="a.onnx")
    assert onward.learning_rate == pytest.approx(own.learning_rate / 10)
    assert onward.epochs < own.epochs
    assert onward.held_out > own.held_out
    assert recipe_for(arch, base=str(tmp_path)).learning_rate == own.learning_rate, "a run's folder"
    assert recipe_for(arch, base="a.onnx", learning_rate=0.5).learning_rate == 0.5


def test_a_network_needs_something_set_aside():
    with pytest.raises(ArgumentError, match="held_out must be above 0"):
        Recipe(held_out=0)
    assert Recipe(arch="svm-hog", held_out=0).held_out == 0


def test_what_there_is_not_is_named():
    with pytest.raises(UnknownNameError, match="strong"):
        Recipe(augment="strnog")
    with pytest.raises(UnknownNameError, match="epochs"):
        recipe_for("resnet", epoch=3)
    with pytest.raises(ArgumentError, match="keep"):
        Recipe(keep=0.5)
