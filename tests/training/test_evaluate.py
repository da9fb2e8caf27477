"""Evaluation: known answers give known numbers, with and without detection, with and without leaks."""

import json

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.faces.align import CropSpec
from mien.faces.faces import Faces
from mien.labels import EKMAN7, FERPLUS8, LabelSet
from mien.sources.labelled import LabelledImages
from mien.training.evaluate import evaluate_model, score

SIZE = 8
SHADES = 30
"""The pictures of emotion i have a shade around SHADES * i."""


class ShadeModel:
    """Reads the emotion from the middle of a crop, sure to a stated degree."""

    name = "shade.none"

    def __init__(self, labels=EKMAN7, sure=0.9):
        self.labels, self.sure = labels, sure
        self.crop = CropSpec("fer2013-mean", 0.0, SIZE)
        self.batches = []

    def predict_proba(self, crops):
        self.batches.append(len(crops))
        k = len(self.labels)
        column = np.round(crops[:, SIZE // 2, SIZE // 2] / SHADES).astype(int)
        p = np.full((len(crops), k), (1 - self.sure) / (k - 1), np.float32)
        p[np.arange(len(crops)), np.minimum(column, k - 1)] = self.sure
        return p


class WholeDetector:
    """Finds the face that fills the middle half, beside a smaller one, unless the picture is black."""

    name = "whole.none"

    def detect(self, image, *, min_face=None):
        height, width = image.shape[:2]
        left, top, right, bottom = width / 4, height / 4, width * 3 / 4, height * 3 / 4
        if image[int(top) : int(bottom), int(left) : int(right)].max() < 3:
            return Faces.empty()
        assert min(right - left, bottom - top) >= 95
        five = np.array([[0.32, 0.38], [0.68, 0.38], [0.5, 0.58], [0.35, 0.77], [0.65, 0.77]])
        own = five * (right - left, bottom - top) + (left, top)
        return Faces([[0, 0, left + 5, top + 5], [left, top, right, bottom]], [0.9, 0.8], [five * 4, own])


def corpus(shown, label, split=None, labels=EKMAN7, shape=(SIZE, SIZE), marks=None):
    """Make pictures that look like the emotions `shown`, each different unless given the same mark."""
    images = []
    for i, emotion in enumerate(shown):
        image = np.full(shape, emotion * SHADES, np.uint8)
        image[0, 0] = i if marks is None else marks[i]
        images.append(image)
    n = len(images)
    return LabelledImages(
        name="shades",
        labels=labels,
        images=images,
        label=np.array(label, np.int64),
        split=np.array(split if split else [""] * n),
        source=np.array([str(i) for i in range(n)]),
        rule="made up",
    )


def test_all_right():
    answer = evaluate_model(ShadeModel(), corpus([3, 4, 5], [3, 4, 5]))
    report = answer.all
    assert (report.n, report.accuracy, report.high, report.macro_f1, report.missed) == (3, 1.0, 1.0, 1.0, 0)
    assert report.low == pytest.approx(0.4385, abs=1e-4)
    assert report.recall == {"happiness": 1.0, "neutral": 1.0, "sadness": 1.0}
    assert report.ece == pytest.approx(0.1, abs=1e-6)
    assert (answer.model, answer.data, answer.rule, answer.clean) == ("shade.none", "shades", "made up", None)


def test_some_wrong():
    report = evaluate_model(ShadeModel(), corpus([3, 3, 4, 4], [3, 3, 3, 4])).all
    assert report.accuracy == 0.75
    assert report.recall == {"happiness": pytest.approx(2 / 3), "neutral": 1.0}
    assert report.macro_f1 == pytest.approx((2 * 2 / 5 + 2 / 3) / 2)
    assert report.confusion[3].tolist() == [0, 0, 0, 2, 1, 0, 0] and report.confusion.sum() == 4
    assert report.ece == pytest.approx(0.15, abs=1e-6)


def test_rows_without_a_label_are_left_out():
    answer = evaluate_model(ShadeModel(), corpus([3, 4, 5], [3, -1, 0]))
    assert (answer.all.n, answer.all.accuracy, answer.left_out) == (2, 0.5, 1)


def test_a_wider_model_is_renormalised():
    shown = [FERPLUS8.index("contempt"), FERPLUS8.index("anger")]
    report = evaluate_model(ShadeModel(FERPLUS8, sure=0.79), corpus(shown, [2, 0])).all
    assert report.confusion.sum() == 2 and report.recall["anger"] == 1.0
    best = 0.79 / 0.97, 1 / 7  # what contempt leaves is spread evenly
    np.testing.assert_allclose(report.reliability.confidence.sum(), sum(best), rtol=1e-5)


def test_a_narrower_model_cannot_be_right_about_what_it_does_not_know():
    label = [FERPLUS8.index("contempt"), FERPLUS8.index("anger")]
    report = evaluate_model(ShadeModel(EKMAN7), corpus([1, 0], label, labels=FERPLUS8)).all
    assert report.recall == {"anger": 1.0, "contempt": 0.0}


def test_a_model_of_other_emotions_is_refused():
    alone = LabelSet("two", ("contempt", "anger"))
    with pytest.raises(ArgumentError, match="model must be one that knows two or more"):
        evaluate_model(ShadeModel(alone), corpus([0], [0]))


SPLIT = ["Training", "Training", "PublicTest", "PublicTest", "PublicTest"]


def test_without_what_stands_in_training():
    marked = corpus([3, 4, 3, 4, 5], [3, 4, 3, 0, 5], SPLIT, marks=[0, 1, 0, 2, 3])
    answer = evaluate_model(ShadeModel(), marked, split="PublicTest")
    assert (answer.all.n, answer.all.accuracy) == (3, pytest.approx(2 / 3))
    assert answer.clean is not None and (answer.clean.n, answer.clean.accuracy) == (2, 0.5)
    assert answer.data == "shades PublicTest" and "Training" in answer.clean.name


@pytest.mark.parametrize(("split", "n"), [("Training", 2), (None, 5)])
def test_the_clean_part_never_holds_training(split, n):
    answer = evaluate_model(ShadeModel(), corpus([3, 4, 3, 4, 5], [3, 4, 3, 0, 5], SPLIT), split=split)
    assert answer.all.n == n
    assert (answer.clean is None) if split else (answer.clean is not None and answer.clean.n == 3)


@pytest.mark.parametrize(
    ("shown", "label", "split", "message"),
    [
        ([3] * 5, [3] * 5, "PrivateTest", r"split must be a part of shades \(PublicTest, Training\)"),
        ([3] * 5, [-1] * 5, None, "corpus must be one with labelled pictures"),
    ],
)
def test_nothing_to_score(shown, label, split, message):
    with pytest.raises(ArgumentError, match=message):
        evaluate_model(ShadeModel(), corpus(shown, label, SPLIT), split=split)


def test_an_empty_corpus():
    with pytest.raises(ArgumentError):
        evaluate_model(ShadeModel(), corpus([], []))


@pytest.mark.parametrize("shape", [(48, 48), (48, 40, 3), (200, 200)])
def test_a_missed_face_is_an_error(shape):
    pictures = corpus([3, 0, 4], [3, 0, 4], shape=shape)
    pictures.images[1][:] = 0
    pictures.images[0][0, 0] = pictures.images[2][0, 0] = 200
    report = evaluate_model(ShadeModel(), pictures, detector=WholeDetector()).all
    assert (report.n, report.missed, report.confusion.sum()) == (3, 1, 2)
    assert report.accuracy == pytest.approx(2 / 3)
    assert report.recall == {"anger": 0.0, "happiness": 1.0, "neutral": 1.0}
    assert (report.low, report.high) == pytest.approx((0.2077, 0.9385), abs=1e-4), "of 2 out of 3"
    assert report.macro_f1 == pytest.approx(2 / 3)


def test_a_missed_face_taken_as_it_is():
    pictures = corpus([3, 0, 4], [3, 0, 4])
    pictures.images[1][:] = 0
    report = evaluate_model(ShadeModel(), pictures, detector=WholeDetector(), missed="framed").all
    assert (report.n, report.missed, report.accuracy, report.confusion.sum()) == (3, 0, 1.0, 3)
    with pytest.raises(ArgumentError, match="missed must be 'error' or 'framed'"):
        evaluate_model(ShadeModel(), pictures, missed="never")


def test_all_faces_missed():
    pictures = corpus([0, 0], [0, 1])
    for image in pictures.images:
        image[:] = 0
    report = evaluate_model(ShadeModel(), pictures, detector=WholeDetector()).all
    assert (report.accuracy, report.missed, report.ece, report.macro_f1) == (0.0, 2, 0.0, 0.0)


def test_batches_and_progress():
    model, seen = ShadeModel(), []
    n = 300
    evaluate_model(
        model,
        corpus([3] * n, [3] * n, marks=[0] * n),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert sum(model.batches) == n and max(model.batches) < n, "held in memory at once"
    assert seen[-1] == (n, n) and seen == sorted(seen) and len(seen) == len(model.batches)


def test_score_of_nothing():
    with pytest.raises(ArgumentError, match="label must be of one picture or more"):
        score("x", EKMAN7, np.zeros(0, np.int64), np.zeros((0, 7), np.float32), np.zeros(0, bool))


def test_to_dict_is_json():
    answer = evaluate_model(ShadeModel(), corpus([3, 4, 3, 4, 5], [3, 4, 3, 0, 5], SPLIT), split="PublicTest")
    plain = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert plain["model"] == "shade.none" and plain["rule"] == "made up"
    for part in ("all", "clean"):
        assert plain[part]["labels"] == list(EKMAN7) and len(plain[part]["confusion"]) == 7
        assert sum(plain[part]["reliability"]["count"]) == plain[part]["n"]
