"""Labelled corpora: read as their authors wrote them, refused with the reason where they are not."""

import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mien.errors import ArgumentError, DatasetError, ImageError, SourceNotFoundError, UnknownNameError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.datasets import open_dataset
from mien.sources.fer2013 import (
    FER2013_NAMES,
    FERPLUS_COLUMNS,
    ferplus_majority,
    read_fer2013,
    read_ferplus,
)
from mien.sources.folders import read_folder
from mien.sources.labelled import LabelledImages, duplicate_groups, leaked_into_training

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


VOTES = [
    {"anger": 9, "fear": 1},
    {"happiness": 10},
    {"unknown": 8, "fear": 2},
    {"NF": 10},
    {"fear": 4, "sadness": 6},
]


def test_fer2013(fer):
    corpus = read_fer2013(fer())
    assert len(corpus) == 5 and corpus.labels == EKMAN7 and corpus.votes is None
    assert [EKMAN7.names[i] for i in corpus.label] == [FER2013_NAMES[i] for i in (0, 3, 6, 4, 1)]
    assert corpus.split.tolist() == USAGES
    assert corpus.source[0].endswith("fer2013.csv:2"), "the line of the file"
    for i in range(5):
        np.testing.assert_array_equal(corpus.images[i], pixels(i))


def test_fer2013_without_rows(fer):
    corpus = read_fer2013(fer(emotions=()))
    assert len(corpus) == 0 and corpus.images.shape == (0, 48, 48)
    assert not leaked_into_training(corpus).any()


GOOD = " ".join(["7"] * 2304)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + " 7", "it holds 2305 numbers"),
        (GOOD[:-2], "it holds 2303 numbers"),
        (GOOD[:-1] + "256", "it holds 2304 numbers from 7 to 256"),
        (GOOD[:-1] + "-1", "it holds 2304 numbers from -1 to 7"),
        (GOOD[:-1] + "x", "it holds something else"),
        (GOOD[:-1] + "7.5", "it holds something else"),
        ("nothing", "it holds something else"),
    ],
)
def test_fer2013_names_the_line_with_wrong_pixels(fer, text, message):
    path = fer(emotions=(0, 1, 2), texts=[GOOD, text, GOOD])
    with pytest.raises(DatasetError, match=message) as caught:
        read_fer2013(path)
    assert f"{path}:3: the column 'pixels' must hold 48 x 48" in str(caught.value)


def test_fer2013_rows_may_not_lend_each_other_pixels(fer):
    with pytest.raises(DatasetError, match=r"fer2013\.csv:2"):
        read_fer2013(fer(emotions=(0, 1), texts=[GOOD + " 7", GOOD[:-2]]))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"emotions": (0, 7, 1)}, "'emotion' must hold 0 to 6"),
        ({"emotions": (0, -1, 1)}, "'emotion' must hold 0 to 6"),
        ({"emotions": (0, None, 1)}, "'emotion' must hold 0 to 6"),
        ({"emotions": ("anger", "fear")}, "'emotion' must hold 0 to 6"),
        ({"usages": ["train"] * 5}, "'Usage' must hold Training, PublicTest, PrivateTest"),
        ({"columns": ("emotion", "image", "Usage")}, "lacks pixels and has emotion, image, Usage"),
    ],
)
def test_fer2013_of_another_layout(fer, changed, message):
    path = fer(**changed)
    with pytest.raises(DatasetError, match=message) as caught:
        read_fer2013(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01", b'a,b\n"1', b"a\n1,2\n3,4,5\n"])
def test_what_is_no_csv(tmp_path, content):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"fer2013\.csv"):
        read_fer2013(path)


@pytest.mark.parametrize("read", [read_fer2013, read_folder, open_dataset])
def test_missing_path(tmp_path, read):
    with pytest.raises(SourceNotFoundError, match="none does not exist"):
        read(tmp_path / "none")


def test_a_folder_is_no_csv_and_a_csv_no_folder(fer):
    path = fer()
    with pytest.raises(DatasetError, match="cannot be read as a csv"):
        read_fer2013(path.parent)
    with pytest.raises(DatasetError, match="is no folder"):
        read_folder(path)


def test_ferplus(fer, plus):
    corpus = read_ferplus(fer(), plus(VOTES))
    assert corpus.labels == FERPLUS8 and "majority" in corpus.rule
    named = [FERPLUS8.names[i] if i >= 0 else None for i in corpus.label]
    assert named == ["anger", "happiness", None, None, "sadness"]
    assert corpus.votes[0, FERPLUS8.index("fear")] == 0, "a single vote is dropped"
    assert corpus.votes[4].sum() == 10


@pytest.mark.parametrize(
    ("vote", "winner", "kept"),
    [
        ({"anger": 10}, "anger", 10),
        ({"anger": 6, "fear": 4}, "anger", 10),
        ({"anger": 5, "fear": 5}, None, 10),  # half is not more than half
        ({"anger": 5, "fear": 3, "sadness": 2}, None, 10),
        ({"anger": 5, "fear": 3, "sadness": 1, "disgust": 1}, "anger", 8),  # the outliers decide
        ({"neutral": 1, "fear": 1}, None, 0),
        ({"unknown": 6, "anger": 4}, None, 4),
        ({"NF": 6, "anger": 4}, None, 4),
        ({"contempt": 2}, "contempt", 2),
        ({}, None, 0),
    ],
)
def test_majority_rule(vote, winner, kept):
    counts = np.array([[vote.get(name, 0) for name in FERPLUS_COLUMNS]], np.float32)
    label, votes = ferplus_majority(counts)
    assert (FERPLUS8.names[label[0]] if label[0] >= 0 else None) == winner
    assert votes.sum() == kept and votes.shape == (1, 8)


def test_majority_of_none():
    label, votes = ferplus_majority(np.empty((0, 10), np.float32))
    assert len(label) == 0 and votes.shape == (0, 8)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"votes": VOTES[:4]}, "has 4 rows and .* has 5"),
        ({"votes": VOTES, "usages": USAGES[::-1]}, "disagree in the column 'Usage'"),
        ({"votes": VOTES, "drop": ["NF"]}, "it lacks NF"),
        ({"votes": [{"anger": "many"}, *VOTES[1:]]}, "must hold numbers"),
        ({"votes": [{"anger": None}, *VOTES[1:]]}, "must hold a number from 0"),
        ({"votes": [{"anger": -2}, *VOTES[1:]]}, "must hold a number from 0"),
    ],
)
def test_ferplus_of_another_layout(fer, plus, kwargs, message):
    with pytest.raises(DatasetError, match=message):
        read_ferplus(fer(), plus(**kwargs))


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


def test_open_dataset_chooses_the_reader(fer, plus, folder):
    csv, votes, root = fer(), plus(VOTES), folder(["anger", "fear"])
    assert open_dataset(csv).labels == EKMAN7
    assert open_dataset(csv, ferplus=votes).labels == FERPLUS8
    assert open_dataset(csv, ferplus=votes, labels="ekman7").labels == EKMAN7
    assert open_dataset(root).name == "corpus"


@pytest.mark.parametrize(
    ("which", "options", "message"),
    [
        ("csv", {"labels": "ferplus8"}, "labels must be 'ekman7' unless"),
        ("csv", {"labels": "affectnet8"}, "labels must be 'ekman7' or 'ferplus8'"),
        ("folder", {"ferplus": "x.csv"}, "ferplus must be given only beside"),
    ],
)
def test_open_dataset_refuses_what_does_not_fit(fer, folder, which, options, message):
    path = fer() if which == "csv" else folder(["anger", "fear"])
    with pytest.raises(ArgumentError, match=message):
        open_dataset(path, **options)


def made(n, *, lazy=False, split=None):
    images = np.stack([pixels(i) for i in range(n)])
    return LabelledImages(
        name="made",
        labels=EKMAN7,
        images=list(images) if lazy else images,
        label=np.arange(n),
        split=np.array(split or [""] * n),
        source=np.array([str(i) for i in range(n)]),
        votes=np.arange(7 * n, dtype=np.float32).reshape(n, 7),
    )


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        (np.array([True, False, False, True]), [0, 3]),
        (np.array([2, 0]), [2, 0]),
        (np.array([], np.int64), []),
        (np.zeros(4, bool), []),
    ],
)
def test_select_keeps_all_columns_together(lazy, rows, kept):
    corpus = made(4, lazy=lazy)
    part = corpus.select(rows)
    assert (
        len(part) == len(kept)
        and part.label.tolist() == kept
        and part.source.tolist() == [str(i) for i in kept]
    )
    assert part.votes[:, 0].tolist() == [7 * i for i in kept]
    for image, i in zip(part.images, kept, strict=True):
        np.testing.assert_array_equal(image, pixels(i))
    again = part.select(np.arange(len(kept))[::-1])
    assert again.label.tolist() == kept[::-1] and len(list(again.images)) == len(kept)


@pytest.mark.parametrize("n", [2, 5])
def test_select_refuses_a_mask_of_another_length(n):
    with pytest.raises(ArgumentError, match="rows must be a mask of 4 pictures"):
        made(4).select(np.ones(n, bool))


@pytest.mark.parametrize("field", ["label", "split", "source", "votes"])
def test_columns_of_different_length_are_named(field):
    fields = vars(made(3)) | {field: getattr(made(2), field)}
    with pytest.raises(ArgumentError, match=rf"{field} must be as long as images \(3\)"):
        LabelledImages(**fields)


def test_duplicates_are_byte_identical_pictures_of_one_shape():
    a, b = np.zeros((4, 6), np.uint8), np.zeros((6, 4), np.uint8)
    c = a.copy()
    c[3, 5] = 1
    group = duplicate_groups([a, b, a.copy(), c, c.copy()])
    assert group[0] == group[2] and group[3] == group[4] and len(set(group.tolist())) == 3
    assert duplicate_groups([]).shape == (0,)


@pytest.mark.parametrize("lazy", [False, True])
def test_leaks(lazy):
    split = ["Training", "PublicTest", "PublicTest", "PrivateTest", "Training"]
    corpus = made(5, lazy=lazy, split=split)
    corpus.images[2][:] = corpus.images[0]
    corpus.images[3][:] = corpus.images[1]
    corpus.images[4][:] = corpus.images[0]
    assert leaked_into_training(corpus).tolist() == [False, False, True, False, False]


@pytest.mark.realdata
def test_known_numbers_of_the_real_corpus():
    root = Path(os.environ.get("MIEN_DATA", "../shared/data")) / "fer2013"
    if not (root / "labels.csv").exists():
        pytest.skip("the corpus is not there")
    table = pd.read_csv(root / "labels.csv")
    votes = [f"votes_{'not_a_face' if name == 'NF' else name}" for name in FERPLUS_COLUMNS]
    label, _ = ferplus_majority(table[votes].to_numpy(np.float32))
    split = table["usage"].to_numpy(dtype=str)
    assert (label[split == "PublicTest"] >= 0).sum() == 3199, "as the authors of FER+ count"
    sheets = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(root.glob("sheet_*.webp"))]
    tiles = [sheet.reshape(-1, 48, 64, 48).swapaxes(1, 2).reshape(-1, 48, 48) for sheet in sheets]
    images = np.concatenate(tiles)[: len(table)]
    corpus = LabelledImages("FER2013", FERPLUS8, images, label, split, np.arange(len(table)).astype(str))
    leaked = leaked_into_training(corpus)[split == "PublicTest"]
    assert leaked.sum() == 280 and leaked.mean() == pytest.approx(0.078, abs=5e-4)
