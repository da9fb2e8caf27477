"""Groups compared: numbers by hand, differences that are planted, and none that are not."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.faces.align import CropSpec
from mien.faces.faces import Faces
from mien.labels import EKMAN7
from mien.sources.grouped import GroupedPictures
from mien.training.fairness import Seen, compare_groups, look_at, measure_fairness
from mien.training.fairness_report import RATE, SCORE
from mien.training.surround import Surround

EMOTIONS = ("anger", "happiness", "neutral")


def people(groups, subject=None):
    n = len(next(iter(groups.values())))
    return GroupedPictures(
        "made up",
        [np.zeros((4, 4), np.uint8)] * n,
        np.arange(n).astype(str),
        {name: np.array(value) for name, value in groups.items()},
        None if subject is None else np.array(subject),
    )


def seen_as(n, seed=0, found=None, lift=None):
    """Make random scores and probabilities; `lift` adds to the happiness of each picture."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(3), n)
    if lift is not None:
        p[:, 1] += lift
        p /= p.sum(axis=1, keepdims=True)
    there = np.ones(n, bool) if found is None else np.array(found, bool)
    return Seen(there, random.uniform(0.6, 1, n) * there, p * there[:, None])


def compare(pictures, seen, **options):
    return compare_groups(pictures, seen, EMOTIONS, **{"draws": 200, "shuffles": 400, **options})


def test_numbers_by_hand():
    found = [True, True, True, False, True, True]
    seen = Seen(
        np.array(found),
        np.array([0.9, 0.7, 0.8, 0, 0.6, 0.8]),
        np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [0, 0, 0], [0, 0, 1], [0, 0.5, 0.5]]),
    )
    report = compare(people({"age": ["10-19", "10-19", "9", "9", "9", ""]}), seen)
    assert (report.n, report.found, report.rate.value) == (6, 5, pytest.approx(5 / 6))
    assert report.score.value == pytest.approx(3.8 / 5)
    assert report.emotions == pytest.approx({"anger": 0.3, "happiness": 0.4, "neutral": 0.3})
    (column,) = report.columns
    young, old, unknown = column.groups
    assert [g.value for g in column.groups] == ["9", "10-19", ""], "as people order, and not known last"
    assert (young.n, young.found, young.people, old.n, old.found, unknown.n) == (3, 2, 0, 2, 2, 1)
    assert young.rate.value == pytest.approx(2 / 3)
    assert (young.rate.low, young.rate.high) == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert young.against_mean.value == pytest.approx(2 / 3 - 5 / 6)
    assert young.against_mean.low < young.against_mean.value < young.against_mean.high
    assert young.score.value == pytest.approx(0.7)
    assert young.emotions["anger"].value == pytest.approx(0.25)
    assert (unknown.score.low, unknown.score.high) == (0, 1), "one picture says nothing of the others"
    assert column.differences == () and report.comparisons == 0, "no group is large enough"
    assert [g.value for g in column.below(0.02)] == ["9"]


def test_a_planted_difference_is_found_and_no_other():
    group = np.repeat(["a", "b", "c"], 80)
    lift = np.where(group == "b", 0.8, 0.0)
    other = np.tile(["x", "y"], 120)
    report = compare(people({"group": group, "other": other}), seen_as(240, lift=lift))
    first, second = report.columns
    assert report.comparisons == (3 + 1) * 5
    assert [one.measure for one in first.largest] == [RATE, SCORE, *EMOTIONS]
    happy = [one for one in first.differences if one.measure == "happiness"]
    assert [one.higher for one in happy[:2]] == ["b", "b"] and {one.lower for one in happy[:2]} == {"a", "c"}
    assert all(one.p < 0.02 and one.difference.low > 0.1 for one in happy[:2]) and happy[2].p > 0.3
    assert all(one.p > 0.1 for one in second.differences)
    assert all(one.p > 0.1 for one in first.differences if one.measure in (RATE, SCORE))


def test_a_planted_difference_of_detection_is_found():
    group = np.repeat(["a", "b"], 100)
    found = np.concatenate([np.arange(100) < 98, np.arange(100) < 75])
    report = compare(people({"group": group}), seen_as(200, found=found))
    rate = report.columns[0].largest[0]
    assert (rate.measure, rate.higher, rate.lower) == (RATE, "a", "b")
    assert rate.difference.value == pytest.approx(0.23) and rate.difference.low > 0.1 and rate.p < 0.02
    assert [g.value for g in report.columns[0].below(0.1)] == ["b"]
    assert report.columns[0].groups[1].against_mean.high < 0


def test_where_nothing_differs_hardly_ever_anything_is_found():
    """Of many comparisons together, one comes out below 0.05 in about 5 of 100 trials, not in each."""
    group, false, trials = {"g": np.repeat(list("abcd"), 30), "h": np.tile(["x", "y"], 60)}, 0, 60
    for trial in range(trials):
        report = compare(people(group), seen_as(120, seed=trial), draws=20, shuffles=200, seed=trial)
        false += any(one.p < 0.05 for column in report.columns for one in column.differences)
    assert false <= 0.15 * trials


def test_intervals_of_all_pairs_hold_at_once_about_as_often_as_they_say():
    held, trials, group = 0, 60, np.repeat(list("abcd"), 60)
    truth = {"a": 0.0, "b": 0.0, "c": 0.4, "d": 0.4}
    lift = np.array([truth[g] for g in group])
    large = seen_as(200_000, seed=99, lift=np.full(200_000, 0.4)).probability[:, 1].mean()
    mean = {g: 1 / 3 if not truth[g] else large for g in truth}
    for trial in range(trials):
        report = compare(people({"g": group}), seen_as(240, seed=trial, lift=lift), draws=300, shuffles=9)
        rows = [one for one in report.columns[0].differences if one.measure == "happiness"]
        held += all(
            one.difference.low <= mean[one.higher] - mean[one.lower] <= one.difference.high for one in rows
        )
    assert held >= 0.85 * trials


def test_people_are_drawn_instead_of_their_pictures():
    """Ten pictures of each person that are read alike: there is only as much to learn as people."""
    random = np.random.default_rng(4)
    person = np.repeat(np.arange(40), 10)
    p = random.dirichlet(np.ones(3), 40)[person]
    found = np.repeat(np.arange(40) % 5 > 0, 10)
    seen = Seen(found, 0.9 * found, p * found[:, None])
    group = {"g": np.where(person < 20, "a", "b")}
    by_picture, by_person = (compare(people(group, subject), seen) for subject in (None, person.astype(str)))
    one, other = by_picture.columns[0], by_person.columns[0]
    assert (one.by_people, other.by_people) == (False, True)
    assert [g.people for g in other.groups] == [20, 20] and [g.people for g in one.groups] == [0, 0]
    for narrow, wide in zip(one.groups, other.groups, strict=True):
        assert wide.rate.value == narrow.rate.value and wide.emotions["anger"].value == pytest.approx(
            narrow.emotions["anger"].value
        )
        for measure in ("rate", "against_mean"):
            a, b = getattr(narrow, measure), getattr(wide, measure)
            assert b.high - b.low > 1.5 * (a.high - a.low)
        a, b = narrow.emotions["happiness"], wide.emotions["happiness"]
        assert b.high - b.low > 2 * (a.high - a.low)
    least = [min(d.p for d in column.differences) for column in (one, other)]
    assert least[0] < 0.02 and least[1] > 0.05, "people, not pictures, are shuffled"


def test_a_person_in_two_groups_counts_in_both():
    group = ["young"] * 40 + ["old"] * 40
    report = compare(people({"age": group}, ["same"] * 80), seen_as(80))
    assert [(g.value, g.people) for g in report.columns[0].groups] == [("old", 1), ("young", 1)]


def test_no_face_found_in_a_group_or_anywhere():
    group = {"g": np.repeat(["a", "b"], 40)}
    report = compare(people(group), seen_as(80, found=np.arange(80) < 40))
    assert np.isnan(report.columns[0].groups[1].score.value)
    assert {one.measure for one in report.columns[0].differences} == {RATE}
    assert report.columns[0].differences[0].p < 0.05
    for found in (np.zeros(80, bool), np.arange(80) < 40):
        plain = compare(people(group), seen_as(80, found=found)).to_dict()
        assert (
            json.loads(json.dumps(plain, allow_nan=False))["columns"][0]["groups"][1]["score"]["value"]
            is None
        )


def test_all_faces_found_leaves_something_open():
    report = compare(people({"g": np.repeat(["a", "b"], 40)}), seen_as(80))
    rate = report.columns[0].largest[0]
    assert rate.difference.low < -0.05 and rate.difference.high > 0.05 and rate.p == 1
    assert report.columns[0].groups[0].against_mean.low < -0.03


def test_the_same_seed_gives_the_same_numbers():
    pictures, seen = people({"g": np.repeat(["a", "b"], 40)}), seen_as(80)
    once, again, other = (compare(pictures, seen, seed=seed).to_dict() for seed in (1, 1, 2))
    assert once == again != other


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_to_compare(n):
    with pytest.raises(ArgumentError, match="seen must be of the"):
        compare(people({"g": ["a"] * n}), seen_as(2))


class Middle:
    """Finds a face in the middle half of pictures that are not black, and a small one at the corner."""

    name = "middle.none"

    def detect(self, image, *, min_face=None):
        if not image.any():
            return Faces.empty()
        h, w = image.shape[:2]
        boxes = np.array([[0, 0, w / 9, h / 9], [w / 4, h / 4, w * 3 / 4, h * 3 / 4]])
        five = np.array([[0.32, 0.38], [0.68, 0.38], [0.5, 0.58], [0.35, 0.77], [0.65, 0.77]])
        points = five * (boxes[:, None, 2:] - boxes[:, None, :2]) + boxes[:, None, :2]
        return Faces(boxes, [0.95, 0.8], points)


MODEL = SimpleNamespace(
    name="grey.none",
    labels=EKMAN7,
    crop=CropSpec("fer2013-mean", 0.0, 8),
    predict_proba=lambda crops: np.eye(7, dtype=np.float32)[(crops[:, 4, 4] // 40).astype(int)],
)


@pytest.mark.parametrize("surround", [None, Surround(0.5, "repeat")])
def test_pictures_are_found_and_read(surround):
    shades = [0, 45, 85, 125] * 40
    pictures = GroupedPictures(
        "shades",
        [np.full((40, 40), shade, np.uint8) for shade in shades],
        np.array([str(i) for i in range(160)]),
        {"g": np.array(["a", "b"] * 80)},
    )
    progress = []
    seen = look_at(pictures, Middle(), MODEL, surround=surround, progress=lambda *done: progress.append(done))
    assert seen.found.tolist() == [shade > 0 for shade in shades]
    assert seen.probability[seen.found].argmax(axis=1).tolist() == [1, 2, 3] * 40
    assert (seen.score == np.where(seen.found, np.float32(0.8), 0)).all(), "of the face that fills most of it"
    assert not seen.probability[~seen.found].any() and progress[-1] == (160, 160)
    report = measure_fairness(pictures, Middle(), MODEL, surround=surround, shuffles=99, draws=50)
    assert (report.detector, report.model, report.found) == ("middle.none", "grey.none", 120)
    assert (report.surround is None) == (surround is None)
    assert report.columns[0].largest[0].difference.value == pytest.approx(0.5)
