"""What the first bytes of a picture say: its format and size, and whether its last bytes are there.

Nothing is decoded here, so that a picture too large to decode, or one that a decoder would silently
complete with grey, is refused first. Every function raises ValueError with the reason as a phrase
("it is truncated"); the caller adds which file.

Layouts after the formats' own specifications: PNG (W3C REC-png-3), JPEG (ITU-T T.81, annex B), WebP
(RFC 9649), BMP (Microsoft's BITMAPINFOHEADER), TIFF 6.0 with BigTIFF, GIF89a.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

FORMATS = ("JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF")

_OTHER_CONTENTS = (
    (rb"\A....ftyp(?:heic|heix|heim|heis|hevc|mif1|msf1)", "a HEIC picture"),
    (rb"\A....ftypavi[fs]", "an AVIF picture"),
    (rb"\A....ftyp|\A\x1aE\xdf\xa3|\ARIFF....AVI ", "a video"),
    (rb"\A(?:\xff\x0a|....JXL )", "a JPEG XL picture"),
    (rb"\A....jP  ", "a JPEG 2000 picture"),
    (rb"\A%PDF", "a PDF document"),
    (rb"\APK\x03\x04|\A\x1f\x8b|\ARar!|\A7z", "an archive"),
    (rb"(?i)\A\s*<(?:!doctype html|html)", "a web page"),
    (rb"(?i)\A\s*<(?:\?xml|svg)", "an XML or SVG file"),
    (rb"\A(?:[\t\n\r\x20-\x7e\x80-\xff])+\Z", "text"),
)
"""What files that are called pictures turn out to be, by how they begin; the first that matches counts."""


_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not stuffing, not a restart, not a fill byte
_JPEG_BARE = {0x01, 0xD8}  # markers without a segment behind them, that may stand anywhere
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the SOF markers, that carry the size
_FAR = 2**62  # behind the end of any file, and still a place that a file can be asked for
_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112  # tags of TIFF


@dataclass(frozen=True)
class Header:
    """The format and size of a picture, as its header says.

    Parameters
    ----------
    format : str
        One of :data:`FORMATS`.
    width, height : int
        Pixels, before any EXIF orientation.
    """

    format: str
    width: int
    height: int


def read_header(stream: BinaryIO) -> Header:
    """Read the format and size of a picture, touching only its header.

    Parameters
    ----------
    stream : binary file
        Seekable, at its start.

    Raises
    ------
    ValueError
        If the bytes are no picture of a known format, or end within the header.
    """
    head = stream.read(64)
    if not head:
        raise ValueError("it is empty")
    reader = _reader_for(head)
    if reader is None:
        raise ValueError(f"it is not {_listed(FORMATS)}{_guess(head)}")
    stream.seek(0)
    header = reader(stream)
    if header.width < 1 or header.height < 1:
        raise ValueError(f"its header says {header.width} x {header.height} pixels")
    return header


def check_complete(data: bytes, format: str) -> None:
    """Raise unless the bytes of a picture reach to its end.

    PNG checksums are verified too. TIFF and GIF are left to their decoders, which notice.

    Raises
    ------
    ValueError
        If the end is missing, or a checksum of a PNG is wrong.
    """
    if format == "JPEG":
        scan_jpeg(data)
    elif format == "PNG":
        _check_png(data)
    elif format == "WebP" and 8 + struct.unpack_from("<I", data, 4)[0] > len(data):
        raise ValueError("it is truncated")
    elif format == "BMP":
        _check_bmp(data)


def scan_jpeg(data: bytes) -> tuple[int, int]:
    """Walk a JPEG from marker to marker until its end-of-image marker.

    Thumbnails inside segments, and anything behind the end, do not count.

    Returns
    -------
    end : int
        Where the end-of-image marker begins.
    scans : int
        The number of scans: 1 unless the picture is progressive or not interleaved.

    Raises
    ------
    ValueError
        If the marker is missing: the file is truncated.
    """
    scans, at = 0, 2
    while (found := _JPEG_MARKER.search(data, at)) is not None:
        marker, at = found.group()[-1], found.end()
        if marker == 0xD9:
            return found.end() - 2, scans
        if marker in _JPEG_BARE:
            continue
        if at + 2 > len(data):
            break
        scans += marker == 0xDA
        at += struct.unpack_from(">H", data, at)[0]
    raise ValueError("it is truncated")


def read_orientation(exif: bytes) -> int:
    """Read the orientation from a block of EXIF data.

    Returns
    -------
    int
        1 to 8 as EXIF 2.32 numbers them; 1 (upright) where the block does not say or cannot be read.
    """
    block = exif[6:] if exif.startswith(b"Exif\0\0") else exif
    try:
        value = _tiff_tags(io.BytesIO(block), {_ORIENTATION}).get(_ORIENTATION, 1)
    except ValueError:
        return 1  # a broken description of a sound picture: show the picture as it is stored
    return value if 1 <= value <= 8 else 1


def _reader_for(head: bytes) -> Callable[[BinaryIO], Header] | None:
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp
    if head.startswith(b"BM"):
        return _bmp
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _gif
    return None


def _jpeg(stream: BinaryIO) -> Header:
    stream.seek(2)
    while True:
        byte = _take(stream, 1)
        while byte != b"\xff":  # tolerated by decoders: stray bytes between segments
            byte = _take(stream, 1)
        while byte == b"\xff":
            byte = _take(stream, 1)
        marker = byte[0]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">3xHH", _take(stream, 7))
            return Header("JPEG", width, height)
        if marker in (0xD9, 0xDA):
            raise ValueError("its header is damaged: it has no size")
        if marker not in _JPEG_BARE and marker != 0x00 and not 0xD0 <= marker <= 0xD7:
            (length,) = struct.unpack(">H", _take(stream, 2))
            stream.seek(max(0, length - 2), 1)


def _png(stream: BinaryIO) -> Header:
    _, kind, width, height = struct.unpack(">8xI4sII", _take(stream, 24))
    if kind != b"IHDR":
        raise ValueError("its header is damaged: it does not begin with IHDR")
    return Header("PNG", width, height)


def _webp(stream: BinaryIO) -> Header:
    head = _take(stream, 30)
    kind = head[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(head[24:27], "little") + 1
        height = int.from_bytes(head[27:30], "little") + 1
    elif kind == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", head, 26))
    else:
        raise ValueError("its header is damaged: it holds no WebP picture")
    return Header("WebP", width, height)


def _bmp(stream: BinaryIO) -> Header:
    head = _take(stream, 26)
    old = struct.unpack_from("<I", head, 14)[0] == 12
    width, height = struct.unpack_from("<HH" if old else "<ii", head, 18)
    return Header("BMP", width, abs(height))  # a negative height says that the top row comes first


def _gif(stream: BinaryIO) -> Header:
    return Header("GIF", *struct.unpack("<6xHH", _take(stream, 10)))


def _tiff(stream: BinaryIO) -> Header:
    tags = _tiff_tags(stream, {_WIDTH, _HEIGHT})
    if len(tags) < 2:
        raise ValueError("its header is damaged: it has no size")
    return Header("TIFF", tags[_WIDTH], tags[_HEIGHT])


def _tiff_tags(stream: BinaryIO, wanted: set[int]) -> dict[int, int]:
    """Read whole-number tags from the first directory of a TIFF, or of EXIF, which is laid out alike."""
    head = _take(stream, 4)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = int.from_bytes(head[2:], "little" if order == "<" else "big")
    if order is None or version not in (42, 43):
        raise ValueError("its header is damaged: it is laid out like no TIFF")
    big = version == 43
    word = order + ("Q" if big else "I")
    (start,) = struct.unpack(word, _take(stream, 12)[4:] if big else _take(stream, 4))
    stream.seek(min(start, _FAR))
    (count,) = struct.unpack(order + ("Q" if big else "H"), _take(stream, 8 if big else 2))
    found: dict[int, int] = {}
    for _ in range(min(count, 0xFFFF)):
        entry = _take(stream, 20 if big else 12)
        tag, kind = struct.unpack_from(order + "HH", entry)
        form = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if tag in wanted and form is not None and (big or form != "Q"):
            (found[tag],) = struct.unpack_from(order + form, entry, 12 if big else 8)
    return found


def _check_png(data: bytes) -> None:
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        critical = kind[:1].isupper()
        if critical and zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ValueError(f"it is damaged: the checksum of its part {kind.decode('latin-1')} is wrong")
        if kind == b"IEND":
            return
        at = end
    raise ValueError("it is truncated")


def _check_bmp(data: bytes) -> None:
    offset, size = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
    if size == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
        packed = 0
    elif len(data) < 34:
        raise ValueError("it is truncated")
    else:
        width, height, _, depth, packed = struct.unpack_from("<iiHHI", data, 18)
    run_lengths = packed in (1, 2)  # the end of those is only known by decoding
    if not run_lengths and offset + (width * depth + 31) // 32 * 4 * abs(height) > len(data):
        raise ValueError("it is truncated")


def _take(stream: BinaryIO, count: int) -> bytes:
    part = stream.read(count)
    if len(part) < count:
        raise ValueError("it is truncated: it ends within its header")
    return part


def _guess(head: bytes) -> str:
    return next((f", but {what}" for pattern, what in _OTHER_CONTENTS if re.search(pattern, head, re.S)), "")


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
