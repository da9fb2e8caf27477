from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from mien.errors import ArgumentError, MissingExtraError, OutputError
from mien.labels import EKMAN7
from mien.outputs.files import SINKS, make_folder, open_sink, write_file
from mien.testing import make_readings

SUFFIXES = list(SINKS)
FRAMES = [
    make_readings(["happiness", "fear"], source="a.jpg"),
    make_readings([], source="empty, with comma.jpg"),
    make_readings(["calm"], source='ü "quoted"\n.jpg'),
]


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"faces{request.param}"


def read(path: Path) -> pd.DataFrame:
    readers = {
        ".csv": pd.read_csv,
        ".jsonl": lambda p: pd.read_json(p, lines=True),
        ".parquet": pd.read_parquet,
    }
    return readers[path.suffix](path)  # type: ignore[no-any-return, operator]  # of several signatures


def test_what_is_written_can_be_read(path: Path) -> None:
    with open_sink(path) as sink:
        for readings in FRAMES:
            sink.write(readings)
        assert not path.exists()
    assert list(path.parent.iterdir()) == [path]
    table = read(path)
    assert list(table.columns) == list(FRAMES[0].columns())
    assert table["source"].tolist() == ["a.jpg", "a.jpg", FRAMES[1].source, FRAMES[2].source]
    assert table["success"].tolist() == [1, 1, 0, 1]
    assert table["emotion"].fillna("").tolist() == ["happiness", "fear", "", "neutral"]
    assert table["fear"][1] == pytest.approx(0.8)
    assert table["box_x"][0] == pytest.approx(FRAMES[0].faces.box_xyxy[0, 0], abs=0.005)
    assert table.loc[2, ["box_x", "face", "confidence", "anger", "nose_tip_x"]].isna().all()


def test_nothing_written_is_still_a_file(path: Path) -> None:
    with open_sink(path):
        pass
    assert list(path.parent.iterdir()) == [path]
    if path.suffix != ".jsonl":
        assert len(read(path)) == 0
        assert "emotion" in read(path)


def test_pictures_without_faces_have_all_columns(path: Path) -> None:
    with open_sink(path) as sink:
        sink.write(FRAMES[1])
    assert list(read(path).columns) == list(FRAMES[0].columns())
    assert len(read(path)) == 1


def test_an_error_without_rows_leaves_nothing(path: Path) -> None:
    path.write_text("what stood here before")
    with pytest.raises(KeyError), open_sink(path):
        raise KeyError
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text() == "what stood here before"


def test_an_error_after_rows_keeps_them_under_another_name(path: Path) -> None:
    path.write_text("what stood here before")

    def write_and_stop() -> None:
        with open_sink(path) as sink:
            sink.write(FRAMES[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert path.read_text() == "what stood here before"
    part = path.with_name(path.name + ".part")
    readable = path.with_suffix({".parquet": ".jsonl"}.get(path.suffix, path.suffix))
    assert len(read(part.rename(readable))) == 2


def test_without_replacing_a_free_name_is_taken(path: Path) -> None:
    numbered = [path.with_name(f"faces-{n}{path.suffix}") for n in (2, 3, 4)]
    path.write_text("finished")
    numbered[0].with_name(numbered[0].name + ".part").write_text("interrupted")
    numbered[1].symlink_to("nowhere")
    before = sorted(path.parent.iterdir())
    with open_sink(path, replace=False) as sink:
        sink.write(FRAMES[0])
    assert sink.path == numbered[2] and len(read(sink.path)) == 2
    assert sorted(path.parent.iterdir()) == sorted([*before, sink.path])
    assert path.read_text() == "finished"
    with pytest.raises(ArgumentError, match="replace"):
        open_sink(path, fingerprint={}, resume=True, replace=False)


@pytest.mark.parametrize("made", ["", ".part"])
def test_without_replacing_a_name_taken_before_the_start_is_an_error(path: Path, made: str) -> None:
    sink = open_sink(path, replace=False)
    other = path.with_name(path.name + made)
    other.write_text("of another run")
    with pytest.raises(OutputError, match="File exists"), sink:
        pass
    assert list(path.parent.iterdir()) == [other]
    assert other.read_text() == "of another run"


def test_without_replacing_a_name_taken_meanwhile_is_left_alone(path: Path) -> None:
    def write() -> None:
        with open_sink(path, replace=False) as sink:
            sink.write(FRAMES[0])
            path.write_text("of another run")

    with pytest.raises(OutputError, match=r"File exists.*stands in .*\.part"):
        write()
    assert path.read_text() == "of another run"
    assert path.with_name(path.name + ".part").stat().st_size > 0


def test_columns_are_fixed_by_the_first_readings(path: Path) -> None:
    with open_sink(path) as sink:
        sink.write(FRAMES[0])
        with pytest.raises(OutputError, match=r"'b\.jpg' differ in contempt"):
            sink.write(make_readings(["fear"], EKMAN7, source="b.jpg"))
    assert len(read(path)) == 2


def test_many_rows_arrive_in_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.outputs.files._ROWS_AT_ONCE", 4)
    with open_sink(path) as sink:
        for number in range(11):
            sink.write(make_readings(["anger"], source=f"{number}.jpg"))
    assert read(path)["source"].tolist() == [f"{number}.jpg" for number in range(11)]


def test_writing_needs_an_open_sink(path: Path) -> None:
    sink = open_sink(path)
    with pytest.raises(OutputError, match="not open"):
        sink.write(FRAMES[0])
    with sink:
        sink.write(FRAMES[0])
    with pytest.raises(OutputError, match="not open"):
        sink.write(FRAMES[0])


def test_json_lines_are_json_with_nulls(tmp_path: Path) -> None:
    path = tmp_path / "faces.jsonl"
    with open_sink(path) as sink:
        sink.write(FRAMES[1])
        sink.write(FRAMES[2])
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert first["emotion"] is None
    assert first["success"] == 0
    assert second["source"] == FRAMES[2].source


def test_odd_names_of_files_can_be_written(path: Path) -> None:
    with open_sink(path) as sink:
        sink.write(make_readings(["fear"], source=os.fsdecode(b"latin-\xe9.jpg")))
    assert read(path)["source"].tolist() == [r"latin-\udce9.jpg"]


@pytest.mark.parametrize("name", ["faces.xlsx", "faces", "faces.csv.part"])
def test_unknown_endings_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"\.csv, \.jsonl, \.parquet"):
        open_sink(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_case_of_the_ending_does_not_matter(tmp_path: Path) -> None:
    with open_sink(str(tmp_path / "FACES.CSV")) as sink:
        sink.write(FRAMES[0])
    assert (tmp_path / "FACES.CSV").exists()


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, word in (
        ("missing/a.csv", "create it first"),
        ("folder.csv", "it is a folder"),
        ("a\0.csv", "null"),
    ):
        with pytest.raises(OutputError, match=word), open_sink(tmp_path / name):
            pass


def test_a_refusal_by_the_system_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with (
        pytest.raises(OutputError, match=r"a\.csv cannot be written: Permission denied"),
        open_sink(tmp_path / "a.csv"),
    ):
        pass


def test_a_disk_that_fills_up_keeps_whole_rows_and_says_where(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, write = 3000, os.write

    def fill(file: int, data: memoryview) -> int:
        nonlocal room
        if not room:
            raise OSError(28, "No space left on device")
        taken = write(file, data[: min(room, 700)])  # in pieces, as a system may
        room -= taken
        return taken

    written = 0

    def write_until_full() -> None:
        nonlocal written
        with open_sink(path) as sink:
            for number in range(100):
                sink.write(make_readings(["fear", "anger"], source=f"{number}.jpg"))
                written += 1

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(
        OutputError, match=rf"{path.name} cannot.*No space left.*stands in .*{path.name}\.part"
    ):
        write_until_full()
    monkeypatch.undo()
    assert [file.name for file in path.parent.iterdir()] == [f"{path.name}.part"]
    readable = path.with_suffix({".parquet": ".jsonl"}.get(path.suffix, path.suffix))
    table = read(path.with_name(f"{path.name}.part").rename(readable))
    assert written > 0
    assert table["source"].tolist() == [f"{i}.jpg" for i in range(written) for _ in range(2)]
    assert table["surprise"].notna().all()


def test_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[parquet\]'"):
        open_sink(tmp_path / "a.parquet")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ü.bin"
    write_file(path, b"first")
    write_file(str(path), b"second")
    assert path.read_bytes() == b"second"

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match="No space left"):
        write_file(path, b"third")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made_or_the_reason_is_said(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(OutputError, match=str(place)):
            make_folder(place)
