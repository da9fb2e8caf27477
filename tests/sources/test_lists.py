"""RAF-DB, AffectNet and ExpW: small imitations of the documented layouts."""

import cv2
import numpy as np
import pytest

from mien.errors import DatasetError
from mien.labels import AFFECTNET8, EKMAN7
from mien.sources.lists import (
    AFFECTNET_NAMES,
    EXPW_NAMES,
    RAFDB_NAMES,
    is_affectnet,
    is_expw,
    is_rafdb,
    read_affectnet,
    read_expw,
    read_rafdb,
)


def named(corpus):
    return [corpus.labels.names[i] if i >= 0 else None for i in corpus.label]


@pytest.fixture
def rafdb(paint, write, tmp_path):
    """Lay out seven pictures like RAF-DB, one of each label."""
    stems = [f"train_0000{i}" for i in range(1, 6)] + ["test_0001", "test_0002"]
    write("EmoLabel/list_patition_label.txt", "".join(f"{s}.jpg {i}\n" for i, s in enumerate(stems, 1)))
    for i, stem in enumerate(stems):
        paint(f"Image/aligned/{stem}_aligned.jpg", shade=20 * i)
    return tmp_path


def test_rafdb(rafdb):
    corpus = read_rafdb(rafdb)
    assert corpus.labels == EKMAN7 and named(corpus) == list(RAFDB_NAMES)
    assert named(corpus)[0] == "surprise" and named(corpus)[6] == "neutral"
    assert corpus.split.tolist() == ["train"] * 5 + ["test"] * 2
    assert corpus.groups == {} and corpus.subject is None
    assert abs(int(corpus.images[3].mean()) - 60) <= 2 and is_rafdb(rafdb)


def test_rafdb_attributes_become_groups(rafdb, write):
    places = "".join(f"{10.5 * i}\t{20.25 * i}\n" for i in range(5))
    write("Annotation/manual/train_00001_manu_attri.txt", places + "1\n2\n4\n")
    write("Annotation/manual/train_00002_manu_attri.txt", places + "2\n0\n0\n")
    groups = read_rafdb(rafdb).groups
    assert [groups[key][0] for key in ("gender", "race", "age")] == ["female", "Asian", "70+"]
    assert groups["gender"][1] == "" and groups["age"][1] == "0-3" and groups["age"][2] == ""
    write("Annotation/manual/train_00003_manu_attri.txt", places + "1\n2\n5\n")
    with pytest.raises(DatasetError, match=r"train_00003_manu_attri.*'1', '2', '5'"):
        read_rafdb(rafdb)


def test_rafdb_of_original_pictures(paint, write, tmp_path):
    write("basic/EmoLabel/list_patition_label.txt", "train_00001.jpg 4\n\n")
    paint("basic/Image/original/train_00001.jpg")
    assert named(read_rafdb(tmp_path)) == ["happiness"] and is_rafdb(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train_00001.jpg 8", ":2 must be like 'train_00001.jpg 5'"),
        ("train_00001.jpg", ":2 must be like"),
        ("val_00001.jpg 3", ":2 must be like"),
        ("train_09999.jpg 3", r"lists 2 pictures, of which 1 are not there; .*train_09999_aligned\.jpg"),
    ],
)
def test_rafdb_with_a_wrong_line(rafdb, write, line, message):
    write("EmoLabel/list_patition_label.txt", f"train_00001.jpg 5\n{line}\n")
    with pytest.raises(DatasetError, match=message):
        read_rafdb(rafdb)


AFFECTNET_HEAD = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
)


@pytest.fixture
def affectnet(paint, write, tmp_path):
    """Lay out eleven training pictures, one of each number, and one for validation."""
    lines = [
        f"1/{i}.jpg,2,1,4,4,1;2,{i},{-2 if i > 7 else i / 10},{-2 if i > 7 else -i / 10}" for i in range(11)
    ]
    write("training.csv", AFFECTNET_HEAD + "\n".join(lines))
    write("validation.csv", "2/0.jpg,0,0,0,0,1;2,6,0.5,-0.25\n")  # as some copies: without column names
    for i in range(11):
        paint(f"Manually_Annotated_Images/1/{i}.jpg", shade=20 * i)
    paint("Manually_Annotated_Images/2/0.jpg", shade=33)
    return tmp_path


def test_affectnet(affectnet):
    corpus = read_affectnet(affectnet)
    assert corpus.labels == AFFECTNET8 and named(corpus) == [*AFFECTNET_NAMES, "anger"]
    assert named(corpus)[:8] == [
        "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
    ]  # fmt: skip
    assert corpus.split.tolist() == ["train"] * 11 + ["val"]
    np.testing.assert_allclose(corpus.valence_arousal[[3, 11]], [[0.3, -0.3], [0.5, -0.25]], atol=1e-6)
    assert np.isnan(corpus.valence_arousal[8:11]).all()
    assert corpus.images[3].shape == (6, 6, 3), "the box of 4 x 4 with a quarter of it on each side"
    assert corpus.images[11].shape == (8, 10, 3), "a box without area: the whole picture"
    assert is_affectnet(affectnet)


def test_affectnet_without_boxes_or_validation(paint, write, tmp_path):
    write(
        "Manually_Annotated_file_lists/training.csv",
        "subDirectory_filePath,expression,valence,arousal\na.jpg,1,0.1,0\n",
    )
    paint("Manually_Annotated/Manually_Annotated_Images/a.jpg")
    corpus = read_affectnet(tmp_path)
    assert named(corpus) == ["happiness"] and corpus.images[0].shape == (8, 10, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (AFFECTNET_HEAD + "1/0.jpg,0,0,4,4,1;2,11,0,0", "number from 0 to 10; it holds 11"),
        (
            AFFECTNET_HEAD + "1/0.jpg,0,0,4,4,1;2,happy,0,0",
            "'expression' must hold numbers; row 1 holds 'happy'",
        ),
        (AFFECTNET_HEAD + "1/0.jpg,0,0,4,4,1;2,,0,0", "number from 0 to 10; it holds nan"),
        (AFFECTNET_HEAD + "9/9.jpg,0,0,4,4,1;2,1,0,0", r"lists 1 pictures, of which 1 are .*9\.jpg"),
        ("subDirectory_filePath,expression\n1/0.jpg,1", "lacks arousal, valence"),
    ],
)
def test_affectnet_with_a_wrong_list(affectnet, write, text, message):
    write("training.csv", text)
    with pytest.raises(DatasetError, match=message) as caught:
        read_affectnet(affectnet)
    assert "training.csv" in str(caught.value)


@pytest.fixture
def affectnet_sets(paint, tmp_path):
    """Lay out three training pictures and one for validation like AffectNet-8; numbers as text, as there."""
    for folder, i, values in (
        ("train_set", 0, ("1", "0.5", "0.25")),
        ("train_set", 2, ("7", "-0.5", "0.5")),
        ("train_set", 10, ("0", "-2.0", "-2.0")),
        ("val_set", 5, ("6", "0", "0")),
    ):
        paint(f"{folder}/images/{i}.jpg", shade=i)
        (tmp_path / folder / "annotations").mkdir(exist_ok=True)
        for key, value in zip(("exp", "val", "aro"), values, strict=True):
            np.save(tmp_path / folder / "annotations" / f"{i}_{key}.npy", np.array(value))
    return tmp_path


def test_affectnet_sets(affectnet_sets):
    corpus = read_affectnet(affectnet_sets)
    assert named(corpus) == ["happiness", "contempt", "neutral", "anger"]
    assert corpus.split.tolist() == ["train"] * 3 + ["val"]
    np.testing.assert_allclose(corpus.valence_arousal[1], [-0.5, 0.5])
    assert np.isnan(corpus.valence_arousal[2]).all() and is_affectnet(affectnet_sets)


def test_affectnet_sets_never_unpickle(affectnet_sets):
    file = affectnet_sets / "train_set" / "annotations" / "0_exp.npy"
    np.save(file, np.array({"a": 1}), allow_pickle=True)
    with pytest.raises(DatasetError, match=r"0_exp\.npy must hold one number"):
        read_affectnet(affectnet_sets)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("images/2.jpg", r"lists 3 pictures.*2\.jpg"),
        ("annotations/2_val.npy", r"2_val\.npy must hold one number"),
    ],
)
def test_affectnet_sets_with_a_missing_file(affectnet_sets, name, message):
    (affectnet_sets / "train_set" / name).unlink()
    with pytest.raises(DatasetError, match=message):
        read_affectnet(affectnet_sets)


@pytest.fixture
def expw(write, tmp_path):
    """Lay out two pictures with three faces, the box of each of its own shade."""
    image = np.full((40, 60), 10, np.uint8)
    image[8:16, 20:28] = 200
    image[30:40, 50:60] = 100
    (tmp_path / "image" / "origin").mkdir(parents=True)
    for name in ("angry_1.png", "calm_2.png"):
        cv2.imwrite(str(tmp_path / "image" / "origin" / name), image)
    write(
        "label/label.lst",
        "angry_1.png 0 8 20 28 16 95.5 0\nangry_1.png 1 30 50 60 40 80 3\ncalm_2.png 0 8 20 28 16 70 6\n",
    )
    return tmp_path


def test_expw(expw):
    corpus = read_expw(expw)
    assert named(corpus) == ["anger", "happiness", "neutral"] and EXPW_NAMES[1:3] == ("disgust", "fear")
    assert corpus.images[0].shape == (12, 12, 3), "top, left, right, bottom; a quarter on each side"
    assert (corpus.images[0][2:10, 2:10] == 200).all() and (corpus.images[0][:2] == 10).all()
    assert corpus.images[1].shape == (13, 13, 3), "the border of the picture ends it"
    assert len(set(corpus.source)) == 3 and is_expw(expw)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("angry_1.png 0 8 20 28 16 95.5 7", ":1 must hold a name"),
        ("angry_1.png 0 8 20 28 16 95.5", ":1 must hold a name"),
        ("angry_1.png 0 8 x 28 16 95.5 1", ":1 must hold a name"),
        ("none.png 0 8 20 28 16 95.5 1", r"lists 1 pictures.*none\.png"),
        ("", "is empty"),
    ],
)
def test_expw_with_a_wrong_line(expw, write, line, message):
    write("label/label.lst", line + "\n")
    with pytest.raises(DatasetError, match=message):
        read_expw(expw)


@pytest.mark.parametrize("read", [read_rafdb, read_affectnet, read_expw])
@pytest.mark.parametrize("content", [[], ["pictures/a.txt", "b.txt"]])
def test_another_layout_says_what_is_there(write, tmp_path, read, content):
    for name in content:
        write(name, "x")
    with pytest.raises(DatasetError, match=r"is not laid out like .*: expected ") as caught:
        read(tmp_path)
    assert ("b.txt, pictures/" if content else "an empty folder") in str(caught.value)
