"""How a comparison divides data: by its own splits, by person, and always with what leaks known."""

from dataclasses import replace

import numpy as np
import pytest
from shades import corpus

from mien.errors import ArgumentError
from mien.training.courses import divide


def many(n, **columns):
    shown = (np.arange(n) % 3).tolist()
    return replace(corpus(shown, shown), **columns)


@pytest.mark.parametrize(
    ("splits", "train", "test"),
    [
        (("Training", "PublicTest", "PrivateTest"), "Training", "PublicTest"),
        (("train", "test", "test"), "train", "test"),
        (("Train", "val", "test"), "Train", "val"),
    ],
)
def test_official_splits(splits, train, test):
    split = np.array([splits[i % 3] for i in range(12)])
    course = divide(many(12, split=split, label=np.arange(12) % 2))
    assert set(split[course.train]) == {train} and set(split[course.test]) == {test}
    assert course.rule == f"its own splits: {train} to learn from, {test} to test on"


def test_people_do_not_stand_in_both():
    people = np.array([f"p{i // 5}" for i in range(50)])
    course = divide(many(50, subject=people))
    assert not set(people[course.train]) & set(people[course.test]) and "person" in course.rule
    assert len(course.train) + len(course.test) == 50 and len(course.test) == 10


def test_without_either():
    course = divide(many(50))
    assert len(course.test) == 10 and "of every emotion; who is shown is not known" in course.rule
    again = divide(many(50))
    assert (again.test == course.test).all(), "always the same"


def test_nothing_to_test_on():
    split = np.array(["train"] * 6 + ["test"] * 3)
    with pytest.raises(ArgumentError, match="something labelled to test on"):
        divide(many(9, split=split, label=np.array([0, 1, 2] * 2 + [-1] * 3)))


def test_lessons_are_told_apart_by_pictures_and_labels():
    split = np.array(["train"] * 9 + ["test"] * 3)
    said = [
        divide(one).lesson(None, sequences=False, limit=None)[1]
        for one in (
            many(12, split=split),
            many(12, split=split, label=np.array([0] * 3 + [1] * 6 + [2] * 3)),
            many(12, split=np.roll(split, 1)),
        )
    ]
    assert len(set(said)) == 3
    assert said[0] == divide(many(12, split=split)).lesson(None, sequences=False, limit=99)[1]
