"""The page of a comparison: what stands on it, in one and in many, and that it says what it lacks."""

import re
from dataclasses import replace

import numpy as np
import pytest

from mien.labels import parse_scheme
from mien.training.compare_page import _crowded, _scatter, compare_page
from mien.training.reports import score
from mien.training.trials import About, Comparison, Failure, Outcome, Score, Trial, summarise

CLASSES = parse_scheme("happy vs rest")


def scored(share, n=50):
    label = np.arange(n) % 2
    answer = np.where(np.arange(n) < share * n, label, 1 - label)
    probability = np.full((n, 2), 0.2, np.float32)
    probability[np.arange(n), answer] = 0.8
    return Score.from_report(score("x", CLASSES.labels, label, probability, np.ones(n, bool)))


def trial(arch="cnn", data="A", share=0.8, seed=0, tests=("A", "B"), **changes):
    tested = tuple(Outcome(name, "k", 2, scored(share, 48), scored(share, 50)) for name in tests)
    one = Trial(
        cell=f"{arch}.{data}-{seed}", arch=arch, family="still", data=data, scheme=str(CLASSES), seed=seed,
        images=120, epochs=7, seconds=65.4, resumed=False, file="models/x.onnx", base="",
        parameters=2_000_000, size_bytes=8_000_000, one_ms=1.25, batch_ms=0.5, tested=tested,
    )  # fmt: skip
    return replace(one, **changes)


def about(name="A"):
    return About(
        name, 200, 120, 50, 2, "its own splits", ("happiness", "rest"), "the label as given", "ask first"
    )


def page(*trials, failures=(), left_out=(), data=("A", "B")):
    found = Comparison(
        trials, failures, left_out, tuple(map(about, data)), "mien compare --arch x", ("Said.",)
    )
    return compare_page(found).html()


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_everything_is_said():
    said = words(
        page(trial(), trial(seed=1, share=0.7), trial("gru", share=0.5), trial(data="B"), trial("gru", "B"))
    )
    for phrase in (
        "2 architectures, 2 data sets, 2 seeds",
        "A (happiness, rest): N 48, 2 seeds. Always answering happiness would be right on 0.500.",
        "accuracy with leaks (N 50)",
        "Across data sets",
        "ms, of 32",
        "7 65 (65 to 65)",
        "ask first",
        "rest = anger + contempt",
        "mien compare --arch x",
        "Said.",
        "None was tuned",
    ):
        assert phrase in said, phrase
    assert "There was one seed" not in said


def test_the_best_comes_first():
    html = page(trial("vit", share=0.5), trial("cnn", share=0.9), trial("resnet", share=0.7))
    table = html[html.index("calibration error</th>") :]
    assert table.index("cnn") < table.index("resnet") < table.index("vit")


def test_one_data_set_has_no_matrix():
    assert "Across data sets" not in page(trial(tests=("A",)), data=("A",))


@pytest.mark.parametrize("resumed", [True, False])
def test_time_of_a_part(resumed):
    assert ("65 or more" in page(trial(resumed=resumed))) == resumed


def test_what_is_missing_is_said():
    gone = Outcome("B", "k", 0, None, None, "shares no <emotion>")
    failed = Failure("vit", "A", "", 3, "out of memory")
    said = words(page(replace(trial(tests=("A",)), tested=(*trial(tests=("A",)).tested, gone)),
                      failures=(failed,), left_out=("gru is not trained on A.",)))  # fmt: skip
    assert "vit on A, seed 3 out of memory" in said and "gru is not trained on A." in said
    assert "on B: shares no &lt;emotion&gt;" in said and "There was one seed" in said


def test_weights_from_elsewhere():
    assert "cnn-svm: what the weights" in page(trial("cnn-svm", base="resnet.ferplus"))
    assert "what the weights" not in page(trial(), trial("cnn-svm", base=trial().cell))


def test_nothing():
    said = words(page(failures=(Failure("cnn", "A", "", 0, "no"),), data=("A",)))
    assert "cnn on A, seed 0 no" in said and "Results on" not in said


def test_points_and_names():
    never = trial("resnet", share=0.5, one_ms=float("nan"))
    slow = trial("gru", share=0.3, one_ms=9.0)
    trials = [trial("cnn", share=0.8), trial("vit", share=0.82, one_ms=1.3), never, slow]
    chosen = [s for s in summarise(trials) if s.data == "A"]
    left, right = _scatter(chosen, trials).axes
    assert [t.get_text() for t in left.texts] == ["cnn", "vit", "gru"], "what was not timed is not drawn"
    assert [t.get_ha() for t in left.texts] == ["right", "left", "left"] and len(right.texts) == 4
    assert left.get_xlim()[0] < 1.25 and left.get_xlim()[1] > 1.3
    alone = [(1.0, chosen[0])]
    assert not _crowded(alone, 0)
