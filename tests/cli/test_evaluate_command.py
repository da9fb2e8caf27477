"""``mien evaluate`` on several data sets, in classes of one's own, for groups, and under disturbance."""

import csv
import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def sets(tmp_path):
    """Two folders per class and a table with a group column; noise, so that what a model says is any."""
    random = np.random.default_rng(0)
    for name, emotions in {"one": ("anger", "happy"), "two": ("happy", "calm", "contempt")}.items():
        for emotion in emotions:
            (tmp_path / name / emotion).mkdir(parents=True)
            for i in range(3):
                Image.fromarray(random.integers(0, 256, (48, 48), dtype=np.uint8)).save(
                    tmp_path / name / emotion / f"{i}.png"
                )
    with (tmp_path / "lit.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "label", "light", "subject"))
        for i, light in enumerate(("dark", "bright", "dark")):
            table.writerow((f"one/anger/{i}.png", "anger", light, f"p{i}"))
            table.writerow((f"one/happy/{i}.png", "happy", light, f"p{i}"))
    return tmp_path


def numbers(run, sets, *words):
    result = run("evaluate", *words, "--framed", "--json", sets / "numbers.json")
    assert result.code == 0, result.err
    return result.out, json.loads((sets / "numbers.json").read_text())


def test_several_data_sets_give_a_matrix(run, sets):
    out, written = numbers(run, sets, sets / "one", sets / "two", "--cache", sets / "kept")
    assert written["models"] == ["resnet.ferplus"] and written["data"] == ["one", "two"]
    first, second = written["places"]
    assert first["evaluation"]["all"]["n"] == 6 and second["evaluation"]["all"]["n"] == 9
    assert (
        first["emotions"] == list(first["evaluation"]["all"]["labels"])
        and "contempt" not in first["emotions"]
    )
    assert "contempt" in second["emotions"]
    assert "accuracy" in out and "macro-F1" in out and "resnet.ferplus on two: scored in" in out
    assert len(list((sets / "kept").iterdir())) > 0


def test_one_against_the_rest(run, sets):
    out, written = numbers(run, sets, sets / "two", "--emotions", "happy vs rest")
    assert written["all"]["labels"] == ["happiness", "rest"] and written["all"]["n"] == 9
    assert "recall, rest" in out


@pytest.mark.parametrize("wanted", ["light", "all"])
def test_groups(run, sets, wanted):
    out, written = numbers(run, sets, sets / "lit.csv", "--groups", wanted)
    (light,) = written["groups"]
    assert light["column"] == "light" and [(g["value"], g["n"], g["subjects"]) for g in light["groups"]] == [
        ("dark", 4, 2),
        ("bright", 2, 1),
    ]
    assert "no gap: fewer than two groups have 30 pictures" in out


def test_groups_that_there_are_not(run, sets):
    result = run("evaluate", sets / "one", sets / "lit.csv", "--groups", "gendre", "--framed")
    assert result.code == 1 and "'gendre' is not a known group column" in result.err


def test_groups_of_one_of_several(run, sets):
    _, written = numbers(run, sets, sets / "one", sets / "lit.csv", "--groups", "light")
    assert [len(place["evaluation"]["groups"]) for place in written["places"]] == [0, 1]


def test_robustness(run, sets):
    out, written = numbers(run, sets, sets / "one", "--robustness", "--sample", 2)
    (report,) = written["robustness"]
    assert report["n"] == 2 and len(report["conditions"]) > 5 and "undisturbed" in out


def test_votes_need_a_csv_among_several(run, sets):
    (sets / "votes.csv").write_text("x")
    result = run("evaluate", sets / "one", sets / "two", "--ferplus", sets / "votes.csv")
    assert result.code == 1 and "ferplus must be given only beside a FER2013 csv" in result.err


def test_pictures_that_cannot_be_read_are_named_and_left_out(run, sets):
    for name in ("anger/1.png", "happy/2.png"):
        file = sets / "one" / name
        file.write_bytes(file.read_bytes()[:200])
    kept = sets / "kept"
    for emotion, numbers_kept in {"anger": (0, 2), "happy": (0, 1)}.items():
        (kept / emotion).mkdir(parents=True)
        for i in numbers_kept:
            (kept / emotion / f"{i}.png").write_bytes((sets / "one" / emotion / f"{i}.png").read_bytes())
    whole = numbers(run, sets, kept)[1]
    result = run("evaluate", sets / "one", "--framed", "--json", sets / "numbers.json")
    written = json.loads((sets / "numbers.json").read_text())
    assert result.code == 1 and "accuracy" in result.out
    assert "anger/1.png" in result.err and "happy/2.png" in result.err
    assert "mien: left out because they could not be read: 2." in result.err
    assert (whole["unreadable"], written["unreadable"]) == (0, 2)
    assert written["all"] | {"name": ""} == whole["all"] | {"name": ""}


def test_unreadable_pictures_among_several_data_sets_and_disturbed(run, sets):
    (sets / "one/anger/0.png").write_text("text")
    result = run(
        "evaluate", sets / "one", sets / "two", "--robustness", "--framed", "--json", sets / "n.json"
    )
    written = json.loads((sets / "n.json").read_text())
    assert result.code == 1 and result.err.count("0.png") == 1
    assert [place["evaluation"]["all"]["n"] for place in written["places"]] == [5, 9]
    assert [report["n"] for report in written["robustness"]] == [5, 9]


def test_a_split_that_there_is_not_is_said_before_anything_is_read(run, sets):
    (sets / "one/anger/0.png").write_text("text")
    result = run("evaluate", sets / "one", "--split", "test", "--framed")
    assert result.code == 1 and "split must be a part of one" in result.err and "0.png" not in result.err


def test_a_head_is_asked_about_the_data_it_learned_from_or_if_typed_and_else_the_first(run, sets):
    from mien.models import load_model
    from mien.sources.datasets import open_dataset
    from mien.training.evaluate import evaluate_model

    random = np.random.default_rng(1)
    with (sets / "fer2013.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("emotion", "pixels", "Usage"))
        for emotion in (0, 3, 4, 6):
            pixels = " ".join(map(str, random.integers(0, 256, 48 * 48)))
            table.writerow((emotion, pixels, "PublicTest"))
    for words, head, other in (
        (["one"], "ferplus8", "ekman7"),
        (["one", "--labels", "ekman7"], "ekman7", "ferplus8"),
        (["fer2013.csv"], "ekman7", "ferplus8"),
    ):
        data, *options = words
        _, written = numbers(run, sets, sets / data, *options)
        corpus = open_dataset(str(sets / data))
        assert corpus.labels.key == "ekman7"
        expected, another = (
            evaluate_model(load_model(labels=labels), corpus).all.ece for labels in (head, other)
        )
        assert written["all"]["ece"] == pytest.approx(expected) != pytest.approx(another)
