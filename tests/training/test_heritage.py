"""A card names the data behind the base, the given weights and the teachers."""

import json
from dataclasses import replace

import pytest

from mien.catalog import TrainingData, find_model
from mien.errors import UnknownNameError
from mien.training.heritage import DLIB, NOTE, gather, inherited, write_note
from mien.training.recipe import Recipe, recipe_for

OWN = TrainingData("rooms", "ours", "pictures and labels", 40)


def test_each_data_set_is_named_once_with_the_most_pictures():
    more = replace(OWN, images=50, use="votes")
    other = replace(OWN, name="others", images=1)
    assert gather([OWN, other, more, replace(more, use="later")]) == (more, other)


def test_nothing_is_inherited_from_random_weights():
    assert inherited(Recipe()) == ()


def test_the_data_of_a_base_and_of_teachers_are_named():
    card, _ = find_model("resnet.ferplus", "expression")
    names = [data.name for data in card.training_data]
    assert "FER+" in names
    for recipe in (Recipe(base="resnet.ferplus"), Recipe(teachers="resnet.ferplus")):
        assert [data.name for data in inherited(recipe)] == names
    base, terms = inherited(Recipe(base="resnet.ferplus"))[0], card.training_data[0].terms
    assert base.use.endswith("(of the base, resnet.ferplus)") and base.terms == terms
    with pytest.raises(UnknownNameError):
        inherited(Recipe(teachers="resnet.ferpluss"))


def test_a_run_hands_on_what_is_noted_in_its_folder(tmp_path):
    folder = tmp_path / "before"
    folder.mkdir()
    (unknown,) = inherited(Recipe(base=str(folder)))
    assert "before" in unknown.name and "not noted" in unknown.terms
    write_note(folder, [OWN, DLIB])
    assert sorted(path.name for path in folder.iterdir()) == [NOTE]
    assert json.loads((folder / NOTE).read_text())[0]["name"] == "rooms"
    first, second = inherited(Recipe(teachers=str(folder)))
    assert (first.name, first.images) == ("rooms", 40) and "the run before" in first.use
    assert second.terms == DLIB.terms


def test_given_weights_are_named_unless_a_base_stands_in_their_place():
    assert inherited(recipe_for("face-resnet", pretrained="hub")) == (DLIB,)
    (given,) = inherited(recipe_for("resnet50", pretrained="/somewhere/weights.pth"))
    assert given.name == "resnet50 (weights.pth)"
    based = inherited(recipe_for("face-resnet", pretrained="hub", base="resnet.ferplus"))
    assert DLIB not in based
