"""Run the command line inside this process, as a shell would."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that types a command and gives back its exit code and both outputs."""
    from mien.cli import main

    def typed(*words):
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return typed


@pytest.fixture(scope="session")
def portrait():
    """A public-domain portrait: one face, smiling."""
    from skimage.data import astronaut

    return astronaut()


@pytest.fixture
def album(tmp_path, portrait):
    """A folder: a portrait, a picture without a face, a text file called .jpg, and an empty file."""
    folder = tmp_path / "album"
    folder.mkdir()
    Image.fromarray(portrait).save(folder / "a portrait.jpg", quality=92)
    Image.fromarray(np.full((60, 80, 3), 120, np.uint8)).save(folder / "b wall.png")
    (folder / "c text.jpg").write_text("this is no picture")
    (folder / "d empty.png").write_bytes(b"")
    return folder
