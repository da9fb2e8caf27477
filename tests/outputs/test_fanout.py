"""Many outputs: none waits for another, none is lost in silence."""

import json
import os
import threading
import time

import pandas as pd
import pytest
from scripted import shown

from mien.errors import ArgumentError, OutputError
from mien.outputs.decisions import DecisionLog
from mien.outputs.fanout import FanOut, open_output
from mien.outputs.files import open_sink
from mien.outputs.lane import Output
from mien.story import Decision
from mien.testing import CollectingSink, make_readings

DECISION = Decision(1.5, "B", 3, "face 3 displayed fear at 0.52", "street", "chaos")
CABLE = OSError(5, "the cable is out")
PATIENCE_S = 20


class Deciding(CollectingSink):
    def __init__(self):
        super().__init__()
        self.decided = []

    def decide(self, decision):
        self.decided.append(decision)


class Blocking(CollectingSink):
    """Takes one frame and holds on to it until it is released."""

    def __init__(self):
        super().__init__()
        self.inside, self.released = threading.Event(), threading.Event()

    def write(self, readings):
        self.inside.set()
        assert self.released.wait(PATIENCE_S)
        super().write(readings)


class Failing(CollectingSink):
    """Fails while it is told to; counts how often it was opened."""

    def __init__(self, failing=True, error=CABLE):
        super().__init__()
        self.failing, self.error, self.opened, self.tried = failing, error, 0, 0

    def __enter__(self):
        self.opened += 1
        return self

    def write(self, readings):
        self.tried += 1
        if self.failing:
            raise self.error
        super().write(readings)


def until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before)


def frames(count):
    return [shown(i / 25, (1, {"fear": 0.5})) for i in range(count)]


def test_every_output_gets_everything_in_order():
    sinks = [CollectingSink(), Deciding()]
    sent = [*frames(5), make_readings([])]
    with FanOut([Output("a", sinks[0]), Output("b", sinks[1], keep=True)]) as outputs:
        for readings in sent:
            outputs.write(readings)
            until(lambda: all(not s.waiting for s in outputs.status()))
        outputs.decide(DECISION)
    assert all(sink.written == sent and sink.closed for sink in sinks)
    assert sinks[1].decided == [DECISION]
    assert [s.written for s in outputs.status()] == [6, 7]


def test_a_receiver_that_blocks_holds_up_nobody():
    blocking, live, file = Blocking(), CollectingSink(), CollectingSink()
    sent = frames(200)
    every = [Output("slow", blocking), Output("live", live), Output("file", file, keep=True)]
    with FanOut(every, depth=4) as outputs:
        outputs.write(sent[0])
        assert blocking.inside.wait(PATIENCE_S)
        for readings in sent[1:]:
            outputs.write(readings)  # would never come back if anything waited
        until(lambda: len(file.written) == 200)
        slow = outputs.status()[0]
        assert (slow.written, slow.waiting, slow.dropped) == (0, 4, 195)
        blocking.released.set()
    assert blocking.written == [sent[0], *sent[-4:]]  # the newest win
    assert live.written[-1] is sent[-1]


def test_a_decision_is_dropped_last():
    class Both(Blocking, Deciding):
        pass

    sink = Both()
    with FanOut([Output("slow", sink)], depth=3) as outputs:
        outputs.write(frames(1)[0])
        assert sink.inside.wait(PATIENCE_S)
        outputs.decide(DECISION)
        for readings in frames(20):
            outputs.write(readings)
        sink.released.set()
    assert sink.decided == [DECISION] and len(sink.written) == 3
    with FanOut([Output("slow", another := Both())], depth=3) as outputs:
        outputs.write(frames(1)[0])
        assert another.inside.wait(PATIENCE_S)
        for _ in range(20):
            outputs.decide(DECISION)  # decisions alone are bounded too
        assert outputs.status()[0].waiting == 3
        another.released.set()


def test_a_full_file_drops_readings_before_decisions():
    class Both(Blocking, Deciding):
        pass

    sink, said, sent = Both(), [], frames(10)
    with FanOut([Output("log", sink, keep=True)], keep_most=3, report=said.append) as outputs:
        outputs.write(sent[0])
        assert sink.inside.wait(PATIENCE_S)
        for readings in sent[1:]:
            outputs.write(readings)
        outputs.decide(DECISION)
        outputs.decide(DECISION)
        assert outputs.status()[0].dropped == 8
        sink.released.set()
    assert sink.decided == [DECISION] * 2
    assert sink.written == sent[:2]  # a file that is full loses the newest
    assert len(said) == 1 and "3 frames wait" in said[0]


def test_a_file_that_fails_while_it_is_full_takes_the_decision():
    class Both(Failing, Deciding):
        pass

    sink = Both()
    with FanOut(
        [Output("log", sink, keep=True)], keep_most=3, report=lambda _: None, first_pause_s=PATIENCE_S
    ) as outputs:
        outputs.write(frames(1)[0])
        until(lambda: sink.tried)
        for readings in frames(5):
            outputs.write(readings)
        outputs.decide(DECISION)
        sink.failing = False
    assert sink.decided == [DECISION]


def test_a_frame_takes_no_decisions_place():
    class Both(Blocking, Deciding):
        pass

    sink = Both()
    with FanOut([Output("slow", sink)], depth=3) as outputs:
        outputs.write(frames(1)[0])
        assert sink.inside.wait(PATIENCE_S)
        for _ in range(3):
            outputs.decide(DECISION)
        outputs.write(frames(1)[0])
        assert outputs.status()[0].dropped == 1
        sink.released.set()
    assert sink.decided == [DECISION] * 3


def test_a_log_of_decisions_is_given_no_frames(tmp_path):
    class Stalled(DecisionLog):
        inside, released = threading.Event(), threading.Event()

        def decide(self, decision):
            self.inside.set()
            assert self.released.wait(PATIENCE_S)
            super().decide(decision)

    log, said = Stalled(tmp_path / "d.jsonl"), []
    with FanOut([Output("decisions", log, keep=True)], keep_most=20, report=said.append) as outputs:
        outputs.decide(DECISION)
        assert log.inside.wait(PATIENCE_S)
        for _ in range(5):
            for readings in frames(30):
                outputs.write(readings)
            outputs.decide(DECISION)
        assert outputs.status()[0].waiting == 5
        log.released.set()
    assert len(log.path.read_text().splitlines()) == 6 and not said


def test_each_decision_is_brought_to_the_disk(tmp_path, monkeypatch):
    lengths = []
    monkeypatch.setattr(os, "fsync", lambda file: lengths.append(os.fstat(file).st_size))
    with DecisionLog(tmp_path / "d.jsonl") as log:
        for _ in range(2):
            log.decide(DECISION)
    assert lengths[1] == log.path.stat().st_size > lengths[0] > 0


def test_who_never_answers_is_given_up_at_the_end():
    said, blocking = [], Blocking()
    with FanOut([Output("slow", blocking)], report=said.append, close_s=0.01) as outputs:
        outputs.write(frames(1)[0])
        assert blocking.inside.wait(PATIENCE_S)
    assert said == ["slow does not answer; its last frames are given up."]
    blocking.released.set()


@pytest.mark.parametrize(
    "error", [OSError(5, "the cable is out"), RuntimeError("the cable is out"), KeyError("x")]
)
def test_a_failure_is_said_once_tried_again_and_recovered_from(error):
    said, failing, other = [], Failing(error=error), CollectingSink()
    every = [Output("osc", failing), Output("list", other, keep=True)]
    with FanOut(every, report=said.append, first_pause_s=0.001, longest_pause_s=0.004) as outputs:
        while failing.tried < 5:
            outputs.write(frames(1)[0])
            time.sleep(0.001)
        assert len(said) == 1 and "osc failed and is tried again, while the others go on" in said[0]
        assert outputs.status()[0].failing and outputs.status()[0].dropped >= 4
        failing.failing = False

        def recovered():
            outputs.write(frames(1)[0])
            return failing.written

        until(recovered)
        until(lambda: len(said) == 2)
        assert said[1].startswith("osc works again; ") and outputs.status()[0].failing is None
    assert failing.opened >= 6  # opened anew after each failure
    assert other.written


def test_a_file_that_fails_for_a_while_misses_nothing():
    said, failing = [], Failing()
    with FanOut([Output("log.csv", failing, keep=True)], report=said.append, first_pause_s=0.001) as outputs:
        for readings in (sent := frames(50)):
            outputs.write(readings)
        until(lambda: failing.tried >= 3)
        failing.failing = False
    assert failing.written == sent
    assert failing.opened == 1
    assert said == [
        "log.csv failed and is tried again, while the others go on: [Errno 5] the cable is out",
        "log.csv works again.",
    ]


def test_a_file_whose_disk_never_answers_is_named():
    said, failing = [], Failing()

    def record():
        with FanOut([Output("log.csv", failing, keep=True)], report=said.append, keep_most=10) as outputs:
            for readings in frames(30):
                outputs.write(readings)
            until(lambda: failing.tried)

    with pytest.raises(OutputError, match=r"log\.csv lacks its last 1[01] frames.*cable"):
        record()
    assert any("log.csv: 10 frames wait to be written and no more are kept" in s for s in said)
    assert len(said) == 2 and failing.closed


def test_real_files_beside_a_blocked_receiver(tmp_path):
    blocking, sent = Blocking(), frames(40)
    every = [
        Output("slow", blocking),
        open_output(str(tmp_path / "log.csv")),
        open_output(str(tmp_path / "l.jsonl")),
    ]
    with FanOut(every, close_s=0.01, report=lambda _: None) as outputs:
        for readings in sent:
            outputs.write(readings)
    blocking.released.set()
    with open_sink(tmp_path / "direct.csv") as direct:
        for readings in sent:
            direct.write(readings)
    assert (tmp_path / "log.csv").read_bytes() == (tmp_path / "direct.csv").read_bytes()
    assert len(pd.read_json(tmp_path / "l.jsonl", lines=True)) == 40


def test_a_file_that_cannot_be_opened_is_heard_of_at_once(tmp_path):
    class Closed(CollectingSink):
        def __enter__(self):
            raise OutputError("log.csv cannot be written: no.")

    first = CollectingSink()
    with pytest.raises(OutputError, match="cannot be written"):
        FanOut([Output("a", first, keep=True), Output("b", Closed(), keep=True)]).__enter__()
    assert first.closed


def test_an_error_in_the_block_leaves_the_rows_so_far(tmp_path):
    def record():
        with FanOut([open_output(str(tmp_path / "log.csv"))]) as outputs:
            outputs.write(frames(1)[0])
            raise KeyError("x")

    with pytest.raises(KeyError):
        record()
    assert not (tmp_path / "log.csv").exists()
    assert (tmp_path / "log.csv.part").read_text().count("\n") == 2


def record(path, count, *, killed=False):
    """Record so many frames live; return the name of the output and what stands beside it when killed."""
    output = open_output(str(path))
    with FanOut([output]) as outputs:
        for readings in frames(count):
            outputs.write(readings)
        until(lambda: not outputs.status()[0].waiting and outputs.status()[0].written == count)
        left = {p.name: p.read_bytes() for p in path.parent.iterdir()} if killed else {}
    if killed:  # what kill -9 leaves is what stands there in the middle
        for one in path.parent.iterdir():
            one.unlink()
        for name, data in left.items():
            path.with_name(name).write_bytes(data)
    return output.name


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_live_run_keeps_what_runs_before_recorded(tmp_path, suffix, caplog):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"s{suffix}"
    assert record(path, 7, killed=True) == str(path)
    assert not caplog.messages
    kept = {f"s{suffix}.part"}
    for number, count in ((2, 3), (3, 0)):
        before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        assert kept == set(before)
        name = f"s-{number}{suffix}"
        assert record(path, count) == str(tmp_path / name)
        assert caplog.messages[-1] == (
            f"an earlier run wrote to {path}, which is kept: this one writes {tmp_path / name}."
        )
        assert {one: tmp_path.joinpath(one).read_bytes() for one in before} == before
        kept.add(name)
    assert len(kept) == 3


@pytest.mark.parametrize("there", ["s.csv", "s.csv.part"])
def test_a_live_run_that_cannot_start_leaves_everything_as_it_was(tmp_path, there):
    (tmp_path / there).write_text("what stood here before")
    with pytest.raises(OutputError, match="port"), FanOut([open_output(str(tmp_path / "s.csv"))]):
        raise OutputError("the port is taken")
    assert [p.name for p in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "what stood here before"


def test_outputs_that_are_closed_take_nothing():
    outputs = FanOut([])
    for put in (lambda: outputs.write(frames(1)[0]), lambda: outputs.decide(DECISION)):
        with pytest.raises(OutputError, match="not open"):
            put()


def test_warnings_are_logged_by_default(caplog):
    sink = Failing()
    with FanOut([Output("osc", sink)]) as outputs:
        outputs.write(frames(1)[0])
        until(lambda: caplog.messages)
    assert "osc failed" in caplog.messages[0]


@pytest.mark.parametrize("name", ["depth", "keep_most", "first_pause_s", "close_s", "finish_s"])
def test_wrong_numbers(name):
    with pytest.raises(ArgumentError, match=name):
        FanOut([], **{name: 0})


def test_decisions_are_logged_and_added_to(tmp_path):
    path = tmp_path / "decisions.jsonl"
    for _ in range(2):
        with FanOut([open_output(f"decisions:{path}")]) as outputs:
            outputs.write(frames(1)[0])
            outputs.decide(DECISION)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 2 and lines[0]["reason"] == DECISION.reason and lines[0]["at"].endswith("+00:00")


def test_a_log_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="no folder"):
        DecisionLog(tmp_path / "none" / "d.jsonl")
    log = DecisionLog(tmp_path / "d.jsonl")
    with pytest.raises(OutputError, match="not open"):
        log.decide(DECISION)
    with log:
        log._file.close()
        log._file = FullDisk(log.path)
        with pytest.raises(OutputError, match=r"d\.jsonl cannot be written: No space left"):
            log.decide(DECISION)
    assert log.path.read_bytes() == b""


class FullDisk:
    """A file that takes ten bytes."""

    def __init__(self, path):
        self._file = path.open("wb", buffering=0)

    def seek(self, *where):
        return self._file.seek(*where)

    def write(self, data):
        return self._file.write(data[:10])

    def truncate(self, size):
        self._file.truncate(size)

    def close(self):
        self._file.close()


@pytest.mark.parametrize(
    ("spec", "kind", "keep"),
    [
        ("osc://127.0.0.1:9000", "OscSink", False),
        ("osc://[::1]:9000?values=raw&immediately=1", "OscSink", False),
        ("osc://127.0.0.1?profile=faceosc", "OscSink", False),
        ("lsl", "LslSink", False),
        ("lsl?faces=3", "LslSink", False),
        ("lsl://lab%20two", "LslSink", False),
        ("{folder}/log.csv", "CsvSink", True),
        ("{folder}/log.jsonl", "JsonLinesSink", True),
        ("decisions:{folder}/d.jsonl", "DecisionLog", True),
    ],
)
def test_what_a_specification_means(spec, kind, keep, tmp_path):
    if kind == "LslSink":
        pytest.importorskip("pylsl")
    output = open_output(spec.format(folder=tmp_path))
    assert type(output.sink).__name__ == kind and output.keep == keep
    if "faceosc" in spec:
        assert output.sink.port == 8338
    if "two" in spec:
        assert output.sink.name == "lab two"
    if "faces" in spec:
        assert output.sink.faces == 3


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("ws", "the page of 'mien live' serves it"),
        ("oscc://127.0.0.1:9000", "Did you mean 'osc'"),
        ("http://x", "'http' is not a known kind of output"),
        ("osc", "with a host and a port"),
        ("osc://127.0.0.1", "with a host and a port"),
        ("osc://127.0.0.1:99999", "Port out of range"),
        ("osc://127.0.0.1:0", "port must be"),
        ("osc://[::1:9", "Invalid IPv6"),
        ("osc://h:1?profle=faceosc", "Did you mean 'profile'"),
        ("osc://h:1?profile=face", "profile must be one of mien, faceosc"),
        ("osc://h:1?values=rough", "values must be one of smooth, raw"),
        ("osc://h:1?nothing", "bad query field"),
        ("lsl?faces=x", "faces must be a whole number"),
        ("lsl?faces=99", "faces must be a number from 1 to 32"),
        ("log.txt", "ends in .csv, .jsonl, .parquet"),
    ],
)
def test_specifications_that_mean_nothing(spec, complaint):
    with pytest.raises(ArgumentError) as caught:
        open_output(spec)
    assert complaint in str(caught.value)
