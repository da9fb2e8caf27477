"""Evaluation: known answers give known numbers, with and without detection, with and without leaks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from shades import LastShadeModel, ShadeModel, corpus

from mien.errors import ArgumentError
from mien.faces.faces import Faces
from mien.labels import EKMAN7, FERPLUS8, LabelSet, parse_scheme
from mien.training.evaluate import evaluate_model, score
from mien.training.surround import Surround


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
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["ece_low"] is None


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


def test_classes_made_of_emotions():
    """An eight-emotion model is scored on one against the rest: what it gives the others is added up."""
    happy = FERPLUS8.index("happiness")
    shown = corpus([happy, 0, 7, happy], [happy, 0, 7, 0], labels=FERPLUS8)
    report = evaluate_model(ShadeModel(FERPLUS8), shown, scheme=parse_scheme("happy vs rest")).all
    assert report.labels == ("happiness", "rest")
    assert report.confusion.tolist() == [[1, 0], [1, 2]]
    assert report.reliability.confidence.max() == pytest.approx(0.9 + 0.1 * 6 / 7, abs=1e-6)


def test_a_subset_leaves_the_other_pictures_out():
    answer = evaluate_model(ShadeModel(), corpus([3, 4, 5], [3, 4, 5]), scheme=parse_scheme("happy,calm"))
    assert (answer.all.n, answer.left_out, answer.all.labels) == (2, 1, ("happiness", "neutral"))
    assert answer.all.ece == pytest.approx(1 - 0.9 / (0.9 + 0.1 / 6), abs=1e-6)


def test_a_model_trained_on_the_classes_themselves():
    scheme = parse_scheme("happy vs rest")
    own = ShadeModel(scheme.labels)
    report = evaluate_model(own, corpus([0, 1], [3, 0]), scheme=scheme).all
    assert report.accuracy == 1 and report.confusion.tolist() == [[1, 0], [0, 1]]


def test_classes_of_which_the_model_knows_too_few():
    with pytest.raises(ArgumentError, match="model must be one that knows two or more"):
        evaluate_model(
            ShadeModel(LabelSet("two", ("happiness", "anger"))),
            corpus([0, 1], [3, 4]),
            scheme=parse_scheme("happy,calm"),
        )


def filmed(shown, label, sequence, position):
    still = corpus(shown, label, marks=[10 * p for p in position])
    return replace(still, sequence=np.array(sequence), position=np.array(position, np.int64))


def test_sequences_are_seen_as_windows():
    film = filmed([3, 4, 4, 5, 3], [3, -1, 4, 5, 3], ["b", "a", "a", "b", ""], [1, 0, 1, 0, 0])
    model = LastShadeModel()
    report = evaluate_model(model, film).all
    assert (report.n, report.accuracy) == (4, 1.0)
    assert model.batches == [1, 3], "the picture outside of sequences, then the three windows"
    assert report.confusion[3, 3] == 2 and report.confusion[5, 5] == 1


@pytest.mark.parametrize(
    ("step", "shown"), [(None, [2, 3, 4]), (1, [2, 3, 4]), (2, [0, 2, 4]), (3, [0, 1, 4])]
)
def test_windows_are_those_of_the_model_s_step(step, shown):
    film = filmed([0, 1, 2, 3, 4], [-1, -1, -1, -1, 4], ["a"] * 5, range(5))
    model, windows = LastShadeModel(), []
    if step is not None:
        model.step = step
    ask = model.predict_windows
    model.predict_windows = lambda given: windows.append(given) or ask(given)
    assert evaluate_model(model, film).all.n == 1
    assert windows[0][0, :, 0, 0].tolist() == [10 * picture for picture in shown]


def test_a_model_of_sequences_on_stills():
    assert evaluate_model(LastShadeModel(), corpus([3, 4], [3, 0])).all.accuracy == 0.5


def test_windows_do_not_reach_into_another_split():
    film = filmed([3, 4, 5], [3, 4, 5], ["a", "a", "a"], [2, 0, 1])
    film = replace(film, split=np.array(["test", "train", "test"]))
    model = LastShadeModel()
    assert evaluate_model(model, film, split="test").all.n == 2 and sum(model.batches) == 2


def test_a_missed_face_ends_its_window():
    film = filmed([3, 0, 4], [3, 0, 4], ["a", "a", "a"], [0, 1, 2])
    film.images[1][:] = 0
    report = evaluate_model(LastShadeModel(), film, detector=WholeDetector()).all
    assert (report.n, report.missed, report.recall["anger"]) == (3, 1, 0.0)


def test_kept_crops_give_the_same_numbers(tmp_path):
    shades, seen = corpus([3, 4, 5, 0], [3, 4, 4, 0]), []
    plain = evaluate_model(ShadeModel(), shades)
    for _ in range(2):
        kept = evaluate_model(ShadeModel(), shades, cache=tmp_path, progress=lambda *done: seen.append(done))
        assert kept.all.confusion.tolist() == plain.all.confusion.tolist()
    assert seen[-1] == (4, 4) and list(tmp_path.iterdir())


def test_groups_are_told_apart():
    lit = replace(
        corpus([3, 4, 5, 5], [3, 4, 4, -1]),
        groups={"light": np.array(["dark", "dark", "bright", "bright"])},
        subject=np.array(["p", "q", "p", "q"]),
    )
    answer = evaluate_model(ShadeModel(), lit, groups=["light"])
    (light,) = answer.groups
    assert [(g.value, g.n, g.subjects, g.accuracy) for g in light.groups] == [
        ("dark", 2, 2, 1),
        ("bright", 1, 1, 0),
    ]
    assert light.by_subject and json.dumps(answer.to_dict(), allow_nan=False)
    with pytest.raises(ArgumentError, match="group column of shades"):
        evaluate_model(ShadeModel(), lit, groups=["gender"])


VOTES = np.array([[0] * 3 + [9] + [0] * 3, [0] * 3 + [5, 5] + [0] * 2, [0] * 7, [0] * 4 + [8] + [0] * 2])


def test_votes_are_compared_also_where_they_do_not_decide():
    """Of four pictures the second has votes and no majority, the third neither."""
    voted = replace(corpus([3, 3, 4, 4], [3, -1, -1, 4], marks=[0, 1, 2, 3]), votes=VOTES.astype(np.float32))
    answer = evaluate_model(ShadeModel(), voted)
    report = answer.all
    assert (report.n, answer.left_out, report.accuracy, report.confusion.sum()) == (2, 2, 1, 2)
    assert report.votes.n == 2 and report.votes.kl == pytest.approx(-np.log(0.9), rel=1e-5)
    assert report.all_votes.n == 3
    split = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / (0.1 / 6))
    assert report.all_votes.kl == pytest.approx((2 * -np.log(0.9) + split) / 3, rel=1e-5)
    plain = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert plain["all"]["votes"]["n"] == 2 and plain["all"]["all_votes"]["n"] == 3


def test_votes_do_not_change_what_is_scored_or_grouped():
    shown = replace(
        corpus([3, 3, 4, 4], [3, -1, -1, 0], marks=[0, 1, 2, 3]), groups={"x": np.array(list("aabb"))}
    )
    without = evaluate_model(ShadeModel(), shown, groups=["x"])
    voted = evaluate_model(ShadeModel(), replace(shown, votes=VOTES.astype(np.float32)), groups=["x"])
    assert without.all.votes is None and voted.all.votes is not None
    assert (voted.all.n, voted.all.accuracy, voted.all.ece) == (without.all.n, 0.5, without.all.ece)
    assert voted.groups[0].to_dict() == without.groups[0].to_dict()


def test_votes_without_what_stands_in_training():
    marked = corpus([3, 4, 3, 4, 5], [3, 4, 3, -1, 5], SPLIT, marks=[0, 1, 0, 2, 3])
    votes = np.eye(7, dtype=np.float32)[[3, 4, 3, 4, 5]] * 10
    answer = evaluate_model(ShadeModel(), replace(marked, votes=votes), split="PublicTest")
    assert (answer.all.all_votes.n, answer.all.votes.n) == (3, 2)
    assert (answer.clean.all_votes.n, answer.clean.votes.n, answer.clean.n) == (2, 1, 1)


def test_films_with_votes_are_scored_where_they_are_labelled():
    film = filmed([3, 4, 4], [3, -1, 4], ["a", "a", "a"], [0, 1, 2])
    film = replace(film, votes=np.eye(7, dtype=np.float32)[[3, 4, 4]])
    report = evaluate_model(LastShadeModel(), film).all
    assert (report.n, report.all_votes.n) == (2, 2)


def test_mean_recall_over_chosen_emotions():
    pictures = corpus([3, 3, 4, 0, 5], [3, 3, 4, 4, 0])
    report = evaluate_model(ShadeModel(), pictures, recall_over=["happy", "neutral", "contempt", "fear"]).all
    recall = report.mean_recall
    assert (recall.emotions, recall.absent, recall.n) == (("happiness", "neutral"), ("contempt", "fear"), 4)
    assert recall.value == pytest.approx(0.75) and recall.low < 0.75 < recall.high
    assert report.to_dict()["mean_recall"]["emotions"] == ["happiness", "neutral"]


def test_mean_recall_counts_missed_faces():
    pictures = corpus([3, 0, 4], [3, 0, 4])
    pictures.images[1][:] = 0
    report = evaluate_model(
        ShadeModel(), pictures, detector=WholeDetector(), recall_over=["anger", "neutral"]
    ).all
    assert (report.mean_recall.value, report.mean_recall.n) == (0.5, 2)
    assert report.of_found == (1.0, pytest.approx(0.3424, abs=1e-4), 1.0)
    assert report.to_dict()["accuracy_of_found"]["value"] == 1.0


def test_mean_recall_of_none_and_of_what_is_no_emotion():
    report = evaluate_model(ShadeModel(), corpus([3, 4], [3, 4]), recall_over=["contempt"]).all
    assert np.isnan(report.mean_recall.value) and report.to_dict()["mean_recall"]["value"] is None
    with pytest.raises(ArgumentError, match="'hapiness' is not a known emotion"):
        evaluate_model(ShadeModel(), corpus([3], [3]), recall_over=["hapiness"])


def test_thresholds_and_shares_answered():
    report = evaluate_model(ShadeModel(), corpus([3, 4], [3, 0]), thresholds=[0.85, 0.95]).all
    assert [one.n for one in report.abstention.at_threshold] == [2, 0]
    assert report.abstention.at_share[0].accuracy == report.accuracy


class InTheMiddle:
    """Finds the face in the middle half of what it is shown, if that is 16 px or larger."""

    name = "middle.none"

    def detect(self, image, *, min_face=None):
        side = image.shape[0] / 2
        if side < 16:
            return Faces.empty()
        five = np.array([[0.32, 0.38], [0.68, 0.38], [0.5, 0.58], [0.35, 0.77], [0.65, 0.77]])
        box = [side / 2, side / 2, side * 1.5, side * 1.5]
        return Faces([box], [0.9], [five * side + side / 2])


@pytest.mark.parametrize(("side", "missed"), [(20, 0), (12, 3)])
def test_surrounded_faces_are_looked_for_as_they_are(side, missed):
    """Faces of 12 px are not made larger for the detector, as those in ready-cropped pictures are."""
    pictures = corpus([3, 4, 5], [3, 4, 5], shape=(side, side))
    around = Surround(0.5, "black")
    answer = evaluate_model(ShadeModel(), pictures, detector=InTheMiddle(), surround=around)
    assert (answer.all.n, answer.all.missed, answer.all.accuracy) == (3, missed, 0.0 if missed else 1.0)
    assert answer.surround == {"share": 0.5, "fill": "black"} == answer.to_dict()["surround"]
    assert evaluate_model(ShadeModel(), pictures, detector=InTheMiddle()).all.missed == 0
