import pytest
from scripted import shown

from mien.errors import ArgumentError
from mien.story import Salience
from mien.testing import make_readings


def chosen(salience, time_s, *people):
    readings = shown(time_s, *[(track, {}, size) for track, size in people])
    face = salience.choose(readings)
    return None if face is None else int(readings.faces.track_id[face])


def test_it_stays_with_a_face_until_another_is_much_larger():
    salience = Salience(larger=1.5)
    assert chosen(salience, 0.0) is None
    assert chosen(salience, 0.1, (1, 80), (2, 100)) == 2
    assert chosen(salience, 0.2, (2, 90), (1, 105)) == 2
    assert chosen(salience, 0.3, (2, 90), (1, 115)) == 1
    assert chosen(salience, 0.4, (2, 90), (1, 80)) == 1


def test_it_waits_for_a_face_that_is_hidden():
    salience = Salience(hold_s=1)
    chosen(salience, 0.0, (1, 100), (2, 50))
    assert chosen(salience, 0.5, (2, 50)) is None
    assert chosen(salience, 0.9, (1, 100), (2, 50)) == 1
    assert chosen(salience, 2.0, (2, 50)) == 2
    assert chosen(salience, 0.0, (3, 50)) == 3  # the film began again


def test_without_a_time_it_is_the_largest():
    assert Salience().choose(make_readings(["fear", "anger"])) == 0
    assert Salience().choose(make_readings([])) is None


def test_wrong_values():
    with pytest.raises(ArgumentError, match="larger"):
        Salience(larger=1)
    with pytest.raises(ArgumentError, match="hold_s"):
        Salience(hold_s=-1)
