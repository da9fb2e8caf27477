"""CK+, Oulu-CASIA, AFEW and one's own clips: small imitations of the documented layouts."""

import numpy as np
import pytest

from mien.errors import DatasetError, SourceError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.labelled import sequence_windows
from mien.sources.sequences import (
    CKPLUS_NAMES,
    is_ckplus,
    is_clips,
    is_oulu,
    read_afew,
    read_ckplus,
    read_clips,
    read_oulu,
)
from mien.sources.video import VIDEO_SUFFIXES


def named(corpus):
    return [corpus.labels.names[i] if i >= 0 else None for i in corpus.label]


@pytest.fixture
def ckplus(paint, write, tmp_path):
    """Lay out a sequence of 12 frames with an emotion, one of 4 without, and one of 2."""
    for clip, n in (("S005/001", 12), ("S005/002", 4), ("S010/001", 2)):
        for i in range(1, n + 1):
            paint(f"cohn-kanade-images/{clip}/{clip.replace('/', '_')}_{i:08}.png", shade=i)
    write("cohn-kanade-images/S005/001/.DS_Store", "")
    write("Emotion/S005/001/S005_001_00000012_emotion.txt", "   3.0000000e+00\n")
    write("Emotion/S010/001/S010_001_00000002_emotion.txt", "   7.0000000e+00\n")
    (tmp_path / "Emotion/S005/002").mkdir()
    return tmp_path


def test_ckplus(ckplus):
    corpus = read_ckplus(ckplus)
    assert corpus.labels == FERPLUS8
    long, without, short = named(corpus)[:12], named(corpus)[12:16], named(corpus)[16:]
    assert long == ["neutral"] + [None] * 8 + ["disgust"] * 3
    assert without == ["neutral"] + [None] * 3 and short == ["neutral", "surprise"]
    assert corpus.subject.tolist() == ["S005"] * 16 + ["S010"] * 2
    assert corpus.sequence[0] == "S005/001" and corpus.position[:12].tolist() == list(range(12))
    assert (corpus.images[11] == 12).all(), "the order of the frames is that of their numbers"
    assert "last 3" in corpus.rule and is_ckplus(ckplus)


def test_ckplus_windows_end_at_the_labels(ckplus):
    windows = sequence_windows(read_ckplus(ckplus), 3)
    assert windows.rows[:4].tolist() == [[0, 0, 0], [7, 8, 9], [8, 9, 10], [9, 10, 11]]


@pytest.mark.parametrize("number", range(8))
def test_ckplus_numbers(ckplus, write, number):
    write("Emotion/S005/001/S005_001_00000012_emotion.txt", f"{number}.0")
    assert named(read_ckplus(ckplus))[11] == CKPLUS_NAMES[number]


@pytest.mark.parametrize("text", ["8", "-1", "2.5", "anger", "", "nan"])
def test_ckplus_with_another_number(ckplus, write, text):
    file = write("Emotion/S005/001/S005_001_00000012_emotion.txt", text)
    with pytest.raises(DatasetError, match="must hold one number from 0 to 7") as caught:
        read_ckplus(ckplus)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "folders", [[], ["cohn-kanade-images"], ["Emotion"], ["cohn-kanade-images", "Emotion"]]
)
def test_ckplus_of_another_layout(tmp_path, folders):
    for name in folders:
        (tmp_path / name).mkdir()
    with pytest.raises(DatasetError, match=r"is not laid out like CK\+: expected cohn-kanade-images/S005"):
        read_ckplus(tmp_path)


@pytest.mark.parametrize("place", ["", "OriginalImg/"])
def test_oulu(paint, tmp_path, place):
    for clip in ("NI/Dark/P001/Anger", "VL/Strong/P001/Happiness", "VL/Weak/P080/Surprise"):
        for i in range(11):
            paint(f"{place}{clip}/{i:03}.jpeg", shade=i)
    corpus = read_oulu(tmp_path)
    assert corpus.labels == EKMAN7 and len(corpus) == 33
    assert named(corpus)[:11] == ["neutral"] + [None] * 7 + ["anger"] * 3
    assert corpus.subject.tolist() == ["P001"] * 22 + ["P080"] * 11
    assert corpus.groups["light"].tolist() == ["dark"] * 11 + ["strong"] * 11 + ["weak"] * 11
    assert corpus.groups["camera"].tolist() == ["near infrared"] * 11 + ["visible"] * 22
    assert len(set(corpus.sequence)) == 3 and is_oulu(tmp_path)


def test_oulu_of_another_layout(paint, tmp_path):
    with pytest.raises(DatasetError, match="Oulu-CASIA: expected VL or NI"):
        read_oulu(tmp_path)
    paint("VL/Strong/P001/Grin/000.jpeg")
    with pytest.raises(DatasetError, match="found VL/Strong/P001/Grin"):
        read_oulu(tmp_path)


def test_afew(paint, film, tmp_path):
    film("Train_AFEW/Angry/000046280.avi", [30, 130, 230])
    for i in range(12):
        paint(f"Val_AFEW/Happy/000123/{i}.png", shade=i)
    corpus = read_afew(tmp_path)
    assert named(corpus) == ["anger"] * 3 + ["happiness"] * 12
    assert corpus.split.tolist() == ["Train"] * 3 + ["Val"] * 12
    assert [round(float(image.mean()), -1) for image in list(corpus.images)[:3]] == [30, 130, 230]
    assert [int(image[0, 0, 0]) for image in list(corpus.images)[3:]] == list(range(12))
    assert corpus.images[1].dtype == np.uint8 and corpus.images[1].shape == (16, 32, 3)
    assert corpus.source[1].endswith(".avi#1") and len(set(corpus.sequence)) == 2
    part = corpus.select(np.array([14, 0, 2]))
    assert [round(float(image.mean()), -1) for image in part.images] == [10, 30, 230]


def test_clips(paint, tmp_path):
    for name, n in (("calm/one", 3), ("calm/two", 2), ("Surprised/one", 1)):
        for i in range(n):
            paint(f"own/{name}/{i}.png", shade=i)
    corpus = read_clips(tmp_path / "own")
    assert corpus.name == "own" and sorted(map(str, named(corpus))) == ["neutral"] * 5 + ["surprise"]
    assert set(corpus.sequence) == {"calm/one", "calm/two", "Surprised/one"} and is_clips(tmp_path / "own")
    assert sorted(corpus.position.tolist()) == [0, 0, 0, 1, 1, 2]
    assert read_clips(tmp_path / "own", labels="ferplus8").labels == FERPLUS8


@pytest.mark.parametrize("suffix", VIDEO_SUFFIXES)
def test_clips_are_films_of_any_kind(film, tmp_path, suffix):
    (tmp_path / "own/happy").mkdir(parents=True)
    film("film.avi", [30]).rename(tmp_path / f"own/happy/y{suffix}")
    film("own/sad/x.avi", [50])
    corpus = read_clips(tmp_path / "own")
    assert set(corpus.sequence) == {f"happy/y{suffix}", "sad/x.avi"}


def test_a_folder_of_frames_named_like_a_film_is_one_clip(paint, tmp_path):
    paint("own/happy/000123.avi/0.png")
    assert len(read_clips(tmp_path / "own")) == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "a folder of clips for each class: expected folders named after emotions"),
        (["anger/1.png"], "a folder of clips for each class: expected"),
        (["anger/a/1.png", "hapy/a/1.png"], "hapy: a folder per class must be named .*Did you mean 'happy'"),
    ],
)
def test_clips_of_another_layout(paint, tmp_path, files, message):
    for name in files:
        paint(name)
    with pytest.raises(DatasetError, match=message):
        read_clips(tmp_path)


def test_afew_needs_splits(paint, tmp_path):
    paint("Angry/one/0.png")
    with pytest.raises(DatasetError, match="AFEW: expected Train and Val"):
        read_afew(tmp_path)


def test_a_film_that_is_none_is_named(write, tmp_path):
    write("Train/Angry/a.avi", "not a film")
    with pytest.raises(SourceError, match=r"a\.avi cannot be read as a film"):
        read_afew(tmp_path)
