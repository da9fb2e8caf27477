"""The comparison, with a trainer that writes models at once: what is kept, left out, averaged and said."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from shades import SHADES, corpus

import mien.training.compare as comparing
from mien.catalog import Head, ModelCard
from mien.errors import ArgumentError, DatasetError, ModelError
from mien.labels import EKMAN7, FERPLUS8, get_label_set, parse_scheme
from mien.training.compare import Grid, compare
from mien.training.trials import COLUMNS, read_trial

SIZE = 8


class ShadeFile:
    """What the fake trainer's files hold: the emotions, and which share of the answers is turned."""

    def __init__(self, file):
        plain = json.loads(file.read_text())
        self.name, self.labels, self.wrong = file.stem, get_label_set(plain["labels"]), plain["wrong"]
        self.names = plain["learned"]
        from mien.faces.align import CropSpec

        self.crop = CropSpec("fer2013-mean", 0.0, SIZE)
        if plain["frames"] > 1:
            self.frames = plain["frames"]
            self.predict_windows = lambda windows: self.predict_proba(windows[:, -1])

    def predict_proba(self, crops):
        column = np.round(crops[:, SIZE // 2, SIZE // 2] / SHADES).astype(int)
        answer = np.array([self.labels.names.index(self.names[c]) for c in column])
        answer[: int(len(crops) * self.wrong)] += 1
        p = np.full((len(crops), len(self.labels)), 0.01, np.float32)
        p[np.arange(len(crops)), answer % len(self.labels)] = 1
        return p / p.sum(axis=1, keepdims=True)


class Trainer:
    """Writes a model at once; an architecture named in `broken` fails."""

    def __init__(self, broken=(), wrong=0.0):
        self.broken, self.wrong, self.calls = broken, wrong, []

    def __call__(self, lesson, recipe, *, run, out, name, detector=None, command="", cache=None):
        self.calls.append((recipe.arch, lesson, recipe))
        if recipe.arch in self.broken:
            raise self.broken[recipe.arch]
        frames = 3 if recipe.frames > 1 else 1
        own = lesson.labels
        words = list(EKMAN7) if own.key != "happiness+rest" else ["rest"] * 3 + ["happiness"] + ["rest"] * 3
        plain = {
            "labels": own.key,
            "learned": words,
            "frames": frames,
            "wrong": self.wrong * (1 + recipe.seed),
        }
        (out / f"{name}.onnx").write_text(json.dumps(plain))
        card = ModelCard(
            name=name, task="expression", summary="", licence="", size_px=SIZE, colour="grey",
            template="fer2013-mean", heads=(Head(own.key, "x"),), parameters=1000, frames=frames,
        )  # fmt: skip
        self.cards[name] = card
        return card


@pytest.fixture
def trainer(monkeypatch):
    cards = {}
    monkeypatch.setattr(Trainer, "cards", cards, raising=False)
    for name in ("_scatter", "_confusions"):  # drawing takes longest, and has its own tests
        monkeypatch.setattr(f"mien.training.compare_page.{name}", lambda *_: Figure(figsize=(1, 1)))
    monkeypatch.setattr(comparing, "load_model", lambda file, threads=None: ShadeFile(file))
    monkeypatch.setattr(comparing, "find_model", lambda file, task: (cards[file.stem], file))
    return Trainer


def divided(n=20, name="first", seed=0, leak=True):
    """A corpus with its own splits: half to learn from; one test picture also stands there."""
    shown = np.random.default_rng(seed).permutation(np.arange(n) % 7).tolist()
    marks = (np.arange(n) + 60 * seed).tolist()
    if leak:
        marks[-1], shown[-1] = marks[0], shown[0]
    split = ["Training"] * (n // 2) + ["PublicTest"] * (n - n // 2)
    return replace(corpus(shown, shown, split, marks=marks), name=name)


def filmed():
    """Four sequences of five pictures, of which the last two have a label."""
    n = 20
    shown = (np.arange(n) // 5 % 2 + 3).tolist()
    label = [e if i % 5 > 2 else -1 for i, e in enumerate(shown)]
    return replace(
        corpus(shown, label),
        name="film",
        sequence=np.array([f"s{i // 5}" for i in range(n)]),
        position=np.arange(n) % 5,
        subject=np.array([f"p{i // 5}" for i in range(n)]),
    )


def lines(folder):
    with (folder / "compare.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_everything_on_everything(trainer, tmp_path):
    grid = Grid(["svm-hog", "cnn"], [divided(), divided(40, "second", 1)], seeds=(0, 1), epochs=3)
    train, seen = trainer(wrong=0.1), []
    result = compare(
        grid, out=tmp_path, train=train, command="mien compare ...", progress=lambda *now: seen.append(now)
    )
    assert len(train.calls) == len(result.trials) == 8 and not result.failures and not result.left_out
    assert seen[0] == (0, 8, "svm-hog on first, seed 0") and seen[-1][:2] == (8, 8)
    assert {recipe.epochs for arch, _, recipe in train.calls if arch == "cnn"} == {3}
    rows = lines(tmp_path)
    assert len(rows) == 16 and tuple(rows[0]) == COLUMNS
    own = [r for r in rows if r["trained_on"] == r["tested_on"] == "second"]
    assert {(r["n"], r["n_raw"], r["leaked"]) for r in own} == {("19", "20", "1")}
    across = [r for r in rows if (r["trained_on"], r["tested_on"]) == ("first", "second")]
    assert {(r["n"], r["leaked"]) for r in across} == {("20", "0")}
    assert {r["epochs"] for r in rows if r["architecture"] == "svm-hog"} == {""}
    assert all(float(r["one_ms"]) > 0 and int(r["size_bytes"]) > 0 for r in rows)
    page = (tmp_path / "compare.html").read_text()
    for words in ("mien compare ...", "Across data sets", "not measured", "first", "second", "N 19"):
        assert words in page


def test_seeds_are_averaged_and_do_not_narrow_the_interval(trainer, tmp_path):
    grid = Grid(["cnn"], [divided(40, leak=False)], seeds=(0, 1))
    (summary,) = compare(grid, out=tmp_path, train=trainer(wrong=0.2)).summaries()
    assert (summary.least, summary.accuracy, summary.most) == (0.6, pytest.approx(0.7), 0.8)
    assert summary.n == 20 and summary.seeds == (0, 1) and summary.confusion.sum() == 40
    assert (summary.low, summary.high) == pytest.approx((0.4810, 0.8545), abs=1e-4), "of 14 out of 20"
    share, low, high, n = summary.recall["anger"]
    assert low < share < high and n == (summary.confusion.sum(axis=1)[0] // 2)


def test_what_is_done_is_not_done_again(trainer, tmp_path):
    first = trainer()
    compare(Grid(["cnn"], [divided()], epochs=3), out=tmp_path, train=first)
    again = trainer()
    wider = Grid(["cnn", "resnet"], [divided(), divided(30, "second", 1)], epochs=3)
    result = compare(wider, out=tmp_path, train=again)
    assert [(arch, len(lesson)) for arch, lesson, _ in again.calls] == [
        ("cnn", 15),
        ("resnet", 10),
        ("resnet", 15),
    ]
    assert [len(trial.tested) for trial in result.trials] == [2] * 4, (
        "the old model was tested on the new data"
    )
    longer = trainer()
    compare(Grid(["cnn"], [divided()], epochs=4), out=tmp_path, train=longer)
    assert len(longer.calls) == 1, "another recipe is another model"
    other = trainer()
    compare(Grid(["cnn"], [divided(seed=3)], epochs=3), out=tmp_path, train=other)
    assert len(other.calls) == 1, "and so are other pictures under the same name"


def test_a_cell_that_fails_is_reported_and_the_rest_goes_on(trainer, tmp_path):
    broken = {"cnn": ModelError("no weights <here>"), "svm-lbp": ValueError("odd")}
    result = compare(Grid(["cnn", "svm-lbp", "resnet"], [divided()]), out=tmp_path, train=trainer(broken))
    assert [trial.arch for trial in result.trials] == ["resnet"]
    assert [(f.arch, f.error) for f in result.failures] == [
        ("cnn", "no weights <here>"),
        ("svm-lbp", "ValueError: odd"),
    ]
    assert "no weights &lt;here&gt;" in (tmp_path / "compare.html").read_text()
    assert [r["error"] for r in lines(tmp_path)] == ["", "no weights <here>", "ValueError: odd"]
    mended = trainer()
    assert not compare(Grid(["cnn", "resnet"], [divided()]), out=tmp_path, train=mended).failures
    assert [arch for arch, _, _ in mended.calls] == ["cnn"]


def test_nothing_works(trainer, tmp_path):
    result = compare(Grid(["cnn"], [divided()]), out=tmp_path, train=trainer({"cnn": OSError("full")}))
    assert not result.trials and "full" in (tmp_path / "compare.html").read_text()


def test_a_programming_error_is_not_swallowed(trainer, tmp_path):
    with pytest.raises(AssertionError):
        compare(Grid(["cnn"], [divided()]), out=tmp_path, train=trainer({"cnn": AssertionError()}))


def test_sequences_are_learned_from_sequences(trainer, tmp_path):
    train = trainer()
    result = compare(Grid(["gru", "cnn"], [divided(), filmed()]), out=tmp_path, train=train)
    learned = {(arch, lesson.name): lesson for arch, lesson, _ in train.calls}
    assert set(learned) == {("gru", "film"), ("cnn", "first"), ("cnn", "film")}
    assert (learned["gru", "film"].label == -1).any() and (learned["cnn", "film"].label >= 0).all()
    assert result.left_out == ("gru is not trained on first: it learns from sequences, first has none.",)
    assert "gru is not trained on first" in (tmp_path / "compare.html").read_text()
    tested = {t.data: t for trial in result.trials if trial.arch == "gru" for t in trial.tested}
    assert tested["first"].clean.n == 10 and tested["film"].clean.n > 0


def test_classes_of_ones_own(trainer, tmp_path):
    schemes = [None, parse_scheme("happy vs rest")]
    result = compare(Grid(["cnn"], [divided()], schemes=schemes), out=tmp_path, train=trainer())
    own, merged = (trial.tested[0].clean for trial in result.trials)
    assert own.labels == EKMAN7.names and merged.labels == ("happiness", "rest")
    assert own.n == merged.n and merged.accuracy == 1.0
    missing = compare(
        Grid(["cnn"], [divided()], schemes=[parse_scheme("happy,contempt")]), out=tmp_path, train=trainer()
    )
    assert "classes that first has pictures of" in missing.failures[0].error


def test_emotions_that_only_one_knows_are_left_out(trainer, tmp_path):
    wide = divided(40, "wide", 1, leak=False)
    index = np.array([FERPLUS8.index(name) for name in EKMAN7])
    wide = replace(wide, labels=FERPLUS8, label=index[wide.label])
    wide.label[-1] = FERPLUS8.index("contempt")
    result = compare(Grid(["cnn"], [divided(leak=False), wide]), out=tmp_path, train=trainer())
    across = next(
        t for trial in result.trials if trial.data == "first" for t in trial.tested if t.data == "wide"
    )
    assert across.clean.n == 19 and "contempt" not in across.clean.labels


def test_a_short_look(trainer, tmp_path):
    train = trainer()
    compare(Grid(["cnn", "gru"], [divided(60), filmed()], limit=10), out=tmp_path, train=train)
    sizes = {(arch, lesson.name): lesson for arch, lesson, _ in train.calls}
    assert 7 <= len(sizes["cnn", "first"]) <= 14 and len(np.unique(sizes["cnn", "first"].label)) == 7
    film = sizes["gru", "film"]
    assert len(film) == 10 and set(np.unique(film.sequence, return_counts=True)[1]) == {5}
    assert "short look" in (tmp_path / "compare.html").read_text()


def test_an_svm_looks_at_the_network_that_learned_from_the_same(trainer, tmp_path):
    train = trainer()
    corpora = [divided(), divided(40, "second", 1)]
    result = compare(Grid(["cnn-svm", "cnn"], corpora, base="resnet.ferplus"), out=tmp_path, train=train)
    assert [arch for arch, _, _ in train.calls] == ["cnn", "cnn", "cnn-svm", "cnn-svm"], "networks first"
    bases = [recipe.base for arch, _, recipe in train.calls if arch == "cnn-svm"]
    files = [str(tmp_path / trial.file) for trial in result.trials if trial.arch == "cnn"]
    assert bases == files
    alone = trainer()
    compare(Grid(["cnn-svm"], [divided(30)], base="resnet.ferplus"), out=tmp_path, train=alone)
    assert alone.calls[0][2].base == "resnet.ferplus"


def test_data_sets_of_the_same_name(trainer, tmp_path):
    result = compare(Grid(["cnn"], [divided(), divided(40, seed=1)]), out=tmp_path, train=trainer())
    assert [about.name for about in result.data] == ["first", "first (2)"]


def test_a_damaged_result_is_named(trainer, tmp_path):
    compare(Grid(["cnn"], [divided()]), out=tmp_path, train=trainer())
    (file,) = (tmp_path / "cells").iterdir()
    whole = read_trial(file)
    assert whole.arch == "cnn" and whole.tested[0].clean.n == 9
    file.write_text("{}")
    with pytest.raises(DatasetError, match=file.name):
        read_trial(file)


@pytest.mark.parametrize(
    "wrong",
    [{"architectures": []}, {"architectures": ["cnm"]}, {"corpora": []}, {"seeds": []}, {"limit": 1}],
)
def test_what_cannot_be_compared(wrong):
    with pytest.raises(ArgumentError):
        Grid(**{"architectures": ["cnn"], "corpora": [divided()], **wrong})
