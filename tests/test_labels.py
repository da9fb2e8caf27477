"""Label sets: one order, aliases, subsets, and probabilities over them."""

import numpy as np
import pytest

from mien.errors import ArgumentError, UnknownNameError
from mien.labels import (
    ALIASES,
    EKMAN7,
    EMOTIONS,
    FERPLUS8,
    LABEL_SETS,
    LabelSet,
    canonical_name,
    get_label_set,
    parse_scheme,
    restrict,
)


def test_standard_sets():
    assert list(EMOTIONS) == sorted(EMOTIONS) and set(ALIASES.values()) <= set(EMOTIONS)
    assert set(FERPLUS8) - set(EKMAN7) == {"contempt"}
    for key, labels in LABEL_SETS.items():
        assert labels.key == key and set(labels) <= set(EMOTIONS)
        assert [labels.index(name) for name in labels] == list(range(len(labels)))
        assert "neutral" in labels and "calm" not in labels


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("anger", "anger"),
        ("Angry", "anger"),
        (" CALM ", "neutral"),
        ("joy", "happiness"),
        ("surprised", "surprise"),
    ],
)
def test_aliases(word, name):
    assert canonical_name(word) == name
    assert FERPLUS8.names[FERPLUS8.index(word)] == name


@pytest.mark.parametrize(
    ("word", "near"), [("angr", "'angry'"), ("hapiness", "'happiness'"), ("Calmm", "'calm'")]
)
def test_unknown_emotion_names_the_nearest(word, near):
    with pytest.raises(UnknownNameError, match=f"Did you mean {near}"):
        canonical_name(word)


@pytest.mark.parametrize("word", ["", "qqqq"])
def test_unknown_emotion_without_a_near_one(word):
    with pytest.raises(UnknownNameError) as caught:
        canonical_name(word)
    assert "Did you mean" not in str(caught.value) and "surprise" in str(caught.value)


def test_an_emotion_outside_the_set():
    with pytest.raises(UnknownNameError, match="'contempt' is not a known emotion of the set 'ekman7'"):
        EKMAN7.index("contempt")


@pytest.mark.parametrize("names", [(), ("anger", "anger")])
def test_a_set_needs_distinct_names(names):
    with pytest.raises(ArgumentError, match="names must be"):
        LabelSet("x", names)


@pytest.mark.parametrize("names", [["anger", "calm"], ["surprise", "fear", "Angry"]])
def test_subset_keeps_the_order_given(names):
    subset = FERPLUS8.subset(names)
    assert subset.names == tuple(canonical_name(name) for name in names)
    assert get_label_set(subset.key) == subset


@pytest.mark.parametrize("names", [[], ["anger"], ["anger", "angry"], "anger,fear"])
def test_subset_needs_two_different_emotions(names):
    with pytest.raises(ArgumentError, match="emotions must be"):
        FERPLUS8.subset(names)


def test_unknown_set():
    assert get_label_set("ekman7") is EKMAN7
    with pytest.raises(UnknownNameError, match="'ekman7'"):
        get_label_set("ekman8")


def test_restrict_renormalises_by_name():
    p = np.array([[0.1, 0.0, 0.2, 0.1, 0.3, 0.1, 0.1, 0.1]], np.float32)
    subset = FERPLUS8.subset(["happiness", "anger"])
    answer = restrict(p, FERPLUS8, subset)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, [[0.75, 0.25]], rtol=1e-6)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_restrict_rows_sum_to_one(n):
    p = np.random.default_rng(0).dirichlet(np.ones(8), n).astype(np.float32)
    answer = restrict(p, FERPLUS8, EKMAN7)
    assert answer.shape == (n, 7)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-6)


def test_restrict_without_weight_is_uniform():
    p = np.eye(8, dtype=np.float32)[[1]]  # contempt alone
    np.testing.assert_allclose(restrict(p, FERPLUS8, EKMAN7), np.full((1, 7), 1 / 7), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("anger,fear,calm", {"anger": ["anger"], "fear": ["fear"], "neutral": ["neutral"]}),
        ("happy vs rest", {"happiness": ["happiness"], "rest": [e for e in EMOTIONS if e != "happiness"]}),
        (
            "positive=joy+surprise, calm, negative=rest",
            {
                "positive": ["happiness", "surprise"],
                "neutral": ["neutral"],
                "negative": ["anger", "contempt", "disgust", "fear", "sadness"],
            },
        ),
    ],
)
def test_schemes(text, classes):
    scheme = parse_scheme(text)
    assert {n: sorted(m) for n, m in zip(scheme.labels, scheme.members, strict=True)} == classes
    assert get_label_set(scheme.labels.key) == scheme.labels
    assert parse_scheme(str(scheme)) == scheme
    onto = scheme.matrix(EKMAN7)
    for name, row in zip(EKMAN7, onto, strict=True):
        assert {scheme.labels.names[j] for j in np.flatnonzero(row)} == {
            n for n, members in classes.items() if name in members
        }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("anger", "two or more classes"),
        ("", "'' is not a known emotion"),
        ("angr,fear", "Did you mean 'angry'"),
        ("anger,angry", "different classes"),
        ("a=anger+fear,b=fear", "share no emotion"),
        ("happy vs rest,others=rest", "'rest' once"),
        ("A b=anger,fear", "NAME=A"),
    ],
)
def test_schemes_that_make_no_sense(text, message):
    with pytest.raises(ArgumentError, match=message):
        parse_scheme(text)


@pytest.mark.parametrize("key", ["anger+", "anger+fear joy", "+"])
def test_a_key_of_class_names_that_are_none(key):
    with pytest.raises(ArgumentError):
        get_label_set(key)
