"""Films as the decoder gives them: opening a container, turning its frames into upright RGB, counting them.

The one place, with :mod:`mien.sources.video`, that knows FFmpeg and its errors.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import SourceError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

LONGEST_DELAY = 256
"""Packets a decoder may hold back before a frame that has not come out is given up; real ones hold back 16
and as many as they have threads."""

_VP8_SHOWN = 0x10
"""The bit of a VP8 frame's first byte that says that it is shown (RFC 6386, 9.1)."""

_SQUARE = 0.01
"""Pixels whose width and height differ by less than this part are left as they are."""


@contextmanager
def opened(
    address: str,
    options: dict[str, str] | None = None,
    *,
    timeout: tuple[float, float] | None = None,
    called: str = "",
    error_kind: type[SourceError] = SourceError,
) -> Iterator[InputContainer]:
    """Open a film or stream for reading.

    Parameters
    ----------
    address : str
        A path or a URL.
    options : dict, optional
        FFmpeg's options for the container.
    timeout : tuple of float, optional
        Seconds it may take to open, and to give the next packet.
    called : str
        What to call it in a message, if not by its address.
    error_kind : type
        What is raised if it cannot be opened.

    Raises
    ------
    SourceError
        If it cannot be opened.
    """
    import av

    try:
        container = av.open(address, options=options or {}, timeout=timeout)
    except (av.FFmpegError, OSError, ValueError) as error:  # ValueError: a name with a null character
        what = f"{called or address} cannot be read as a film: {reason(error)}."
        raise error_kind(what) from error
    with container:
        yield container


def picture_stream(container: InputContainer, name: str, *, prompt: bool = False) -> VideoStream:
    """Return the stream of moving pictures, made ready to decode.

    Parameters
    ----------
    container
        Just opened.
    name : str
        What to call it in a message.
    prompt : bool
        Whether each frame is wanted as soon as it can be had: threads for whole frames hold some back.

    Raises
    ------
    SourceError
        If there is none: only sound, or only the cover of an album.
    """
    import av

    streams = container.streams.video
    moving = [one for one in streams if not one.disposition & av.stream.Disposition.attached_pic]
    if not moving:
        raise SourceError(f"{name} cannot be read as a film: it has no moving pictures in it.")
    best = container.streams.best("video")
    stream = next((one for one in moving if one is best), moving[0])
    stream.thread_type = "SLICE" if prompt else "AUTO"
    if av.logging.get_level() is not None:
        # PyAV's logging is on: threads would wait for Python to take their words while Python waits for them.
        stream.thread_type = "NONE"
    # By default some decoders keep broken frames to themselves; they are to be counted and reported.
    stream.codec_context.flags |= av.codec.context.Flags.output_corrupt
    return stream


def reason(error: BaseException) -> str:
    """Return what FFmpeg or the system says, without number and file name."""
    text = getattr(error, "strerror", None) or str(error)
    return text.rstrip(".")


@dataclass(frozen=True)
class Counted:
    """One frame of a film in the order in which it is shown.

    Parameters
    ----------
    index : int
        Its number, from 0 where the decoding began; frames that could not be decoded count too.
    pts : int, optional
        When it is shown, in units of the stream's time base; None where the container does not say.
    frame : av.VideoFrame, optional
        None if it could not be decoded.
    why : str
        If it could not be decoded, what the decoder said.
    """

    index: int
    pts: int | None
    frame: av.VideoFrame | None
    why: str = ""


def has_clock(container: InputContainer, stream: VideoStream) -> bool:
    """Tell whether the container says when each frame is shown; AVI and bare streams only have a rate."""
    return container.format.name != "avi" and stream.start_time is not None


def decode(container: InputContainer, stream: VideoStream) -> Iterator[Counted]:
    """Decode frame after frame from where the container stands, counting from 0.

    Yields
    ------
    Counted
        What cannot be decoded has its place in the count too.
    """
    count, clocked = _Count(), has_clock(container, stream)
    for packet, frames, error in _demuxed(container, stream):
        if clocked and packet is not None and is_shown(packet):
            yield from count.expect(packet.pts or 0)
        if error:
            count.lose(error)
        for frame in frames:
            yield from count.arrive(frame, frame.pts if clocked else None)
    yield from count.end()


def is_shown(packet: av.Packet[VideoStream]) -> bool:
    """Tell whether a packet holds a frame that is shown at a known time."""
    return packet.pts is not None and _gives_frame(packet)


def count_shown(container: InputContainer, stream: VideoStream, name: str) -> int:
    """Count the frames that :func:`decode` gives from where the container stands, without decoding them.

    Raises
    ------
    SourceError
        If the container is damaged; `name` is what the message calls it.
    """
    import av

    try:
        return sum(map(_gives_frame, container.demux(stream)))
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{name} cannot be read as a film to its end: {reason(error)}.") from error


def _gives_frame(packet: av.Packet[VideoStream]) -> bool:
    """Tell whether a packet holds a frame that is shown; what an edit list cuts away is not."""
    if not packet.size or packet.is_discard:
        return False
    return packet.stream.codec_context.name != "vp8" or bool(bytes(packet)[0] & _VP8_SHOWN)


def _demuxed(
    container: InputContainer, stream: VideoStream
) -> Iterator[tuple[av.Packet[VideoStream] | None, list[av.VideoFrame], str]]:
    """Yield each packet with the frames that came out of the decoder, or with what it complained of."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError) as error:  # the container itself is damaged: nothing more comes
            yield None, _rest(stream), ""
            yield None, [], reason(error)
            return
        try:
            frames = packet.decode()
        except (av.FFmpegError, OSError) as error:
            yield packet, [], reason(error)
        else:
            yield packet, frames, ""


def _rest(stream: VideoStream) -> list[av.VideoFrame]:
    import av

    try:
        return stream.codec_context.decode(None)
    except (av.FFmpegError, OSError):
        return []  # what was on its way is lost with the rest of the film, which is reported


class _Count:
    """Numbers frames by their place among the packets, so that one that is lost leaves a gap of its own."""

    def __init__(self) -> None:
        self._next = 0
        self._waiting: list[int] = []
        self._lost: list[str] = []

    def expect(self, pts: int) -> Iterator[Counted]:
        heapq.heappush(self._waiting, pts)
        if len(self._waiting) > LONGEST_DELAY:
            yield from self._give_up(heapq.heappop(self._waiting))

    def lose(self, why: str) -> None:
        self._lost.append(why)

    def arrive(self, frame: av.VideoFrame, pts: int | None) -> Iterator[Counted]:
        if pts is None:
            yield from self.end()
        else:
            while self._waiting and self._waiting[0] < pts:
                yield from self._give_up(heapq.heappop(self._waiting))
            if self._waiting and self._waiting[0] == pts:
                heapq.heappop(self._waiting)
        broken = frame.is_corrupt
        why = "parts of it are missing" if broken else ""
        yield self._numbered(pts, None if broken else frame, why)

    def end(self) -> Iterator[Counted]:
        while self._lost:
            pts = heapq.heappop(self._waiting) if self._waiting else None
            yield from self._give_up(pts)

    def _give_up(self, pts: int | None) -> Iterator[Counted]:
        """Take a packet without a frame for a lost frame if there was a complaint, else as never shown."""
        if self._lost:
            yield self._numbered(pts, None, self._lost.pop(0))

    def _numbered(self, pts: int | None, frame: av.VideoFrame | None, why: str) -> Counted:
        self._next += 1
        return Counted(self._next - 1, pts, frame, why)


class Developer:
    """Turns decoded frames into upright RGB with square pixels, one scaler for all.

    Parameters
    ----------
    stream : av.video.stream.VideoStream
        Gives the shape of its pixels.
    turns : dict of (int, int) to Matrix or None, optional
        By width and height, display matrices that are known from an earlier reading of the same film; those
        that are found are added.
    """

    def __init__(
        self, stream: VideoStream, turns: dict[tuple[int, int], Matrix | None] | None = None
    ) -> None:
        from av.video.reformatter import VideoReformatter

        self._scaler = VideoReformatter()
        self._aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
        self._turns = {} if turns is None else turns

    def develop(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Return the picture, shape (H, W, 3), uint8, RGB."""
        width, height = self._stored_px(frame)
        rgb = self._scaler.reformat(frame, width=width, height=height, format="rgb24")
        image = rgb.to_ndarray().astype(np.uint8, copy=False)
        return turn_upright(image, self._turn(frame))

    def size_px(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Return width and height of the picture that :meth:`develop` makes."""
        width, height = self._stored_px(frame)
        turned = self._turn(frame)
        return (height, width) if turned is not None and _is_lying(turned) else (width, height)

    def _turn(self, frame: av.VideoFrame) -> Matrix | None:
        """Return the display matrix, read from the first frame of each size alone.

        A PyAV frame whose side data were looked at is in a cycle with them, and its memory waits for the
        garbage collector: hundreds of megabytes before it comes.
        """
        size = (frame.width, frame.height)
        if size not in self._turns:
            self._turns[size] = display_matrix(frame)
        return self._turns[size]

    def _stored_px(self, frame: av.VideoFrame) -> tuple[int, int]:
        aspect = float(self._aspect)
        if aspect <= 0 or abs(aspect - 1) < _SQUARE:
            return frame.width, frame.height
        return max(1, round(frame.width * aspect)), frame.height


Matrix = tuple[int, int, int, int]


def display_matrix(frame: av.VideoFrame) -> Matrix | None:
    """Return how a frame is to be turned: a, b, c, d of x' = a x + c y, y' = b x + d y; None for upright.

    The display matrix of FFmpeg and of the ISO base media file format (ISO/IEC 14496-12, 6.2.2), y downwards.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).tolist()
    return None if a > abs(b) and d > 0 else (a, b, c, d)


def turn_upright(image: NDArray[np.uint8], matrix: Matrix | None) -> NDArray[np.uint8]:
    """Turn and mirror a picture by its display matrix, to the nearest quarter turn."""
    if matrix is None:
        return image
    a, b, c, d = matrix
    if _is_lying(matrix):
        image, (a, d) = image.transpose(1, 0, 2), (c, b)
    if a < 0:
        image = image[:, ::-1]
    if d < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def _is_lying(matrix: Matrix) -> bool:
    return abs(matrix[1]) > abs(matrix[0])
