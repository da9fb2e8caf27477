"""One output with its queue and its thread: what :class:`mien.outputs.fanout.FanOut` is made of."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from mien.errors import OutputError
from mien.outputs.files import Sink
from mien.readings import Readings
from mien.story import Decision

Item = Readings | Decision
"""What outputs take."""


@runtime_checkable
class Decider(Protocol):
    """Anything that takes the decisions of a story: opened with ``with``, told one after the other."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

    def decide(self, decision: Decision) -> None:
        """Take one decision."""


@dataclass(frozen=True)
class Output:
    """A sink and how it is treated.

    Parameters
    ----------
    name : str
        What to call it in a message.
    sink : Sink or Decider
        Opened and closed by the :class:`FanOut` that it is given to. One that has `write` gets readings, one
        that has `decide` gets decisions.
    keep : bool
        Nothing is dropped, as for files; else the newest frames win.
    """

    name: str
    sink: Sink | Decider
    keep: bool = False


@dataclass(frozen=True)
class OutputStatus:
    """How an output is doing.

    Parameters
    ----------
    name : str
    written : int
        Frames and decisions it took.
    dropped : int
        Those it did not take: it was slow, absent or failing.
    waiting : int
    failing : str, optional
        The last error, while it lasts.
    """

    name: str
    written: int
    dropped: int
    waiting: int
    failing: str | None


class Lane:
    """One output with its queue and its thread.

    Parameters
    ----------
    output : Output
    most : int
        Items that may wait.
    end_s : float
        How long :meth:`end` waits for the thread.
    pauses_s : tuple of float
        The first and the longest pause after a failure.
    report : callable
        Called with a sentence, from the thread or from the caller's.
    """

    def __init__(
        self,
        output: Output,
        most: int,
        end_s: float,
        pauses_s: tuple[float, float],
        report: Callable[[str], None],
    ) -> None:
        self.output = output
        self._most = most
        self._end_s = end_s
        self._first_pause_s, self._longest_pause_s = pauses_s
        self._report = report
        self._queue: deque[Item] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._opened = output.keep  # files are opened by who starts them, so that a wrong name is heard of
        self._written = self._dropped = self._failures = self._dropped_before = 0
        self._failing: str | None = None
        self._overflowing = False
        self._thread = threading.Thread(target=self._work, name=f"mien output {output.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, item: Item) -> None:
        """Add to the queue, if the output takes it; make room where it is full."""
        if not isinstance(self.output.sink, Sink if isinstance(item, Readings) else Decider):
            return
        overflows = False
        with self._changed:
            if len(self._queue) >= self._most:
                self._dropped += 1
                if self.output.keep:
                    overflows, self._overflowing = not self._overflowing, True
            if len(self._queue) < self._most or self._makes_room(item):
                self._queue.append(item)
                self._changed.notify()
        if overflows:
            self._report(
                f"{self.output.name}: {self._most} frames wait to be written and no more are kept; "
                "new ones are lost until it takes some."
            )

    def _makes_room(self, item: Item) -> bool:
        """Drop readings rather than decisions, of a file the newest; say whether there is room now."""
        keep = self.output.keep
        if keep and isinstance(item, Readings):
            return False
        waiting: Iterable[Item] = reversed(self._queue) if keep else self._queue
        readings = next((i for i, one in enumerate(waiting) if isinstance(one, Readings)), None)
        if readings is not None:
            del self._queue[-1 - readings if keep else readings]
            return True
        if keep or isinstance(item, Readings):
            return False
        self._queue.popleft()
        return True

    def status(self) -> OutputStatus:
        """Return how the output is doing."""
        with self._changed:
            waiting = len(self._queue)
            return OutputStatus(self.output.name, self._written, self._dropped, waiting, self._failing)

    def ask_to_end(self) -> None:
        """Let the thread end once the queue is empty."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    def end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for the thread; close a file and raise if it did not get everything."""
        self._thread.join(self._end_s)
        stuck = self._thread.is_alive()
        if not self.output.keep:
            if stuck:
                self._report(f"{self.output.name} does not answer; its last frames are given up.")
            return
        if not stuck and not self._queue:
            self.output.sink.__exit__(kind, error, traceback)
            return
        why = self._failing or "it took too long"
        loss = OutputError(f"{self.output.name} lacks its last {len(self._queue) + stuck} frames: {why}")
        if not stuck:
            self.output.sink.__exit__(OutputError, loss, None)
        raise loss

    def _work(self) -> None:
        while (item := self._next()) is not None:
            last = self._ending
            try:
                self._deliver(item)
            except Exception as error:  # noqa: BLE001  # whatever a receiver's package raises is reported here
                self._failed(item, error)
                if last:  # it was tried once more at the end
                    break
            else:
                self._succeeded()
        if not self.output.keep:
            self._close()

    def _next(self) -> Item | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ending)
            return self._queue.popleft() if self._queue else None

    def _deliver(self, item: Item) -> None:
        sink = self.output.sink
        if not self._opened:
            sink.__enter__()
            self._opened = True
        if isinstance(item, Readings) and isinstance(sink, Sink):
            sink.write(item)
        elif isinstance(item, Decision) and isinstance(sink, Decider):
            sink.decide(item)

    def _succeeded(self) -> None:
        with self._changed:
            self._written += 1
            failures, lost = self._failures, self._dropped - self._dropped_before
            self._failures, self._failing = 0, None
            self._overflowing = self._overflowing and len(self._queue) > self._most // 2
        if failures:
            self._report(f"{self.output.name} works again" + (f"; {lost} frames were lost." if lost else "."))

    def _failed(self, item: Item, error: Exception) -> None:
        """Report, and pause before the next try."""
        pause = min(self._first_pause_s * 2 ** min(self._failures, 16), self._longest_pause_s)
        sentence = str(error).strip() or type(error).__name__
        with self._changed:
            first, self._failing = not self._failures, sentence
            self._dropped_before = self._dropped if first else self._dropped_before
            self._failures += 1
            if self.output.keep:
                self._queue.appendleft(item)
            else:
                self._dropped += 1
        if first:
            self._report(f"{self.output.name} failed and is tried again, while the others go on: {sentence}")
        if not self.output.keep:
            self._close()
        with self._changed:
            self._changed.wait_for(lambda: self._ending, timeout=pause)

    def _close(self) -> None:
        """Close a live receiver, which is opened anew for the next frame."""
        if not self._opened:
            return
        self._opened = False
        try:
            self.output.sink.__exit__(None, None, None)
        except Exception as error:  # noqa: BLE001  # as in _work
            self._report(f"{self.output.name} did not close well: {error}")
