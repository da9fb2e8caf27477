"""Other frequencies of emotions than those learned from: what they come to, and what is refused."""

import numpy as np
import pytest

from mien.analyzer import Analyzer
from mien.catalog import Head
from mien.errors import ArgumentError, ModelError, UnknownNameError
from mien.models import load_model
from mien.models.expectation import expecting
from mien.models.network import calibrated
from mien.testing import ScriptedDetector

HEAD = Head("anger+fear+neutral", "x", temperature=2.0, frequency=(0.2, 0.05, 0.75))
SCORES = np.array([[1.0, 0.5, 2.0], [0.0, 3.0, -1.0]], np.float32)


def test_expecting_what_was_learned_changes_nothing():
    head, _ = expecting(HEAD, {"anger": 0.2, "fear": 0.05, "neutral": 0.75}, "m")
    np.testing.assert_allclose(calibrated(SCORES, head), calibrated(SCORES, HEAD), atol=1e-6)


def test_odds_change_by_how_much_more_is_expected():
    head, words = expecting(HEAD, "even", "m")
    assert words == "expecting even"
    before, after = calibrated(SCORES, HEAD), calibrated(SCORES, head)
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-6)
    odds_before, odds_after = before[:, 1] / before[:, 2], after[:, 1] / after[:, 2]
    np.testing.assert_allclose(odds_after / odds_before, 0.75 / 0.05, rtol=1e-4)


def test_what_is_left_goes_to_the_others_as_they_were():
    head, words = expecting(HEAD, "calm=0.5", "m")
    np.testing.assert_allclose(head.expected, (0.5 * 0.8, 0.5 * 0.2, 0.5))
    assert words == "expecting neutral=0.5"


def test_what_is_not_expected_is_not_read():
    head, _ = expecting(HEAD, {"fear": 0}, "m")
    probability = calibrated(SCORES, head)
    assert probability[:, 1].max() < 1e-8
    assert np.isfinite(probability).all()


def test_an_emotion_never_learned_stays_unread():
    head = Head("anger+fear+neutral", "x", frequency=(0.4, 0.0, 0.6))
    unread = np.array([[1.0, -1e4, 2.0]], np.float32)
    assert calibrated(unread, expecting(head, "even", "m")[0])[0, 1] == 0


@pytest.mark.parametrize(
    "given",
    [
        "anger=0.6,fear=0.6",
        "anger=0.1,fear=0.1,neutral=0.1",
        "anger=much",
        "anger=-0.1",
        "anger=0.2,anger=0.1",
        "",
        {},
        "odd",
    ],
)
def test_shares_that_are_none(given):
    with pytest.raises(ArgumentError, match="expect"):
        expecting(HEAD, given, "m")


def test_emotions_that_are_none_of_the_model():
    with pytest.raises(UnknownNameError, match="disgust"):
        expecting(HEAD, "disgust=0.1", "m")


def test_a_card_without_frequencies_is_refused():
    with pytest.raises(ModelError, match="does not say how often"):
        expecting(Head("anger+fear", "x"), "even", "m")


def test_frequencies_belong_to_the_emotions():
    with pytest.raises(ArgumentError, match="frequency"):
        Head("anger+fear", "x", frequency=(0.5, 0.3, 0.2))


@pytest.mark.parametrize("name", ["resnet.ferplus", "resnet-tiny.ferplus"])
@pytest.mark.parametrize("labels", ["ferplus8", "ekman7"])
def test_the_models_that_ship_read_rare_emotions_more_often_where_all_are_expected(name, labels):
    crops = np.random.default_rng(0).integers(0, 256, (20, 44, 44), dtype=np.uint8)
    usual, even = load_model(name, labels=labels), load_model(name, labels=labels, expect="even")
    assert even.name == f"{name} expecting even"
    column = usual.labels.index("disgust")
    assert (even.predict_proba(crops)[:, column] > usual.predict_proba(crops)[:, column]).all()


def test_an_analyzer_expects_only_of_models_by_name():
    fake = load_model("resnet-tiny.ferplus")
    with pytest.raises(ArgumentError, match="expect"):
        Analyzer(ScriptedDetector([]), fake, expect="even")
