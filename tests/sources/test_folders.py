"""A folder for each class."""

import pytest

from mien.errors import DatasetError, ImageError, UnknownNameError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.datasets import open_dataset
from mien.sources.folders import read_folder, read_sfew


def test_folder_per_class(folder):
    root = folder(["Angry", "happy", "mad"])
    (root / "happy" / "notes.txt").write_text("not a picture")
    (root / "happy" / "._0.png").write_bytes(b"what some systems leave beside a picture")
    (root / "empty").mkdir()
    corpus = read_folder(root)
    assert corpus.name == "corpus" and corpus.labels == EKMAN7 and len(corpus) == 6
    assert [EKMAN7.names[i] for i in corpus.label] == ["anger"] * 2 + ["happiness"] * 2 + ["anger"] * 2
    assert [int(image[0, 0, 0]) for image in corpus.images] == [0, 1, 10, 11, 20, 21]
    assert set(corpus.split) == {""} and corpus.source[2].endswith("0.png")


def test_folder_with_contempt_has_eight_labels(folder):
    root = folder(["contempt", "fear"])
    assert read_folder(root).labels == FERPLUS8
    with pytest.raises(
        DatasetError, match="pictures of contempt, which the label set 'ekman7' does not have"
    ):
        read_folder(root, labels="ekman7")


def test_folder_of_a_stated_label_set(folder):
    root = folder(["anger", "fear"])
    assert open_dataset(root, labels="ferplus8").labels == FERPLUS8
    with pytest.raises(UnknownNameError, match="'ekman7'"):
        open_dataset(root, labels="ekman")


@pytest.mark.parametrize(
    ("names", "files", "message"),
    [
        ([], 0, "has no sub-folders with pictures"),
        (["anger"], 0, "has no sub-folders with pictures"),
        (["anger", "hapy"], 1, "Did you mean 'happy'"),
        (["train", "test"], 1, "must be named after an emotion"),
    ],
)
def test_folder_of_another_layout(folder, names, files, message):
    root = folder(names, files=files)
    with pytest.raises(DatasetError, match=message) as caught:
        read_folder(root)
    assert str(root) in str(caught.value)


def test_a_broken_picture_is_named_when_it_is_read(folder):
    root = folder(["anger", "fear"], files=1)
    (root / "fear" / "0.png").write_text("text")
    corpus = read_folder(root)
    assert corpus.images[0].shape == (9, 9, 3)
    with pytest.raises(ImageError, match=r"0\.png"):
        corpus.images[1]


def test_folders_below_splits(paint, tmp_path):
    for name in ("train/angry", "train/happy", "val/angry", "test_aligned/joy"):
        paint(f"own/{name}/0.png")
    corpus = read_folder(tmp_path / "own")
    assert dict(zip(corpus.split.tolist(), [corpus.labels.names[i] for i in corpus.label], strict=True)) == {
        "test": "happiness",
        "train": "happiness",
        "val": "anger",
    }
    assert len(corpus) == 4


def test_a_misspelt_class_below_a_split_is_named(paint, tmp_path):
    paint("train/angry/0.png")
    paint("train/hapy/0.png")
    with pytest.raises(DatasetError, match=r"hapy: a folder per class must.*Did you mean 'happy'"):
        read_folder(tmp_path)


def test_sfew(paint, tmp_path):
    for name in ("Train_Aligned_Faces/Angry", "Train_Aligned_Faces/Neutral", "Val/Sad"):
        paint(f"{name}/Film_001.png")
    corpus = read_sfew(tmp_path)
    assert corpus.name == "SFEW" and corpus.labels == EKMAN7 and "agreement" in corpus.terms
    assert corpus.split.tolist() == ["Train", "Train", "Val"]
    assert [corpus.labels.names[i] for i in corpus.label] == ["anger", "neutral", "sadness"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "SFEW: expected Train and Val, .*; found an empty folder"),
        (["Angry/0.png"], "SFEW: expected Train and Val, .*; found Angry/"),
        (["Train/Contempt/0.png"], "pictures of contempt, which the label set 'ekman7' does not have"),
    ],
)
def test_sfew_of_another_layout(paint, tmp_path, files, message):
    for name in files:
        paint(name)
    with pytest.raises(DatasetError, match=message):
        read_sfew(tmp_path)
