"""One door for every corpus: the format is named, or recognised, or the reason is given why not."""

import pytest

from mien.errors import ArgumentError, DatasetError, SourceNotFoundError, UnknownNameError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.datasets import FORMATS, list_formats, open_dataset
from mien.sources.fer2013 import read_fer2013
from mien.sources.folders import read_folder

VOTES = [
    {"anger": 9, "fear": 1},
    {"happiness": 10},
    {"unknown": 8, "fear": 2},
    {"NF": 10},
    {"fear": 4, "sadness": 6},
]


@pytest.mark.parametrize("read", [read_fer2013, read_folder, open_dataset])
def test_missing_path(tmp_path, read):
    with pytest.raises(SourceNotFoundError, match="none does not exist"):
        read(tmp_path / "none")


def test_a_folder_is_no_csv_and_a_csv_no_folder(fer):
    path = fer()
    with pytest.raises(DatasetError, match="cannot be read as a csv"):
        read_fer2013(path.parent)
    with pytest.raises(DatasetError, match="is no folder"):
        read_folder(path)


def test_open_dataset_chooses_the_reader(fer, plus, folder):
    csv, votes, root = fer(), plus(VOTES), folder(["anger", "fear"])
    assert open_dataset(csv).labels == EKMAN7
    assert open_dataset(csv, ferplus=votes).labels == FERPLUS8
    assert open_dataset(csv, ferplus=votes, labels="ekman7").labels == EKMAN7
    assert open_dataset(root).name == "corpus"


@pytest.mark.parametrize(
    ("which", "options", "message"),
    [
        ("csv", {"labels": "ferplus8"}, "labels must be 'ekman7' unless"),
        ("csv", {"labels": "affectnet8"}, "labels must be 'ekman7' or 'ferplus8'"),
        ("folder", {"ferplus": "x.csv"}, "ferplus must be given only beside"),
    ],
)
def test_open_dataset_refuses_what_does_not_fit(fer, folder, which, options, message):
    path = fer() if which == "csv" else folder(["anger", "fear"])
    with pytest.raises(ArgumentError, match=message):
        open_dataset(path, **options)


def lay_out(name, paint, write):
    """Make the smallest imitation of a format; return the folder or file to open."""
    made = {
        "folder": lambda: paint("d/angry/0.png").parents[1],
        "clips": lambda: paint("d/angry/one/0.png").parents[2],
        "sfew": lambda: paint("d/Train/Angry/0.png").parents[2],
        "afew": lambda: paint("d/Train/Angry/one/0.png").parents[3],
        "table": lambda: write("d/own.csv", f"path,label\n{paint('d/0.png').name},fear\n"),
        "jaffe": lambda: paint("d/KA.AN1.39.tiff").parent,
        "kdef": lambda: paint("d/AF01/AF01AFS.JPG").parents[1],
        "oulu": lambda: paint("d/VL/Dark/P001/Anger/000.jpeg").parents[4],
    }
    if name == "ckplus":
        write("d/Emotion/S005/001/S005_001_00000001_emotion.txt", "1")
        return paint("d/cohn-kanade-images/S005/001/S005_001_00000001.png").parents[3]
    if name == "rafdb":
        write("d/EmoLabel/list_patition_label.txt", "train_00001.jpg 1")
        return paint("d/Image/aligned/train_00001_aligned.jpg").parents[2]
    if name == "affectnet":
        write("d/training.csv", "subDirectory_filePath,expression,valence,arousal\n0.jpg,1,0,0")
        return paint("d/Manually_Annotated_Images/0.jpg").parents[1]
    if name == "expw":
        write("d/label/label.lst", "0.jpg 0 0 0 5 5 9 1")
        return paint("d/image/0.jpg").parents[1]
    return made[name]()


ON_DISK = sorted(set(FORMATS) - {"fer2013", "ferplus"})


@pytest.mark.parametrize("name", ON_DISK)
def test_every_format_is_opened_by_name(paint, write, name):
    path = lay_out(name, paint, write)
    corpus = open_dataset(f"{name}:{path}")
    assert len(corpus) >= 1 and len(list(corpus.images)) == len(corpus)


@pytest.mark.parametrize("name", ON_DISK)
def test_every_format_is_recognised(paint, write, name):
    path = lay_out(name, paint, write)
    taken = {"sfew": "folder", "afew": "clips"}.get(name, name)  # the same layout: to be named
    recognised = [form.name for form in FORMATS.values() if form.recognise and form.recognise(path)]
    assert recognised == [taken] and len(open_dataset(path)) >= 1


def test_fer2013_by_name_and_folder(fer, plus):
    csv = fer()
    assert open_dataset(f"fer2013:{csv}").labels == open_dataset(csv.parent).labels == EKMAN7
    votes = plus(VOTES)
    assert open_dataset(csv.parent).name == "FER+", "both files are there"
    assert open_dataset(f"ferplus:{csv.parent}").labels == FERPLUS8
    assert open_dataset(f"ferplus:{csv.parent}", labels="ekman7").name == "FER2013"
    assert open_dataset(f"fer2013:{csv.parent}", ferplus=votes).labels == FERPLUS8
    votes.unlink()
    with pytest.raises(SourceNotFoundError, match=r"fer2013new\.csv does not exist"):
        open_dataset(f"ferplus:{csv.parent}")


def test_formats_are_listed_in_order():
    assert list_formats() == sorted(FORMATS) and "rafdb" in list_formats()
    assert all(form.layout and "\n" not in form.layout for form in FORMATS.values())


def test_a_path_with_a_colon_is_a_path(paint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint("jaffe:x/angry/0.png")
    assert open_dataset("jaffe:x").name == "jaffe:x"
    paint("set/KA.AN1.39.tiff")
    assert open_dataset("jaffe:set").name == "JAFFE"


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("rafdp:/data", UnknownNameError, "'rafdp' is not a known data set format. Did you mean 'rafdb'"),
        ("rafdb:none", SourceNotFoundError, "none does not exist"),
        ("C:/data/none", SourceNotFoundError, "C:/data/none does not exist"),
        ("d/a:b", SourceNotFoundError, "d/a:b does not exist"),
    ],
)
def test_a_spec_that_leads_nowhere(tmp_path, monkeypatch, spec, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        open_dataset(spec)


@pytest.mark.parametrize("files", [[], ["a/b.txt"], ["own.csv"]])
def test_an_unknown_layout_lists_the_known_ones(write, tmp_path, files):
    for name in files:
        write(name, "a,b\n1,2\n")
    path = tmp_path / files[0] if files == ["own.csv"] else tmp_path
    with pytest.raises(DatasetError, match="has no layout that is recognised") as caught:
        open_dataset(path)
    assert all(f"  {form.name}: {form.layout}" in str(caught.value) for form in FORMATS.values())


def test_two_layouts_at_once_are_not_guessed(paint, tmp_path):
    paint("angry/0.png")
    paint("angry/one/0.png")
    with pytest.raises(DatasetError, match=f"could be folder or clips: say which, as in 'folder:{tmp_path}'"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("labels", "names", "label"),
    [
        (None, FERPLUS8.names, [FERPLUS8.index("neutral"), FERPLUS8.index("contempt")]),
        ("ekman7", EKMAN7.names, [EKMAN7.index("neutral"), -1]),
        ("ferplus8", FERPLUS8.names, [FERPLUS8.index("neutral"), FERPLUS8.index("contempt")]),
        ("contempt,calm", ("contempt", "neutral"), [1, 0]),
        ("calm vs rest", ("neutral", "rest"), [0, 1]),
        ("anger+contempt", ("anger", "contempt"), [-1, 1]),
    ],
)
def test_labels_of_ones_own_on_any_corpus(paint, write, tmp_path, labels, names, label):
    write("Emotion/S005/001/S005_001_00000002_emotion.txt", "2")
    for i in (1, 2):
        paint(f"cohn-kanade-images/S005/001/S005_001_0000000{i}.png")
    corpus = open_dataset(f"ckplus:{tmp_path}", labels=labels)
    assert corpus.labels.names == names and corpus.label.tolist() == label


def test_labels_of_ones_own_on_a_csv(fer, plus):
    corpus = open_dataset(fer(), ferplus=plus(VOTES), labels="anger vs rest")
    assert corpus.labels.names == ("anger", "rest") and corpus.label.tolist() == [0, 1, -1, -1, 1]
    assert corpus.votes.shape == (5, 2)


def test_labels_that_are_none(paint, tmp_path):
    paint("KA.AN1.39.tiff")
    for labels in ("ekman", "up+down"):
        with pytest.raises(UnknownNameError):
            open_dataset(tmp_path, labels=labels)
