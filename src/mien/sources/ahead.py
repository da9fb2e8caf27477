"""Frames of a file decoded in a thread while those before them are being analysed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from typing import Any

from mien.sources.frame import Frame

AHEAD = 4
"""How many frames wait at most."""

_END = object()


@contextmanager
def read_ahead(frames: Iterable[Frame], count: int = AHEAD) -> Iterator[Iterator[Frame]]:
    """Read frames in a thread, a few ahead of who takes them.

    Frames of a live source (those with `captured_s`) and pictures without a time are not read ahead: the
    first would grow old.

    Parameters
    ----------
    frames : iterable of Frame
        Read by one thread only. Its errors arrive where they would without this, after the frames before.
    count : int
        How many frames wait at most.

    Yields
    ------
    iterator of Frame
        The same, in the same order. The thread has ended when the ``with`` block has.
    """
    source = iter(frames)
    first = next(source, None)
    if first is None:
        yield iter(())
    elif first.captured_s is not None or first.time_s is None:
        yield chain([first], source)
    else:
        with closing(_Reader(source, count)) as reader:
            yield chain([first], reader)


class _Reader:
    """A thread that fills a short queue."""

    def __init__(self, source: Iterator[Frame], count: int) -> None:
        self._source = source
        self._waiting: queue.Queue[Any] = queue.Queue(count)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="mien-read-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        while (one := self._waiting.get()) is not _END:
            if isinstance(one, BaseException):
                raise one
            yield one

    def close(self) -> None:
        """End the thread; frames that wait are let go."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._waiting.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def _fill(self) -> None:
        try:
            for frame in self._source:
                self._waiting.put(frame)
                if self._stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  # raised again by who takes the frames
            self._waiting.put(error)
            return
        self._waiting.put(_END)
