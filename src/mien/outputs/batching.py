"""One network for many who ask at once: whoever waits is answered in the same run."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError, bad_argument
from mien.models import Model

MOST_CROPS = 64
"""Crops in one run."""

Ask = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
_Question = tuple[NDArray[np.uint8], "Future[NDArray[np.float32]]"]


class Batcher:
    """Puts the questions of several threads to a function together, and gives each its own rows.

    Nobody waits for a batch to fill: while one run is under way questions gather, and the next run takes
    all of them. One question alone is therefore answered as fast as without it.

    Parameters
    ----------
    ask : callable
        Takes crops of shape (n, ...), uint8, and answers with n rows; called from one thread only.
    most : int
        Crops in one run. A question with more is asked in several, so that others come in between.
    on_batch : callable, optional
        Told of each run how many questions and how many crops it had.

    Raises
    ------
    ArgumentError
        If `most` is not positive.

    Examples
    --------
    >>> with Batcher(lambda crops: crops.mean(axis=(1, 2), dtype=np.float32)[:, None]) as batcher:
    ...     batcher(np.full((2, 4, 4), 7, np.uint8)).tolist()
    [[7.0], [7.0]]
    """

    def __init__(
        self, ask: Ask, *, most: int = MOST_CROPS, on_batch: Callable[[int, int], None] | None = None
    ) -> None:
        if most < 1:
            raise bad_argument("most", allowed="a whole number from 1", given=most)
        self._ask = ask
        self._most = most
        self._on_batch = on_batch
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="mien-batches", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Ask, and wait for the answer.

        Raises
        ------
        ModelError
            If the batcher was closed before it could answer.
        Exception
            What the function raises for these crops; the others of the same run are asked again alone.
        """
        if not len(crops):
            return self._ask(crops)
        parts = [self._put(crops[i : i + self._most]) for i in range(0, len(crops), self._most)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:
        """Answer what was asked already, and end."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._questions.put(None)
        self._thread.join()

    def _put(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        answer: Future[NDArray[np.float32]] = Future()
        with self._door:
            if self._closed:
                raise _closed()
            self._questions.put((crops, answer))
        return answer.result()

    def _work(self) -> None:
        left_over: _Question | None = None
        while (first := left_over or self._questions.get()) is not None:
            batch, left_over, ended = self._gather(first)
            self._answer(batch)
            if ended:
                break

    def _gather(self, first: _Question) -> tuple[list[_Question], _Question | None, bool]:
        """Take what waits: the questions of this run, one that is too many for it, and whether to end."""
        batch, count = [first], len(first[0])
        while True:
            try:
                question = self._questions.get_nowait()
            except queue.Empty:
                return batch, None, False
            if question is None:
                return batch, None, True
            count += len(question[0])
            if count > self._most or question[0].shape[1:] != first[0].shape[1:]:
                return batch, question, False
            batch.append(question)

    def _answer(self, batch: Sequence[_Question]) -> None:
        try:
            crops = batch[0][0] if len(batch) == 1 else np.concatenate([asked for asked, _ in batch])
            rows = self._ask(crops)
            if self._on_batch is not None:
                self._on_batch(len(batch), len(crops))
        except Exception as error:  # noqa: BLE001  # handed to whoever asked
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:
                for question in batch:
                    self._answer([question])
            return
        start = 0
        for asked, answer in batch:
            answer.set_result(rows[start : start + len(asked)])
            start += len(asked)


class SharedModel:
    """A model whose crops are scored together with those of other threads.

    Everything else is the model's own: what stands for a model can be replaced by this anywhere.

    Parameters
    ----------
    model : Model
    batcher : Batcher
        Over the model's `predict_proba`.
    """

    def __init__(self, model: Model, batcher: Batcher) -> None:
        self._model = model
        self._batcher = batcher
        self.name = model.name
        self.labels = model.labels
        self.crop = model.crop

    def __repr__(self) -> str:
        return f"SharedModel({self._model!r})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._model, name)

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities of shape (n, k); see :class:`mien.models.network.Model`."""
        return self._batcher(crops)


def _closed() -> ModelError:
    return ModelError("The model is not asked any more: its batcher is closed. Open a new one.")
