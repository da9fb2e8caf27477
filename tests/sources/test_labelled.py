"""The columns of a corpus stay together, whatever is chosen from it."""

from dataclasses import replace

import numpy as np
import pytest

from mien.errors import ArgumentError, DatasetError, ImageError
from mien.labels import EKMAN7, parse_scheme
from mien.sources.labelled import (
    ImagePaths,
    LabelledImages,
    duplicate_groups,
    leaked_into_training,
    readable,
    sequence_windows,
    split_role,
)


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


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


@pytest.mark.parametrize("broken", [[], [0], [1, 3], [0, 1, 2]])
def test_pictures_that_cannot_be_read_are_left_out_and_reported(paint, broken):
    files = [paint(f"{i}.png", shade=i) for i in range(4)]
    for i in broken:
        files[i].write_bytes(files[i].read_bytes()[:40])
    errors, done = [], []
    corpus = replace(made(4), images=ImagePaths(files))
    left = readable(corpus, errors.append, progress=lambda *numbers: done.append(numbers))
    kept = [i for i in range(4) if i not in broken]
    assert left.source.tolist() == [str(i) for i in kept] and left.label.tolist() == kept
    assert [int(image[0, 0, 0]) for image in left.images] == kept
    assert all(isinstance(error, ImageError) for error in errors)
    assert [str(files[i]) in str(error) for i, error in zip(broken, errors, strict=True)] == [True] * len(
        broken
    )
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_corpus_of_which_nothing_can_be_read(write):
    corpus = replace(made(1), images=ImagePaths([write("0.png", "text")]))
    with pytest.raises(DatasetError, match="made: none of its 1 pictures can be read"):
        readable(corpus, lambda error: None)


@pytest.mark.parametrize(
    "corpus", [made(3), made(3, lazy=True), made(3, lazy=True).select(np.zeros(3, bool))]
)
def test_a_corpus_that_can_be_read_stays_what_it_is(corpus):
    assert readable(corpus, pytest.fail) is corpus


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


def sequences(names, positions, label, **more):
    n = len(names)
    return LabelledImages(
        name="made",
        labels=EKMAN7,
        images=np.arange(n, dtype=np.uint8).reshape(n, 1, 1),
        label=np.array(label, np.int64),
        split=np.full(n, ""),
        source=np.arange(n).astype(str),
        sequence=np.array(names, dtype=str),
        position=np.array(positions, np.int64),
        **more,
    )


def test_select_keeps_what_a_corpus_may_lack():
    corpus = sequences(
        ["a", "a", ""],
        [1, 0, 0],
        [0, 1, 2],
        subject=np.array(["x", "", "y"]),
        groups={"light": np.array(["dark", "", "strong"])},
        valence_arousal=np.array([[0, 1], [np.nan, np.nan], [-1, 0]], np.float32),
    )
    part = corpus.select(np.array([2, 0]))
    assert part.subject.tolist() == ["y", "x"] and part.sequence.tolist() == ["", "a"]
    assert part.position.tolist() == [0, 1] and part.groups["light"].tolist() == ["strong", "dark"]
    assert part.valence_arousal.tolist() == [[-1, 0], [0, 1]]
    assert corpus.select(np.zeros(3, bool)).groups["light"].shape == (0,)


@pytest.mark.parametrize("field", ["subject", "valence_arousal", "light"])
def test_optional_columns_of_different_length_are_named(field):
    column = np.array(["x", "y"]) if field != "valence_arousal" else np.zeros((2, 2), np.float32)
    more = {"groups": {"light": column}} if field == "light" else {field: column}
    with pytest.raises(ArgumentError, match=rf"{field} must be as long as images \(3\)"):
        sequences(["a"] * 3, [0, 1, 2], [0, 1, 2], **more)


def test_a_sequence_needs_positions():
    fields = vars(sequences(["a"], [0], [0])) | {"position": None}
    with pytest.raises(ArgumentError, match="position must be given with sequence"):
        LabelledImages(**fields)


@pytest.mark.parametrize(
    ("text", "labels", "expected", "votes"),
    [
        ("anger,fear,calm", ("anger", "fear", "neutral"), [0, -1, 1, -1, 2, -1, -1], [1, 0, 1, 0, 1, 0, 0]),
        ("happy vs rest", ("happiness", "rest"), [1, 1, 1, 0, 1, 1, 1], [1] * 7),
        (
            "up=happiness+surprise,down=anger",
            ("up", "down"),
            [1, -1, -1, 0, -1, -1, 0],
            [1, 0, 0, 1, 0, 0, 1],
        ),
        ("contempt,fear", ("contempt", "fear"), [-1, -1, 1, -1, -1, -1, -1], [0, 0, 1, 0, 0, 0, 0]),
    ],
)
def test_relabel(text, labels, expected, votes):
    corpus = replace(made(7), votes=np.eye(7, dtype=np.float32))
    changed = corpus.relabel(parse_scheme(text))
    assert changed.labels.names == labels and changed.label.tolist() == expected
    assert changed.votes.sum(axis=1).tolist() == votes, "a vote for an emotion that is in no class is gone"
    assert changed.votes.shape == (7, len(labels)) and text.partition(",")[0].split()[0][:3] in changed.rule
    assert changed.images is corpus.images and corpus.label.tolist() == list(range(7))


def test_relabel_leaves_what_has_no_label():
    corpus = replace(made(3), label=np.array([-1, 6, -1]))
    assert corpus.relabel(parse_scheme("anger,surprise")).label.tolist() == [-1, 1, -1]


NAMES, POSITIONS = ["a", "b", "a", "", "a", "b"], [2, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("label", "options", "rows"),
    [
        ([5, 1, 4, 3, 2, 0], {"length": 1}, [[2], [4], [0], [5], [1]]),
        ([5, 1, -1, 3, -1, -1], {"length": 3}, [[2, 4, 0], [5, 5, 1]]),
        ([5, 1, 4, 3, 2, 0], {"length": 2, "hop": 2}, [[2, 2], [4, 0], [5, 1]]),
        ([5, -1, -1, 3, -1, -1], {"length": 2, "step": 2}, [[2, 0]]),
        ([5, -1, -1, 3, -1, -1], {"length": 3, "step": 2}, [[2, 2, 0]]),
        ([-1, -1, -1, 3, -1, -1], {"length": 4}, []),
    ],
)
def test_windows_end_at_labelled_pictures_and_stay_in_their_sequence(label, options, rows):
    windows = sequence_windows(sequences(NAMES, POSITIONS, label), **options)
    assert windows.rows.tolist() == rows and windows.rows.shape == (len(rows), options["length"])
    assert len(windows) == len(rows)


@pytest.mark.parametrize(("name", "value"), [("length", 0), ("step", 0), ("hop", -1)])
def test_windows_of_no_length(name, value):
    options = {"length": 2} | {name: value}
    with pytest.raises(ArgumentError, match=f"{name} must be a whole number from 1"):
        sequence_windows(sequences(NAMES, POSITIONS, range(6)), **options)


@pytest.mark.parametrize("corpus", [made(3), sequences(["", ""], [0, 0], [0, 1])])
def test_windows_need_sequences(corpus):
    with pytest.raises(ArgumentError, match="corpus must be one with sequences"):
        sequence_windows(corpus, 2)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Training", "train"),
        ("train", "train"),
        ("Train", "train"),
        ("PublicTest", "val"),
        ("validation", "val"),
        ("Val", "val"),
        ("PrivateTest", "test"),
        ("test", "test"),
        ("fold 3", ""),
        ("", ""),
    ],
)
def test_roles_of_splits(name, role):
    assert split_role(name) == role


def test_leaks_by_the_role_of_the_split():
    corpus = made(4, split=["train", "test", "val", ""])
    corpus.images[1:] = corpus.images[0]
    assert leaked_into_training(corpus).tolist() == [False, True, True, True]
