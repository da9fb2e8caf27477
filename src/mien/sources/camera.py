"""Live pictures: the newest frame of a camera, a stream, or a film played in real time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from mien.errors import SourceError
from mien.sources.feeds import Shot, choose_feed, name_of
from mien.sources.frame import Frame

PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""How long to wait before each try to reach a camera again; the last one for all that follow."""


def _ignore(sentence: str) -> None:
    """Tell nobody."""


class Camera:
    """A camera, of which always the newest frame is read.

    A thread takes every picture; only the newest waits, and those it replaces are counted. So what is read
    is never older than one picture, however long the reading takes.

    Parameters
    ----------
    spec : int, str or path
        Number of a camera (0), its device ("/dev/video0"), the URL of a stream ("rtsp://..."), or a film,
        which is played in real time.
    reconnect : bool
        Whether to wait, with growing pauses, for a camera or stream that was there and is gone.
    loop : bool
        Whether a film begins anew when it ends.
    size_px : tuple of int, optional
        Width and height asked of a device; it takes the nearest it has.
    rate_hz : float, optional
        Pictures per second asked of a device.
    on_change : callable, optional
        Called in the camera's thread with a sentence when the camera is lost, and when it is back.

    Attributes
    ----------
    name : str
        "camera 0", the path, or the URL without name and password; also ``Frame.source``.
    dropped : int
        Pictures that a newer one replaced before they were read.
    broken : int
        Pictures that could not be decoded.
    reconnects : int
        How often the camera was lost and found again.

    Raises
    ------
    CameraError
        When opened, if there is no such camera, or another program uses it; while reading, if it is gone
        and is not to be waited for.
    SourceError
        When opened, if a film or stream cannot be read.
    ArgumentError
        If `spec` is none of the above, or an option is not for its kind.

    Notes
    -----
    ``Frame.captured_s`` is the moment of :func:`time.monotonic` at which the picture came,
    ``Frame.time_s`` the seconds since the first, ``Frame.index`` its number among all that came.
    """

    def __init__(
        self,
        spec: int | str | os.PathLike[str] = 0,
        *,
        reconnect: bool = True,
        loop: bool = False,
        size_px: tuple[int, int] | None = None,
        rate_hz: float | None = None,
        on_change: Callable[[str], None] = _ignore,
    ) -> None:
        self._feed = choose_feed(spec, loop=loop, size_px=size_px, rate_hz=rate_hz)
        self.name = name_of(spec)
        self.reconnect = reconnect
        self.dropped = self.broken = self.reconnects = 0
        self._on_change = on_change
        self._count = 0
        self._began_s: float | None = None
        self._newest: Frame | None = None
        self._error: BaseException | None = None
        self._over = False
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"Camera({self.name!r})"

    def __enter__(self) -> Self:
        """Open the camera, and wait for its first picture."""
        self._start()
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._over)
            if self._error is None or self._count:
                return self  # what went wrong after the first picture is raised in its turn
        self.close()
        raise self._error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the camera go and end the thread; whoever waits for a frame is told that there is none.

        May be called from any thread, and more than once.
        """
        self._stop.set()
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __iter__(self) -> Iterator[Frame]:
        self._start()
        while (frame := self._take()) is not None:
            yield frame

    def _start(self) -> None:
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._run, name="mien-camera", daemon=True)
            self._thread.start()

    def _take(self) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._over)
            frame, self._newest = self._newest, None
            if self._stop.is_set():
                return None
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def _run(self) -> None:
        try:
            self._capture()
        except BaseException as error:  # noqa: BLE001  # raised again by who takes the frames
            self._error = error
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _capture(self) -> None:
        """Take pictures until the end; a camera that has given some is waited for when it is gone."""
        tries = 0
        while not self._stop.is_set():
            count = self._count
            try:
                for shot in self._feed(self._stop):
                    if tries:
                        self.reconnects += 1
                        self._on_change(f"{self.name} is back.")
                        tries = 0
                    self._put(shot)
                return
            except SourceError as error:
                if not self.reconnect or not self._count:
                    raise
                if self._count > count or not tries:
                    self._on_change(f"{error} Waiting for it.")
            self._stop.wait(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1

    def _put(self, shot: Shot) -> None:
        image, captured_s = shot
        index, self._count = self._count, self._count + 1
        if image is None:
            self.broken += 1
            return
        self._began_s = captured_s if self._began_s is None else self._began_s
        frame = Frame(image, index, captured_s - self._began_s, self.name, captured_s)
        with self._changed:
            self.dropped += self._newest is not None
            self._newest = frame
            self._changed.notify_all()
