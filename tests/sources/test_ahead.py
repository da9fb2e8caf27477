"""Frames read in a thread: the same, in order, with their errors, and the thread ends."""

import threading

import numpy as np
import pytest

from mien.errors import SourceError
from mien.sources.ahead import read_ahead
from mien.sources.frame import Frame
from mien.testing import SyntheticSource

PICTURE = np.zeros((2, 2, 3), np.uint8)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "mien-read-ahead"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not threads()


@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_all_frames_in_order(count):
    plain = list(SyntheticSource(count, (4, 4), rate_hz=30))
    with read_ahead(SyntheticSource(count, (4, 4), rate_hz=30)) as coming:
        got = list(coming)
    assert [f.index for f in got] == [f.index for f in plain]
    assert all((a.image == b.image).all() for a, b in zip(got, plain, strict=True))


def test_leaving_early_ends_the_thread():
    with read_ahead(SyntheticSource(10_000, (4, 4), rate_hz=30)) as coming:
        assert next(iter(coming)).index == 0
        assert next(iter(coming)).index == 1 and threads()


def test_only_a_few_frames_wait():
    taken = []

    def film():
        for i in range(100):
            taken.append(i)
            yield Frame(PICTURE, i, i / 30)

    with read_ahead(film(), 3) as coming:
        for frame in coming:
            assert len(taken) <= frame.index + 3 + 3
    assert len(taken) == 100


def test_an_error_comes_after_the_frames_before_it():
    def film():
        yield from (Frame(PICTURE, i, i / 30) for i in range(5))
        raise SourceError("the film is torn.")

    seen = []
    with pytest.raises(SourceError, match="torn"), read_ahead(film()) as coming:
        seen.extend(frame.index for frame in coming)
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("frame", [Frame(PICTURE), Frame(PICTURE, time_s=0.0, captured_s=12.0)])
def test_stills_and_live_frames_are_taken_when_they_are_wanted(frame):
    taken = []

    def source():
        for i in range(5):
            taken.append(i)
            yield frame

    with read_ahead(source()) as coming:
        for i, _ in enumerate(coming):
            assert len(taken) == i + 1 and not threads()
