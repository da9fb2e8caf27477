"""``mien compare``: a real, very small comparison from the command line, and what it refuses."""

import csv

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def sets(tmp_path):
    """Two folders per class: bright stripes lie for anger and stand for happiness, in noise."""
    random = np.random.default_rng(0)
    for name, emotions in {"one": ("anger", "happy"), "two": ("happy", "anger", "calm")}.items():
        for emotion in emotions:
            (tmp_path / name / emotion).mkdir(parents=True)
            for i in range(20):
                picture = random.integers(0, 120, (48, 48), dtype=np.uint8)
                lines = {"anger": np.s_[::8, :], "happy": np.s_[:, ::8], "calm": np.s_[:1, :1]}[emotion]
                picture[lines] = 250
                Image.fromarray(picture).save(tmp_path / name / emotion / f"{i}.png")
    return tmp_path


def test_a_small_comparison(run, sets):
    pytest.importorskip("skops")
    words = ("compare", "--arch", "svm-hog, svm-hog", "--data", f"{sets / 'one'},{sets / 'two'}", "--framed")
    words += ("--seeds", "1", "--emotions", "anger,happy", "--out", sets / "out", "--limit", "24")
    result = run(*words)
    assert result.code == 0, result.err
    with (sets / "out" / "compare.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and not any(row["error"] for row in rows)
    hog = [float(row["accuracy"]) for row in rows]
    assert min(hog) == 1.0, "stripes that lie or stand are what gradients tell"
    assert "2 of 2 done" in result.err and "anger, happiness" in result.out
    page = (sets / "out" / "compare.html").read_text()
    assert "mien compare --arch" in page and "short look" in page
    times = {file: file.stat().st_mtime_ns for file in (sets / "out" / "models").iterdir()}
    assert run(*words).code == 0
    assert {file: file.stat().st_mtime_ns for file in (sets / "out" / "models").iterdir()} == times


def test_list(run):
    result = run("compare", "--list")
    assert result.code == 0 and "svm-hog" in result.out and "timm:NAME" in result.out


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        ([], "--arch and --data are needed", 2),
        (["--arch", "cnn"], "--arch and --data are needed", 2),
        (
            ["--arch", "cnn", "--data", "SET/one", "--framed", "--detector", "default", "--out", "SET/out"],
            "--detector and --framed exclude each other",
            2,
        ),
        (["--arch", "cnm", "--data", "SET/one"], "Did you mean 'cnn'", 1),
        (["--arch", "cnn", "--data", "SET/none"], "none", 1),
        (["--arch", "cnn", "--data", "SET/one", "--emotions", "happy vs"], "emotion", 1),
        (["--arch", "cnn", "--data", "SET/one", "--ferplus", "SET/x.csv"], "one FER2013 csv in --data", 1),
    ],
)
def test_it_refuses_in_one_sentence(run, sets, words, says, code):
    result = run("compare", *[word.replace("SET", str(sets)) for word in words])
    assert (result.code, "Traceback" in result.err) == (code, False)
    assert says in result.err.replace("\n", " ")
