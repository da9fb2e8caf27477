"""``mien report``: one page of a film's table, from every format, and sentences where there is none."""

import json

import numpy as np
import pytest

from mien.analyzer import Analyzer
from mien.outputs.files import SINKS, open_sink
from mien.sources.frame import Frame
from mien.testing import FixedDetector, SyntheticSource, TableModel, make_faces, make_readings


@pytest.fixture(params=list(SINKS))
def film(request, tmp_path):
    """The table of a film of three seconds, by a watcher with a table for a model."""
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"the film.v2{request.param}"
    with open_sink(path) as sink:
        watch(sink)
    return path


def watch(sink):
    """Write three seconds of a smiling face that does not move."""
    answers = np.full((1, 8), 0.02)
    answers[0, 4] = 0.86
    watcher = Analyzer(FixedDetector(make_faces(1)), TableModel(answers)).watch()
    picture = next(iter(SyntheticSource(1))).image
    for index in range(30):
        sink.write(watcher.read(Frame(picture, index, index / 10, "the film.mp4")))


def test_a_page_beside_the_table(run, film):
    result = run("report", film)
    assert result.code == 0, result.err
    page = film.with_name("the film.v2_report.html")
    assert result.out == f"{page}: frames 30, people 1, seconds without a face 0.0\n"
    text = page.read_text(encoding="utf-8")
    assert "Displayed expressions in the film.mp4" in text
    assert "not what the person feels" in text
    assert sorted(film.parent.iterdir()) == sorted([film, page])


def test_a_page_and_the_numbers_where_they_are_wanted(run, film, tmp_path):
    result = run("report", film, "--out", tmp_path / "p.html", "--json", tmp_path / "p.json")
    assert result.code == 0, result.err
    assert (tmp_path / "p.html").exists()
    numbers = json.loads((tmp_path / "p.json").read_text())
    (person,) = numbers["people"]
    assert max(person["share"], key=person["share"].get) == "happiness"
    assert person["seen_s"] == pytest.approx(3, abs=0.01)


def test_an_interrupted_table_has_a_page_too(run, tmp_path):
    with open_sink(tmp_path / "b.csv") as sink:
        watch(sink)
        result = run("report", tmp_path / "b.csv.part")
    assert result.code == 0, result.err
    assert "frames 30, people 1" in result.out
    assert (tmp_path / "b_report.html").exists()


def test_wrong_input_is_a_sentence(run, tmp_path):
    stills = tmp_path / "stills.csv"
    with open_sink(stills) as sink:
        sink.write(make_readings(["fear"]))
    (tmp_path / "text.csv").write_text("no table")
    for words, name in (
        ("does not exist", "none.csv"),
        ("still pictures", "stills.csv"),
        ("no table of readings", "text.csv"),
    ):
        result = run("report", tmp_path / name)
        assert (result.code, result.out) == (1, "")
        assert words in result.err
        assert name in result.err
        assert "Traceback" not in result.err
    before = stills.read_bytes()
    for option in ("--out", "--json"):
        result = run("report", stills, option, stills)
        assert result.code == 1
        assert "another file" in result.err
    assert run("report", stills, "--out", tmp_path / "none" / "a.html").code == 1
    assert stills.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["stills.csv", "text.csv"]


@pytest.mark.parametrize("folder", [".", "..", "/"])
def test_a_folder_is_no_table(run, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    result = run("report", folder)
    assert (result.code, result.out) == (1, "")
    assert result.err == f"mien: table must be a file, not a folder; given {folder!r}.\n"


def test_the_command_wants_a_table(run):
    assert run("report").code == 2
