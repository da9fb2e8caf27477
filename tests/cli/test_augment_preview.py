"""``mien augment-preview``: a sheet of the portrait, of a picture, of a data set; and what is no use."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def classes(tmp_path, portrait):
    face = portrait[20:200, 140:310]
    for emotion in ("happy", "sadness"):
        (tmp_path / "set" / emotion).mkdir(parents=True)
        Image.fromarray(face).save(tmp_path / "set" / emotion / "a.png")
    return tmp_path / "set"


def sheet(path):
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def test_the_portrait_that_is_always_there(run, tmp_path):
    out = tmp_path / "sheet.png"
    result = run("augment-preview", "--out", out, "--rows", 1)
    assert result.code == 0, result.err
    assert result.out == f"Written to {out}\n"
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]
    drawn = sheet(out)
    assert drawn.shape[0] > 2000
    assert drawn[:, 200:].std() > 40


def test_a_picture_a_preset_and_a_seed(run, tmp_path, album):
    sheets = []
    for name, *words in (
        ["a", "--preset", "dark-room"],
        ["b", "--preset", "dark-room"],
        ["c", "--seed", "3"],
    ):
        out = tmp_path / f"{name}.png"
        assert run("augment-preview", album / "a portrait.jpg", *words, "--rows", 1, "--out", out).code == 0
        sheets.append(sheet(out))
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert (sheets[0] != sheets[2]).any()


def test_a_data_set(run, tmp_path, classes):
    result = run("augment-preview", classes, "--rows", 3, "--out", tmp_path / "sheet.jpg")
    assert result.code == 0, result.err
    assert sheet(tmp_path / "sheet.jpg").shape[0] > 2500


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--preset", "stron"], "Did you mean 'strong'"),
        (["--preset", "strong,covr=1"], "Did you mean 'cover'"),
        (["--out", "no folder/sheet.png"], "there is no folder"),
        (["--out", "sheet.txt"], "a name that ends in"),
        (["nothing.jpg"], "nothing.jpg does not exist"),
        (["nothing"], "nothing"),
        (["--model", "resnet.fer"], "Did you mean 'resnet.ferplus'"),
    ],
)
def test_what_is_no_use_is_said(run, tmp_path, monkeypatch, words, complaint):
    monkeypatch.chdir(tmp_path)
    result = run("augment-preview", *words)
    assert result.code == 1
    assert complaint in result.err
    assert not list(tmp_path.iterdir())
