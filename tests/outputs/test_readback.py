"""Tables read back: every format alike, whole or torn; anything else is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from film_tables import film, moving

from mien.errors import MissingExtraError, SourceError, SourceNotFoundError
from mien.labels import FERPLUS8
from mien.outputs.files import SINKS, open_sink
from mien.outputs.readback import as_film, read_film
from mien.testing import make_readings

FRAMES = film(40)


@pytest.fixture(params=list(SINKS))
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"film{request.param}"


def written(path, frames=FRAMES, columns="mien"):
    with open_sink(path, columns) as sink:
        for readings in frames:
            sink.write(readings)
    return path


def interrupted(path, frames=FRAMES):
    def write_and_stop():
        with open_sink(path) as sink:
            for readings in frames:
                sink.write(readings)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    return path.with_name(f"{path.name}.part")


def same(first, second):
    assert (first.source, first.model, first.emotions) == (second.source, second.model, second.emotions)
    for name in ("frame", "time_s", "track", "has_face", "displayed", "probability"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def test_what_was_written_comes_back(path: Path) -> None:
    table = read_film(written(path))
    rows = [row for readings in FRAMES for row in readings.rows()]
    assert table.source == "film.mp4"
    assert table.model == "table"
    assert table.emotions == FERPLUS8.names
    assert len(table) == len(rows)
    assert table.frame.tolist() == [row["frame"] for row in rows]
    assert table.time_s.tolist() == [row["time_s"] for row in rows]
    assert table.track.tolist() == [-1 if row["track"] is None else row["track"] for row in rows]
    assert table.has_face.tolist() == [row["success"] == 1 for row in rows]
    assert table.displayed.tolist() == [row["displayed"] or "" for row in rows]
    expected = np.array([[row[f"smooth_{e}"] for e in FERPLUS8] for row in rows], np.float32)
    np.testing.assert_array_equal(table.probability, expected)


def test_a_table_in_memory_is_the_same(path: Path) -> None:
    table = pd.DataFrame([row for readings in FRAMES for row in readings.rows()])
    same(as_film(table), read_film(written(path)))
    same(as_film(table[::-1]), as_film(table.iloc[::-1]))
    assert (np.diff(as_film(table[::-1]).time_s) >= 0).all()


def test_an_interrupted_table_is_read_up_to_its_torn_line(path: Path) -> None:
    part = interrupted(path)
    whole = read_film(part)
    same(whole, read_film(written(path.with_name(f"b{path.suffix}"))))
    part.write_bytes(part.read_bytes()[:-25])
    torn = read_film(part)
    assert len(torn) == len(whole) - 1
    np.testing.assert_array_equal(torn.frame, whole.frame[:-1])


def test_a_table_that_another_program_wrote(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv")
    text = path.read_text()
    path.write_text("\ufeff" + text.replace(",", ", ").rstrip("\n"), encoding="utf-8")
    same(read_film(path), read_film(written(tmp_path / "b.csv")))


@pytest.mark.parametrize("columns", ["openface", "fex"])
def test_tables_of_other_communities_are_known(path: Path, columns: str) -> None:
    with pytest.raises(SourceError, match=f"columns of '{columns}'"):
        read_film(written(path, columns=columns))


def test_still_pictures_have_no_times(path: Path) -> None:
    with pytest.raises(SourceError, match="still pictures"):
        read_film(written(path, [make_readings(["fear"])]))


def test_several_films_are_too_many(path: Path) -> None:
    frames = [moving(["fear"], source="a.mp4"), moving(["fear"], source="b.mp4")]
    with pytest.raises(SourceError, match="2 films"):
        read_film(written(path, frames))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "no rows"),
        ("a.csv", b"name,age\nA,3\n", "no column source"),
        ("a.csv", b"\x00\x01\x02\xff" * 40, r"a\.csv"),
        ("a.jsonl", b"{]\n", r"a\.jsonl cannot be read"),
        ("a.jsonl", b'{"source": "a"}\n[2]\n', "no JSON object"),
        ("a.parquet", b"PAR1 and nothing of the kind", r"a\.parquet cannot be read"),
        ("a.csv.part", b"source,fra", "no rows"),
        ("a.jsonl.part", b'{"source": "a', "no rows"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words):
        read_film(path)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("displayed", "joyful", "'joyful' as a displayed emotion"),
        ("smooth_fear", None, "without probabilities"),
        ("smooth_fear", "much", "not a number"),
        ("track", "Anna", "not a number"),
        ("success", "yes", "not a number"),
        ("time_s", None, "no times"),
    ],
)
def test_damaged_values_are_named(column: str, value: object, words: str) -> None:
    table = pd.DataFrame([row for readings in FRAMES[:3] for row in readings.rows()]).astype(object)
    table.loc[2, column] = value
    with pytest.raises(SourceError, match=words):
        as_film(table)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="does not exist"):
        read_film(tmp_path / "none.csv")
    with pytest.raises(SourceError, match="directory"):
        read_film(tmp_path)


def test_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[parquet\]'"):
        read_film(tmp_path / "a.parquet")
