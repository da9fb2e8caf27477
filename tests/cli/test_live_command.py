"""``mien live`` as it is typed, with a film in place of a camera."""

import csv
import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import cv2
import pytest

from mien.cli.live import in_words

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
av = pytest.importorskip("av")


@pytest.fixture(scope="session")
def film(tmp_path_factory, portrait):
    """Two seconds of the portrait, in a film as cameras write them."""
    path = tmp_path_factory.mktemp("films") / "visitor.mkv"
    picture = cv2.resize(portrait, (320, 320), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=15)
        stream.width, stream.height, stream.pix_fmt = 320, 320, "yuvj420p"
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["--camera", "0", "--source", "a.mp4"], 2, "not both"),
        (["--baseline", "5"], 2, "give one with --story"),
        (["--out", "decisions:why.jsonl"], 2, "decisions are a story's; give one with --story"),
        (["--source", "rtsp://me:secret@[::1"], 1, "an address as rtsp://HOST; given 'rtsp://...'"),
        (["--source", "nowhere.mp4"], 1, "nowhere.mp4"),
        (["--camera", "/dev/video99"], 1, "/dev/video99"),
        (["--host", "0.0.0.0"], 1, "host must be 127.0.0.1, or given with a token"),
        (["--out", "readings.txt"], 1, ".csv, .jsonl, .parquet"),
        (["--out", "ocs://127.0.0.1:9000"], 1, "Did you mean 'osc'?"),
        (["--out", "no/folder/readings.csv"], 1, "there is no folder no/folder"),
        (["--story", "nowhere.toml"], 1, "nowhere.toml: there is no such story file"),
        (["--emotions", "angr,calm"], 1, "Did you mean 'angry'?"),
    ],
)
def test_what_cannot_be_done_is_said(run, monkeypatch, tmp_path, words, code, complaint):
    monkeypatch.delenv("MIEN_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    result = run("live", "--port", "0", *words)
    assert result.code == code
    assert complaint in re.sub(r"[\s│]+", " ", result.err)
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken(run, film):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("live", "--source", film, "--port", port)
    assert result.code == 1
    assert result.err.startswith(f"mien: Port {port} of 127.0.0.1 is taken by another program")


def test_a_story_about_an_emotion_that_is_not_read(run, film, tmp_path):
    story = tmp_path / "story.toml"
    story.write_text('[[rule]]\nif = "fear over 0.4 for 2 s"\ncue = "B"\n')
    result = run("live", "--source", film, "--story", story, "--emotions", "anger,calm")
    assert result.code == 1
    assert "fear" in result.err


def test_a_film_is_read_to_its_end(run, film, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "story.toml").write_text('[[rule]]\nif = "happiness over 0.4 for 0.5 s"\ncue = "smile"\n')
    words = ["--out", "log.csv", "--out", "ws", "--out", "decisions:why.jsonl", "--story", "story.toml"]
    result = run("live", "--source", film, "--port", "0", *words)
    assert result.code == 0, result.err
    assert re.search(r"mien live: http://127\.0\.0\.1:\d+/ \(Ctrl-C ends it\)", result.out)
    assert re.search(r"\d+ frames read, \d+ passed over, latency \d+ ms at the median", result.out)
    with open("log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 5
    assert {row["displayed"] for row in rows if float(row["detection_score"] or 0) > 0.9} == {"happiness"}
    decisions = [json.loads(line) for line in (tmp_path / "why.jsonl").read_text().splitlines()]
    assert [one["cue"] for one in decisions] == ["story", "smile"]
    assert "happiness" in decisions[1]["reason"]
    assert not list(tmp_path.glob("*.part*"))


@contextmanager
def started(*words):
    """Start the command as a process of its own; give it and its address."""
    command = [sys.executable, "-m", "mien", "live", "--port", "0", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            assert found, line + process.stderr.read()
            yield process, int(found[1])
        finally:
            process.kill()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_it_is_ended(film, tmp_path, end):
    from websockets.sync.client import connect

    log = tmp_path / "log.jsonl"
    with (
        started("--source", film, "--loop", "--out", log) as (process, port),
        connect(f"ws://127.0.0.1:{port}/v1/live") as viewer,
    ):
        hello = json.loads(viewer.recv(timeout=20))
        assert (hello["source"], hello["records"]) == ("visitor.mkv", ["log.jsonl"])
        readings = []
        while len(readings) < 40:  # more than the film has: it began anew
            message = json.loads(viewer.recv(timeout=20))
            if message["type"] == "readings":
                readings.append(message)
        process.send_signal(end)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert err == ""
    assert "frames read" in out
    assert len(log.read_text().splitlines()) >= 40
    assert all(message["latency_ms"] > 0 for message in readings)
    times = [message["time_s"] for message in readings]
    assert times == sorted(times)
    person = [face for message in readings for face in message["faces"] if face["detection_score"] > 0.9]
    assert len(person) >= 30
    assert {face["displayed"] for face in person} == {"happiness"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("0", "camera 0"),
        ("/dev/video2", "video2"),
        ("films/a visitor.mp4", "a visitor.mp4"),
        ("rtsp://guard:secret@10.0.0.5:554/stream?key=1", "rtsp://10.0.0.5"),
    ],
)
def test_the_page_names_a_source_without_its_secrets(spec, words):
    assert in_words(spec) == words
