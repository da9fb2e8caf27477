"""Dividing corpora: no picture, person or sequence on both sides, the classes alike, the rare ones seen."""

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.labels import EKMAN7
from mien.sources.labelled import LabelledImages
from mien.sources.splits import balanced_rows, class_weights, split_rows

SHARES = {"train": 0.7, "val": 0.2, "test": 0.1}


def corpus(label, *, content=None, **columns):
    n = len(label)
    content = np.arange(n) if content is None else np.asarray(content)
    defaults = {"split": np.full(n, ""), "source": np.arange(n).astype(str)}
    texts = {key: np.asarray(value, dtype=str) for key, value in columns.items()}
    if "sequence" in texts:
        defaults["position"] = np.arange(n)
    return LabelledImages(
        name="made",
        labels=EKMAN7,
        images=np.stack([content // 256, content % 256], axis=1).astype(np.uint8).reshape(n, 1, 2),
        label=np.asarray(label, np.int64),
        **defaults | texts,
    )


def random_corpus(seed, n=700):
    random = np.random.default_rng(seed)
    label = random.choice(8, n, p=[0.4, 0.02, 0.1, 0.2, 0.1, 0.08, 0.05, 0.05]) - 1
    person = random.integers(0, 60, n)
    content = np.where(random.random(n) < 0.2, random.integers(0, 20, n), np.arange(n) + 100)
    return corpus(
        label,
        content=content,
        subject=[f"p{i}" for i in person],
        sequence=[f"{i}/{random.integers(3)}" for i in person],
    )


def crosses(keys, part):
    """Tell whether any value that is not empty stands in two parts."""
    return any(len(set(part[keys == key])) > 1 for key in set(keys.tolist()) - {""})


def bytes_of(made):
    return np.array([image.tobytes().hex() for image in made.images])


@pytest.mark.parametrize("by", ["stratified", "sequence", "subject"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_belongs_together_is_divided(by, seed):
    made = random_corpus(seed)
    if by != "stratified":  # a copy that joins persons would join all of them
        made = made.select(np.unique(bytes_of(made), return_index=True)[1])
    part = split_rows(made, SHARES, by=by, seed=seed)
    assert part.shape == (len(made),) and set(part.tolist()) == set(SHARES)
    assert not crosses(bytes_of(made), part)
    assert by != "sequence" or not crosses(made.sequence, part)
    assert by != "subject" or not (crosses(made.subject, part) or crosses(made.sequence, part))
    sizes = {name: (part == name).mean() for name in SHARES}
    assert all(abs(sizes[name] - share) < 0.05 for name, share in SHARES.items())


def test_the_classes_keep_their_shares():
    label = np.repeat(np.arange(7), [500, 20, 100, 300, 200, 10, 70])
    made = corpus(label)
    part = split_rows(made, SHARES, seed=1)
    for name, share in SHARES.items():
        count = np.bincount(label[part == name], minlength=7)
        assert (abs(count - share * np.bincount(label)) <= 1).all()


def test_what_has_no_label_keeps_its_share_too():
    part = split_rows(corpus(np.repeat([-1, 3], [100, 300])), SHARES)
    assert [(part[:100] == name).sum() for name in SHARES] == [70, 20, 10]


def test_persons_keep_the_classes_alike():
    made = random_corpus(7)
    made = made.select(np.unique(bytes_of(made), return_index=True)[1])
    part = split_rows(made, {"train": 0.5, "test": 0.5}, by="subject")
    share = [
        np.bincount(made.label[part == name] + 1, minlength=8) / (part == name).sum()
        for name in ("train", "test")
    ]
    assert abs(share[0] - share[1]).max() < 0.03


def test_copies_join_persons():
    made = corpus([0, 1, 2, 3], content=[5, 6, 6, 7], subject=["a", "a", "b", "c"])
    part = split_rows(made, {"train": 0.75, "test": 0.25}, by="subject")
    assert len(set(part[:3])) == 1 and part[3] != part[0]


def test_chains_of_copies_stay_together():
    n = 40  # each person shares a picture with the next
    made = corpus(
        [0] * (2 * n), content=np.repeat(np.arange(n), 2), subject=[f"{(i + 1) // 2}" for i in range(2 * n)]
    )
    with pytest.raises(ArgumentError, match=r"2 or more different subjects.*given 'made with 1'"):
        split_rows(made, {"train": 0.5, "test": 0.5}, by="subject")


def test_pictures_without_a_person_are_their_own():
    made = corpus([0] * 10, subject=["a"] * 5 + [""] * 5, sequence=[""] * 8 + ["s", "s"])
    part = split_rows(made, {"train": 0.5, "test": 0.5}, by="subject")
    assert len(set(part[:5])) == 1 and part[8] == part[9] and (part == "train").sum() == 5


@pytest.mark.parametrize("by", ["stratified", "subject"])
def test_seeds(by):
    made = random_corpus(3)
    made = made.select(np.unique(bytes_of(made), return_index=True)[1])
    one, again, other = (split_rows(made, SHARES, by=by, seed=seed) for seed in (5, 5, 6))
    assert (one == again).all() and (one != other).any()


def test_every_part_has_something():
    part = split_rows(corpus([0] * 9, subject=["a"] * 7 + ["b", "c"]), by="subject")
    assert sorted((part == name).sum() for name in ("train", "val", "test")) == [1, 1, 7]
    part = split_rows(corpus([0] * 51, subject=["a"] * 30 + ["b"] * 20 + ["c"]), by="subject")
    assert (part == "train").sum() == 30, "the smaller of two persons fills the empty part"


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        (
            corpus([0, 1]),
            {},
            "3 or more different pictures, one for each of train, val, test; given 'made with 2'",
        ),
        (corpus([]), {}, "3 or more different pictures.*with 0"),
        (corpus([0] * 4, content=[1] * 4), {}, "3 or more different pictures.*with 1"),
        (corpus([0] * 4), {"by": "subject"}, "made has; it names no subjects"),
        (corpus([0] * 4, subject=[""] * 4), {"by": "subject"}, "made has; it names no subjects"),
        (corpus([0] * 4), {"by": "sequence"}, "made has; it names no sequences"),
        (
            corpus([0] * 4),
            {"by": "official"},
            "'subject' or 'sequence' for made, which has no official splits",
        ),
        (corpus([0] * 4), {"by": "person"}, "by must be one of official, stratified, subject, sequence"),
        (corpus([0] * 4), {"shares": {"train": 0.8}}, "shares must be two or more positive fractions"),
        (corpus([0] * 4), {"shares": {"train": 0.8, "test": 0.3}}, "shares must be two or more"),
        (corpus([0] * 4), {"shares": {"train": 1, "test": 0}}, "shares must be two or more"),
    ],
)
def test_what_cannot_be_divided(made, options, message):
    with pytest.raises(ArgumentError, match=message):
        split_rows(made, **options)


@pytest.mark.parametrize(
    ("split", "content", "expected"),
    [
        (["Training", "PublicTest", "PrivateTest", ""], [0, 1, 2, 3], None),
        (["Training", "PublicTest", "PrivateTest", ""], [0, 0, 0, 3], ["", "", "PrivateTest", ""]),
        (["train", "train", "val", "val"], [0, 0, 0, 1], ["", "", "val", "val"]),
        (["train", "train", "val", "val"], [0, 0, 1, 1], None),
        (["train", "", "", "val"], [0, 0, 0, 1], None),
        (["fold 1", "fold 2", "fold 1", "fold 3"], [0, 0, 1, 2], ["", "fold 2", "fold 1", "fold 3"]),
    ],
)
def test_official_splits_without_copies_across(split, content, expected):
    part = split_rows(corpus([0] * 4, content=content, split=split), by="official")
    assert part.tolist() == (expected or split)


def test_class_weights():
    label = np.array([0] * 1000 + [1] * 10 + [3] + [-1] * 50)
    weight = class_weights(label, 4)
    effective = [(1 - 0.999**n) / 0.001 for n in (1000, 10, 1)]
    assert weight[2] == 0 and weight.dtype == np.float32
    np.testing.assert_allclose(weight[[0, 1, 3]] * effective, (weight[3] * effective[2]), rtol=1e-5)
    assert weight[[0, 1, 3]].mean() == pytest.approx(1)


@pytest.mark.parametrize(
    ("label", "beta", "expected"),
    [([], 0.999, [0, 0]), ([-1, -1], 0.999, [0, 0]), ([0, 0, 1], 0.0, [1, 1]), ([1], 0.9, [0, 1])],
)
def test_class_weights_of_little(label, beta, expected):
    np.testing.assert_allclose(class_weights(np.array(label, np.int64), 2, beta=beta), expected)


@pytest.mark.parametrize("beta", [-0.1, 1.0, float("nan")])
def test_class_weights_refuse(beta):
    with pytest.raises(ArgumentError, match="beta must be a number from 0 to below 1"):
        class_weights(np.array([0]), 1, beta=beta)


def test_balanced_rows():
    label = np.array([0] * 70 + [1] * 20 + [3] * 6 + [-1] * 30)
    rows = balanced_rows(label, 0)
    assert np.bincount(label[rows]).tolist() == [32, 32, 0, 32], "96 labelled rows, three classes"
    times = np.bincount(rows, minlength=len(label))
    assert times[:70].max() == 1 and set(times[70:90]) == {1, 2} and set(times[90:96]) == {5, 6}
    assert (balanced_rows(label, 0) == rows).all() and (balanced_rows(label, 1) != rows).any()
    assert len(set(label[rows[:20]])) == 3, "in random order"


@pytest.mark.parametrize(("label", "n"), [([], 0), ([-1], 0), ([2], 1), ([2, -1, 0], 2)])
def test_balanced_rows_of_little(label, n):
    assert len(balanced_rows(np.array(label, np.int64), 0)) == n
