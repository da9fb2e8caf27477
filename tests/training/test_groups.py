"""Results by group: numbers worked out by hand, and gaps that are believed only as far as the data carry."""

import json

import numpy as np
import pytest

from mien.errors import ArgumentError, UnknownNameError
from mien.labels import EKMAN7
from mien.sources.labelled import LabelledImages
from mien.training.groups import AGREEMENT, by_group, group_column, group_columns


def told_apart(shares, each, seed=0, subjects=None):
    """Make groups a, b, ... of `each` pictures that are right in these shares."""
    value = np.repeat([chr(97 + g) for g in range(len(shares))], each)
    label = np.random.default_rng(seed).integers(0, 3, len(value))
    wrong = np.concatenate([np.arange(each) >= round(share * each) for share in shares])
    answer = np.where(wrong, (label + 1) % 3, label)
    return by_group("light", value, label, answer, 3, subject=subjects, seed=seed)


def test_numbers_by_hand():
    value = np.array(["dark"] * 4 + ["bright"] * 2 + [""])
    label = np.array([0, 0, 1, 1, 2, 2, 0])
    answer = np.array([0, 1, 1, -1, 2, 2, 0])
    result = by_group("light", value, label, answer, 3)
    assert [(g.value, g.n, g.accuracy) for g in result.groups] == [
        ("dark", 4, 0.5),
        ("bright", 2, 1),
        ("", 1, 1),
    ]
    assert result.groups[0].macro_f1 == pytest.approx((2 / 3 + 2 * 1 / (2 + 2)) / 2)
    assert result.groups[0].low == pytest.approx(0.15, abs=0.005)
    assert (result.best, result.worst, result.by_subject) == ("", "", False), "no group is large enough"
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["gap"] is None


def test_a_wide_gap_is_seen():
    result = told_apart([0.9, 0.6, 0.8], 200)
    assert (result.best, result.worst) == ("a", "b")
    assert result.gap == pytest.approx(0.3)
    assert 0.15 < result.gap_low < 0.3 < result.gap_high < 0.45


def test_small_and_unnamed_groups_do_not_make_the_gap():
    value = np.array(["a"] * 60 + ["b"] * 60 + ["c"] * 29 + [""] * 60)
    label = np.zeros(len(value), np.int64)
    answer = np.where((value == "c") | (value == ""), 1, 0)
    result = by_group("x", value, label, answer, 2)
    assert (result.gap, result.gap_low) == (0, 0) and {result.best, result.worst} <= {"a", "b"}


def test_equal_groups_mostly_get_an_interval_that_reaches_zero():
    random, reached, trials = np.random.default_rng(1), 0, 60
    for trial in range(trials):
        value = np.repeat(list("abcde"), 80)
        answer = (random.random(400) < 0.4).astype(int)
        reached += by_group("x", value, np.zeros(400, int), answer, 2, seed=trial).gap_low == 0
    assert reached >= 0.9 * trials


def test_people_instead_of_pictures():
    """Ten pictures of each person, all right or all wrong: there is only as much to learn as people."""
    random = np.random.default_rng(2)
    people = np.repeat(np.arange(40), 10)
    value = np.where(people < 20, "a", "b")
    right = random.random(40) < np.where(np.arange(40) < 20, 0.8, 0.5)
    answer = np.where(right[people], 0, 1)
    label = np.zeros(400, int)
    by_picture = by_group("x", value, label, answer, 2)
    by_person = by_group("x", value, label, answer, 2, subject=people.astype(str))
    assert by_person.by_subject and [g.subjects for g in by_person.groups] == [20, 20]
    assert by_person.gap == by_picture.gap
    width = [r.gap_high - r.gap_low for r in (by_picture, by_person)]
    assert width[1] > 1.4 * width[0], width
    for wide, narrow in zip(by_person.groups, by_picture.groups, strict=True):
        assert wide.low < narrow.low and wide.high > narrow.high


def test_one_person_each_is_no_certainty():
    value = np.repeat(["a", "b"], 40)
    answer = np.where(np.arange(80) % 40 < 30, 0, 1)
    result = by_group("x", value, np.zeros(80, int), answer, 2, subject=value)
    assert all(g.low < 0.7 and g.high > 0.8 for g in result.groups)


def test_a_corpus_without_known_people_is_drawn_by_picture():
    assert not told_apart([0.5, 0.5], 40, subjects=np.full(80, "")).by_subject


@pytest.mark.parametrize(("value", "n"), [(np.array([], str), 0), (np.array(["a"]), 2)])
def test_wrong_lengths(value, n):
    with pytest.raises(ArgumentError, match="value must be one for each"):
        by_group("x", value, np.zeros(n, int), np.zeros(n, int), 2)


def corpus(votes=None, groups=None):
    n = 4
    return LabelledImages(
        "small",
        EKMAN7,
        np.zeros((n, 4, 4), np.uint8),
        np.zeros(n, np.int64),
        np.full(n, ""),
        np.full(n, "x"),
        votes=votes,
        groups=groups or {},
    )


def test_columns_of_a_corpus():
    votes = np.zeros((4, 7), np.float32)
    votes[:, 0] = [10, 8, 4, 0]
    votes[:, 1] = [0, 2, 3, 0]
    votes[:, 2] = [0, 0, 3, 0]
    assert dict(group_columns(corpus())) == {}
    columns = group_columns(corpus(votes, {"light": np.array(list("abba"))}))
    assert list(columns) == ["light", AGREEMENT]
    assert columns[AGREEMENT].tolist() == [
        "9 of 10 voters or more",
        "7 to 9 of 10 voters",
        "fewer than half of the voters",
        "",
    ]
    with pytest.raises(UnknownNameError, match="Did you mean 'light'"):
        group_column(corpus(votes, {"light": np.array(list("abba"))}), "lihgt")
