"""Pictures with groups and without labels: from tables, labels.json, and corpora."""

import json

import numpy as np
import pytest
from PIL import Image

from mien.errors import ArgumentError, DatasetError, SourceNotFoundError, UnknownNameError
from mien.sources.grouped import GroupedPictures, read_grouped

ROWS = [("a.png", "20-29", "female", "p"), ("b.png", "3-9", "male", ""), ("c.png", "20-29", "", "p")]


@pytest.fixture
def folder(tmp_path):
    for i, (name, *_) in enumerate(ROWS):
        Image.fromarray(np.full((6, 5), i * 50, np.uint8)).save(tmp_path / name)
    return tmp_path


def table(folder, header="path,age,gender,subject", name="people.csv"):
    (folder / name).write_text("\n".join([header, *(",".join(row) for row in ROWS)]) + "\n")
    return folder / name


@pytest.mark.parametrize("header", ["path,age,gender,subject", "file,age,gender,subject"])
def test_a_table(folder, header):
    pictures = read_grouped(table(folder, header))
    assert (pictures.name, len(pictures)) == ("people", 3)
    assert list(pictures.groups) == ["age", "gender"]
    assert pictures.groups["gender"].tolist() == ["female", "male", ""]
    assert pictures.subject.tolist() == ["p", "", "p"]
    assert [pictures.images[i].mean() for i in range(3)] == [0, 50, 100]
    assert pictures.source[0].endswith("a.png")


def test_a_parquet_table(folder):
    pd, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    pd.DataFrame(ROWS, columns=["path", "age", "gender", "subject"]).to_parquet(folder / "people.parquet")
    assert read_grouped(folder / "people.parquet", ["age"]).groups["age"].tolist() == [
        "20-29",
        "3-9",
        "20-29",
    ]


@pytest.mark.parametrize("as_file", [False, True])
def test_a_folder_with_labels(folder, as_file):
    said = {
        name: {"age": age, "gender": gender or None, "boxes": [[1, 2]], "n": 3}
        for name, age, gender, _ in ROWS
    }
    (folder / "labels.json").write_text(json.dumps(said))
    pictures = read_grouped(folder / "labels.json" if as_file else folder)
    assert pictures.name == folder.name and list(pictures.groups) == ["age", "gender"]
    assert pictures.groups["gender"].tolist() == ["female", "male", ""] and pictures.subject is None


def test_a_corpus_that_has_groups(folder):
    (folder / "lit.csv").write_text("path,label,light\na.png,happy,dark\nb.png,calm,bright\n")
    assert read_grouped(folder / "lit.csv").groups["light"].tolist() == ["dark", "bright"]
    assert read_grouped(f"table:{folder / 'lit.csv'}").groups["light"].tolist() == ["dark", "bright"]


def test_columns_taken_together(folder):
    pictures = read_grouped(table(folder), ["age*gender", "age"])
    assert list(pictures.groups) == ["age*gender", "age"]
    assert pictures.groups["age*gender"].tolist() == ["20-29, female", "3-9, male", ""]


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        (["aeg"], UnknownNameError, "Did you mean 'age'"),
        (["age*gendre"], UnknownNameError, "Did you mean 'gender'"),
        (["subject"], UnknownNameError, "'subject' is not a known column"),
    ],
)
def test_columns_that_there_are_not(folder, by, error, message):
    with pytest.raises(error, match=message):
        read_grouped(table(folder), by)


def test_a_column_of_one_value_or_of_too_many(folder):
    rows = "\n".join(f"a.png,{i},same" for i in range(60))
    (folder / "t.csv").write_text(f"path,years,kind\n{rows}\n")
    with pytest.raises(DatasetError, match=r"'years' has 60 different values.*make ranges"):
        read_grouped(folder / "t.csv", ["years"])
    with pytest.raises(DatasetError, match="'kind' has 1 different values"):
        read_grouped(folder / "t.csv", ["kind"])
    with pytest.raises(DatasetError, match="no column of groups"):
        read_grouped(folder / "t.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [("[1, 2]", "an object for each picture"), ("{", "cannot be read as JSON"), ("{}", "lists no picture")],
)
def test_labels_that_are_none(tmp_path, content, message):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_grouped(tmp_path)


def test_a_table_without_paths_and_one_without_its_pictures(tmp_path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    pd.DataFrame({"age": ["1", "2"]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DatasetError, match="has no column path or file"):
        read_grouped(tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("path,age\nnowhere.png,1\nalso.png,2\n")
    with pytest.raises(DatasetError, match="of which 2 are not there"):
        read_grouped(tmp_path / "t.csv")
    with pytest.raises(SourceNotFoundError):
        read_grouped(tmp_path / "none.csv")


def test_columns_of_another_length():
    with pytest.raises(ArgumentError, match="age must be as long as images"):
        GroupedPictures("x", [], np.zeros(0, str), {"age": np.array(["1"])})
