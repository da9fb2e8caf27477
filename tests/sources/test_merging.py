"""Several corpora as one."""

from dataclasses import replace

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.labels import AFFECTNET8, EKMAN7, FERPLUS8, LabelSet, parse_scheme
from mien.sources.labelled import LabelledImages
from mien.sources.merging import merge


def corpus(name, labels, emotions, **more):
    n = len(emotions)
    return LabelledImages(
        name=name,
        labels=labels,
        images=[np.full((i + 1, 2), i, np.uint8) for i in range(n)],
        label=np.array([-1 if e is None else labels.index(e) for e in emotions], np.int64),
        split=np.array(["train"] * n),
        source=np.array([f"{name} {i}" for i in range(n)]),
        **more,
    )


A = corpus(
    "A",
    EKMAN7,
    ["surprise", None, "anger"],
    votes=np.arange(21, dtype=np.float32).reshape(3, 7),
    subject=np.array(["x", "", "y"]),
    groups={"light": np.array(["dark", "", "strong"])},
    terms="free",
)
B = corpus(
    "B",
    FERPLUS8,
    ["surprise", "contempt"],
    subject=np.array(["x", "z"]),
    sequence=np.array(["s", "s"]),
    position=np.array([4, 5]),
    valence_arousal=np.array([[0, 1], [1, 0]], np.float32),
)


def test_two_corpora():
    both = merge([A, B])
    assert both.labels == FERPLUS8 and both.name == "A + B" and len(both) == 5
    assert [None if i < 0 else both.labels.names[i] for i in both.label] == [
        "surprise", None, "anger", "surprise", "contempt",
    ]  # fmt: skip
    assert [image.shape[0] for image in both.images] == [1, 2, 3, 1, 2]
    assert both.source.tolist() == ["A 0", "A 1", "A 2", "B 0", "B 1"]
    assert both.subject.tolist() == ["A/x", "", "A/y", "B/x", "B/z"]
    assert both.sequence.tolist() == ["", "", "", "B/s", "B/s"] and both.position.tolist() == [0, 0, 0, 4, 5]
    assert both.groups["corpus"].tolist() == ["A"] * 3 + ["B"] * 2
    assert both.groups["light"].tolist() == ["dark", "", "strong", "", ""]
    assert both.votes[0, FERPLUS8.index("surprise")] == 6 and both.votes[0, FERPLUS8.index("contempt")] == 0
    assert both.votes[3:].sum() == 0
    assert np.isnan(both.valence_arousal[:3]).all() and both.valence_arousal[3].tolist() == [0, 1]
    assert both.terms == "A: free" and both.rule.startswith("A: the label as given; B: ")


def test_rows_can_be_chosen_from_the_merged():
    part = merge([A, B]).select(np.array([4, 0]))
    assert [image.shape[0] for image in part.images] == [2, 1] and part.source.tolist() == ["B 1", "A 0"]


@pytest.mark.parametrize(
    ("sets", "merged"),
    [
        ([EKMAN7], EKMAN7),
        ([EKMAN7, EKMAN7], EKMAN7),
        ([AFFECTNET8, EKMAN7], AFFECTNET8),
        ([EKMAN7, LabelSet("contempt+fear", ("contempt", "fear"))], FERPLUS8),
        ([LabelSet("fear+anger", ("fear", "anger"))], LabelSet("anger+fear", ("anger", "fear"))),
        ([LabelSet("up+down", ("up", "down"))], LabelSet("up+down", ("up", "down"))),
    ],
)
def test_common_labels(sets, merged):
    both = merge([corpus(str(i), labels, [labels.names[0]]) for i, labels in enumerate(sets)])
    assert both.labels == merged
    assert [both.labels.names[i] for i in both.label] == [labels.names[0] for labels in sets]


def test_classes_of_ones_own():
    both = merge([A, B], parse_scheme("surprise vs rest"))
    assert both.labels.names == ("surprise", "rest") and both.label.tolist() == [0, -1, 1, 0, 1]
    assert both.votes.shape == (5, 2)


def test_corpora_of_one_name_are_told_apart():
    both = merge([A, A, replace(A, name="A 2")])
    assert both.groups["corpus"].tolist() == ["A"] * 3 + ["A 2"] * 3 + ["A 2 2"] * 3
    assert len(set(both.subject.tolist())) == 7


def test_what_no_corpus_has_stays_absent():
    plain = corpus("P", EKMAN7, ["fear"])
    both = merge([plain, plain])
    assert both.votes is both.subject is both.sequence is both.position is both.valence_arousal is None
    assert both.terms == ""


def test_empty_ones():
    empty = A.select(np.zeros(3, bool))
    assert len(merge([empty])) == 0 and len(merge([empty, B, empty])) == 2
    with pytest.raises(ArgumentError, match="corpora must be one or more"):
        merge([])
