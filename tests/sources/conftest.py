"""Corpora as their authors wrote them, in small."""

import cv2
import numpy as np
import pandas as pd
import pytest

from mien.sources.fer2013 import FERPLUS_COLUMNS

USAGES = ["Training", "Training", "PublicTest", "PublicTest", "PrivateTest"]


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


@pytest.fixture
def fer(tmp_path):
    """Write an official-looking FER2013 file; a test may change its columns first."""

    def write(emotions=(0, 3, 6, 4, 1), usages=USAGES, texts=None, columns=("emotion", "pixels", "Usage")):
        rows = texts or [" ".join(map(str, pixels(i).ravel())) for i in range(len(emotions))]
        path = tmp_path / "fer2013.csv"
        data = dict(zip(columns, (list(emotions), rows, list(usages)[: len(emotions)]), strict=True))
        pd.DataFrame(data).to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def plus(tmp_path):
    """Write an official-looking file of FER+ votes, given as a dict of votes for each picture."""

    def write(votes, usages=USAGES, drop=()):
        rows = [{name: vote.get(name, 0) for name in FERPLUS_COLUMNS} for vote in votes]
        table = pd.DataFrame(rows, columns=list(FERPLUS_COLUMNS))
        table.insert(0, "Image name", [f"fer{i:07d}.png" for i in range(len(votes))])
        table.insert(0, "Usage", list(usages)[: len(votes)])
        path = tmp_path / "fer2013new.csv"
        table.drop(columns=list(drop)).to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    """Make a folder per class with small pictures, numbered by their shade."""

    def make(names, *, files=2, suffix=".png"):
        root = tmp_path / "corpus"
        for i, name in enumerate(names):
            (root / name).mkdir(parents=True)
            for j in range(files):
                cv2.imwrite(str(root / name / f"{j}{suffix}"), np.full((9, 9), 10 * i + j, np.uint8))
        root.mkdir(exist_ok=True)
        return root

    return make


@pytest.fixture
def paint(tmp_path):
    """Write a grey picture of one shade somewhere below the test's folder; TIFF, PNG, JPEG by its name."""

    def write(name, shade=100, size=(8, 10)):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(file), np.full(size, shade, np.uint8))
        return file

    return write


@pytest.fixture
def write(tmp_path):
    """Write a text file somewhere below the test's folder."""

    def write_text(name, text):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return write_text


@pytest.fixture
def film(tmp_path):
    """Write a short film whose frames are of the shades given."""
    av = pytest.importorskip("av")

    def write_film(name, shades):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(file), "w") as container:
            stream = container.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 16, "yuvj420p"
            for shade in shades:
                frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), shade, np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return file

    return write_film
