"""The middle of a live run: the newest picture with its readings, handed on to everyone who looks.

One thread publishes; any number of viewers take what is newest when they are ready for it. A viewer that is
slow misses pictures, never delays them, and nothing here grows with time.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np

from mien._version import __version__
from mien.outputs.palette import EMOTION_COLOURS, UNSURE_COLOUR, as_hex
from mien.outputs.server.answers import readings_json
from mien.readings import UNSURE, Readings
from mien.sources.frame import Frame

PICTURE_WIDTH_PX = 960
"""A wider picture is sent smaller: boxes are in pixels of the frame, whose size goes with them."""

JPEG_QUALITY = 80
"""Of the pictures sent to the page, 0 to 100; at 80 about 40 kB for 640 x 480."""

PACE_S = 5.0
"""The frame rate and the latency that are shown are those of the last seconds."""

EVENTS_KEPT = 40
"""So many of the last events are told to a viewer that comes later, or comes back."""

EVENTS_WAITING = 200
"""So many wait for a slow viewer; then the oldest are dropped."""

STATES = ("starting", "running", "waiting", "ended")
"""Of a live run: before the first frame, frames come, the camera does not answer, over."""

_MOST_TIMES = 1000


@dataclass(frozen=True)
class Pace:
    """How fast a live run is.

    Parameters
    ----------
    rate_hz : float
        Frames read per second, over the last seconds.
    latency_ms : float, optional
        From the capture of a frame to its readings, median of the last seconds, in milliseconds; None where
        the source does not say when it captured.
    slow_ms : float, optional
        The same of the slowest twentieth: 95 of 100 frames were faster.
    frames : int
        Read since the start.
    dropped : int
        Captured since the start and passed over, because a newer one was there.
    """

    rate_hz: float = 0.0
    latency_ms: float | None = None
    slow_ms: float | None = None
    frames: int = 0
    dropped: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "rate_hz": round(self.rate_hz, 2),
            "latency_ms": None if self.latency_ms is None else round(self.latency_ms, 1),
            "slow_ms": None if self.slow_ms is None else round(self.slow_ms, 1),
            "frames": self.frames,
            "dropped": self.dropped,
        }


class Stopwatch:
    """Measures the pace of a live run over its last seconds, in constant memory."""

    def __init__(self, window_s: float = PACE_S) -> None:
        self.window_s = window_s
        self._times: deque[tuple[float, float | None]] = deque(maxlen=_MOST_TIMES)
        self._frames = 0

    def add(self, ready_s: float, captured_s: float | None, dropped: int = 0) -> Pace:
        """Count one frame.

        Parameters
        ----------
        ready_s, captured_s : float
            When its readings were there and when it was captured, seconds of :func:`time.monotonic`.
        dropped : int
            Frames passed over so far.

        Returns
        -------
        Pace
        """
        self._frames += 1
        self._times.append((ready_s, None if captured_s is None else ready_s - captured_s))
        while ready_s - self._times[0][0] > self.window_s:
            self._times.popleft()
        passed = ready_s - self._times[0][0]
        rate = (len(self._times) - 1) / passed if passed > 0 else 0.0
        latency = [one for _, one in self._times if one is not None]
        if not latency:
            return Pace(rate, frames=self._frames, dropped=dropped)
        middle, slow = np.quantile(latency, (0.5, 0.95)) * 1000
        return Pace(rate, float(middle), float(slow), self._frames, dropped)


@dataclass(frozen=True, eq=False)
class Packet:
    """One frame with its readings, as it goes to viewers.

    Parameters
    ----------
    number : int
        Counts the published frames, from 1.
    frame : Frame
    readings : Readings
    ready_s : float
        When the readings were there, seconds of :func:`time.monotonic`.
    pace : Pace
        Of the run, up to this frame.
    """

    number: int
    frame: Frame
    readings: Readings
    ready_s: float
    pace: Pace
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _jpeg: list[bytes] = field(default_factory=list, repr=False)

    def message(self) -> dict[str, Any]:
        """Return the readings as they are sent: plain values, with the time of capture and the latency.

        Returns
        -------
        dict
            Keys: type ("readings"), number, frame, time_s, captured_unix_s (seconds since 1970), latency_ms
            (capture to readings), pace (see :class:`Pace`), and those of
            :func:`mien.outputs.server.readings_json`: width, height (px), model, faces.
        """
        captured_s = self.readings.captured_s
        latency_ms = None if captured_s is None else round((self.ready_s - captured_s) * 1000, 1)
        on_calendar = None if captured_s is None else round(time.time() - time.monotonic() + captured_s, 4)
        return {
            "type": "readings",
            "number": self.number,
            "frame": self.frame.index,
            "time_s": None if self.frame.time_s is None else round(self.frame.time_s, 4),
            "captured_unix_s": on_calendar,
            "latency_ms": latency_ms,
            "pace": self.pace.as_dict(),
            **readings_json(self.readings),
        }

    def jpeg(self) -> bytes:
        """Return the picture as JPEG, at most :data:`PICTURE_WIDTH_PX` wide; encoded once for all viewers."""
        import cv2

        with self._lock:
            if not self._jpeg:
                image = self.frame.image
                width, height = self.frame.size_px
                if width > PICTURE_WIDTH_PX:
                    smaller = (PICTURE_WIDTH_PX, max(1, round(height * PICTURE_WIDTH_PX / width)))
                    image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
                options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
                self._jpeg.append(cv2.imencode(".jpg", image[..., ::-1], options)[1].tobytes())
            return self._jpeg[0]


@dataclass(frozen=True)
class News:
    """What is new to one viewer.

    Parameters
    ----------
    packet : Packet, optional
        The newest frame, unless the viewer had it already or did not ask for it.
    events : tuple of dict
        What happened since it last looked, in order.
    """

    packet: Packet | None = None
    events: tuple[dict[str, Any], ...] = ()


class LiveHub:
    """Where a live run is published, and from where viewers take it.

    Parameters
    ----------
    source : str
        What is being watched, in words for people; no passwords.
    emotions : sequence of str
        Those of the readings.
    model : str
        The name of the model.
    records : sequence of str
        Where the readings are being written, so that the page can say so.
    story : mapping, optional
        What the page has to know of a story, plain values.
    """

    def __init__(
        self,
        *,
        source: str = "",
        emotions: tuple[str, ...] = (),
        model: str = "",
        records: tuple[str, ...] = (),
        story: Mapping[str, Any] | None = None,
    ) -> None:
        self.run = secrets.token_hex(4)
        self._about = {
            "source": source,
            "emotions": list(emotions),
            "model": model,
            "records": list(records),
            "story": None if story is None else dict(story),
        }
        self._lock = threading.Lock()
        self._stopwatch = Stopwatch()
        self._packet: Packet | None = None
        self._pace = Pace()
        self._status = {"type": "status", "state": STATES[0], "message": ""}
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._told = 0
        self._viewers: list[Viewer] = []

    @property
    def pace(self) -> Pace:
        """How fast the run is."""
        return self._pace

    @property
    def state(self) -> str:
        """One of :data:`STATES`."""
        return self._status["state"]

    @property
    def viewers(self) -> int:
        """How many look at the moment."""
        return len(self._viewers)

    def about(self) -> dict[str, Any]:
        """Return what a page has to know at its beginning, plain values."""
        return about_mien() | self._about | {"camera": True, "run": self.run}

    def publish(self, frame: Frame, readings: Readings, *, dropped: int = 0) -> Packet:
        """Make a frame and its readings the newest; returns at once, whoever looks.

        Parameters
        ----------
        frame : Frame
            Its picture is not changed afterwards.
        readings : Readings
        dropped : int
            Frames that the camera has passed over so far.
        """
        ready_s = time.monotonic()
        with self._lock:
            self._pace = self._stopwatch.add(ready_s, readings.captured_s, dropped)
            number = self._packet.number + 1 if self._packet is not None else 1
            packet = self._packet = Packet(number, frame, readings, ready_s, self._pace)
        if self.state != "running":
            self.set_state("running")
        self._wake()
        return packet

    def set_state(self, state: str, message: str = "") -> None:
        """Say how the run is: one of :data:`STATES`, with a sentence for people where that helps."""
        status = {"type": "status", "state": state, "message": message}
        with self._lock:
            if status == self._status:
                return
            self._status = status
            for viewer in self._viewers:
                viewer.events.append(status)
        self._wake()

    def tell(self, event: Mapping[str, Any]) -> None:
        """Tell all viewers of something that happened: a decision of a story, a receiver that failed.

        Parameters
        ----------
        event : mapping
            Plain values, with "type". It gets a number, by which a viewer that comes back knows it again.
        """
        with self._lock:
            self._told += 1
            numbered = {**event, "number": self._told}
            self._events.append(numbered)
            for viewer in self._viewers:
                viewer.events.append(numbered)
        self._wake()

    def view(self, wake: Callable[[], None]) -> Viewer:
        """Return a new viewer; use it in a ``with`` statement.

        Parameters
        ----------
        wake : callable
            Called, from the thread that publishes, whenever there is something new. It must not wait.
        """
        return Viewer(self, wake)

    def _wake(self) -> None:
        with self._lock:
            viewers = list(self._viewers)
        for viewer in viewers:
            viewer.wake()

    def _join(self, viewer: Viewer) -> None:
        with self._lock:
            viewer.events.extend([self._status, *self._events])
            self._viewers.append(viewer)
        viewer.wake()

    def _leave(self, viewer: Viewer) -> None:
        with self._lock:
            self._viewers.remove(viewer)

    def _newest(self) -> Packet | None:
        return self._packet


class Viewer:
    """One who looks at a live run; made by :meth:`LiveHub.view`."""

    def __init__(self, hub: LiveHub, wake: Callable[[], None]) -> None:
        self._hub = hub
        self._seen = 0
        self.wake = wake
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS_WAITING)

    def __enter__(self) -> Self:
        self._hub._join(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._hub._leave(self)

    def take(self, *, picture: bool = True) -> News:
        """Return what is new since the last time.

        Parameters
        ----------
        picture : bool
            Whether the viewer is ready for a frame; the newest waits for it otherwise.
        """
        events = []
        while self.events:
            events.append(self.events.popleft())
        packet = self._hub._newest() if picture else None
        if packet is None or packet.number == self._seen:
            return News(events=tuple(events))
        self._seen = packet.number
        return News(packet, tuple(events))


def about_mien() -> dict[str, Any]:
    """Return what every page has to know: the version, and a colour for each emotion."""
    colours = {name: as_hex(colour) for name, colour in EMOTION_COLOURS.items()}
    colours[UNSURE] = as_hex(UNSURE_COLOUR)
    return {"type": "hello", "version": __version__, "colours": colours, "camera": False}
