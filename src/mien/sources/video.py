"""Films: their frames with true times, one at a time, with constant memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mien.errors import FrameError, SourceError, bad_argument
from mien.sources.decode import (
    Counted,
    Developer,
    Matrix,
    decode,
    has_clock,
    is_shown,
    opened,
    picture_stream,
)
from mien.sources.frame import Frame
from mien.sources.images import IMAGE_SUFFIXES, named_path, not_found
from mien.sources.pixels import MAX_PIXELS, check_limit

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts",
    ".m2ts", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogm", ".mxf", ".dv", ".mjpg",
    ".mjpeg", ".y4m", ".h264", ".264", ".h265", ".hevc", ".ivf", ".nut", ".rm", ".rmvb",
)  # fmt: skip
"""What the names of films end in; a file with another name is recognised by its first bytes."""

Timed = tuple[float, Counted]
"""A decoded frame with its seconds from the start of the film."""

_MAGIC = (
    b"\x1a\x45\xdf\xa3",  # Matroska and WebM
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"FLV",
    b"\x30\x26\xb2\x75",  # ASF: WMV
    b"OggS",
    b"YUV4MPEG2",
)
_PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
"""What files of the ISO base media format say of themselves when they are pictures."""

_INDEXED = {"mov", "matroska"}
"""FFmpeg's names of the containers that can be entered anywhere with the same times as from the start: MP4
and QuickTime, Matroska and WebM. In transport and programme streams a frame or its time may be lost."""

_USUAL_HZ = 25.0
"""Frames per second where a stream has neither times nor a rate."""

_NEAR_S = 1e-5
"""Times that differ by less are the same: tables round them to a millionth of a second."""

_RETREATS_S = (0.0, 2.0, 20.0)
"""How far before the wanted time a key frame is looked for, until one comes out that is not after it."""

_SLACK_S = 1.0
"""By how much the length that a container states may be wrong."""


class VideoFile:
    """The frames of a film, from its start or from a time within it.

    Parameters
    ----------
    path : path
        Whatever FFmpeg can read.
    every : int
        Only frames whose number can be divided by this.
    fps : float, optional
        Only so many frames a second of the film, each the first at or after its turn; not together with
        `every`.
    start_s, end_s : float, optional
        Only frames at or after `start_s` and before `end_s`, in seconds from the start of the film.
    on_error : callable, optional
        Called with the FrameError of each frame that cannot be decoded, which is then left out; by default
        the error is raised.
    max_pixels : float
        Limit on width x height, checked before a frame is made into a picture.

    Attributes
    ----------
    size_px : tuple of int
        Width and height of the pictures, upright and with square pixels.
    rate_hz : float, optional
        Mean frames per second by the container; None where it does not say.
    duration_s : float, optional
        Of the whole film.
    has_audio : bool
        Whether there is sound.
    frames_estimate : int, optional
        About how many frames will come, of those asked for.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    SourceError
        If it is no film, has no moving pictures, or none of its frames can be decoded.
    ArgumentError
        If another value is not allowed.

    Notes
    -----
    ``Frame.index`` is the number of the frame in the file, ``Frame.time_s`` its time by the container from
    the start of the stream: both stay what they are whatever is left out. Each ``for`` begins anew.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        every: int = 1,
        fps: float | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        on_error: Callable[[SourceError], None] | None = None,
        max_pixels: float = MAX_PIXELS,
    ) -> None:
        _check_choice(every, fps, start_s, end_s)
        self.path = named_path(path)
        if not self.path.exists():
            raise not_found(self.path)
        if self.path.is_dir():
            raise SourceError(f"{self.path} cannot be read as a film: it is a folder.")
        self.every, self.fps = every, fps
        self.start_s, self.end_s = start_s, end_s
        self._on_error = on_error
        self._max_pixels = max_pixels
        self._name = str(self.path)
        self._running: Generator[Frame] | None = None
        self._turns: dict[tuple[int, int], Matrix | None] = {}
        with self._open() as film:
            self._describe(film)
        self.start_at(start_s or 0.0)

    def __repr__(self) -> str:
        return f"VideoFile({self._name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if self._running is not None:
            _end(self._running)

    @property
    def frames_estimate(self) -> int | None:
        """About how many frames will come; None where the container says nothing."""
        if self.duration_s is None or self.rate_hz is None:
            return None
        length_s = max(min(self.end_s or math.inf, self.duration_s) - self._from_s, 0.0)
        rate_hz = self.rate_hz / self.every if self.fps is None else min(self.fps, self.rate_hz)
        return max(1, round(length_s * rate_hz))

    def start_at(self, time_s: float, *, index: int | None = None) -> None:
        """Begin the next reading with the first frame at or after a time.

        Parameters
        ----------
        time_s : float
            Seconds from the start of the film.
        index : int, optional
            The number of the frame at exactly that time, where it is known; otherwise the frames before it
            are counted, which takes a moment.

        Raises
        ------
        ArgumentError
            If the time is negative, or well after the end of the film.
        """
        last_s = math.inf if self.duration_s is None else self.duration_s + _SLACK_S
        if not 0 <= time_s < last_s:
            allowed = "0 or more" + ("" if last_s == math.inf else f", and before its end at {last_s:.2f}")
            raise bad_argument("the second to start at", allowed=allowed, given=time_s)
        self._from_s, self._from_index = max(time_s, self.start_s or 0.0), index

    def __iter__(self) -> Generator[Frame]:
        self._running = self._read()
        return self._running

    def _read(self) -> Generator[Frame]:
        for retreat_s in _RETREATS_S if self._from_s > 0 else ():
            with self._open() as film:
                items = film.seek(self._from_s, retreat_s)
                if items is not None:
                    yield from self._chosen(film, self._numbered(items))
                    return
        with self._open() as film:
            yield from self._chosen(film, film.timed())

    def _numbered(self, items: Iterable[Timed]) -> Iterator[Timed]:
        """Give frames that were sought their numbers in the whole file."""
        shift: int | None = None
        for time_s, item in items:
            if shift is None and self._from_index is None:
                with self._open() as film:
                    shift = film.count_before(item.pts or 0) - item.index
            elif shift is None and time_s >= self._from_s - _NEAR_S:
                shift = (self._from_index or 0) - item.index
            if shift is not None:
                yield time_s, replace(item, index=item.index + shift)

    def _chosen(self, film: _Film, items: Iterable[Timed]) -> Iterator[Frame]:
        """Yield the frames that are wanted; report those that are broken."""
        last_turn = -1
        for time_s, item in items:
            if time_s < self._from_s - _NEAR_S:
                continue
            if self.end_s is not None and time_s >= self.end_s - _NEAR_S:
                return
            if item.frame is None:
                what = f"{self._name}: frame {item.index} at {time_s:.3f} s cannot be decoded: {item.why}."
                self._report(FrameError(what, index=item.index, time_s=time_s))
                continue
            if self.fps is not None:
                turn = math.floor(time_s * self.fps + _NEAR_S)
                wanted, last_turn = turn > last_turn, turn
            else:
                wanted = item.index % self.every == 0
            if wanted:
                check_limit(self._name, *film.developer.size_px(item.frame), self._max_pixels)
                yield Frame(film.developer.develop(item.frame), item.index, time_s, self._name)

    def _report(self, error: SourceError) -> None:
        if self._on_error is None:
            raise error
        self._on_error(error)

    @contextmanager
    def _open(self) -> Iterator[_Film]:
        with opened(self._name) as container:
            yield _Film(container, picture_stream(container, self._name), self._turns)

    def _describe(self, film: _Film) -> None:
        """Decode the first frame, and keep what it and the container say."""
        first = next((item.frame for item in decode(film.container, film.stream) if item.frame), None)
        if first is None:
            raise SourceError(f"{self._name} has no frame that can be decoded: it is empty or damaged.")
        self.size_px = film.developer.size_px(first)
        check_limit(self._name, *self.size_px, self._max_pixels)
        self.rate_hz = film.rate_hz
        self.duration_s = film.duration_s
        self.has_audio = bool(film.container.streams.audio)


def _end(running: Generator[Frame]) -> None:
    """Close a reading, perhaps while another thread is about to take its next frame."""
    while True:
        try:
            return running.close()
        except ValueError as error:
            if "already executing" not in str(error):
                raise
        time.sleep(0.001)


class _Film:
    """A film that is open: its stream of pictures, and its clock."""

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        turns: dict[tuple[int, int], Matrix | None],
    ) -> None:
        self.container, self.stream = container, stream
        self.developer = Developer(stream, turns)
        rate = stream.average_rate or stream.guessed_rate
        self.rate_hz = float(rate) if rate else None
        self._start = stream.start_time if has_clock(container, stream) else None

    @property
    def duration_s(self) -> float | None:
        """Seconds from the first picture to the end, as the container states it."""
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        if self.container.duration:
            return self.container.duration / 1e6  # microseconds: FFmpeg's AV_TIME_BASE
        return None

    def timed(self, items: Iterable[Counted] | None = None) -> Iterator[Timed]:
        """Add the seconds from the start; times that are missing or go back are one step after the last."""
        base, step_s, last_s = self.stream.time_base, 1 / (self.rate_hz or _USUAL_HZ), None
        for item in decode(self.container, self.stream) if items is None else items:
            if self._start is None or base is None:
                time_s = item.index * step_s
            else:
                time_s = -1.0 if item.pts is None else float((item.pts - self._start) * base)
                if last_s is not None and time_s <= last_s:
                    time_s = last_s + step_s
            last_s = time_s
            yield time_s, item

    def seek(self, wanted_s: float, retreat_s: float) -> Iterator[Timed] | None:
        """Go to a key frame before a time; None if that fails, or the first that comes out is after it."""
        import av

        indexed = not _INDEXED.isdisjoint(self.container.format.name.split(","))
        if not indexed or self._start is None or self.stream.time_base is None:
            return None
        offset = self._start + int(max(wanted_s - retreat_s, 0) / self.stream.time_base)
        try:
            self.container.seek(offset, stream=self.stream)
        except (av.FFmpegError, OSError):
            return None
        items = self.timed()
        first = next((one for one in items if one[1].frame is not None and one[1].frame.key_frame), None)
        if first is None or first[1].pts is None or first[0] > wanted_s + _NEAR_S:
            return None
        return chain([first], items)

    def count_before(self, pts: int) -> int:
        """Count the packets that hold a frame shown before a time, in units of the stream's time base."""
        count = 0
        for packet in filter(is_shown, self.container.demux(self.stream)):
            shown = packet.pts or 0
            if shown > pts and packet.is_keyframe:
                break
            count += shown < pts
        return count


def is_film(path: Path) -> bool:
    """Tell whether a file is a film, by what its name ends in or by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES or not path.is_file():
        return False
    if suffix in VIDEO_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return _begins_like_a_film(file.read(16))
    except OSError:
        return False  # who opens it as a picture will say why it cannot be read


def _begins_like_a_film(head: bytes) -> bool:
    if head[4:8] == b"ftyp":
        return head[8:12] not in _PICTURE_BRANDS
    return head[8:12] == b"AVI " if head[:4] == b"RIFF" else head.startswith(_MAGIC)


def _check_choice(every: int, fps: float | None, start_s: float | None, end_s: float | None) -> None:
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise bad_argument("every", allowed="a whole number from 1", given=every)
    if fps is not None and not 0 < fps < math.inf:
        raise bad_argument("fps", allowed="a number above 0", given=fps)
    if fps is not None and every > 1:
        raise bad_argument("fps", allowed="given without every: both choose frames", given=fps)
    if start_s is not None and not 0 <= start_s < math.inf:
        raise bad_argument("start_s", allowed="0 or more seconds", given=start_s)
    if end_s is not None and not (start_s or 0.0) < end_s:
        raise bad_argument("end_s", allowed="seconds after the start", given=end_s)
