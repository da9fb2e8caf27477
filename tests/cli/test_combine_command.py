"""``mien combine``: two networks that ship as one file, from the command line, and what it refuses."""

import numpy as np
import pytest

from mien.catalog import load_card


@pytest.fixture
def table(tmp_path):
    """A table in the layout of FER2013, of noise."""
    random = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for i in range(60):
        pixels = " ".join(map(str, random.integers(0, 256, 48 * 48)))
        lines.append(f"{i % 7},{pixels},{'PublicTest' if i % 3 == 0 else 'Training'}")
    file = tmp_path / "faces.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def words(table, *models):
    named = [word for model in models for word in ("--model", model)]
    return ("combine", str(table), *named, "--name", "duo.test", "--framed", "--held-out", "0.5")


def test_two_networks_become_one_file(run, table, tmp_path):
    result = run(*words(table, "resnet.ferplus", "resnet-tiny.ferplus"), "--out", str(tmp_path / "out"))
    assert result.code == 0, result.err
    assert "duo.test.onnx" in result.out and "accuracy" in result.out
    card = load_card(tmp_path / "out" / "duo.test.toml")
    assert card.trained_with.startswith("mien combine")
    assert card.head("ekman7").temperature != 1
    assert {m.n for m in card.metrics} == {20}


@pytest.mark.parametrize(
    ("models", "says", "code"),
    [
        (["resnet.ferplus"], "two or more", 1),
        (["resnet.ferplus", "resnet-tiny.ferplu"], "Did you mean 'resnet-tiny.ferplus'", 1),
        ([], "--model", 2),
    ],
)
def test_it_refuses_in_one_sentence(run, table, tmp_path, models, says, code):
    result = run(*words(table, *models), "--out", str(tmp_path / "out"))
    assert (result.code, "Traceback" in result.err) == (code, False)
    assert says in result.err.replace("\n", " ")
    assert not list(tmp_path.glob("out/*"))


def test_labels_that_no_head_has_cannot_calibrate(run, table, tmp_path):
    models = ("resnet.ferplus", "resnet-tiny.ferplus")
    result = run(*words(table, *models), "--emotions", "anger,fear", "--out", str(tmp_path / "out"))
    assert result.code == 1 and "label sets ferplus8, ekman7" in result.err.replace("\n", " ")
    assert not list(tmp_path.glob("out/*"))
