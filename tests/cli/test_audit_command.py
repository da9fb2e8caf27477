"""``mien audit``."""

import json
import re

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def classes(tmp_path, portrait):
    """A folder per class: the same face under two emotions, and a wall."""
    face = portrait[20:200, 140:310]
    for emotion in ("happy", "sadness"):
        (tmp_path / "set" / emotion).mkdir(parents=True)
        Image.fromarray(face).save(tmp_path / "set" / emotion / "a.png")
    Image.fromarray(np.full((50, 50, 3), 99, np.uint8)).save(tmp_path / "set" / "happy" / "b.png")
    return tmp_path / "set"


def test_a_folder_is_audited(run, classes, tmp_path):
    result = run("audit", classes, "--out", tmp_path / "out" / "audit", "--cache", tmp_path / "cache")
    assert result.code == 0, result.err
    assert "groups of identical pictures with different labels" in result.out
    assert sorted(path.name for path in (tmp_path / "out" / "audit").iterdir()) == [
        "audit.html",
        "audit.json",
    ]
    found = json.loads((tmp_path / "out" / "audit" / "audit.json").read_text())
    assert found["identical"]["conflicting_groups"] == 1
    (corpus,) = found["corpora"]
    assert len(corpus["faces"]["missing"]) == 1 and corpus["faces"]["missing"][0].endswith("b.png")
    page = (tmp_path / "out" / "audit" / "audit.html").read_text()
    assert f"mien audit {classes}" in page
    assert any((tmp_path / "cache").iterdir())


def test_two_sets_without_a_detector(run, classes, tmp_path):
    result = run("audit", classes, f"folder:{classes}", "--no-detect", "--out", tmp_path / "audit")
    assert result.code == 0, result.err
    found = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert [corpus["faces"] for corpus in found["corpora"]] == [None, None]
    assert found["pictures_identical_to_one_in_part"] == [[2, 3], [3, 2]]


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["nowhere"], "nowhere", 1),
        (["SET", "--ferplus", "SET/happy/a.png"], "ferplus", 1),
        (["SET", "--near", "2"], "near", 1),
        (["SET", "--out", "SET/happy/a.png"], "cannot be made", 1),
        ([], "DATASET", 2),
        (["SET", "--no-detect", "--sample", "2"], "--sample: is for looking for faces", 2),
        (["SET", "--no-detect", "--cache", "kept"], "--cache: is for looking for faces", 2),
        (["SET", "--no-detect", "--detector", "default"], "--detector: is for looking for faces", 2),
    ],
)
def test_it_refuses_in_one_sentence(run, classes, tmp_path, monkeypatch, words, says, code):
    monkeypatch.chdir(tmp_path)
    result = run("audit", *[word.replace("SET", str(classes)) for word in words])
    assert (result.code, "Traceback" in result.err) == (code, False)
    assert says in re.sub(r"[\s│]+", " ", result.err)
    assert not (tmp_path / "audit").exists() or code == 1
