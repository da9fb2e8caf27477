"""How typed data are divided, and whether the command on a card gives its number again."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.catalog import load_card
from mien.cli.corpora import AGAIN, divide_labellings
from mien.labels import EKMAN7
from mien.sources.labelled import LabelledImages, duplicate_groups
from mien.sources.merging import merge
from mien.sources.splits import split_rows

BACK = "(a tenth kept back by {} with seed 3)"


def corpus(name, split, seed, **columns):
    """Pictures of noise, of two emotions in turn."""
    n = len(split)
    images = np.random.default_rng(seed).integers(0, 256, (n, 12, 12)).astype(np.uint8)
    label = np.arange(n) % 2
    return LabelledImages(name, EKMAN7, images, label, np.array(split), np.arange(n).astype(str), **columns)


def own(n=40, **columns):
    return corpus("own", [""] * n, 1, **columns)


def official(n=30):
    return corpus("official", ["Training", "Training", "PublicTest"] * (n // 3), 2)


def divide(*corpora, data=None, ferplus=None, emotions=None, framed=False, detector="default"):
    """Return the corpora as one, which pictures are learned from, and the tests."""
    joined = merge(corpora) if len(corpora) > 1 else corpora[0]
    learned, tests = divide_labellings(
        [joined], data or [one.name for one in corpora], ferplus,
        emotions=emotions, framed=framed, detector=detector, seed=3,
    )  # fmt: skip
    return joined, learned, tests


def shown(test):
    """Return the pictures that a test measures on, by their source."""
    part = test.corpus.split == test.split if test.split else np.ones(len(test.corpus), bool)
    return test.corpus.source[part].tolist()


@pytest.mark.parametrize("by", ["stratified", "subject", "sequence"])
def test_a_data_set_without_splits_is_divided_beside_others_as_it_is_alone(by):
    kind = np.repeat(np.arange(10).astype(str), 4)
    columns = {
        "stratified": {},
        "subject": {"subject": kind},
        "sequence": {"sequence": kind, "position": np.arange(40)},
    }[by]
    _, alone, (kept,) = divide(own(**columns))
    part = split_rows(own(**columns), {"train": 0.9, "test": 0.1}, by=by, seed=3)
    np.testing.assert_array_equal(alone, part == "train")
    assert kept.corpus.name == f"own {BACK.format(by)}"

    both, learned, tests = divide(own(**columns), official())
    np.testing.assert_array_equal(learned[:40], alone)
    np.testing.assert_array_equal(learned[40:], official().split == "Training")
    assert [(t.corpus.name, t.split) for t in tests] == [
        ("own + official", "PublicTest"),
        (f"own {BACK.format(by)}", None),
    ]
    assert shown(tests[1]) == shown(kept) == np.flatnonzero(~alone).astype(str).tolist()
    assert {t.command for t in tests} == {AGAIN}
    assert len(both) == 70


def test_several_data_sets_without_splits_are_divided_each_by_itself():
    other = replace(own(20, subject=np.repeat(list("abcde"), 4)), images=official(60).images[:20])
    _, learned, tests = divide(own(), replace(other, name="other"))
    np.testing.assert_array_equal(learned[:40], divide(own())[1])
    assert [t.corpus.name for t in tests] == [
        f"own {BACK.format('stratified')}",
        f"other {BACK.format('subject')}",
    ]
    assert len(shown(tests[0])) + len(shown(tests[1])) == (~learned).sum()


def test_no_copy_of_a_picture_that_is_measured_on_is_learned_from():
    first, second = own(), official()
    taught = np.flatnonzero(divide(first)[1])
    kept = np.flatnonzero(~divide(first)[1])
    second.images[2] = first.images[taught[0]]  # in PublicTest there
    second.images[0] = first.images[kept[0]]  # in Training there
    second.images[3] = first.images[taught[1]]  # learned from in both
    both, learned, tests = divide(first, second)
    assert not learned[[taught[0], kept[0], 40, 42]].any()
    assert learned.sum() == len(taught) + 20 - 2 and learned[[taught[1], 43]].all()
    same = duplicate_groups(both.images)
    measured = np.isin(both.source, shown(tests[1])) & (np.arange(70) < 40) | (both.split == "PublicTest")
    assert measured.sum() == 14
    assert not set(same[learned]) & set(same[measured])


def test_what_has_no_split_beside_pictures_that_have_one_is_learned_from():
    some = corpus("some", ["train", "", "test", ""] * 10 + ["fold 7"], 4)
    some.images[1] = some.images[2]
    _, learned, tests = divide(some)
    expected = np.isin(some.split, ("train", ""))
    expected[1] = False
    np.testing.assert_array_equal(learned, expected)
    assert [(t.split, t.command) for t in tests] == [
        ("test", "mien evaluate some --split test --model {model}")
    ]
    _, beside, _ = divide(some, official())
    np.testing.assert_array_equal(beside[:41], expected)


def test_official_splits_stay_as_they_are():
    copied = official()
    copied.images[2] = copied.images[0]
    np.testing.assert_array_equal(divide(copied)[1], copied.split == "Training")


@pytest.mark.parametrize(
    ("splits", "watched"),
    [(["train", "val", "test"], ["val"]), (["train", "test"], ["test"]), (["train"], []), (["test"], [None])],
)
def test_the_test_split_is_looked_at_only_without_one_for_validation(splits, watched):
    _, learned, tests = divide(corpus("some", splits * 12, 5))
    assert [t.split for t in tests] == watched
    assert learned.any() and len(learned) == 12 * len(splits)


def test_nothing_is_measured_where_what_is_kept_back_has_no_label():
    mute = own()
    _, learned, tests = divide(replace(mute, label=np.full(40, -1)), official())
    assert learned[:40].any() and [t.split for t in tests] == ["PublicTest"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({}, "official --split PublicTest"),
        ({"data": ["/data/my {own} faces/"]}, "'my {own} faces' --split PublicTest"),
        ({"data": ["rafdb:/data/RAF-DB"]}, "rafdb:RAF-DB --split PublicTest"),
        ({"ferplus": Path("/data/new.csv")}, "official --split PublicTest"),
        (
            {"emotions": "happy vs rest", "framed": True},
            "official --split PublicTest --emotions 'happy vs rest' --framed",
        ),
        ({"detector": "/data/seen.onnx"}, "official --split PublicTest --detector seen.onnx"),
    ],
)
def test_the_command_says_all_that_decides_a_number(typed, words):
    _, _, (test,) = divide(official(), **typed)
    assert test.command.format(model="a.b") == f"mien evaluate {words} --model a.b"


def test_votes_are_named_where_they_are_compared():
    voted = replace(official(), votes=np.ones((30, 7), np.float32))
    _, _, (test,) = divide(voted, ferplus=Path("/data/new.csv"))
    assert test.command == "mien evaluate official --ferplus new.csv --split PublicTest --model {model}"


def test_pictures_that_cannot_be_read_are_named_and_not_learned_from(run, tmp_path):
    random = np.random.default_rng(0)
    for emotion in ("anger", "happiness"):
        (tmp_path / "own" / emotion).mkdir(parents=True)
        for i in range(24):
            picture = random.integers(0, 256, (48, 48), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "own" / emotion / f"{i}.png")
    (tmp_path / "own" / "anger" / "3.png").write_bytes(b"\x89PNG\r\n")
    result = run("train", tmp_path / "own", "--arch", "svm-hog", "--framed", "--out", tmp_path)
    assert result.code == 1 and "could not be read: 1." in result.err and "3.png" in result.err
    learned = load_card(tmp_path / "svm-hog.own.toml").training_data[0].images
    assert 24 < learned < 47, "the others are learned from, but for what is set aside or measured on"


def test_the_command_on_a_card_gives_its_number(run, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for i in range(140):
        pixels = " ".join(map(str, random.integers(0, 256, 48 * 48)))
        lines.append(f"{i % 7},{pixels},{'PublicTest' if i % 2 else 'Training'}")
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    emotions = "good=happiness+surprise,bad=anger+fear+sadness"
    typed = ("faces.csv", "--arch", "svm-hog", "--emotions", emotions, "--framed", "--name", "svm.own")
    assert run("train", *typed).code == 0
    number = load_card(tmp_path / "svm.own.toml").metrics[0]
    words = shlex.split(number.command.replace("svm.own", "svm.own.skops"))
    assert run(*words[1:], "--json", "numbers.json").code == 0
    again = json.loads(Path("numbers.json").read_text())["all"]
    assert (number.name, number.n) == ("accuracy", again["n"])
    assert again["n"] == 50 and number.value == round(again["accuracy"], 4)
