"""A live run: camera, watcher, outputs, story and page joined in one loop that does not end by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

from mien.errors import MienError
from mien.outputs.fanout import FanOut
from mien.outputs.hub import LiveHub
from mien.readings import Readings
from mien.sources.frame import Frame
from mien.story import Story

MOST_FAILURES = 100
"""So many frames in a row that cannot be read end the run: it is not the frames then."""


class Reader(Protocol):
    """Reads one frame after the other, as :class:`mien.watcher.Watcher` does."""

    def read(self, frame: Frame) -> Readings:
        """Return the readings of the next frame."""


class LiveSource(Protocol):
    """A source of frames that can be closed from another thread, as :class:`mien.sources.camera.Camera`."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """End it: whoever waits for the next frame is told that there is none."""


def _ignore(sentence: str) -> None:
    """Report to nobody."""


class LiveRun:
    """Reads a camera in a thread of its own for as long as its ``with`` block lasts.

    Parameters
    ----------
    source : LiveSource
        Gives the newest frame each time it is asked; closed at the end.
    reader : Reader
        A watcher, for this source alone.
    hub : LiveHub
        Is told of every frame, decision and change of state.
    outputs : FanOut, optional
        Open; gets every frame and decision. It never waits, so nor does this.
    story : Story, optional
        Decides from the readings.
    report : callable, optional
        Called with a sentence when a frame cannot be read, the first of several in a row.
    on_end : callable, optional
        Called in the thread when the source has ended or failed, so that the server can be stopped.

    Attributes
    ----------
    error : Exception, optional
        What ended the run, if it did not end as it should.
    """

    def __init__(
        self,
        source: LiveSource,
        reader: Reader,
        hub: LiveHub,
        *,
        outputs: FanOut | None = None,
        story: Story | None = None,
        report: Callable[[str], None] = _ignore,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.source = source
        self.reader = reader
        self.hub = hub
        self.outputs = outputs
        self.story = story
        self.error: Exception | None = None
        self._report = report
        self._on_end = on_end
        self._failures = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mien-live", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._stopping.set()
        self.source.close()
        self._thread.join()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the source has ended; return whether it has."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            for frame in self.source:
                if self._stopping.is_set():
                    break
                self._take(frame)
            self.hub.set_state("ended", "" if self._stopping.is_set() else "The source has no more frames.")
        except Exception as error:  # noqa: BLE001  # kept for whoever started the thread, who raises it
            self.error = error
            self.hub.set_state(
                "ended", str(error) if isinstance(error, MienError) else "mien made a mistake."
            )
        finally:
            if self._on_end is not None:
                self._on_end()

    def _take(self, frame: Frame) -> None:
        try:
            readings = self.reader.read(frame)
        except MienError as error:
            self._failed(error)
            return
        self._failures = 0
        self.hub.publish(frame, readings, dropped=getattr(self.source, "dropped", 0))
        if self.outputs is not None:
            self.outputs.write(readings)
        if self.story is not None:
            for decision in self.story.update(readings):
                self.hub.tell(decision.to_dict())
                if self.outputs is not None:
                    self.outputs.decide(decision)

    def _failed(self, error: MienError) -> None:
        """Pass over a frame that cannot be read, unless none can."""
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise error
        if self._failures == 1:
            self._report(f"A frame was passed over: {error}")
