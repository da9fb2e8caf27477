from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import ArgumentError, ImageError, SourceError, SourceNotFoundError
from mien.sources import Source, open_source

SIZE = (6, 4)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in ("face10.png", "face9.PNG", "sub/deep/a.jpg", "sub/b.webp", ".hidden.png", ".cache/c.png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE).save(file)
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def names(source: Source, root: Path) -> list[str]:
    return [str(Path(frame.source).relative_to(root)) for frame in source]


def test_a_folder_gives_its_pictures_in_the_order_of_people(album: Path) -> None:
    with open_source(album) as frames:
        assert len(frames) == 4  # type: ignore[arg-type]  # still pictures have a length
        assert names(frames, album) == ["face9.PNG", "face10.png", "sub/b.webp", "sub/deep/a.jpg"]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*.png", ["face10.png"]),
        ("face*", ["face9.PNG", "face10.png"]),
        ("**/*.jpg", ["sub/deep/a.jpg"]),
        ("*", ["face9.PNG", "face10.png"]),
        ("face[0-9].PNG", ["face9.PNG"]),
    ],
)
def test_a_pattern_gives_what_matches(album: Path, pattern: str, wanted: list[str]) -> None:
    assert names(open_source(str(album / pattern)), album) == wanted


def test_a_name_that_looks_like_a_pattern_is_a_file_first(album: Path) -> None:
    Image.new("RGB", SIZE).save(album / "face[1].png")
    assert names(open_source(album / "face[1].png"), album) == ["face[1].png"]


def test_a_list_mixes_everything(album: Path) -> None:
    file = album / "face10.png"
    array = np.zeros((4, 6), np.uint8)
    frames = list(open_source([file, str(album / "sub"), file.read_bytes(), array, Image.new("L", SIZE)]))
    assert [frame.index for frame in frames] == list(range(6))
    assert {frame.size_px for frame in frames} == {SIZE}
    assert [frame.source for frame in frames][3:] == ["bytes", "array", "image"]


def test_single_things_are_sources_of_one(album: Path) -> None:
    file = album / "face10.png"
    for spec in (file, str(file), file.read_bytes(), np.zeros((4, 6, 3), np.uint8), Image.new("RGBA", SIZE)):
        assert [frame.size_px for frame in open_source(spec)] == [SIZE]


def test_no_pictures_is_a_source_of_none() -> None:
    assert list(open_source([])) == []


def test_a_source_is_returned_as_it_is(album: Path) -> None:
    source = open_source(album)
    assert open_source(source) is source


def test_the_home_folder_may_be_abbreviated(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(album))
    assert names(open_source("~/face*.png"), album) == ["face10.png"]


def test_a_file_s_content_may_be_a_memoryview(album: Path) -> None:
    content = (album / "face10.png").read_bytes()
    shapes = [[f.image.shape for f in open_source(kind(content))] for kind in (bytes, memoryview)]
    assert shapes[0] == shapes[1] and len(shapes[0]) == 1


@pytest.mark.parametrize("spec", [None, 3, "", {"a": 1}, object(), np.zeros((2, 2, 7), np.uint8), [None]])
def test_what_cannot_be_opened_is_an_argument_error(spec: object) -> None:
    with pytest.raises(ArgumentError):
        open_source(spec)


def test_an_open_file_is_not_taken_for_a_source(album: Path) -> None:
    with (album / "notes.txt").open() as file, pytest.raises(ArgumentError, match="source must be"):
        open_source(file)


@pytest.mark.parametrize(
    ("name", "error", "word"),
    [
        ("fase9.PNG", SourceNotFoundError, "face9.PNG"),
        ("nothing*.png", SourceError, "matches no pictures"),
        ("empty", SourceError, "has no pictures"),
        ("*.txt", SourceError, "matches no pictures"),
    ],
)
def test_what_leads_to_nothing_says_so(album: Path, name: str, error: type[SourceError], word: str) -> None:
    (album / "empty").mkdir()
    with pytest.raises(error, match=word):
        open_source(str(album / name))
    heard: list[SourceError] = []
    frames = list(open_source([str(album / name), album / "face10.png"], on_error=heard.append))
    assert [type(one) for one in heard] == [error]
    assert len(frames) == 1


def test_text_called_jpg_is_reported_while_reading(album: Path) -> None:
    (album / "a.jpg").write_text("not a picture")
    with pytest.raises(ImageError, match=r"a\.jpg"):
        list(open_source(album))
    heard: list[SourceError] = []
    assert len(list(open_source(album, on_error=heard.append))) == 4
    assert len(heard) == 1


def test_a_folder_that_cannot_be_listed_is_reported(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)  # a changed mode would not stop a test that runs as root
    with pytest.raises(SourceError, match="deep cannot be listed: Permission denied"):
        open_source(album)
    heard: list[SourceError] = []
    assert len(list(open_source(album, on_error=heard.append))) == 3
    assert len(heard) == 1


@pytest.mark.parametrize("name", ["no\0name.jpg", "n" * 5000])
def test_impossible_names_are_source_errors(name: str) -> None:
    with pytest.raises(SourceError):
        open_source(name)


def test_the_limit_on_pixels_is_passed_on(album: Path) -> None:
    with pytest.raises(ImageError, match="max_pixels"):
        list(open_source(album, max_pixels=5))
