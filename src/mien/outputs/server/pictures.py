"""Pictures that strangers send: received in memory, up to a limit, and decoded with suspicion."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import ImageError
from mien.outputs.server.forms import file_of_form
from mien.outputs.server.guard import Refusal
from mien.outputs.server.limits import Limits
from mien.sources.headers import read_header, scan_jpeg
from mien.sources.images import read_image
from mien.sources.pixels import check_limit

if TYPE_CHECKING:
    from starlette.requests import Request

FORMATS = ("JPEG", "PNG", "WebP")
"""What is decoded: what browsers and telephones send. The decoders of the others are seldom attacked in
earnest, so their mistakes are seldom found."""


MOST_SCANS = 64
"""Scans of a JPEG. A progressive one has about ten; each is a walk over the whole picture, and costs a
hostile sender a few bytes only."""

PNG_PARTS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"})
"""The parts of a PNG that say what it shows. The decoder would unpack the others too: compressed text, that
a hostile sender has grow a thousandfold."""


def decode(data: bytes, limits: Limits) -> NDArray[np.uint8]:
    """Decode a picture, upright.

    Parameters
    ----------
    data : bytes
        A whole file.
    limits : Limits

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        RGB.

    Raises
    ------
    Refusal
        413 if it has too many pixels; 415 if it is of no kind in :data:`FORMATS`; 422 if it is damaged.
    """
    if not data:
        raise Refusal(422, "There is no picture in the request: it is empty.", reason="picture")
    try:
        header = read_header(io.BytesIO(data))
    except ValueError as error:
        raise Refusal(415, f"This is no picture that can be read: {error}.", reason="picture") from error
    if header.format not in FORMATS:
        sentence = f"The picture is a {header.format}; send a {', '.join(FORMATS[:-1])} or {FORMATS[-1]}."
        raise Refusal(415, sentence, reason="picture")
    try:
        check_limit("the picture", header.width, header.height, limits.pixels)
    except ImageError as error:
        raise Refusal(413, _capital(str(error)), reason="pixels") from error
    try:
        return read_image(_harmless(data, header.format), max_pixels=limits.pixels)
    except ImageError as error:
        raise Refusal(422, _capital(str(error)), reason="picture") from error


def _harmless(data: bytes, format: str) -> bytes:
    """Return a picture without what takes its decoder long and shows nothing."""
    if format == "PNG":
        return _bare_png(data)
    if format == "JPEG" and (scans := _count_scans(data)) > MOST_SCANS:
        sentence = f"The picture has {scans} scans; a JPEG may have {MOST_SCANS} here. Save it anew."
        raise Refusal(422, sentence, reason="scans")
    return data


def _count_scans(data: bytes) -> int:
    try:
        return scan_jpeg(data)[1]
    except ValueError:  # cut off: the reader says so
        return 0


def _bare_png(data: bytes) -> bytes:
    """Return a PNG with :data:`PNG_PARTS` only; one that is damaged stays so."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] in PNG_PARTS:
            parts.append(data[at:end])
        at = end
    return b"".join(parts)


async def receive_picture(request: Request, limits: Limits) -> bytes:
    """Receive the picture of a request: its body, or the one file of a form. It stays in memory.

    Raises
    ------
    Refusal
        408 if it does not arrive in time; 413 if it is too large; 422 if a form is damaged or has no file.
    """
    try:
        async with asyncio.timeout(limits.upload_s):
            body = await _receive(request, limits.upload_bytes)
    except TimeoutError as error:
        sentence = f"The picture did not arrive within {limits.upload_s:g} s."
        raise Refusal(408, sentence, reason="slow") from error
    kind = request.headers.get("content-type", "")
    return file_of_form(kind, body) if kind.lower().startswith("multipart/form-data") else body


async def _receive(request: Request, most: int) -> bytes:
    claimed = request.headers.get("content-length", "0")
    if claimed.isdigit() and int(claimed) > most:
        raise _too_large(most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def _too_large(most: int) -> Refusal:
    sentence = f"The picture is larger than {most / 1e6:g} MB; send a smaller one."
    return Refusal(413, sentence, reason="bytes")


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
