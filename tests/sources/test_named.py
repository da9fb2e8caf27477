"""JAFFE and KDEF: everything stands in the file names."""

import pytest

from mien.errors import DatasetError, SourceNotFoundError
from mien.labels import EKMAN7
from mien.sources.named import JAFFE_CODES, KDEF_ANGLES, KDEF_CODES, is_jaffe, is_kdef, read_jaffe, read_kdef


def named(corpus):
    return [corpus.labels.names[i] if i >= 0 else None for i in corpus.label]


def test_jaffe(paint, tmp_path):
    for i, code in enumerate(JAFFE_CODES):
        paint(f"K{'ALMR'[i % 4]}.{code}{i % 3 + 1}.{39 + i}.tiff", shade=10 * i)
    corpus = read_jaffe(tmp_path)
    assert corpus.labels == EKMAN7 and sorted(named(corpus)) == sorted(EKMAN7)
    fear = [source.endswith("KM.FE3.41.tiff") for source in corpus.source].index(True)
    assert named(corpus)[fear] == "fear" and corpus.subject[fear] == "KM"
    assert corpus.images[fear].shape == (8, 10, 3) and (corpus.images[fear] == 20).all()
    assert corpus.sequence is None and "agreement" in corpus.terms


def test_kdef(paint, tmp_path):
    for code in KDEF_CODES:
        for angle in KDEF_ANGLES:
            paint(f"KDEF/AF01/AF01{code}{angle}.JPG")
    paint("KDEF/BM31/BM31HAHR.JPG", shade=7)
    paint("KDEF/AF31/AF31V.JPG")
    corpus = read_kdef(tmp_path / "KDEF")
    assert len(corpus) == 37
    row = [source.endswith("BM31HAHR.JPG") for source in corpus.source].index(True)
    assert named(corpus)[row] == "happiness" and corpus.subject[row] == "M31"
    assert {key: value[row] for key, value in corpus.groups.items()} == {
        "series": "B",
        "gender": "male",
        "angle": "half right",
    }
    short = [source.endswith("AF31V.JPG") for source in corpus.source].index(True)
    assert named(corpus)[short] is None and corpus.subject[short] == "F31", "its name has no emotion"
    afraid = [source.endswith("AF01AFS.JPG") for source in corpus.source].index(True)
    assert named(corpus)[afraid] == "fear" and corpus.groups["angle"][afraid] == "straight"


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (read_jaffe, "KA.AN1.39.tiff", "KA.XX1.39.tiff"),
        (read_jaffe, "KA.AN1.39.tiff", "portrait.tiff"),
        (read_kdef, "AF01/AF01AFS.JPG", "AF01/AF01AFSS.JPG"),
        (read_kdef, "AF01/AF01AFS.JPG", "AF01/CF01AFS.JPG"),
    ],
)
def test_another_name_is_named(paint, tmp_path, read, good, bad):
    paint(good)
    paint(bad)
    with pytest.raises(DatasetError, match="expected pictures named like") as caught:
        read(tmp_path)
    assert f"found {bad}" in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("read", [read_jaffe, read_kdef])
def test_nothing_and_nowhere(write, tmp_path, read):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="found an empty folder"):
        read(tmp_path / "empty")
    with pytest.raises(DatasetError, match="found a file"):
        read(write("list.txt", "x"))
    with pytest.raises(SourceNotFoundError):
        read(tmp_path / "none")


def test_recognised_by_name(paint, tmp_path):
    paint("a/KA.AN1.39.tiff")
    paint("b/AF01/AF01AFS.JPG")
    assert [is_jaffe(tmp_path / name) for name in "ab"] == [True, False]
    assert [is_kdef(tmp_path / name) for name in "ab"] == [False, True]
