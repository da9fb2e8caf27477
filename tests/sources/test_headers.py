from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import ImageError
from mien.sources.headers import check_complete, read_header, read_orientation, scan_jpeg
from mien.sources.images import read_image


def encoded(mode: str = "RGB", size: tuple[int, int] = (37, 23), **options: object) -> bytes:
    values = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).convert(mode).save(buffer, **options)  # type: ignore[arg-type]  # passed on to PIL
    return buffer.getvalue()


KINDS = {
    "JPEG": encoded(format="JPEG"),
    "progressive JPEG": encoded(format="JPEG", progressive=True),
    "PNG": encoded(format="PNG"),
    "lossy WebP": encoded(format="WEBP"),
    "lossless WebP": encoded(format="WEBP", lossless=True),
    "WebP with alpha": encoded("RGBA", format="WEBP", exif=Image.Exif()),
    "animated WebP": encoded(format="WEBP", save_all=True, append_images=[Image.new("RGB", (37, 23))]),
    "BMP": encoded(format="BMP"),
    "BMP of one bit": encoded("1", format="BMP"),
    "TIFF": encoded(format="TIFF"),
    "BigTIFF": encoded(format="TIFF", big_tiff=True),
    "TIFF, compressed": encoded(format="TIFF", compression="tiff_lzw"),
    "GIF": encoded("P", format="GIF"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_header_says_format_and_size(kind: str) -> None:
    header = read_header(io.BytesIO(KINDS[kind]))
    assert header.format in kind.replace("BigTIFF", "TIFF")
    assert (header.width, header.height) == (37, 23)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_pictures_are_complete(kind: str) -> None:
    header = read_header(io.BytesIO(KINDS[kind]))
    check_complete(KINDS[kind], header.format)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "TIFF" not in kind and kind != "GIF"])
@pytest.mark.parametrize("cut", [0.4, 0.9, 0.99])
def test_a_missing_end_is_noticed(kind: str, cut: float) -> None:
    data = KINDS[kind][: int(len(KINDS[kind]) * cut)]
    with pytest.raises(ValueError, match="truncated"):
        check_complete(data, read_header(io.BytesIO(data)).format)


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"", "empty"),
        (b"Dear diary, today I looked happy.", "text"),
        ("Liebes Tagebuch, heute war ich fröhlich".encode(), "text"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"<svg xmlns='x'/>", "SVG"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\0\0\0\x18ftypheic....", "HEIC"),
        (b"\0\0\0\x18ftypavif....", "AVIF"),
        (b"\0\0\0\x18ftypisom....", "video"),
        (b"PK\x03\x04......", "archive"),
        (bytes(64), "not JPEG"),
        (b"\xff\xd8", "not JPEG"),
        (b"\xff\xd8\xff\xe0\xff\xff", "truncated"),
        (b"\xff\xd8\xff\xd9", "no size"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, "truncated"),
        (b"II*\0\xff\xff\xff\xff", "truncated"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rJUNK" + bytes(20), "IHDR"),
        (b"RIFF\x20\0\0\0WEBPJUNK" + bytes(20), "no WebP picture"),
        (b"BM", "truncated"),
    ],
)
def test_what_is_no_picture_says_why(head: bytes, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        read_header(io.BytesIO(head))


def test_the_size_is_read_without_reading_the_picture() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            part = super().read(size)
            self.taken += len(part)
            return part

    thumbnail = b"\xff\xe1\xff\xff" + bytes(0xFFFD)
    data = KINDS["JPEG"]
    stream = Counting(data[:2] + thumbnail * 3 + data[2:] + bytes(100_000))
    assert read_header(stream).width == 37
    assert stream.taken < 1000


def test_a_jpeg_ends_at_its_own_end_not_at_that_of_its_thumbnail() -> None:
    whole = KINDS["JPEG"]
    thumbnail = struct.pack(">HH", 0xFFE1, len(whole) + 2) + whole
    data = whole[:2] + thumbnail + whole[2:]
    assert scan_jpeg(data + b"trailing \xff\xd9") == (len(data) - 2, 1)
    with pytest.raises(ValueError, match="truncated"):
        scan_jpeg(data[:-2])
    assert scan_jpeg(KINDS["progressive JPEG"])[1] > 1


def test_a_wrong_checksum_of_a_png_is_noticed() -> None:
    data = bytearray(KINDS["PNG"])
    data[len(data) // 2] ^= 1
    with pytest.raises(ValueError, match="checksum of its part IDAT"):
        check_complete(bytes(data), "PNG")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_the_orientation_is_read_in_both_byte_orders(order: str, value: int, prefix: bytes) -> None:
    assert read_orientation(prefix + exif_block(order, value)) == value


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"II*\0", b"nonsense", bytes(40)])
def test_an_unreadable_or_silent_block_means_upright(block: bytes) -> None:
    assert read_orientation(block) == 1
    assert read_orientation(exif_block("<", 99)) == 1
    assert read_orientation(exif_block("<", 6)[:-6]) == 1


def exif_block(order: str, value: int) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    entries = [(0x010F, 3, 7), (0x0112, 3, value)]
    body = b"".join(struct.pack(order + "HHIHxx", tag, kind, 1, v) for tag, kind, v in entries)
    return mark + struct.pack(order + "HIH", 42, 8, len(entries)) + body


HUGE: dict[str, Callable[[int, int], bytes]] = {
    "PNG": lambda w, h: (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0) + bytes(4)
    ),
    "JPEG": lambda w, h: b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", h, w) + bytes(60),
    "WebP": lambda w, h: (
        b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0"
        + bytes(4)
        + (w - 1).to_bytes(3, "little")
        + (h - 1).to_bytes(3, "little")
    ),
    "BMP": lambda w, h: b"BM" + bytes(12) + struct.pack("<Iii", 40, w, -h) + bytes(40),
    "TIFF": lambda w, h: (
        b"MM\0*\0\0\0\x08\0\x02" + struct.pack(">HHII", 256, 4, 1, w) + struct.pack(">HHII", 257, 4, 1, h)
    ),
    "GIF": lambda w, h: b"GIF89a" + struct.pack("<HH", w, h) + bytes(60),
}
"""Headers that promise very large pictures, without the pictures."""


@pytest.mark.parametrize("kind", HUGE)
def test_headers_of_huge_pictures_are_understood(kind: str) -> None:
    header = read_header(io.BytesIO(HUGE[kind](40_000, 25_000)))
    assert (header.format, header.width, header.height) == (kind, 40_000, 25_000)
    with pytest.raises(ValueError, match=r"0 pixels|damaged"):
        read_header(io.BytesIO(HUGE[kind](40_000, 0 if kind != "WebP" else 1).replace(b"VP8X", b"ALPH")))


@pytest.mark.parametrize("kind", HUGE)
def test_a_huge_picture_is_refused_from_its_header(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "huge.png"
    file.write_bytes(HUGE[kind](40_000, 25_000))
    with pytest.raises(ImageError, match=r"huge\.png.*40000 x 25000.*max_pixels.*100\.0 million"):
        read_image(file)
