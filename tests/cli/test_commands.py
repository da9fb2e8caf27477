"""The other commands, and the command line as a process of its own."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien


def test_demo_writes_what_it_says(run, tmp_path):
    result = run("demo", "--out", tmp_path / "demo")
    assert result.code == 0, result.err
    assert "grace_hopper.jpg" in result.out
    assert sorted(p.name for p in (tmp_path / "demo").iterdir()) == [
        "annotated.jpg",
        "probabilities.png",
        "readings.csv",
    ]
    with open(tmp_path / "demo" / "readings.csv", newline="") as file:
        assert next(csv.DictReader(file))["success"] == "1"


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_demo_needs_a_place(run, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    result = run("demo", "--out", place)
    assert result.code == 1
    assert result.err.startswith(f"mien: the folder {place} cannot be made")


def test_version(run):
    assert run("--version").out == f"mien {mien.__version__}\n"


def test_models_lists_what_ships(run):
    result = run("models")
    assert result.code == 0
    for word in ("resnet.ferplus", "facepoint.scenes", "Apache-2.0", "FER+", "accuracy", "recall"):
        assert word in result.out


@pytest.mark.parametrize("card", mien.list_models(), ids=lambda card: card.name)
def test_models_prints_a_whole_card(run, card):
    out = run("models", card.name).out
    for part in (card.sha256, card.limits, card.training_data[0].terms, card.created):
        assert part in out


def test_a_file_of_your_own_has_its_card_printed(run, toy_file):
    result = run("models", toy_file)
    assert result.code == 0, result.err
    assert "Knows nothing." in result.out
    result = run("models", toy_file.with_name("other.onnx"))
    assert result.code == 1
    assert "other.toml" in result.err


def test_a_model_that_was_never_measured_is_listed_too(run, toy_file, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.catalog._registered", {})
    text = toy_file.with_suffix(".toml").read_text().replace("toy.seeded", "toy.bare")
    (tmp_path / "toy.bare.toml").write_text(text.partition("[[metrics]]")[0])
    mien.register_model(tmp_path)
    (line,) = [line for line in run("models").out.splitlines() if line.startswith("toy.bare")]
    assert "not measured" in line


def test_an_unknown_card_says_the_nearest(run):
    result = run("models", "resnet.fer")
    assert result.code == 1
    assert "Did you mean 'resnet.ferplus'" in result.err


@pytest.fixture
def classes(tmp_path, portrait):
    """A folder per class, of tight faces."""
    face = portrait[20:200, 140:310]
    for emotion in ("happy", "sadness"):
        (tmp_path / "set" / emotion).mkdir(parents=True)
        Image.fromarray(face).save(tmp_path / "set" / emotion / "a.png")
    Image.fromarray(np.full((50, 50, 3), 99, np.uint8)).save(tmp_path / "set" / "happy" / "b.png")
    return tmp_path / "set"


def test_evaluate_a_folder_per_class(run, classes, tmp_path):
    result = run("evaluate", classes, "--json", tmp_path / "numbers.json")
    assert result.code == 0, result.err
    numbers = json.loads((tmp_path / "numbers.json").read_text())["all"]
    assert numbers["n"] == 3
    assert numbers["missed"] == 0
    assert numbers["recall"]["sadness"] == 0
    assert numbers["recall"]["happiness"] >= 0.5
    assert "accuracy" in result.out


def test_evaluate_from_detection_counts_a_missed_face(run, classes, tmp_path):
    run("evaluate", classes, "--detect", "--json", tmp_path / "numbers.json")
    numbers = json.loads((tmp_path / "numbers.json").read_text())["all"]
    assert (numbers["n"], numbers["missed"]) == (3, 1)


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["nowhere"], "nowhere", 1),
        (["SET", "--split", "PublicTest"], "split", 1),
        (["SET", "--ferplus", "SET/happy/a.png"], "ferplus", 1),
        (["SET", "--detect", "--framed"], "exclude", 2),
        (["SET", "--fill", "black"], "is for --surround", 2),
        (["SET", "--sample", "3"], "is for --robustness", 2),
        (["SET", "--framed", "--detector", "nonsense"], "is not asked", 2),
        (["SET/happy/a.png"], "a.png", 1),
        (["SET", "--json", "missing/x.json"], "there is no folder missing", 1),
    ],
)
def test_evaluate_refuses_in_one_sentence(run, classes, tmp_path, monkeypatch, words, says, code):
    monkeypatch.chdir(tmp_path)
    result = run("evaluate", *[word.replace("SET", str(classes)) for word in words])
    assert (result.code, "Traceback" in result.err) == (code, False)
    assert says in result.err


def test_as_a_process(tmp_path, portrait):
    Image.fromarray(portrait).save(tmp_path / "p.png")
    done = subprocess.run(
        [sys.executable, "-m", "mien", "analyze", "p.png", "missing.png"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "happiness" in done.stdout
    assert done.stderr.startswith("mien: missing.png")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_full_disk_under_the_output_is_one_sentence(tmp_path, option):
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "p.png")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mien", "analyze", "p.png", *option],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "mien: standard output: No space left on device.\n")


def test_train_says_what_it_needs(run, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    result = run("train", tmp_path / "x.csv")
    assert result.code == 1
    assert "emotion" in result.err
    for command in ("train-detector", "train-confirm"):
        result = run(command, tmp_path)
        assert result.code == 1
        assert "fer2013" in result.err
