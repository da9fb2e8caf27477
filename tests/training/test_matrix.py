"""The cross-dataset matrix: every model on every corpus, on the emotions both know."""

import json

import numpy as np
import pytest
from shades import ShadeModel, corpus

from mien.errors import ArgumentError
from mien.labels import EKMAN7, FERPLUS8, LabelSet, parse_scheme
from mien.training.matrix import distinct, evaluate_matrix, shared_scheme

THREE = LabelSet("three", ("anger", "contempt", "happiness"))


def test_each_on_each():
    seen = []
    few = corpus([0, 1, 2], [0, 1, 2], labels=THREE)
    many = corpus([3, 4, 5, 5], [3, 4, 4, 5])
    matrix = evaluate_matrix(
        [ShadeModel(EKMAN7), ShadeModel(THREE)], [few, many], progress=lambda *done: seen.append(done)
    )
    assert matrix.models == ("shade.none", "shade.none (2)") and matrix.data == ("shades", "shades (2)")
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    wide, narrow = matrix.places
    assert wide[0].emotions == ("anger", "happiness") and wide[0].evaluation.all.n == 2, "without contempt"
    assert wide[1].emotions == EKMAN7.names and wide[1].evaluation.all.accuracy == 0.75
    assert wide[1].evaluation.rule == "made up", "all emotions are known: nothing is relabelled"
    assert narrow[0].emotions == THREE.names and narrow[0].evaluation.all.accuracy == 1
    assert narrow[1].emotions == ("anger", "happiness") and narrow[1].evaluation.all.n == 1
    plain = json.loads(json.dumps(matrix.to_dict(), allow_nan=False))
    assert [place["data"] for place in plain["places"]] == ["shades", "shades (2)"] * 2


def test_what_cannot_be_scored_says_why():
    alone = LabelSet("two", ("contempt", "anger"))
    empty = corpus([0], [-1])
    line = evaluate_matrix([ShadeModel(alone)], [corpus([0], [0]), corpus([0], [0], labels=FERPLUS8), empty])
    first, second, third = line.places[0]
    assert first.evaluation is None and "two or more of" in first.reason
    assert second.evaluation.all.accuracy == 0, "it reads contempt where anger is shown"
    assert third.evaluation is None and third.reason
    nothing = evaluate_matrix([ShadeModel()], [empty]).places[0][0]
    assert nothing.evaluation is None and "shades has no picture of anger" in nothing.reason


def test_a_scheme_and_splits():
    scheme = parse_scheme("happy vs rest")
    halves = corpus([3, 0, 3, 1], [3, 0, 0, 1], ["Training", "PublicTest", "PublicTest", "PublicTest"])
    place = evaluate_matrix([ShadeModel(FERPLUS8)], [halves], splits=["PublicTest"], scheme=scheme).places[0][
        0
    ]
    assert place.emotions == ("happiness", "rest")
    assert place.evaluation.data == "shades PublicTest" and place.evaluation.all.n == 3


def test_groups():
    lit = corpus([3, 4], [3, 4])
    object.__setattr__(lit, "groups", {"light": np.array(["dark", "bright"])})
    matrix = evaluate_matrix([ShadeModel()], [lit, corpus([3], [3])], groups=[("light",), ()])
    first, second = (place.evaluation.groups for place in matrix.places[0])
    assert [g.value for g in first[0].groups] == ["bright", "dark"] and second == ()


@pytest.mark.parametrize(("models", "corpora"), [([], [corpus([0], [0])]), ([ShadeModel()], [])])
def test_of_nothing(models, corpora):
    with pytest.raises(ArgumentError, match="one or more"):
        evaluate_matrix(models, corpora)


def test_shared_emotions():
    assert shared_scheme(FERPLUS8, EKMAN7) is None
    assert shared_scheme(EKMAN7, FERPLUS8).labels.names == EKMAN7.names
    with pytest.raises(ArgumentError):
        shared_scheme(LabelSet("two", ("contempt", "anger")), EKMAN7)


def test_distinct():
    assert distinct(["a", "b", "a", "a"]) == ("a", "b", "a (2)", "a (3)")
    assert distinct([]) == ()
