"""The sound of a film, for another film made of its pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mien.sources.decode import opened, picture_stream

if TYPE_CHECKING:
    from av.container import OutputContainer

COPIED = ("aac", "mp3", "opus")
"""Kinds of sound that MP4 holds and browsers play; others are made AAC."""

_RATE_HZ, _AAC_SAMPLES = 48_000, 1024
"""Samples a second of sound that is made AAC, and samples of one of its packets."""


class Sound:
    """The sound of a film, packet after packet, at times from where the new film begins.

    Parameters
    ----------
    path : path
        A film; it need not have sound.

    Raises
    ------
    SourceError
        If it cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._opened = ExitStack()
        self._packets: Iterator[Any] = iter(())
        self._waiting: Any = None
        self._start_s, self._end_s = 0.0, math.inf

    def __enter__(self) -> Self:
        self._container = self._opened.enter_context(opened(self._path))
        pictures = picture_stream(self._container, self._path)
        self._zero_s = float((pictures.start_time or 0) * (pictures.time_base or 0))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._opened.close()

    def begin(self, target: OutputContainer, start_s: float, end_s: float | None) -> None:
        """Add a stream of sound to a film, if there is sound.

        Parameters
        ----------
        target : av.container.OutputContainer
            Its streams of pictures are there already; nothing is written to it here.
        start_s, end_s : float
            The part of the original that is wanted, in seconds from its first picture.
        """
        source: Any = self._container.streams.best("audio")
        if source is None:
            return
        begin_s = self._zero_s + start_s
        self._start_s, self._end_s = start_s, math.inf if end_s is None else end_s
        if start_s > 0:
            self._container.seek(max(0, int((begin_s - 1) * 1e6)))
        kind = source.codec_context.name.removesuffix("float").removeprefix("lib")
        if kind in COPIED:
            self._packets = self._copied(source, target.add_stream_from_template(source), begin_s)
        else:
            layout = "mono" if source.layout.nb_channels == 1 else "stereo"
            self._packets = self._encoded(
                source, target.add_stream("aac", rate=_RATE_HZ, layout=layout), begin_s
            )

    def until(self, time_s: float, *, last: bool = False) -> Iterator[Any]:
        """Yield the packets up to a time of the original; up to the end of the part if it is the last."""
        while True:
            if self._waiting is None:
                self._waiting = next(self._packets, None)
            packet = self._waiting
            if packet is None:
                return
            at_s = float(packet.dts * packet.time_base) + self._start_s
            if at_s >= self._end_s or (at_s > time_s and not last):
                return
            self._waiting = None
            yield packet

    def _copied(self, source: Any, stream: Any, begin_s: float) -> Iterator[Any]:
        shift = round(begin_s / source.time_base)
        for packet in self._container.demux(source):
            if packet.dts is None or packet.pts is None or packet.pts < shift:
                continue
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
            yield packet

    def _encoded(self, source: Any, stream: Any, begin_s: float) -> Iterator[Any]:
        import av

        resampler = av.AudioResampler("fltp", stream.layout, _RATE_HZ, _AAC_SAMPLES)
        for frame in self._decoded(source):
            shift = round(begin_s / frame.time_base)
            if frame.pts is None or frame.pts < shift:
                continue
            frame.pts -= shift
            for even in resampler.resample(frame):
                yield from stream.encode(even)
        for even in resampler.resample(None):
            yield from stream.encode(even)
        yield from stream.encode(None)

    def _decoded(self, source: Any) -> Iterator[Any]:
        import av

        for packet in self._container.demux(source):
            try:
                yield from packet.decode()
            except (av.FFmpegError, OSError):
                continue  # a gap in the sound; the pictures are what is read here, and theirs are reported
