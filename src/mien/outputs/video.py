"""Annotated films: H.264 in MP4 that browsers play, with the times and the sound of the original."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mien.errors import OutputError, bad_argument
from mien.outputs.files import check_target
from mien.outputs.overlay import annotate
from mien.outputs.sound import Sound
from mien.readings import Readings
from mien.sources.decode import reason
from mien.sources.frame import Frame

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

FILM_SUFFIXES = (".mp4", ".m4v")
"""What the names of annotated films may end in."""

_TICKS_HZ = 90_000
"""Units of time of the film; the usual rates are whole numbers of them."""

_QUALITY = {"preset": "veryfast", "crf": "20"}
"""x264's speed, and its measure of quality: 18 to 23 is hardly to be told from the original."""

_BT709, _LIMITED = 1, 1
"""Colour as HD television has it, in the numbers of ITU-T H.273; what players expect of H.264."""


class AnnotatedFilm:
    """A film with its readings drawn on it, written frame by frame.

    Parameters
    ----------
    path : path
        Ends in .mp4 or .m4v. While it is written the file is called ``NAME.part``; it gets its own name
        when the ``with`` block ends, and is removed if that ends with an error.
    sound_of : path, optional
        The film whose sound is kept: copied where browsers can play it (AAC, MP3, Opus), else made AAC.
    start_s : float
        Where in the original the film begins, in its seconds; frames and sound before it are left out.
    end_s : float, optional
        Where the sound ends.
    bars : int
        How many emotions get a bar; see :func:`mien.outputs.overlay.annotate`.

    Raises
    ------
    ArgumentError
        If the name ends in something else.
    OutputError
        If nothing can be written there, or the disk is full.
    SourceError
        If the film with the sound cannot be read.

    Notes
    -----
    A picture too small for legible text is enlarged. Odd widths and heights get a line more, which H.264
    with its halved colours needs.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        sound_of: str | Path | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        bars: int = 3,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in FILM_SUFFIXES:
            raise bad_argument(
                "path", allowed=f"a name that ends in {' or '.join(FILM_SUFFIXES)}", given=str(path)
            )
        if sound_of is not None and os.path.realpath(sound_of) == os.path.realpath(path):
            raise bad_argument("path", allowed="another file than the film itself", given=str(path))
        check_target(self.path)
        self.start_s, self.end_s, self.bars = start_s, end_s, bars
        self._sound_of = sound_of
        self._part = self.path.with_name(self.path.name + ".part")
        self._pictures: VideoStream | None = None
        self._last_tick = -1
        self._step = 0

    def __enter__(self) -> Self:
        from av.video.reformatter import VideoReformatter

        self._scaler = VideoReformatter()
        self._opened = ExitStack()
        try:
            self._sound = (
                None if self._sound_of is None else self._opened.enter_context(Sound(self._sound_of))
            )
            with self._translated():
                self._container: OutputContainer = self._opened.enter_context(self._created())
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        done = False
        try:
            with self._translated():
                if error is None and self._pictures is not None:
                    self._finish(self._pictures)
                self._opened.close()  # writes the index
                if error is None and self._pictures is not None:
                    os.replace(self._part, self.path)
                    done = True
        finally:
            if not done:
                self._part.unlink(missing_ok=True)
        if error is None and not done:
            raise OutputError(f"{self.path} was not written: there was no frame.")

    def write(self, frame: Frame, readings: Readings) -> None:
        """Draw the readings of a frame, and write it at its time.

        Parameters
        ----------
        frame : Frame
            With a time, after that of the last.
        readings : Readings
            Of this frame.

        Raises
        ------
        ArgumentError
            If the frame has no time, or comes before the last.
        OutputError
            If it cannot be written.
        """
        if frame.time_s is None:
            raise bad_argument("frame", allowed="one with a time", given="a still picture")
        tick = round((frame.time_s - self.start_s) * _TICKS_HZ)
        if tick <= self._last_tick:
            raise bad_argument("frame", allowed="after the last one", given=f"one at {frame.time_s:.3f} s")
        drawn = annotate(frame.image, readings, bars=self.bars)
        with self._translated():
            if self._pictures is None:
                self._pictures = self._begin(drawn.shape[1], drawn.shape[0])
            if self._sound is not None:
                for packet in self._sound.until(frame.time_s):
                    self._container.mux(packet)
            self._step = tick - self._last_tick if self._last_tick >= 0 else 0
            self._last_tick = tick
            self._put(self._pictures.encode(self._encodable(drawn, tick, self._pictures)))

    def _begin(self, width: int, height: int) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=_TICKS_HZ, options=dict(_QUALITY))
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        context: Any = stream.codec_context
        context.time_base = Fraction(1, _TICKS_HZ)
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = _LIMITED
        if self._sound is not None:
            self._sound.begin(self._container, self.start_s, self.end_s)
        return stream

    def _encodable(self, image: NDArray[np.uint8], tick: int, stream: VideoStream) -> Any:
        import av
        from av.video.reformatter import ColorRange, Colorspace

        size_px = (stream.width, stream.height)
        if image.shape[1::-1] != size_px:
            image = _fitted(image, size_px)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = self._scaler.reformat(
            frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS_HZ)
        return frame

    def _finish(self, stream: VideoStream) -> None:
        self._put(stream.encode())
        if self._sound is not None:
            for packet in self._sound.until(self.start_s + self._last_tick / _TICKS_HZ, last=True):
                self._container.mux(packet)

    def _put(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._step  # of the last frame, which no other ends
            self._container.mux(packet)

    def _created(self) -> Any:
        import av

        # The index at the beginning lets a browser play while it still loads.
        return av.open(str(self._part), "w", format="mp4", container_options={"movflags": "+faststart"})

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self.path} cannot be written: {reason(error)}.") from error


def _fitted(image: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Repeat the last line of odd pictures; scale one of another size, as a stream may change it."""
    import cv2

    width, height = size_px[0] - image.shape[1], size_px[1] - image.shape[0]
    if width in (0, 1) and height in (0, 1):
        return np.pad(image, ((0, height), (0, width), (0, 0)), mode="edge")
    return np.asarray(cv2.resize(image, size_px, interpolation=cv2.INTER_AREA), np.uint8)
