"""A table of one's own pictures."""

import numpy as np
import pandas as pd
import pytest

from mien.errors import DatasetError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.tabular import is_table, read_table


def named(corpus):
    return [corpus.labels.names[i] if i >= 0 else None for i in corpus.label]


@pytest.fixture
def table(paint, tmp_path):
    """Write a table of four pictures, with columns changed or added (None takes one away)."""

    def write_table(suffix=".csv", **changed):
        columns = {
            "path": [str(paint(f"pictures/{i}.png", shade=i).relative_to(tmp_path)) for i in range(4)],
            "label": ["happy", "anger", None, "Calm"],
            **changed,
        }
        file = tmp_path / f"own{suffix}"
        frame = pd.DataFrame({key: value for key, value in columns.items() if value is not None})
        frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)
        return file

    return write_table


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table(table, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    file = table(
        suffix,
        subject=[7, 7, None, 12],
        split=["train", "train", "test", None],
        sequence=["a", "a", "a", None],
        position=[2, 0, 1, None],
        glasses=["yes", "no", None, "no"],
        age=[30, 31, 32, 33],
        remark=["same"] * 4,
        valence=[0.5, None, 0, -1],
        arousal=[0.25, None, 0, 1],
    )
    corpus = read_table(file)
    assert corpus.name == "own" and corpus.labels == EKMAN7
    assert named(corpus) == ["happiness", "anger", None, "neutral"]
    assert corpus.subject.tolist() == ["7", "7", "", "12"]
    assert corpus.split.tolist() == ["train", "train", "test", ""]
    assert corpus.sequence.tolist() == ["a", "a", "a", ""] and corpus.position.tolist() == [2, 0, 1, 0]
    assert {key: value.tolist() for key, value in corpus.groups.items()} == {
        "glasses": ["yes", "no", "", "no"]
    }
    assert corpus.valence_arousal[0].tolist() == [0.5, 0.25] and np.isnan(corpus.valence_arousal[1]).all()
    assert [int(image[0, 0, 0]) for image in corpus.images] == [0, 1, 2, 3] and is_table(file)


def test_table_of_two_columns(table):
    corpus = read_table(table())
    assert corpus.subject is None and corpus.sequence is None and corpus.valence_arousal is None
    assert corpus.groups == {} and set(corpus.split) == {""}
    assert read_table(table(), labels="ferplus8").labels == FERPLUS8


def test_table_without_rows(table):
    corpus = read_table(table(path=[], label=[]))
    assert len(corpus) == 0 and corpus.label.shape == (0,)


def test_many_values_make_no_group(paint, table):
    files = [paint(f"pictures/{i}.png").name for i in range(21)]
    common = {"path": [f"pictures/{name}" for name in files], "label": ["fear"] * 21}
    assert set(read_table(table(**common, name=files)).groups) == set()
    assert set(read_table(table(**common, name=[*files[:20], files[0]])).groups) == {"name"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": None}, "is not a table of pictures: it lacks label and has path"),
        ({"label": ["happy", "angr", None, "calm"]}, "row 2, column 'label'.*Did you mean 'angry'"),
        (
            {"path": ["pictures/0.png", "pictures/no.png", "", "x"]},
            r"lists 4 pictures, of which 3 are .*no\.png",
        ),
        ({"sequence": ["a"] * 4}, "'sequence' and 'position' must be given together"),
        ({"position": [0] * 4}, "'sequence' and 'position' must be given together"),
        ({"sequence": ["a"] * 4, "position": [0, 1, 2.5, 3]}, "row 3, column 'position': a whole number"),
        ({"sequence": ["a"] * 4, "position": [0, 1, None, 3]}, "row 3, column 'position': a whole number"),
        (
            {"sequence": ["a"] * 4, "position": ["0", "1", "x", "3"]},
            "'position' must hold numbers; row 3 holds 'x'",
        ),
    ],
)
def test_table_of_another_layout(table, changed, message):
    file = table(**changed)
    with pytest.raises(DatasetError, match=message) as caught:
        read_table(file)
    assert str(file) in str(caught.value)


def test_a_parquet_file_that_is_none(write):
    pytest.importorskip("pyarrow")
    with pytest.raises(DatasetError, match=r"own\.parquet cannot be read as a Parquet file"):
        read_table(write("own.parquet", "text"))
