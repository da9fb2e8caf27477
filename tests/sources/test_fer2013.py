"""FER2013 and FER+: read as their authors wrote them, refused with the reason where they are not."""

import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mien.errors import DatasetError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.fer2013 import FER2013_NAMES, FERPLUS_COLUMNS, ferplus_majority, read_fer2013, read_ferplus
from mien.sources.labelled import LabelledImages, leaked_into_training

USAGES = ["Training", "Training", "PublicTest", "PublicTest", "PrivateTest"]


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


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
