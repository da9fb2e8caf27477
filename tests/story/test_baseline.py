import numpy as np
import pytest
from scripted import shown

from mien.errors import ArgumentError
from mien.labels import EKMAN7, FERPLUS8
from mien.story import Baseline
from mien.story.baseline import relative_to
from mien.testing import make_readings

NEUTRAL, ANGER = FERPLUS8.index("neutral"), FERPLUS8.index("anger")


def learn(baseline, *values, rate_hz=10, track=1):
    for i, anger in enumerate(values):
        relative = baseline.update(shown(i / rate_hz, (track, {"anger": anger})))
    return relative


def test_rest_counts_as_neutral_and_more_counts_as_more():
    baseline = Baseline(2)
    assert np.isnan(learn(baseline, *[0.5] * 20)).all()
    relative = learn(baseline, *[0.5] * 21)
    assert relative[0, ANGER] == 0 and relative[0, NEUTRAL] == 1
    more = baseline.update(shown(2.1, (1, {"anger": 0.75})))
    assert more[0, ANGER] == pytest.approx(0.5) and more[0].sum() == pytest.approx(1)
    less = baseline.update(shown(2.2, (1, {"anger": 0.1, "fear": 0.4})))
    assert less[0, ANGER] == 0 and less[0, FERPLUS8.index("fear")] == pytest.approx(0.4)


def test_a_short_outburst_is_no_rest():
    baseline = Baseline(2)
    learn(baseline, *[0.2] * 13, *[0.95] * 8)
    assert baseline.rest(1)[ANGER] == pytest.approx(0.2)


def test_who_laughs_all_the_time_can_still_show_more():
    baseline = Baseline(2)
    learn(baseline, *[0.95] * 21)
    assert baseline.rest(1)[ANGER] == pytest.approx(0.6)


def test_each_person_has_their_own_and_is_forgotten():
    baseline = Baseline(1, forget_s=5)
    learn(baseline, *[0.5] * 11)
    relative = baseline.update(shown(1.1, (1, {"anger": 0.5}), (2, {"anger": 0.5})))
    assert relative[0, ANGER] == 0 and np.isnan(relative[1]).all()
    baseline.update(shown(9.0))
    assert baseline.rest(1) is None


def test_gaps_are_not_learned_from():
    baseline = Baseline(3)
    assert np.isnan(baseline.update(shown(0.0, (1, {})))).all()
    assert np.isnan(baseline.update(shown(50.0, (1, {})))).all()


def test_no_seconds_leave_probabilities_as_they_are():
    readings = shown(0.0, (1, {"anger": 0.3}))
    assert np.array_equal(Baseline(0).update(readings), readings.probability)
    assert Baseline(0).update(shown(0.0)).shape == (0, 8)


@pytest.mark.parametrize("neutral", [None, 4])
def test_rows_sum_to_one_whatever_the_rest(neutral):
    random = np.random.default_rng(0)
    for value, rest in zip(*random.dirichlet(np.full(7, 0.3), (2, 200)), strict=True):
        relative = relative_to(value, rest, neutral)
        assert relative.sum() == pytest.approx(1) and (relative >= 0).all()
    assert len(EKMAN7) == 7


def test_wrong_values():
    with pytest.raises(ArgumentError, match="with a time"):
        Baseline(2).update(make_readings(["fear"]))
    with pytest.raises(ArgumentError, match="baseline_s"):
        Baseline(-1)
    with pytest.raises(ArgumentError, match="forget_s"):
        Baseline(forget_s=0)
