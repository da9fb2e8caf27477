"""A live run with stand-ins for camera and watcher: every part is joined, and bad days are survived."""

import queue
import threading
from dataclasses import replace

import numpy as np
import pytest

from mien.errors import ModelError, OutputError, SourceError
from mien.live import MOST_FAILURES, LiveRun
from mien.outputs.fanout import FanOut, Output
from mien.outputs.hub import LiveHub
from mien.sources.frame import Frame
from mien.story import Story, rule
from mien.testing import CollectingSink, make_readings

IMAGE = np.zeros((24, 32, 3), np.uint8)


class Camera:
    """A camera whose frames come from the test."""

    def __init__(self, frames=(), *, ends=True):
        self.queue = queue.Queue()
        self.dropped = 3
        self.closed = False
        for item in frames:
            self.queue.put(item)
        if ends:
            self.queue.put(None)

    def __iter__(self):
        while (item := self.queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield Frame(IMAGE, index=item, time_s=item / 10, source="camera", captured_s=1.0)

    def close(self):
        self.closed = True
        self.queue.put(None)


class Reader:
    """A watcher that reads what the test says for each frame."""

    def __init__(self, says=lambda index: ["fear"]):
        self.says = says

    def read(self, frame):
        said = self.says(frame.index)
        if isinstance(said, Exception):
            raise said
        plain = make_readings(said)
        return replace(
            plain,
            index=frame.index,
            time_s=frame.time_s,
            captured_s=frame.captured_s,
            smoothed=plain.probability,
            displayed=tuple(plain.emotion),
            faces=replace(plain.faces, track_id=np.arange(len(plain))),
        )


def run_to_its_end(camera, reader=None, **options):
    hub = options.pop("hub", None) or LiveHub()
    with LiveRun(camera, reader or Reader(), hub, **options) as run:
        assert run.wait(20)
    return run, hub


def test_frames_go_to_the_hub_and_to_every_output():
    sinks = [CollectingSink(), CollectingSink()]
    with FanOut([Output(str(i), sink, keep=True) for i, sink in enumerate(sinks)]) as fan:
        run, hub = run_to_its_end(Camera(range(30)), outputs=fan)
    assert run.error is None
    assert (hub.pace.frames, hub.pace.dropped) == (30, 3)
    assert [[r.index for r in sink.written] for sink in sinks] == [list(range(30))] * 2
    assert hub.state == "ended"


def test_a_story_decides_and_everyone_is_told():
    class Log(CollectingSink):
        def __init__(self):
            super().__init__()
            self.decisions = []

        def decide(self, decision):
            self.decisions.append(decision)

    log, hub = Log(), LiveHub()
    story = Story([rule("fear over 0.4 for 2 s", cue="B"), rule(after_s=20, cue="C")])
    reader = Reader(lambda index: ["neutral"] if index < 30 else ["fear"])
    with FanOut([Output("log", log, keep=True)]) as fan:
        run, _ = run_to_its_end(Camera(range(100)), reader, hub=hub, outputs=fan, story=story)
    assert run.error is None
    with hub.view(lambda: None) as viewer:
        told = [event for event in viewer.take().events if event["type"] == "decision"]
    assert [event["cue"] for event in told] == ["story", "B"]
    assert [decision.cue for decision in log.decisions] == ["story", "B"]
    assert "fear" in told[1]["reason"] and 3.5 < told[1]["time_s"] < 5.6


def test_frames_that_cannot_be_read_are_passed_over_and_reported_once_in_a_row():
    said = []
    bad = {3, 4, 5, 9}
    reader = Reader(lambda index: ModelError(f"frame {index}") if index in bad else ["fear"])
    run, hub = run_to_its_end(Camera(range(12)), reader, report=said.append)
    assert run.error is None
    assert hub.pace.frames == 8
    assert said == ["A frame was passed over: frame 3", "A frame was passed over: frame 9"]


def test_a_reader_that_never_can_ends_the_run():
    run, hub = run_to_its_end(Camera(range(10 * MOST_FAILURES)), Reader(lambda index: ModelError("broken")))
    assert isinstance(run.error, ModelError)
    assert (hub.state, hub.pace.frames) == ("ended", 0)


@pytest.mark.parametrize("error", [SourceError("no camera"), ValueError("a mistake")])
def test_what_ends_the_run_is_kept_for_who_started_it(error):
    ended = threading.Event()
    run, hub = run_to_its_end(Camera([0, 1, error]), on_end=ended.set)
    assert run.error is error
    assert ended.is_set()
    assert hub.state == "ended"


def test_leaving_closes_the_camera_and_ends_the_thread():
    camera = Camera(range(3), ends=False)
    before = threading.active_count()
    with LiveRun(camera, Reader(), LiveHub()) as run:
        assert not run.wait(0.01)
    assert camera.closed
    assert run.wait(0)
    assert threading.active_count() == before


def test_an_output_that_blocks_does_not_slow_the_camera():
    free = threading.Event()

    class Stuck(CollectingSink):
        def write(self, readings):
            free.wait(20)

    said = []
    fan = FanOut([Output("stuck", Stuck())], report=said.append, close_s=0.05)
    with fan:
        run, hub = run_to_its_end(Camera(range(200)), outputs=fan)
        assert hub.pace.frames == 200
        assert fan.status()[0].dropped > 150
    free.set()
    assert run.error is None


def test_outputs_that_are_not_open_are_a_mistake_that_is_named():
    run, _ = run_to_its_end(Camera([0]), outputs=FanOut([]))
    assert isinstance(run.error, OutputError)
