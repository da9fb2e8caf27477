"""The robustness suite: the same pictures under each condition, drops with their intervals, who is seen."""

import json

import numpy as np
import pytest

from mien.errors import ArgumentError, UnknownNameError
from mien.faces.align import CropSpec
from mien.faces.faces import Faces
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.labelled import LabelledImages
from mien.testing import FixedDetector, TableModel, make_faces
from mien.training.conditions import CONDITIONS, DisturbedImages, choose_conditions, find_landmarks
from mien.training.robustness import ROBUSTNESS_COLUMNS, evaluate_robustness, paired_drop

SPEC = CropSpec("fer2013-mean", margin=0.0, size=48)


class Brightness:
    """Says happiness of bright crops and sadness of dark ones, surer the further from grey."""

    name, labels, crop = "brightness", FERPLUS8, SPEC

    def predict_proba(self, crops):
        happy = 1 / (1 + np.exp(-(crops.astype(np.float64).mean((1, 2)) - 100) / 20))
        table = np.zeros((len(crops), len(FERPLUS8)), np.float32)
        table[:, FERPLUS8.index("happiness")] = happy
        table[:, FERPLUS8.index("sadness")] = 1 - happy
        return table


def corpus(n=40, split="PublicTest", seed=0):
    """Bright pictures labelled happiness, dark ones sadness."""
    random = np.random.default_rng(seed)
    bright = np.arange(n) % 2 == 0
    images = random.integers(0, 20, (n, 48, 48)) + np.where(bright, 170, 30)[:, None, None]
    label = np.where(bright, EKMAN7.index("happiness"), EKMAN7.index("sadness"))
    return LabelledImages(
        name="made",
        labels=EKMAN7,
        images=images.astype(np.uint8),
        label=label.astype(np.int64),
        split=np.full(n, split),
        source=np.array([f"row {i}" for i in range(n)]),
    )


class SeesBright:
    """A detector that finds the face of bright pictures only."""

    name = "sees-bright"

    def detect(self, image, *, min_face=None):
        height, width = image.shape[:2]
        return make_faces(1, (width, height)) if image.mean() > 100 else Faces.empty()


def test_a_model_of_brightness_loses_the_bright_half_in_the_dark():
    report = evaluate_robustness(Brightness(), corpus(), conditions=["darker", "turned-15", "mask"])
    assert [r.name for r in report.conditions] == ["darker", "turned-15", "mask"]
    darker, turned, _ = report.conditions
    assert report.undisturbed.accuracy == 1
    assert (darker.accuracy, darker.drop) == (0.5, 0.5)
    assert 0.3 < darker.drop_low < 0.4 < 0.6 < darker.drop_high < 0.7
    assert (turned.accuracy, turned.drop, turned.drop_low, turned.drop_high) == (1, 0, 0, 0)
    assert (report.undisturbed.drop, report.undisturbed.drop_low, report.undisturbed.drop_high) == (0, 0, 0)
    assert darker.n == report.n == 40
    assert darker.confidence_wrong < darker.confidence_right
    assert darker.ece > report.undisturbed.ece + 0.2


@pytest.mark.parametrize(("missed", "accuracy"), [("framed", 1.0), ("error", 0.5)])
def test_a_face_that_is_not_found(missed, accuracy):
    report = evaluate_robustness(
        Brightness(),
        corpus(),
        detector=SeesBright(),
        conditions=["over-exposed", "much-darker"],
        missed=missed,
    )
    assert report.detector == "sees-bright"
    assert (report.undisturbed.not_found, report.undisturbed.accuracy) == (0.5, accuracy)
    dark = report.conditions[1]
    assert dark.not_found == 1
    assert (dark.accuracy, np.isnan(dark.confidence)) == ((0.5, False) if missed == "framed" else (0.0, True))
    assert np.isnan(report.undisturbed.confidence_wrong)


def test_the_report_is_plain_and_its_rows_fit_the_headings():
    report = evaluate_robustness(Brightness(), corpus(), detector=SeesBright(), missed="error", sample=10)
    again = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [c["name"] for c in again["conditions"]] == list(CONDITIONS)
    assert again["undisturbed"]["confidence_wrong"] is None
    assert again["n"] == 10
    rows = report.rows()
    assert {len(row) for row in rows} == {len(ROBUSTNESS_COLUMNS)}
    assert [row[0] for row in rows] == ["undisturbed", *CONDITIONS]
    assert rows[0][3:5] == ("-", "-")
    assert "nan" not in str(rows)


def test_the_same_seed_gives_the_same_and_a_picture_is_disturbed_alike_in_any_sample():
    def run(**settings):
        return evaluate_robustness(Brightness(), corpus(), conditions=["noisy", "hand-below"], **settings)

    assert run(sample=20, seed=1).to_dict() == run(sample=20, seed=1).to_dict()
    assert run(sample=20, seed=1).to_dict() != run(sample=20, seed=2).to_dict()
    images, points = corpus().images, find_landmarks(corpus().images, None)
    rows = np.array([3, 7])
    few = DisturbedImages(images[rows], points[rows], CONDITIONS["noisy"], "0 noisy", rows)
    all_of_them = DisturbedImages(images, points, CONDITIONS["noisy"], "0 noisy", np.arange(40))
    np.testing.assert_array_equal(few[1], all_of_them[7])
    assert (few[0] != few[1]).any()


@pytest.mark.parametrize(("tested", "learned"), [("PublicTest", "Training"), ("test", "train")])
def test_pictures_that_stand_in_training_are_left_out(tested, learned):
    held, shown = corpus(10), corpus(6, seed=5)
    both = LabelledImages(
        name="made",
        labels=EKMAN7,
        images=np.concatenate([held.images, shown.images, shown.images[:2]]),
        label=np.concatenate([held.label, shown.label, shown.label[:2]]),
        split=np.array([tested] * 10 + [learned] * 6 + [tested] * 2),
        source=np.arange(18).astype(str),
    )

    def counts(split):
        report = evaluate_robustness(Brightness(), both, split=split, conditions=[])
        return report.n, report.left_out

    assert counts(tested) == (10, 2)
    assert counts(None) == (10, 8)
    assert counts(learned) == (6, 0)


def test_unlabelled_pictures_are_left_out():
    some = corpus(10)
    part = LabelledImages(
        "made", EKMAN7, some.images, np.where(np.arange(10) < 4, -1, some.label), some.split, some.source
    )
    assert evaluate_robustness(Brightness(), part, conditions=[]).n == 6


def test_functions_of_ones_own():
    def black(picture, landmarks_xy, random):
        return np.zeros_like(picture), landmarks_xy

    report = evaluate_robustness(Brightness(), corpus(), conditions={"black": black})
    assert (report.conditions[0].name, report.conditions[0].drop) == ("black", 0.5)


def test_progress_counts_every_picture_under_every_condition():
    seen = []
    evaluate_robustness(
        Brightness(),
        corpus(5),
        conditions=["darker"],
        detector=SeesBright(),
        progress=lambda done, of: seen.append((done, of)),
    )
    assert seen == [(i, 15) for i in range(1, 16)]  # landmarks, undisturbed, darker


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"missed": "ignored"}, "missed must be"),
        ({"split": "Test"}, r"a part of made \(PublicTest\)"),
        ({"sample": 0}, "sample must be"),
        ({"conditions": "darker"}, "a list of names"),
    ],
)
def test_bad_arguments(settings, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        evaluate_robustness(Brightness(), corpus(), **settings)


def test_an_unknown_condition_says_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'sunglasses'"):
        choose_conditions(["sunglass"])


def test_a_model_that_shares_no_emotions():
    other = TableModel(np.array([[0.5, 0.5]]), FERPLUS8.subset(["contempt", "fear"]), crop=SPEC)
    with pytest.raises(ArgumentError, match="knows two or more"):
        evaluate_robustness(other, corpus(), conditions=[])


def test_landmarks_come_from_the_detector_or_the_template():
    images = corpus(2).images
    framed = find_landmarks(images, None)
    np.testing.assert_allclose(framed[0, 0], np.array((0.3212, 0.3796)) * 48, atol=1e-6)
    # Shown at a side of 96 with 48 around it: a face in the middle of 80 is half as large as the picture's.
    small = make_faces(1, (80, 80))
    moved = Faces(small.box_xyxy + 56, small.score, small.landmarks_xy + 56)
    found = find_landmarks(images, FixedDetector(moved))
    np.testing.assert_allclose(found - 24, (framed - 24) * 40 / 96, atol=1e-4)


def test_paired_drop_agrees_with_drawing_pictures():
    random = np.random.default_rng(0)
    before = random.random(300) < 0.8
    after = np.where(random.random(300) < 0.2, ~before, before)
    drop, low, high = paired_drop(before, after, draws=4000)
    assert drop == pytest.approx(before.mean() - after.mean())
    rows = random.integers(0, 300, (4000, 300))
    drawn = (before[rows].astype(int) - after[rows]).mean(axis=1)
    np.testing.assert_allclose((low, high), np.percentile(drawn, (2.5, 97.5)), atol=0.008)


@pytest.mark.parametrize("n", [0, 3])
def test_paired_drop_needs_pairs(n):
    with pytest.raises(ArgumentError, match="after must be"):
        paired_drop(np.ones(n, bool), np.ones(n and n + 1, bool))
