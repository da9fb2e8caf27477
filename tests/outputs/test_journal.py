"""Tables that are interrupted: what is there is readable, and the next run makes the same table."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from film_tables import film, moving

from mien.errors import ArgumentError, OutputError
from mien.outputs.files import SINKS, open_sink
from mien.outputs.journal import CHECKPOINT_EVERY_S, Journal

FRAMES = 120
RUN = """
import sys
import mien.outputs.journal as journal
from film_tables import film
from mien.outputs.files import open_sink

path, columns, resume, frames, stop = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
journal.CHECKPOINT_EVERY_S = 0.0 if resume == "often" else 0.004
sink = open_sink(path, columns, fingerprint={"source": "film.mp4", "every": 1}, resume=resume != "no")
start = sink.resumed["next"] if sink.resumed else 0
print("start", start, flush=True)
with sink:
    for readings in film(frames, start=start):
        sink.write(readings)
        print("wrote", readings.index, flush=True)
        sink.checkpoint(lambda: {"next": readings.index + 1})
        if readings.index == stop:
            sys.stdin.read()
print("done", flush=True)
"""


@pytest.fixture(params=list(SINKS))
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"film{request.param}"


def start_run(path: Path, columns: str, resume: str, stop: int = -1) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", RUN, str(path), columns, resume, str(FRAMES), str(stop)]
    here = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": here},
    )


def killed_run(path: Path, columns: str, resume: str, stop: int) -> tuple[int, int]:
    """Run until a frame is written, then kill -9; return where it began and the last frame it spoke of."""
    with start_run(path, columns, resume, stop) as run:
        assert run.stdout is not None
        first = int(run.stdout.readline().split()[1])
        last = -1
        while last < stop:
            last = int(run.stdout.readline().split()[1])
        os.kill(run.pid, signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    return first, last


def part_rows(path: Path) -> list[dict[str, object]]:
    """Read what an interrupted run has left."""
    part = path.with_name(f"{path.name}.part")
    with part.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file)) if path.suffix == ".csv" else [json.loads(line) for line in file]


@pytest.mark.parametrize(
    ("suffix", "columns"), [(".csv", "mien"), (".csv", "openface"), (".jsonl", "mien"), (".parquet", "fex")]
)
def test_killed_again_and_again_the_table_is_the_same(tmp_path: Path, suffix: str, columns: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"film{suffix}"
    whole = path.with_name(f"whole{path.suffix}")
    with open_sink(whole, columns) as sink:
        for readings in film(FRAMES):
            sink.write(readings)
    began = -1
    for stop, resume in ((13, "no"), (60, "yes"), (61, "often"), (FRAMES - 1, "yes")):
        first, last = killed_run(path, columns, resume, stop)
        assert began < first <= last
        began = first
        rows = part_rows(path)
        index = [int(str(row["frame"])) - (columns == "openface") for row in rows]
        expected = [r.index for r in film(last + 1) for _ in range(max(len(r), 1))]
        assert index == expected  # all that was written is there, once
        assert not path.exists()
    with start_run(path, columns, "yes") as run:
        assert run.communicate()[0].splitlines()[-1] == "done"
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(path.parent.iterdir()) == sorted([path, whole])


def test_rows_behind_the_checkpoint_are_written_once(path: Path) -> None:
    frames = film(30)
    killed_like(path, frames, checkpoint_at=9)
    assert len({row["frame"] for row in part_rows(path)}) == 30
    sink = open_sink(path, fingerprint={"every": 1}, resume=True)
    assert sink.resumed == {"next": 10}
    with sink:
        for readings in frames[10:]:
            sink.write(readings)
    whole = path.with_name(f"whole{path.suffix}")
    with open_sink(whole) as other:
        for readings in frames:
            other.write(readings)
    assert path.read_bytes() == whole.read_bytes()


def killed_like(path, frames, *, checkpoint_at, fingerprint=None, state=None):
    """Leave behind what a killed run leaves: rows up to the end, and one checkpoint."""

    def write_and_stop():
        with open_sink(path, fingerprint=fingerprint or {"every": 1}) as sink:
            for readings in frames:
                sink.write(readings)
                if readings.index == checkpoint_at:
                    sink.checkpoint(state or {"next": readings.index + 1})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()


def test_a_checkpoint_is_made_at_most_once_a_second(tmp_path: Path) -> None:
    now, asked = 100.0, 0
    journal = Journal(tmp_path / "a.csv", clock=lambda: now)
    journal.begin()
    assert journal.is_due
    for tenth in range(25):
        now = 100 + tenth / 10
        if journal.is_due:
            journal.append(b"x" * 10)
            journal.save({"tenth": tenth})
            asked += 1
    journal.close()
    assert CHECKPOINT_EVERY_S == 1
    assert asked == 3
    assert journal.load() == {"bytes": 30, "tenth": 20}


def test_a_table_without_checkpoints_goes_to_the_disk_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, synced, sync = 100.0, [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(now) or sync(file))
    with open_sink(tmp_path / "a.jsonl") as sink:
        sink._journal._clock = lambda: now
        for tenth, readings in enumerate(film(25)):
            now = 100 + tenth / 10
            sink.write(readings)
        assert synced == [100, 101, 102]


def test_rows_that_do_not_reach_the_disk_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "a.jsonl"
    with open_sink(path) as sink:
        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", refuse)
            with pytest.raises(OutputError, match="Input/output"):
                sink.write(moving(["fear"]))
        assert part_rows(path) == []
        sink.write(moving(["fear"]))
    assert len(path.read_text().splitlines()) == 1


def test_a_state_is_not_asked_for_before_a_second_is_over(tmp_path: Path) -> None:
    asked = []
    with open_sink(tmp_path / "a.csv", fingerprint={}) as sink:
        for readings in film(5):
            sink.write(readings)
            sink.checkpoint(lambda at=readings.index: asked.append(at) or {})
    assert asked == [0]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"source": "b.mp4", "every": 1}, 'source was "a.mp4", and is "b.mp4" now'),
        ({"source": "a.mp4", "every": 5}, "every was 1, and is 5 now"),
        ({"source": "a.mp4"}, "every was 1, and is not given now"),
        ({"source": "a.mp4", "every": 1, "start": 2.0}, "start was not given, and is 2.0 now"),
    ],
)
def test_another_run_is_not_gone_on_with(path: Path, now: dict[str, object], words: str) -> None:
    killed_like(path, film(5), checkpoint_at=2, fingerprint={"source": "a.mp4", "every": 1})
    before = part_rows(path)
    with pytest.raises(OutputError, match=words):
        open_sink(path, fingerprint=now, resume=True)
    assert part_rows(path) == before


def test_other_columns_and_another_version_are_another_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_like(path, film(5), checkpoint_at=2)
    with pytest.raises(OutputError, match='columns was "mien", and is "fex" now'):
        open_sink(path, "fex", fingerprint={"every": 1}, resume=True)
    monkeypatch.setattr("mien.outputs.files.__version__", "0.0.0")
    with pytest.raises(OutputError, match="version of mien was"):
        open_sink(path, fingerprint={"every": 1}, resume=True)


@pytest.mark.parametrize(
    "state", ["", "{", "[]", '{"bytes": "many"}', '{"bytes": 3}', '{"bytes": 3, "fingerprint": {}}']
)
def test_a_damaged_checkpoint_is_named(tmp_path: Path, state: str) -> None:
    path = tmp_path / "a.csv"
    killed_like(path, film(5), checkpoint_at=2)
    path.with_name("a.csv.part.state").write_text(state)
    with pytest.raises(OutputError, match=r"a\.csv\.part\.state is no checkpoint.*begin anew"):
        open_sink(path, fingerprint={"every": 1}, resume=True)


def test_a_file_shorter_than_its_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    killed_like(path, film(5), checkpoint_at=4)
    part = path.with_name("a.csv.part")
    part.write_bytes(part.read_bytes()[:50])
    sink = open_sink(path, fingerprint={"every": 1}, resume=True)
    with pytest.raises(OutputError, match=r"holds 50 bytes"), sink:
        pass
    assert part.read_bytes()


def test_without_a_checkpoint_it_begins_anew(path: Path) -> None:
    path.with_name(f"{path.name}.part").write_text("what a run without checkpoints left")
    sink = open_sink(path, fingerprint={"every": 1}, resume=True)
    assert sink.resumed is None
    with sink:
        sink.write(film(1)[0])
    assert list(path.parent.iterdir()) == [path]


def test_a_new_run_forgets_the_checkpoint_of_the_old(path: Path) -> None:
    killed_like(path, film(9), checkpoint_at=4)
    with pytest.raises(KeyboardInterrupt), open_sink(path, fingerprint={"every": 1}):
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


def test_a_finished_table_leaves_nothing_beside_it(path: Path) -> None:
    with open_sink(path, fingerprint={"every": 1}) as sink:
        for readings in film(3):
            sink.write(readings)
            sink.checkpoint({"next": readings.index + 1})
    assert list(path.parent.iterdir()) == [path]
    assert open_sink(path, fingerprint={"every": 1}, resume=True).resumed is None


def test_two_runs_do_not_write_the_same_table(path: Path) -> None:
    with open_sink(path) as sink:
        sink.write(film(1)[0])
        with pytest.raises(OutputError, match="another run is writing"), open_sink(path):
            pass
        sink.write(film(2)[1])
    assert path.exists()


def test_a_checkpoint_needs_a_fingerprint_and_plain_values(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="fingerprint"):
        open_sink(tmp_path / "a.csv", resume=True)
    with pytest.raises(ArgumentError, match="fingerprint must be plain JSON"):
        open_sink(tmp_path / "a.csv", fingerprint={"source": Path("a")})
    with open_sink(tmp_path / "a.csv") as sink:
        sink.write(film(1)[0])
        with pytest.raises(ArgumentError, match="fingerprint"):
            sink.checkpoint({})
    with open_sink(tmp_path / "a.csv", fingerprint={}) as sink:
        sink.checkpoint({"nothing": "written yet"})
        sink.write(film(1)[0])
        with pytest.raises(ArgumentError, match="state must be plain JSON"):
            sink.checkpoint({"box": {1, 2}})
    with pytest.raises(OutputError, match="not open"):
        sink.checkpoint({})


def test_states_come_back_exactly(tmp_path: Path) -> None:
    state = {"mean": [0.1 + 0.2, 1e-300, 1 / 3], "time_s": 12.345678901234567, "names": ["ü", None, True]}
    path = tmp_path / "a.csv"
    killed_like(path, film(1), checkpoint_at=0, fingerprint={"size": (3, 4)}, state=state)
    assert open_sink(path, fingerprint={"size": [3, 4]}, resume=True).resumed == state


def test_a_full_disk_under_the_checkpoint_keeps_the_one_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.outputs.journal.CHECKPOINT_EVERY_S", 0.0)

    def refuse(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    def write_until_full() -> None:
        with open_sink(path, fingerprint={}) as sink:
            for readings in film(6):
                sink.write(readings)
                if readings.index == 5:
                    monkeypatch.setattr(Path, "write_text", refuse)
                sink.checkpoint({"next": readings.index + 1})

    with pytest.raises(OutputError, match=r"No space left on device\. What is written .*resume"):
        write_until_full()
    monkeypatch.undo()
    assert sorted(p.name for p in path.parent.iterdir()) == [f"{path.name}.part", f"{path.name}.part.state"]
    assert open_sink(path, fingerprint={}, resume=True).resumed == {"next": 5}


def test_a_disk_that_fills_while_parquet_is_made_keeps_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def write_until_full() -> None:
        with open_sink(path, fingerprint={}) as sink:
            for readings in film(6):
                sink.write(readings)
                sink.checkpoint({"next": readings.index + 1})
            monkeypatch.setattr(parquet.ParquetWriter, "write_table", refuse)

    with pytest.raises(OutputError, match=r"a\.parquet cannot be written: No space"):
        write_until_full()
    monkeypatch.undo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet.part", "a.parquet.part.state"]
    sink = open_sink(path, fingerprint={}, resume=True)
    assert sink.resumed == {"next": 1}
    with sink:
        for readings in film(6, start=1):
            sink.write(readings)
    assert parquet.read_table(path).num_rows == len(part_lines())


def part_lines() -> list[int]:
    return [r.index for r in film(6) for _ in range(max(len(r), 1))]


def test_rows_of_one_frame_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write, pieces = tmp_path / "a.jsonl", os.write, 0

    def interrupted(file: int, data: memoryview) -> int:
        nonlocal pieces
        pieces += 1
        if pieces == 4:
            raise KeyboardInterrupt
        return write(file, data[:500])

    def write_until_interrupted() -> None:
        with open_sink(path) as sink:
            sink.write(moving(["fear"]))
            monkeypatch.setattr(os, "write", interrupted)
            sink.write(moving(["fear", "anger", "calm"], index=1))

    with pytest.raises(KeyboardInterrupt):
        write_until_interrupted()
    assert [row["frame"] for row in part_rows(path)] == [0]
