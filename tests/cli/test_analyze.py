"""``mien analyze``: every picture gets a row, every failure its sentence, nothing is half-written."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from mien.sources.images import read_image


@pytest.fixture
def good(album):
    for name in ("c text.jpg", "d empty.png"):
        (album / name).unlink()
    return album


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_for_every_face_and_every_picture_without_one(run, good, tmp_path):
    result = run("analyze", good, "--out", tmp_path / "faces.csv")
    assert result.code == 0, result.err
    rows = table(tmp_path / "faces.csv")
    assert [row["success"] for row in rows] == ["1", "0"]
    assert rows[0]["emotion"] == "happiness"
    assert rows[1]["emotion"] == rows[1]["box_x"] == ""
    assert sum(
        float(rows[0][name])
        for name in ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
    ) == pytest.approx(1, abs=1e-4)
    assert "no face" in result.out
    assert result.err == ""


def test_unreadable_files_are_named_and_the_rest_is_finished(run, album, tmp_path):
    result = run("analyze", album, "--out", tmp_path / "faces.jsonl")
    assert result.code == 1
    assert "c text.jpg" in result.err
    assert "d empty.png" in result.err
    assert "2 could not be read" in result.err
    lines = [json.loads(line) for line in (tmp_path / "faces.jsonl").read_text().splitlines()]
    assert [line["success"] for line in lines] == [1, 0]
    assert "Traceback" not in result.err


def test_json_is_one_object_a_picture(run, good):
    result = run("analyze", good, "--json")
    first, second = (json.loads(line) for line in result.out.splitlines())
    assert first["faces"][0]["emotion"] == "happiness"
    assert (first["width"], first["height"]) == (512, 512)
    assert second["faces"] == []


def test_what_is_expected_counts_and_stands_in_the_table(run, good, tmp_path):
    run("analyze", good, "--out", tmp_path / "usual.csv")
    assert run("analyze", good, "--expect", "calm=0.9,fear=0", "--out", tmp_path / "other.csv").code == 0
    usual, other = table(tmp_path / "usual.csv")[0], table(tmp_path / "other.csv")[0]
    assert other["model"] == f"{usual['model']} expecting neutral=0.9,fear=0"
    assert float(other["neutral"]) > float(usual["neutral"])
    assert float(other["fear"]) < 1e-6


def test_shares_of_emotions_that_cannot_be(run, good):
    result = run("analyze", good, "--expect", "calm=0.9,fear=0.9")
    assert result.code == 1
    assert "expect must be 'even', or shares" in result.err


def test_a_subset_of_emotions(run, good, tmp_path):
    run("analyze", good, "--emotions", "anger,fear,calm", "--out", tmp_path / "t.csv")
    rows = table(tmp_path / "t.csv")
    assert rows[0]["emotion"] in ("anger", "fear", "neutral")
    assert "happiness" not in rows[0]


def test_unsure(run, good, tmp_path):
    run("analyze", good, "--unsure", "1.0", "--out", tmp_path / "t.csv")
    assert table(tmp_path / "t.csv")[0]["emotion"] == "unsure"


def test_annotated_pictures(run, good, tmp_path):
    assert run("analyze", good, "--annotate", tmp_path / "drawn").code == 0
    assert sorted(p.name for p in (tmp_path / "drawn").iterdir()) == ["a portrait.jpg", "b wall.jpg"]
    result = run("analyze", good / "a portrait.jpg", "--annotate", tmp_path / "one.png")
    assert result.code == 0
    before, after = read_image(good / "a portrait.jpg"), read_image(tmp_path / "one.png")
    assert before.shape == after.shape
    assert (np.abs(before.astype(int) - after) > 40).any()


def test_pictures_of_the_same_name_do_not_overwrite_each_other(run, tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / folder / "x.png")
    run("analyze", tmp_path / "a", tmp_path / "b", "--annotate", tmp_path / "drawn")
    assert sorted(p.name for p in (tmp_path / "drawn").iterdir()) == ["x-2.jpg", "x.jpg"]


def test_a_number_that_is_made_up_is_not_another_picture_s_name(run, tmp_path):
    for name in ("a/x-2.png", "a/x.png", "b/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / name)
    run("analyze", tmp_path / "a", tmp_path / "b", "--annotate", tmp_path / "drawn")
    assert sorted(p.name for p in (tmp_path / "drawn").iterdir()) == ["x-2.jpg", "x-3.jpg", "x.jpg"]


def test_a_name_that_begins_like_a_home_folder_is_a_file(run, good, monkeypatch):
    monkeypatch.chdir(good)
    (good / "a portrait.jpg").rename(good / "~nobody is called so.jpg")
    result = run("analyze", "~nobody is called so.jpg", "~not here.jpg")
    assert result.code == 1
    assert "happiness" in result.out
    assert "~not here.jpg does not exist" in result.err


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("album", "album"),
        ("album/a portrait.jpg", "album"),
        ("album/a portrait.jpg", "album/a portrait.jpg"),
        ("album/a portrait.jpg", "album/../album/a portrait.jpg"),
        ("album/a portrait.jpg", "link.jpg"),
        (".", "album"),
    ],
)
def test_annotated_copies_never_replace_the_pictures(run, good, monkeypatch, source, target):
    monkeypatch.chdir(good.parent)
    (good.parent / "link.jpg").symlink_to(good / "a portrait.jpg")
    before = {path: path.read_bytes() for path in good.iterdir()}
    result = run("analyze", source, "--annotate", target)
    assert result.code == 1
    assert "--annotate must be" in result.err
    assert {path: path.read_bytes() for path in good.iterdir()} == before


@pytest.mark.parametrize("place", ["album/a portrait.jpg/x", "notes", "/proc/no such place/x"])
def test_annotated_copies_need_a_place(run, good, monkeypatch, place):
    monkeypatch.chdir(good.parent)
    (good.parent / "notes").write_text("a file, no folder")
    result = run("analyze", "album", "--annotate", place, "--out", "t.csv")
    assert result.code == 1
    assert place in result.err
    assert "Traceback" not in result.err
    assert not (good.parent / "t.csv").exists()


def test_min_face(run, good, tmp_path):
    run("analyze", good, "--min-face", "400", "--out", tmp_path / "t.csv")
    assert [row["success"] for row in table(tmp_path / "t.csv")] == ["0", "0"]


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["nowhere.jpg"], "nowhere.jpg", 1),
        (["ALBUM", "--emotions", "anger,hapiness"], "Did you mean 'happiness'", 1),
        (["ALBUM", "--emotions", "anger"], "two or more", 1),
        (["ALBUM", "--out", "t.xlsx"], ".csv, .jsonl, .parquet", 1),
        (["ALBUM", "--out", "missing/t.csv"], "there is no folder missing", 1),
        (["ALBUM", "--annotate", "one.png"], "a folder where there are several", 1),
        (["ALBUM", "--model", "resnet.ferpluss"], "Did you mean 'resnet.ferplus'", 1),
        (["ALBUM", "--model", "ALBUM/c text.jpg"], "c text.jpg", 1),
        (["ALBUM", "--detector", "nothing.onnx"], "nothing.onnx", 1),
        (["ALBUM", "--columns", "fexx"], "Did you mean 'fex'", 1),
        (["ALBUM", "--columns", "fex"], "needs --out", 2),
        (["ALBUM", "--unsure", "7"], "--unsure", 2),
        ([], "Missing argument", 2),
        (["ALBUM", "--no-such-option"], "No such option", 2),
    ],
)
def test_wrong_input_is_one_clear_sentence(run, album, tmp_path, monkeypatch, words, says, code):
    monkeypatch.chdir(tmp_path)
    result = run("analyze", *[word.replace("ALBUM", str(album)) for word in words])
    assert result.code == code
    assert says in result.err
    assert "Traceback" not in result.err + result.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["album"], "nothing may be left behind"


def test_a_model_that_is_no_model_is_refused(run, good, tmp_path):
    (tmp_path / "fake.onnx").write_bytes(b"not a model at all")
    for option in ("--model", "--detector"):
        result = run("analyze", good, option, tmp_path / "fake.onnx")
        assert result.code == 1
        assert "fake.onnx" in result.err


def test_a_model_of_the_wrong_kind_is_refused(run, good):
    assert "facepoint.scenes" in run("analyze", good, "--model", "facepoint.scenes").err
    assert "resnet.ferplus" in run("analyze", good, "--detector", "resnet.ferplus").err


def test_a_folder_without_pictures(run, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("analyze", tmp_path / "empty", "--out", tmp_path / "t.csv")
    assert result.code == 1
    assert "has no pictures" in result.err
    assert not (tmp_path / "t.csv").exists()
