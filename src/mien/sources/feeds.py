"""What a camera can be: a device, a stream from the network, or a film played in real time.

A feed is an iterator of pictures with the moment at which each was taken; it waits where it has to, and ends
with a :class:`CameraError` when the device or the stream is gone.
"""

from __future__ import annotations

import contextlib
import glob
import os
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from mien.errors import CameraError, SourceError, bad_argument
from mien.sources.decode import Developer, decode, opened, picture_stream
from mien.sources.video import VideoFile

Shot = tuple[NDArray[np.uint8] | None, float]
"""A picture, (H, W, 3), uint8, RGB, or None if it is broken; and when it was taken, seconds of
:func:`time.monotonic`."""

Feed = Callable[[threading.Event], Iterator[Shot]]
"""Opens a camera and gives its pictures until the event is set, the film ends, or it fails."""

OPEN_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 5.0
"""How long a stream may take to answer, and to send its next frame."""

_PLAYED_FROM = ("http", "https", "file")
"""Schemes of addresses that may hand out a film faster than it is to be played."""


def name_of(spec: int | str | os.PathLike[str]) -> str:
    """Return what a camera is called in messages: without the name and password of an address."""
    text = os.fspath(spec) if not isinstance(spec, int) else str(spec)
    if text.isdecimal():
        return f"camera {text}"
    if "://" not in text:
        return text
    parts = urlsplit(text)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def choose_feed(
    spec: int | str | os.PathLike[str],
    *,
    loop: bool = False,
    size_px: tuple[int, int] | None = None,
    rate_hz: float | None = None,
) -> Feed:
    """Return the feed that a user means; see :class:`mien.sources.camera.Camera`.

    Raises
    ------
    ArgumentError
        If it is none, or what is asked of it is not for its kind.
    SourceError
        If it is a film that cannot be read.
    """
    if isinstance(spec, bool) or not isinstance(spec, (int, str, os.PathLike)) or not str(spec):
        raise bad_argument("camera", allowed="a number, a device, a URL or a film", given=spec)
    text = str(spec)
    device = text.isdecimal() or text.startswith("/dev/")
    is_film = not device and "://" not in text
    if loop and not is_film:
        raise bad_argument("loop", allowed="given only for a film", given=loop)
    if not device and (size_px or rate_hz):
        raise bad_argument("size_px, rate_hz", allowed="given only for a device", given=(size_px, rate_hz))
    if device:
        return lambda stop: _device(text, stop, size_px, rate_hz)
    if is_film:
        broken: list[SourceError] = []
        film = VideoFile(text, on_error=broken.append)
        return lambda stop: _film(film, broken, stop, loop=loop)
    return lambda stop: _stream(text, stop)


def _device(
    spec: str, stop: threading.Event, size_px: tuple[int, int] | None, rate_hz: float | None
) -> Iterator[Shot]:
    import cv2

    name = name_of(spec)
    path = f"/dev/video{spec}" if spec.isdecimal() else spec
    _check_device(name, path)
    wanted = [cv2.CAP_PROP_BUFFERSIZE, 1]
    if size_px is not None:
        wanted += [cv2.CAP_PROP_FRAME_WIDTH, size_px[0], cv2.CAP_PROP_FRAME_HEIGHT, size_px[1]]
    if rate_hz is not None:
        wanted += [cv2.CAP_PROP_FPS, round(rate_hz)]
    capture = cv2.VideoCapture(int(spec) if spec.isdecimal() else spec)
    try:
        if not capture.isOpened():
            raise CameraError(f"{name} cannot be opened: {_why_closed(path)}.")
        for prop, value in zip(wanted[::2], wanted[1::2], strict=True):
            capture.set(prop, value)
        count = 0
        while not stop.is_set():
            done = capture.grab()
            taken_s = time.monotonic()
            if not done and not count:
                raise CameraError(
                    f"{name} gives no picture: probably another program uses it. Close that, or "
                    "choose another camera."
                )
            if not done:
                raise CameraError(f"{name} gives no more pictures: it was unplugged, or has failed.")
            count += 1
            done, image = capture.retrieve()
            yield (np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8) if done else None), taken_s
    finally:
        capture.release()


def _check_device(name: str, path: str) -> None:
    """Raise where it is clear that there is no such device; only Linux has files for them."""
    if os.path.exists(path) or not os.path.isdir("/dev") or not _has_video_devices():
        return
    known = sorted(glob.glob("/dev/video*"))
    there = f"There are {', '.join(known)}" if known else "No camera is connected"
    raise CameraError(f"{name}: there is no {path}. {there}.")


def _has_video_devices() -> bool:
    return os.uname().sysname == "Linux"


def _why_closed(path: str) -> str:
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
        return f"you have no permission to use {path} (on many systems the group 'video' has)"
    return "it is not a camera, or another program uses it"


def _stream(url: str, stop: threading.Event) -> Iterator[Shot]:
    scheme = urlsplit(url).scheme
    played = scheme in _PLAYED_FROM
    options = {} if played else {"fflags": "nobuffer"}  # what comes while the stream is examined is let go
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"  # over UDP lost packets break pictures
    timeout = (OPEN_TIMEOUT_S, READ_TIMEOUT_S)
    pace = _Pace(stop) if played else None
    with opened(url, options, timeout=timeout, called=name_of(url), error_kind=CameraError) as container:
        stream = picture_stream(container, name_of(url), prompt=True)
        developer, base, first = Developer(stream), stream.time_base, None
        for item in decode(container, stream):
            if stop.is_set():
                return
            first = item.pts if first is None else first
            if pace is not None and item.pts is not None and first is not None and base is not None:
                pace.wait(float((item.pts - first) * base))
            yield (None if item.frame is None else developer.develop(item.frame)), time.monotonic()
    raise CameraError(f"{name_of(url)} sends no more pictures: the stream has ended or was cut off.")


def _film(film: VideoFile, broken: list[SourceError], stop: threading.Event, *, loop: bool) -> Iterator[Shot]:
    while not stop.is_set():
        pace = _Pace(stop)
        with film as frames, contextlib.closing(iter(frames)) as running:
            for frame in running:
                pace.wait(frame.time_s or 0.0)
                if stop.is_set():
                    return
                while broken:
                    broken.pop()
                    yield None, time.monotonic()
                yield frame.image, time.monotonic()
        if not loop:
            return


class _Pace:
    """Waits until a moment of a film has come; the first one is now."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._began_s: float | None = None

    def wait(self, time_s: float) -> None:
        if self._began_s is None:
            self._began_s = time.monotonic() - time_s
        self._stop.wait(max(0.0, self._began_s + time_s - time.monotonic()))
