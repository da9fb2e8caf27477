"""``mien analyze film.mp4``: a row for every frame and face, whatever happens on the way."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from numbered import numbered, shoot

from mien.cli import film as film_command
from mien.outputs import journal
from mien.sources.video import VideoFile


def pictures(portrait, count=12):
    """A face that moves a little, and then is gone."""
    small = cv2.resize(portrait, (240, 240), interpolation=cv2.INTER_AREA)
    moved = [np.roll(small, i, axis=1) for i in range(count)]
    return moved + [np.full((240, 240, 3), 90, np.uint8)] * 3


@pytest.fixture(scope="module")
def film(tmp_path_factory, portrait):
    folder = tmp_path_factory.mktemp("films")
    return shoot(folder / "film.mp4", pictures(portrait), sound="aac")


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    return shoot(tmp_path_factory.mktemp("films") / "long.mp4", 100)


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_for_every_frame_and_face(run, film, tmp_path):
    result = run("analyze", film, "--out", tmp_path / "film.csv")
    assert (result.code, result.err) == (0, "")
    rows = table(tmp_path / "film.csv")
    assert [row["frame"] for row in rows] == [str(i) for i in range(15)]
    assert [float(row["time_s"]) for row in rows] == pytest.approx([i / 25 for i in range(15)])
    assert [row["success"] for row in rows] == ["1"] * 12 + ["0"] * 3
    assert {row["track"] for row in rows[:12]} == {"0"}
    assert {row["displayed"] for row in rows[:12]} == {"happiness"}
    assert sum(
        float(value) for name, value in rows[5].items() if name.startswith("smooth_")
    ) == pytest.approx(1, abs=1e-5)
    assert result.out.splitlines()[-1].endswith(
        "film.csv: frames 15, faces 12, people 1, frames without a face 3, not decoded 0"
    )
    assert "happiness 100%" in result.out


def test_without_a_table_who_displayed_what_is_said(run, film):
    result = run("analyze", film, "--every", 4)
    assert result.code == 0
    assert "happiness 100%" in result.out
    assert "frames 4, faces 3, people 1, frames without a face 1" in result.out


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--every", "5"], [0, 5, 10]),
        (["--fps", "10"], [0, 3, 5, 8, 10, 13]),
        (["--start", "0.2", "--end", "0.4"], [5, 6, 7, 8, 9]),
    ],
)
def test_parts_of_a_film(run, film, tmp_path, words, numbers):
    assert run("analyze", film, "--out", tmp_path / "t.jsonl", *words).code == 0
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == numbers
    assert [row["time_s"] for row in rows] == pytest.approx([i / 25 for i in numbers])


def test_an_annotated_film_and_a_timeline(run, film, tmp_path):
    names = [tmp_path / name for name in ("t.parquet", "drawn.mp4", "timeline.png")]
    result = run("analyze", film, "--out", names[0], "--annotate", names[1], "--plot", names[2])
    assert result.code == 0, result.err
    assert sorted(tmp_path.iterdir()) == sorted(names)
    drawn = VideoFile(names[1])
    assert drawn.has_audio
    assert [frame.time_s for frame in drawn] == pytest.approx([i / 25 for i in range(15)])
    before, after = next(iter(VideoFile(film))), next(iter(drawn))
    enlarged = cv2.resize(before.image, after.size_px, interpolation=cv2.INTER_CUBIC)
    assert (np.abs(enlarged.astype(int) - after.image) > 60).mean() > 0.01
    assert cv2.imread(str(names[2])).std() > 10


def test_an_annotated_part_begins_at_its_start(run, film, tmp_path):
    result = run("analyze", film, "--start", 0.2, "--annotate", tmp_path / "drawn.mp4")
    assert result.code == 0, result.err
    assert [frame.time_s for frame in VideoFile(tmp_path / "drawn.mp4")] == pytest.approx(
        [i / 25 for i in range(10)], abs=1e-4
    )


def test_json_is_one_object_a_frame(run, film):
    result = run("analyze", film, "--json", "--every", "7")
    frames = [json.loads(line) for line in result.out.splitlines()]
    assert [(frame["frame"], frame["time_s"]) for frame in frames] == [(0, 0.0), (7, 0.28), (14, 0.56)]
    assert [len(frame["faces"]) for frame in frames] == [1, 1, 0]
    assert frames[0]["faces"][0]["track"] == 0


@pytest.mark.parametrize(
    ("columns", "names"), [("openface", ["timestamp", "face_id"]), ("fex", ["FaceScore"])]
)
def test_columns_of_other_communities(run, film, tmp_path, columns, names):
    assert run("analyze", film, "--out", tmp_path / "t.csv", "--columns", columns).code == 0
    rows = table(tmp_path / "t.csv")
    assert len(rows) == 15 and set(names) <= set(rows[0])


def test_a_broken_frame_does_not_end_the_run(run, portrait, tmp_path):
    path = shoot(tmp_path / "film.avi", pictures(portrait), codec="mjpeg", spoil=[4, 13])
    result = run("analyze", path, "--out", tmp_path / "t.csv")
    assert result.code == 0
    assert [int(row["frame"]) for row in table(tmp_path / "t.csv")] == [
        i for i in range(15) if i not in (4, 13)
    ]
    assert "frame 4 at 0.160 s cannot be decoded" in result.err
    assert "frames 13" in result.out and "not decoded 2" in result.out


def test_of_many_broken_frames_only_the_first_are_named(run, tmp_path):
    path = shoot(tmp_path / "film.avi", 60, codec="mjpeg", spoil=range(5, 50))
    result = run("analyze", path)
    assert result.code == 0
    assert len(result.err.splitlines()) == film_command.COMPLAINTS
    assert "frames 15" in result.out and "not decoded 45" in result.out


@pytest.fixture
def interrupted(run, monkeypatch, long_film):
    """Type a command and press Ctrl-C after so many frames; a checkpoint stands after each frame."""

    def typed(frames, *words):
        monkeypatch.setattr(journal, "CHECKPOINT_EVERY_S", 0)
        count = film_command.Tally.add

        def add(tally, readings):
            if tally.frames == frames:
                raise KeyboardInterrupt
            count(tally, readings)

        with monkeypatch.context() as patch:
            patch.setattr(film_command.Tally, "add", add)
            return run("analyze", long_film, *words)

    return typed


@pytest.mark.parametrize(
    ("suffix", "choice"),
    [
        (".csv", ()),
        (".jsonl", ("--every", "3")),
        (".parquet", ("--fps", "7")),
        (".csv", ("--start", "0.5", "--end", "3.5")),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_table(run, interrupted, long_film, tmp_path, suffix, choice):
    whole, again = tmp_path / f"whole{suffix}", tmp_path / f"again{suffix}"
    assert run("analyze", long_film, "--out", whole, *choice).code == 0
    result = interrupted(17, "--out", again, *choice)
    assert result.code == 130
    assert "--resume goes on from here" in result.err
    assert not again.exists()
    result = run("analyze", long_film, "--out", again, *choice, "--resume")
    assert result.code == 0, result.err
    assert "going on after frame" in result.err
    assert again.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([whole.name, again.name])


def test_what_is_said_when_interrupted_can_be_typed(run, interrupted, long_film, tmp_path):
    drawn = ("--annotate", tmp_path / "drawn.mp4")
    result = interrupted(3, "--out", tmp_path / "t.csv", *drawn)
    assert "with --resume and without --annotate goes on" in result.err
    assert run("analyze", long_film, "--out", tmp_path / "t.csv", "--resume", *drawn).code == 2
    assert run("analyze", long_film, "--out", tmp_path / "t.csv", "--resume").code == 0


def test_a_run_begun_otherwise_is_not_gone_on_with(run, interrupted, long_film, tmp_path):
    interrupted(17, "--out", tmp_path / "t.csv")
    result = run("analyze", long_film, "--out", tmp_path / "t.csv", "--every", "2", "--resume")
    assert result.code == 1
    assert "--every was 1, and is 2 now" in result.err
    assert (tmp_path / "t.csv.part").exists()


def test_resume_without_an_interrupted_run_begins_anew(run, film, tmp_path):
    result = run("analyze", film, "--out", tmp_path / "t.csv", "--resume")
    assert (result.code, result.err) == (0, "")
    assert len(table(tmp_path / "t.csv")) == 15


def test_broken_frames_are_counted_once_over_an_interruption(run, monkeypatch, tmp_path):
    path = shoot(tmp_path / "film.mkv", 40, codec="mjpeg", spoil=[3, 12, 14, 30])
    monkeypatch.setattr(journal, "CHECKPOINT_EVERY_S", 0)
    count = film_command.Tally.add

    def add(tally, readings):
        if readings.index == 11:
            time.sleep(0.2)  # those ahead are decoded, and complained of, meanwhile
            raise KeyboardInterrupt
        count(tally, readings)

    with monkeypatch.context() as patch:
        patch.setattr(film_command.Tally, "add", add)
        assert run("analyze", path, "--out", tmp_path / "t.csv").code == 130
    result = run("analyze", path, "--out", tmp_path / "t.csv", "--resume")
    assert "frames 36" in result.out and "not decoded 4" in result.out


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--every", "2", "--fps", "3"], "--fps"),
        (["--every", "0"], "--every"),
        (["--start", "2", "--end", "1"], "--end"),
        (["--plot", "t.png"], "--plot"),
        (["--plot", "t.png", "--out", "t.csv", "--columns", "fex"], "--plot"),
        (["--resume"], "--resume"),
        (["--resume", "--out", "t.csv", "--annotate", "a.mp4"], "--annotate"),
    ],
)
def test_options_that_do_not_go_together(run, film, tmp_path, monkeypatch, words, option):
    monkeypatch.chdir(tmp_path)
    result = run("analyze", film, *words)
    assert result.code == 2
    assert option in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [["--every", "2"], ["--fps", "1"], ["--start", "1"], ["--plot", "t.png"], ["--resume"]]
)
def test_pictures_have_no_times(run, tmp_path, words):
    cv2.imwrite(str(tmp_path / "a.png"), numbered(1))
    result = run("analyze", tmp_path / "a.png", *words)
    assert result.code == 2
    assert words[0] in result.err and "pictures" in result.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--out", "film.mp4"], "another file than the film"),
        (["--annotate", "film.mp4"], "another file than the film"),
        (["--annotate", "drawn.avi"], ".mp4"),
        (["--out", "t.csv", "--plot", "t.gif"], "--plot must be a name that ends in"),
        (["--out", "none/t.csv"], "there is no folder"),
        (["--out", "t.txt"], "a name that ends in"),
        (["--start", "60"], "second to start at"),
    ],
)
def test_complaints_come_before_the_work(run, film, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mp4").write_bytes(film.read_bytes())
    result = run("analyze", "film.mp4", *words)
    assert result.code == 1
    assert sentence in result.err
    assert (tmp_path / "film.mp4").read_bytes() == film.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("content", [b"", b"no film"])
def test_what_is_no_film(run, tmp_path, content):
    (tmp_path / "film.mp4").write_bytes(content)
    result = run("analyze", tmp_path / "film.mp4", "--out", tmp_path / "t.csv")
    assert result.code == 1
    assert "film.mp4 cannot be read as a film" in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "t.csv").exists()


def test_progress_says_frames_per_second_and_time_left(monkeypatch, capsys):
    monkeypatch.setattr(film_command, "Console", lambda stderr: film_command_console())
    with film_command.film_progress(200) as done:
        for _ in range(100):
            done()
            time.sleep(0.002)
    shown = capsys.readouterr().err
    assert "of about 200" in shown and "frames/s" in shown and "0:00" in shown


def film_command_console():
    from rich.console import Console

    return Console(stderr=True, force_terminal=True, width=120)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_table(tmp_path, portrait):
    film = shoot(tmp_path / "film.mp4", pictures(portrait, 40) * 12)
    command = [sys.executable, "-m", "mien", "analyze", str(film), "--threads", "1", "--out"]
    subprocess.run([*command, str(tmp_path / "whole.csv")], check=True, capture_output=True)
    part, state = tmp_path / "t.csv.part", tmp_path / "t.csv.part.state"
    running = subprocess.Popen([*command, str(tmp_path / "t.csv")], stdout=subprocess.DEVNULL)
    while not state.exists() and running.poll() is None:
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert part.exists() and not (tmp_path / "t.csv").exists()
    assert table(part)
    again = [*command, str(tmp_path / "t.csv"), "--resume"]
    subprocess.run(again, check=True, capture_output=True)
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


MEASURE = """
import resource, sys
from mien.cli import film, main

def resident_kib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

count = film.Tally.add
def add(tally, readings):
    count(tally, readings)
    if tally.frames in (500, 10_000):
        print("resident", tally.frames, resident_kib(), file=sys.stderr)
film.Tally.add = add
sys.argv = ["mien", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_stays_the_same_over_ten_thousand_frames(tmp_path, portrait):
    shown = [cv2.resize(one, (160, 160)) for one in pictures(portrait, 37)]
    film = shoot(tmp_path / "film.mp4", shown * 251, preset="ultrafast")
    command = [sys.executable, "-c", MEASURE, "analyze", str(film), "--threads", "1", "--out"]
    result = subprocess.run(
        [*command, str(tmp_path / "t.parquet")], check=True, capture_output=True, text=True
    )
    early, late = (int(line.split()[-1]) for line in result.stderr.splitlines() if "resident" in line)
    assert late <= 1.05 * early
