from __future__ import annotations

import json
import os
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from skimage.data import astronaut, lfw_subset

from mien.errors import ArgumentError
from mien.faces.detect import load_detector
from mien.labels import EKMAN7
from mien.sources.labelled import LabelledImages
from mien.testing import FixedDetector, make_faces
from mien.training.audit import audit
from mien.training.audit_page import TILES, write_audit_page
from mien.training.findings import UNLABELLED

FACES = [(face * 255).astype(np.uint8).repeat(2, 0).repeat(2, 1) for face in lfw_subset()[:40]]


def corpus(images, label=None, split=None, name="toy", **columns):
    n = len(images)
    label = np.zeros(n, np.int64) if label is None else np.array(label, np.int64)
    split = np.array(["train"] * n if split is None else split, dtype=str)
    source = np.array([f"folder/{name} {i}.png" for i in range(n)], dtype=str)
    return LabelledImages(name, EKMAN7, images, label, split, source, **columns)


@pytest.fixture
def mixed():
    """Faces of which one stands in both splits, one brighter; two labels disagree; one picture is blank."""
    brighter = np.clip(FACES[1] * 0.8 + 40, 0, 255).astype(np.uint8)
    images = [*FACES[:10], FACES[0], brighter, FACES[11], FACES[2], np.zeros((30, 20, 3), np.uint8)]
    label = [3] * 10 + [3, 4, 4, 0, -1]
    split = ["train"] * 10 + ["test"] * 3 + ["train"] + ["test"]
    subject = np.array([f"s{i % 4}" for i in range(14)] + [""])
    votes = np.zeros((15, 7), np.float32)
    votes[:14, 3] = 6
    votes[4, :2] = 3  # half of twelve votes: no majority
    return corpus(images, label, split, subject=subject, votes=votes)


def test_what_is_wrong_is_found(mixed):
    result = audit([mixed])
    found = result.to_dict()
    (one,) = found["corpora"]
    assert (one["n"], one["unlabelled"], one["not_square"], one["coloured"]) == (15, 1, 1, 0)
    assert one["balance"]["train"]["happiness"] == 10
    assert one["balance"]["train"]["anger"] == 1
    assert one["balance"]["test"] == dict.fromkeys(EKMAN7, 0) | {"happiness": 1, "neutral": 2, UNLABELLED: 1}
    assert one["sizes"] == {"50 x 50": 14, "20 x 30": 1}
    assert one["blank"] == ["folder/toy 14.png"]
    assert one["faces"] is None
    assert (found["identical"]["groups"], found["identical"]["pictures"]) == (2, 4)
    assert found["identical"]["conflicting_groups"] == 1
    assert found["identical"]["label_agreement"] == {"pairs": 2, "agree": 1, "share": 0.5}
    assert found["parts"] == ["train", "test"]
    assert found["pictures_identical_to_one_in_part"] == [[2, 1], [1, 0]]
    assert found["pictures_nearly_identical_to_one_in_part"] == [[0, 1], [1, 0]]
    assert found["near_identical"]["conflicting_pairs"] == 1
    (pair,) = found["near_identical"]["list"]
    assert pair["pictures"] == ["folder/toy 1.png", "folder/toy 11.png"]
    assert {(leak["picture"], leak["part"], leak["how"]) for leak in found["leaked"]} == {
        ("folder/toy 0.png", "train", "identical"),
        ("folder/toy 10.png", "test", "identical"),
        ("folder/toy 1.png", "train", "near"),
        ("folder/toy 11.png", "test", "near"),
    }
    json.dumps(found, allow_nan=False)


def test_votes_and_subjects_are_described(mixed):
    (one,) = audit([mixed]).corpora
    assert (one.votes.n, one.votes.without, one.votes.undecided) == (14, 1, 1)
    assert one.votes.voters == pytest.approx((13 * 6 + 12) / 14)
    assert one.votes.mean_winner_share == pytest.approx(13.5 / 14)
    assert one.votes.entropy_bits == pytest.approx(1.5 / 14)
    assert one.votes.by_emotion == {"happiness": pytest.approx(13.5 / 14)}
    (subjects,) = one.belonging
    assert (subjects.kind, subjects.count, subjects.pictures) == ("subject", 4, 14)
    assert subjects.crossing == ("s0", "s2", "s3")
    assert subjects.by_split == {"test": 3, "train": 4}
    assert subjects.crossing_pictures == 10


def test_sets_are_compared_with_each_other(mixed):
    other = corpus([FACES[5], FACES[20], FACES[6][:, ::-1].copy()], [3, 3, 4], ["", "", ""])
    result = audit([mixed, other])
    assert [one.name for one in result.corpora] == ["toy", "toy (2)"]
    assert [result.part_name(part) for part in range(3)] == ["toy train", "toy test", "toy (2)"]
    assert result.copies.identical_in.tolist() == [[2, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert result.copies.near_in[2].tolist() == [1, 0, 0]
    assert result.copies.near.mirrored.sum() == 1
    assert [result.place(row) for row in (0, 14, 15, 17)] == [(0, 0), (0, 14), (1, 0), (1, 2)]
    said = {line.what: (line.n, line.of) for line in result.summary()}
    assert said["toy (2): identical to one in another part"] == (1, 3)
    assert said["toy (2): only nearly the same as one in another part"] == (1, 3)
    assert said["pictures without a label, toy"] == (1, 15)


def test_films_are_not_full_of_near_copies():
    frames = [np.clip(FACES[0].astype(int) + i, 0, 255).astype(np.uint8) for i in range(6)]
    film = corpus(
        frames, sequence=np.array(["a"] * 6), position=np.arange(6), split=["train"] * 3 + ["test"] * 3
    )
    result = audit([film])
    assert len(result.copies.near) == 0
    (sequences,) = result.corpora[0].belonging
    assert (sequences.kind, sequences.crossing) == ("sequence", ("a",))
    assert len(audit([replace(film, sequence=None, position=None)]).copies.near) == 15


def test_the_real_detector_finds_faces_and_misses_walls(tmp_path):
    face = astronaut()[20:200, 140:310]
    wall = np.full((60, 60, 3), 90, np.uint8)
    wall[::7] = 120
    images = [face, wall, face[:, ::-1].copy()]
    steps = []
    result = audit(
        [corpus(images)], detector=load_detector(), cache=tmp_path, progress=lambda *step: steps.append(step)
    )
    faces = result.corpora[0].faces
    assert faces.found.tolist() == [True, False, True]
    assert faces.missing.tolist() == [1]
    assert 40 < faces.pose.eyes_px[0] < 90
    assert faces.pose.yaw_deg[0] == pytest.approx(-faces.pose.yaw_deg[2], abs=6)
    assert faces.pose.roll_deg[0] == pytest.approx(-faces.pose.roll_deg[2], abs=10)
    assert steps == [(i, 6) for i in range(1, 7)]
    assert result.to_dict()["corpora"][0]["faces"]["missing"] == ["folder/toy 1.png"]
    assert any(tmp_path.iterdir())


def test_a_sample_is_looked_at_and_everything_measured():
    detector = FixedDetector(make_faces(1, (192, 192)))
    (one,) = audit([corpus(FACES)], detector=detector, sample=7).corpora
    assert len(one.faces.rows) == 7
    assert one.faces.found.all()
    assert len(one.measures) == one.light["brightness"].n == 40
    (again,) = audit([corpus(FACES)], detector=detector, sample=7).corpora
    assert (again.faces.rows == one.faces.rows).all()
    (every,) = audit([corpus(FACES)], detector=detector, sample=70).corpora
    assert len(every.faces.rows) == 40


@pytest.mark.parametrize(
    ("corpora", "options", "says"),
    [
        ([], {}, "corpora"),
        ([corpus([])], {}, "corpora"),
        ([corpus(FACES[:1])], {"sample": 0}, "sample"),
        ([corpus(FACES[:1])], {"near": 0.0}, "near"),
    ],
)
def test_what_cannot_be_audited_is_refused(corpora, options, says):
    with pytest.raises(ArgumentError, match=says):
        audit(corpora, **options)


class Outline(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.images, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.words.append(data)


def written(result, corpora, path, **options):
    write_audit_page(result, corpora, path, **options)
    return Outline(path.read_text(encoding="utf-8"))


def test_the_page_shows_and_says_what_was_found(mixed, tmp_path):
    result = audit([mixed])
    page = written(result, [mixed], tmp_path / "audit.html", command="mien audit toy --out <here>")
    text = " ".join(page.words)
    for words in (
        "contains pictures of the data",
        "2 groups of byte-identical",
        "s in more",
        "mien audit toy --out <here>",
    ):
        assert words in text
    assert "toy 0.png, happiness, train\ntoy 10.png, happiness, test" in text
    assert "toy 13.png, anger, train\ntoy 2.png, happiness, train" in text
    assert "correlation" in text and "No detector was asked" in text
    alts = [image["alt"] for image in page.images]
    assert all(alts)
    assert sum(alt.startswith("blank picture") for alt in alts) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["audit.html"]


@pytest.mark.parametrize("n", [1, 2, 40])
def test_the_page_can_be_written_of_little_and_of_much(n, tmp_path):
    images = [FACES[i] if i % 2 else np.repeat(FACES[i][..., None], 3, axis=2)[:, :40] for i in range(n)]
    data = corpus(images * 2, split=[""] * (2 * n))
    result = audit([data, data], detector=FixedDetector(make_faces(0)))
    page = written(result, [data, data], tmp_path / "audit.html")
    tiles = [image["alt"] for image in page.images if image["alt"].startswith("identical pictures in two")]
    assert len(tiles) == min(n, TILES)
    assert "No face found" in " ".join(page.words)


def test_a_conflict_is_named_however_large_its_group(tmp_path):
    data = corpus([FACES[0]] * 9, [3] * 8 + [0])
    text = " ".join(written(audit([data]), [data], tmp_path / "audit.html").words)
    assert (
        "toy 8.png, anger\ntoy 0.png, happiness\ntoy 1.png, happiness\ntoy 2.png, happiness\nand 5 more"
        in text
    )


@pytest.fixture(scope="module")
def fer2013():
    root = Path(os.environ.get("MIEN_DATA", "../shared/data")) / "fer2013"
    if not (root / "labels.csv").exists():
        pytest.skip("the corpus is not there")
    table = pd.read_csv(root / "labels.csv")
    sheets = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(root.glob("sheet_*.webp"))]
    tiles = [sheet.reshape(-1, 48, 64, 48).swapaxes(1, 2).reshape(-1, 48, 48) for sheet in sheets]
    images = np.concatenate(tiles)[: len(table)]
    label = [EKMAN7.index(name) for name in table["emotion"]]
    split = table["usage"].to_numpy(dtype=str)
    return corpus(images, label, split, name="FER2013")


@pytest.mark.realdata
def test_fer2013_leaks_are_found_without_being_told(fer2013):
    result = audit([fer2013])
    parts = [result.part_name(part) for part in range(len(result.parts))]
    train, test = parts.index("Training"), parts.index("PublicTest")
    assert result.copies.identical_in[test, train] == 280
    assert result.copies.leaked[result.part == test, 0].sum() == 280
    assert 350 <= result.copies.near_in[test, train] <= 400
    assert result.copies.conflicting.sum() > 30
    assert 0.93 < result.copies.agreement.share < 0.95
    assert 10 <= len(result.corpora[0].blank) <= 20
