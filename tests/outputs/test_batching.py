"""Many who ask at once share runs, and each gets what it would have got alone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mien.errors import ArgumentError, ModelError
from mien.outputs.batching import Batcher, SharedModel
from mien.testing import TableModel


class Gate:
    """A function over crops whose first run waits to be let on; remembers the sizes of its runs."""

    def __init__(self):
        self.entered, self.go = threading.Event(), threading.Event()
        self.runs = []

    def __call__(self, crops):
        self.runs.append(len(crops))
        self.entered.set()
        assert self.go.wait(20)
        if (crops == 255).any():
            raise ModelError("a white crop")
        return np.stack([crops.mean(axis=(1, 2)), np.arange(len(crops))], axis=1).astype(np.float32)


def crops(value, count=1, side=4):
    return np.full((count, side, side), value, np.uint8)


def ask_together(batcher, gate, questions):
    """Ask a first question, and the others while it is answered; return the futures of all."""
    with ThreadPoolExecutor(len(questions)) as pool:
        futures = [pool.submit(batcher, questions[0])]
        assert gate.entered.wait(20)
        for number, question in enumerate(questions[1:], 1):
            futures.append(pool.submit(batcher, question))
            until = time.monotonic() + 20
            while batcher._questions.qsize() < number and time.monotonic() < until:
                time.sleep(0.001)
        gate.go.set()
    return futures


def test_questions_that_gather_share_a_run_and_each_gets_its_own_rows():
    gate, seen = Gate(), []
    with Batcher(gate, on_batch=lambda *counts: seen.append(counts)) as batcher:
        futures = ask_together(batcher, gate, [crops(1), crops(2, 3), crops(3), crops(4, 2)])
    assert [f.result()[:, 0].tolist() for f in futures] == [[1], [2, 2, 2], [3], [4, 4]]
    assert gate.runs == [1, 6]
    assert seen == [(1, 1), (3, 6)]


def test_a_run_has_no_more_crops_than_allowed():
    gate = Gate()
    with Batcher(gate, most=4) as batcher:
        futures = ask_together(batcher, gate, [crops(1), crops(2, 3), crops(3, 2), crops(4, 2), crops(5)])
    assert gate.runs == [1, 3, 4, 1]
    assert [f.result()[0, 0] for f in futures] == [1, 2, 3, 4, 5]


def test_a_long_question_lets_others_come_in_between():
    gate = Gate()
    with Batcher(gate, most=4) as batcher:
        long, short = ask_together(batcher, gate, [np.arange(9, dtype=np.uint8)[:, None, None], crops(7)])
    assert long.result()[:, 0].tolist() == list(range(9))
    assert short.result()[0, 0] == 7
    assert gate.runs[0] == 4 and max(gate.runs) == 4 and sum(gate.runs) == 10


def test_crops_of_other_shapes_are_not_mixed():
    gate = Gate()
    with Batcher(gate) as batcher:
        futures = ask_together(batcher, gate, [crops(1), crops(2), crops(3, side=6), crops(4, side=6)])
    assert gate.runs == [1, 1, 2]
    assert [f.result()[0, 0] for f in futures] == [1, 2, 3, 4]


def test_a_question_that_fails_fails_alone():
    gate = Gate()
    with Batcher(gate) as batcher:
        futures = ask_together(batcher, gate, [crops(1), crops(2), crops(255), crops(3)])
    assert [futures[i].result()[0, 0] for i in (0, 1, 3)] == [1, 2, 3]
    with pytest.raises(ModelError, match="a white crop"):
        futures[2].result()


def test_no_crops_need_no_run_of_the_thread():
    with Batcher(TableModel(np.full((1, 8), 1 / 8)).predict_proba) as batcher:
        assert batcher(np.empty((0, 48, 48), np.uint8)).shape == (0, 8)


def test_closing_answers_what_was_asked_and_ends_the_thread():
    gate = Gate()
    batcher = Batcher(gate)
    futures = ask_together(batcher, gate, [crops(1), crops(2)])
    batcher.close()
    batcher.close()
    assert [f.result()[0, 0] for f in futures] == [1, 2]
    assert "mien-batches" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ModelError, match="closed"):
        batcher(crops(3))


@pytest.mark.parametrize("most", [0, -1])
def test_a_run_needs_room_for_a_crop(most):
    with pytest.raises(ArgumentError, match="most must be"):
        Batcher(len, most=most)


def test_a_shared_model_stands_for_its_model():
    class Sequences(TableModel):
        frames = 9

        def predict_windows(self, windows):
            return self.predict_proba(windows[:, -1])

    model = Sequences(np.eye(8))
    with Batcher(model.predict_proba) as batcher:
        shared = SharedModel(model, batcher)
        assert (shared.name, shared.labels, shared.crop) == (model.name, model.labels, model.crop)
        assert shared.frames == 9
        assert shared.predict_windows(np.zeros((2, 9, 48, 48), np.uint8)).argmax(axis=1).tolist() == [0, 1]
        assert shared.predict_proba(np.zeros((3, 48, 48), np.uint8)).argmax(axis=1).tolist() == [0, 1, 2]
        with pytest.raises(AttributeError):
            shared.nothing  # noqa: B018  # reading it is the test


def test_a_mistake_in_the_count_does_not_end_the_thread():
    def broken(questions, crops):
        raise RuntimeError("no counting")

    with Batcher(TableModel(np.full((1, 8), 1 / 8)).predict_proba, on_batch=broken) as batcher:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no counting"):
                batcher(np.zeros((1, 48, 48), np.uint8))
