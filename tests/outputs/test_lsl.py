"""LSL: a stream received by pylsl itself."""

import time
import uuid
from dataclasses import replace

import numpy as np
import pytest
from scripted import shown

from mien.errors import ArgumentError, OutputError
from mien.labels import EKMAN7, FERPLUS8
from mien.outputs.lsl import LslSink
from mien.story import Decision

pylsl = pytest.importorskip("pylsl")

PATIENCE_S = 15


@pytest.fixture
def name():
    return f"mien-test-{uuid.uuid4().hex[:8]}"


def inlet(name, kind):
    found = pylsl.resolve_byprop("name", name, timeout=PATIENCE_S)
    assert [info.type() for info in found] == [kind]
    opened = pylsl.StreamInlet(found[0])
    opened.open_stream(timeout=PATIENCE_S)
    return opened


def labels_of(opened):
    channel = opened.info(timeout=PATIENCE_S).desc().child("channels").child("channel")
    found = []
    while not channel.empty():
        found.append(tuple(channel.child_value(name) for name in ("label", "unit", "type")))
        channel = channel.next_sibling("channel")
    return found


def test_samples_with_labels_and_the_time_of_capture(name):
    with LslSink(name) as lsl:
        lsl.write(shown(0.0))  # the stream is made with the first readings
        opened = inlet(name, "Expression")
        channels = labels_of(opened)
        captured_s = time.monotonic() - 0.5
        smooth = np.full((2, 8), 0.125, np.float32)
        readings = shown(0.04, (4, {"fear": 0.75}, 30), (7, {"anger": 0.6}, 90), captured_s=captured_s)
        lsl.write(replace(readings, smoothed=smooth, displayed=("fear", "anger")))
        lsl.write(shown(0.08))
        sample, stamp = opened.pull_sample(timeout=PATIENCE_S)
        empty, _ = opened.pull_sample(timeout=PATIENCE_S)
        stamp += opened.time_correction(timeout=PATIENCE_S)
        opened.close_stream()
    values = dict(zip([label for label, _, _ in channels], sample, strict=True))
    place = ["track", "score", "box_x", "box_y", "box_width", "box_height"]
    assert list(values) == ["faces", *place, *FERPLUS8, *(f"smooth_{e}" for e in FERPLUS8)]
    assert ("box_x", "px", "position") in channels and ("fear", "probability", "expression") in channels
    assert values["faces"] == 2 and values["track"] == 7  # the larger face
    assert values["anger"] == pytest.approx(0.6) and values["smooth_anger"] == 0.125
    assert values["box_width"] == pytest.approx(90)
    # When the frame was captured, half a second before it was sent, on the clock that all streams share.
    assert stamp == pytest.approx(pylsl.local_clock() - (time.monotonic() - captured_s), abs=0.2)
    assert empty[:2] == [0, -1] and np.isnan(empty[2:]).all()


def test_decisions_are_markers(name):
    with LslSink(name) as lsl:
        opened = inlet(f"{name} decisions", "Markers")
        lsl.decide(Decision(1.0, "cue B", 4, "why"))
        sample, _ = opened.pull_sample(timeout=PATIENCE_S)
        opened.close_stream()
    assert sample == ["cue B"]


class Outlet:
    def __init__(self):
        self.samples = []

    def push_sample(self, row, stamp):
        self.samples.append(row)


def test_each_face_keeps_its_place(name):
    lsl = LslSink(name, faces=2)
    width = (len(lsl.channels(FERPLUS8)) - 1) // 2
    assert (
        lsl.channels(FERPLUS8)[1][0] == "face0_track"
        and lsl.channels(FERPLUS8)[1 + width][0] == "face1_track"
    )
    with lsl:
        lsl._labels, lsl._outlet = FERPLUS8, (outlet := Outlet())
        for time_s, tracks in enumerate([(5,), (9, 5), (9,), (9,), (9, 3, 4), (3, 9), ()]):
            lsl.write(shown(time_s * 0.75, *[(track, {}) for track in tracks]))
    assert [(row[0], row[1], row[1 + width]) for row in outlet.samples] == [
        (1, 5, -1),
        (2, 5, 9),
        (1, -1, 9),
        (1, -1, 9),
        (3, 3, 9),
        (2, 3, 9),
        (0, -1, -1),
    ]


@pytest.fixture
def places(name):
    """Return a function that writes frames of (time, tracks) and returns which tracks stand in two places."""

    def write(*sent):
        lsl = LslSink(name, faces=2)
        width = (len(lsl.channels(FERPLUS8)) - 1) // 2
        with lsl:
            lsl._labels, lsl._outlet = FERPLUS8, (outlet := Outlet())
            for time_s, *tracks in sent:
                readings = shown(time_s or 0.0, *[(track, {}) for track in tracks])
                lsl.write(replace(readings, time_s=time_s))
        return [(row[1], row[1 + width]) for row in outlet.samples]

    return write


def test_a_missed_frame_moves_nobody(places):
    assert places((0.0, 1, 2), (0.1,), (0.2, 2), (0.3, 1, 2)) == [(1, 2), (-1, -1), (-1, 2), (1, 2)]
    assert places((0.0, 1, 2), (0.1, 2, 3), (0.2, 3, 2, 1)) == [(1, 2), (-1, 2), (1, 2)]


def test_a_place_is_free_again_after_a_second(places):
    sent = [(0.0, 1, 2), (1.0, 2, 3), (1.01, 2, 3), (1.02, 1, 2, 3)]
    assert places(*sent) == [(1, 2), (-1, 2), (3, 2), (3, 2)]
    assert places((0.0, 1), (0.9, 1), (1.8,), (1.85, 3, 1)) == [(1, -1), (1, -1), (-1, -1), (1, 3)]
    assert places((9.0, 1, 2), (0.0, 2, 3)) == [(1, 2), (3, 2)]  # a film that begins again
    assert places((None, 1, 2), (None, 2, 3)) == [(1, 2), (3, 2)]  # without a time nobody is waited for


def test_a_face_without_a_track_holds_no_place(places):
    assert places((0.0, -1, 2), (0.1, 2), (0.2, 3, 2)) == [(-1, 2), (-1, 2), (3, 2)]


def test_what_does_not_fit_is_said(name):
    lsl = LslSink(name)
    for put in (lambda: lsl.write(shown(0.0)), lambda: lsl.decide(Decision(0.0, "x", None, ""))):
        with pytest.raises(OutputError, match="not open"):
            put()
    with lsl:
        lsl.write(shown(0.0))
        with pytest.raises(OutputError, match="channels are fixed by the first readings"):
            lsl.write(shown(0.0, labels=EKMAN7))


def test_a_missing_liblsl_is_no_traceback(monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("LSL binary library file was not found.\nPlease make sure ...")

    monkeypatch.setattr("mien.outputs.lsl.require", broken)
    with pytest.raises(
        OutputError, match=r"LSL stream cannot be opened: LSL binary library file was not found\.$"
    ):
        LslSink()


@pytest.mark.parametrize(
    ("options", "complaint"), [({"name": ""}, "name"), ({"faces": 0}, "faces"), ({"faces": 33}, "faces")]
)
def test_wrong_options(options, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        LslSink(**options)
