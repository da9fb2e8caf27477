"""``mien fairness``."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def crowd(tmp_path, portrait):
    """Thirty faces and thirty walls in two groups each, by a table: the group "far" has most of the walls."""
    Image.fromarray(portrait[:260, 100:360]).save(tmp_path / "face.png")
    Image.fromarray(np.full((90, 90), 120, np.uint8)).save(tmp_path / "wall.png")
    lines = ["path,where,kind"]
    for i in range(64):
        near = i % 2 == 0
        lines.append(
            f"{'face' if near or i % 8 == 1 else 'wall'}.png,{'near' if near else 'far'},{'xy'[i // 32]}"
        )
    (tmp_path / "crowd.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "crowd.csv"


def test_groups_are_compared(run, crowd, tmp_path):
    words = ["fairness", crowd, "--by", "where", "--by", "kind", "--shuffles", 500]
    result = run(*words, "--json", tmp_path / "n.json", "--out", tmp_path / "page.html")
    assert result.code == 0, result.err
    report = json.loads((tmp_path / "n.json").read_text())
    where, kind = report["columns"]
    assert [(g["value"], g["n"], g["found"]) for g in where["groups"]] == [("far", 32, 8), ("near", 32, 32)]
    rate = where["differences"][0]
    assert (rate["measure"], rate["difference"]["value"], rate["higher"]) == ("detection rate", 0.75, "near")
    assert rate["p"] < 0.02 and all(one["p"] > 0.5 for one in kind["differences"])
    assert "where: the detection rate of far is more than 2 points" in result.out
    assert "kind: no difference between two groups is told from chance" in result.out
    assert "What they cannot say" in result.out and "corrected for 20 comparisons" in result.out
    page = (tmp_path / "page.html").read_text()
    assert "By where" in page and f"mien fairness {crowd}" in page


def test_all_columns_and_a_surrounding(run, crowd):
    result = run("fairness", crowd, "--surround", 0.5, "--fill", "black", "--shuffles", 99)
    assert result.code == 0, result.err
    assert "Surrounded: 50%" in result.out and "where, largest differences" in result.out
    assert "kind, mean probabilities" in result.out


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["nowhere.csv"], "nowhere.csv does not exist", 1),
        (["CROWD", "--by", "wher"], "Did you mean 'where'", 1),
        (["CROWD", "--fill", "plain"], "--fill: is what --surround puts around", 2),
        (["CROWD", "--fill", "blak"], "--fill: is what --surround puts around", 2),
        (["CROWD", "--surround", 0.5, "--fill", "blak"], "fill must be one of plain", 1),
        (["CROWD", "--surround", 0], "surround must be over 0", 1),
        (["CROWD", "--tolerance", -1], "--tolerance", 2),
        (["CROWD", "--out", "no/such/folder/a.html"], "no/such/folder", 1),
    ],
)
def test_what_cannot_be_done(run, crowd, words, says, code):
    result = run("fairness", *(crowd if word == "CROWD" else word for word in words))
    assert result.code == code
    assert says in " ".join(result.err.replace("│", " ").split())


@pytest.mark.realdata
def test_fairface(run, tmp_path):
    folder = Path(os.environ.get("MIEN_DATA", "../shared/data")) / "fairface540"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    result = run("fairness", folder, "--by", "age", "--by", "gender", "--json", tmp_path / "n.json")
    assert result.code == 0, result.err
    report = json.loads((tmp_path / "n.json").read_text())
    assert report["n"] == 540 and report["rate"]["value"] > 0.97
    assert all(g["against_mean"]["value"] > -0.02 for column in report["columns"] for g in column["groups"])
