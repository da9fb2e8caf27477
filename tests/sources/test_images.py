from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mien.errors import ArgumentError, ImageError, SourceError, SourceNotFoundError
from mien.sources.images import ImageFiles, natural_key, read_image
from mien.sources.pixels import convert_image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
LOSSY = {"JPEG": 12.0, "WEBP": 12.0, "GIF": 40.0}
"""How far a value may be off in the formats that lose some."""


def scene(width: int = 48, height: int = 32) -> Image.Image:
    """A smooth picture whose four corners differ, so that any turn or mirroring shows."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return Image.fromarray(
        np.stack([x * 200 + 20, y * 200 + 20, 220 - x * y * 180], axis=-1).astype(np.uint8)
    )


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)  # type: ignore[arg-type]  # passed on to PIL
    return buffer.getvalue()


def assert_near(image: np.ndarray, wanted: object, tolerance: float = 0) -> None:
    reference = np.asarray(wanted).astype(int)
    assert image.shape == reference.shape
    assert image.dtype == np.uint8
    assert np.abs(image - reference).max() <= tolerance


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_comes_out_as_rgb(format: str, tmp_path: Path) -> None:
    data = encode(scene(), format)
    assert_near(read_image(data), scene(), LOSSY.get(format, 0))
    file = tmp_path / "named like no picture"
    file.write_bytes(data)
    assert_near(read_image(file), scene(), LOSSY.get(format, 0))
    assert_near(read_image(str(file)), scene(), LOSSY.get(format, 0))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = scene()
    data = encode(stored, format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    assert_near(read_image(data), upright(stored, orientation), LOSSY.get(format, 0) * (format == "JPEG"))


def upright(image: Image.Image, orientation: int) -> np.ndarray:
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return np.asarray(image.transpose(turn[orientation]) if orientation > 1 else image)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("value", [0, 1, 300, 32768, 65535])
def test_sixteen_bits_are_scaled_to_eight(format: str, value: int) -> None:
    data = encode(Image.fromarray(np.full((4, 5), value, np.uint16)), format)
    assert_near(read_image(data), np.full((4, 5, 3), round(value / 257)))


@pytest.mark.parametrize(
    ("mode", "format"), [("RGBA", "PNG"), ("RGBA", "TIFF"), ("LA", "PNG"), ("RGBA", "WEBP")]
)
def test_transparency_is_laid_on_mid_grey(mode: str, format: str) -> None:
    values = np.zeros((8, 8, 4), np.uint8)
    values[..., :3], values[:, 4:, 3], values[:, :4, 3] = 250, 0, 255
    image = read_image(
        encode(
            Image.fromarray(values).convert(mode), format, **({"lossless": True} if format == "WEBP" else {})
        )
    )
    assert_near(image[:, :4], np.full((8, 4, 3), 250))
    assert_near(image[:, 4:], np.full((8, 4, 3), 128))


def test_half_transparent_is_half_grey() -> None:
    rgba = np.full((2, 2, 4), 255, np.uint8)
    rgba[..., 3] = 128
    assert_near(read_image(encode(Image.fromarray(rgba), "PNG")), np.full((2, 2, 3), 192), 1)


@pytest.mark.parametrize(
    ("mode", "format"),
    [("P", "PNG"), ("P", "BMP"), ("P", "TIFF"), ("1", "PNG"), ("1", "TIFF"), ("L", "JPEG"), ("L", "BMP")],
)
def test_palettes_and_grey_become_rgb(mode: str, format: str) -> None:
    stored = scene().convert(mode)
    assert_near(read_image(encode(stored, format)), stored.convert("RGB"), LOSSY.get(format, 0))


def test_a_transparent_colour_of_a_palette_is_grey() -> None:
    stored = Image.new("P", (4, 4), 0)
    stored.putpalette([255, 0, 0, 0, 255, 0])
    assert_near(read_image(encode(stored, "PNG", transparency=0)), np.full((4, 4, 3), 128))


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    assert_near(read_image(encode(scene().convert("CMYK"), "JPEG", quality=95)), scene(), 12)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_picture_counts(format: str) -> None:
    pictures = [Image.new("RGB", (20, 12), (value, value, value)) for value in (10, 120, 240)]
    data = encode(pictures[0], format, save_all=True, append_images=pictures[1:])
    assert_near(read_image(data), np.full((12, 20, 3), 10), 2)


@pytest.mark.parametrize("format", FORMATS)
def test_one_pixel_is_a_picture(format: str) -> None:
    assert_near(read_image(encode(Image.new("RGB", (1, 1), (200, 10, 20)), format)), [[[200, 10, 20]]], 3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"quality": 30},
        {"subsampling": 0, "quality": 95},
        {"restart_marker_blocks": 4},
        {"optimize": True},
    ],
)
def test_whole_jpegs_of_every_kind_are_read(options: dict[str, object]) -> None:
    data = encode(scene(333, 217), "JPEG", **options)
    reference = np.asarray(Image.open(io.BytesIO(data)))
    assert_near(read_image(data), reference, 12)
    assert_near(read_image(data + b"\0 trailing bytes \xff\xd8"), reference, 12)
    assert_near(
        read_image(encode(scene(333, 217).convert("L"), "JPEG", **options))[..., 0],
        scene(333, 217).convert("L"),
        20,
    )


def noise(format: str, **options: object) -> bytes:
    values = np.random.default_rng(5).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    return encode(Image.fromarray(values), format, **options)


TRUNCATABLE = {
    "JPEG": noise("JPEG"),
    "progressive JPEG": noise("JPEG", progressive=True),
    "PNG": noise("PNG"),
    "lossy WebP": noise("WEBP"),
    "lossless WebP": noise("WEBP", lossless=True),
    "BMP": noise("BMP"),
    "TIFF": noise("TIFF"),
    "TIFF, compressed": noise("TIFF", compression="tiff_lzw"),
    "GIF": noise("GIF"),
}


@pytest.mark.parametrize("kind", TRUNCATABLE)
@pytest.mark.parametrize("cut", [1, 10, 0.03, 0.3, 0.7, 0.97])
def test_truncated_pictures_are_refused(kind: str, cut: float, tmp_path: Path) -> None:
    data = TRUNCATABLE[kind]
    file = tmp_path / "half.jpg"
    file.write_bytes(data[: int(len(data) * cut)] if cut < 1 else data[: -int(cut) - (kind == "GIF")])
    with pytest.raises(ImageError, match=r"half\.jpg.*truncated"):
        read_image(file)


@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 4}])
@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_a_jpeg_that_would_be_completed_with_grey_is_refused(options: dict[str, object], cut: float) -> None:
    data = noise("JPEG", **options)
    with pytest.raises(ImageError, match="truncated"):
        read_image(data[: int(len(data) * cut)] + b"\xff\xd9")
    with pytest.raises(ImageError, match="truncated"):
        read_image(data[: int(len(data) * cut)] + bytes(3000))


def test_the_limit_can_be_moved() -> None:
    data = encode(scene(20, 10), "PNG")
    assert read_image(data, max_pixels=200).shape == (10, 20, 3)
    with pytest.raises(ImageError, match="20 x 10"):
        read_image(data, max_pixels=199)
    with pytest.raises(ImageError, match="20 x 10"):
        convert_image(np.asarray(scene(20, 10)), max_pixels=199)
    with pytest.raises(ImageError, match="20 x 10"):
        convert_image(scene(20, 10), max_pixels=199)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"this is a text file\n" * 20, "text"),
        (b"\xff\xd8\xff", "truncated"),
        (bytes(1000), "not JPEG"),
    ],
)
def test_what_is_no_picture_is_named_with_the_reason(content: bytes, word: str, tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(content)
    with pytest.raises(ImageError, match=rf"photo\.jpg .*{word}"):
        read_image(file)


def test_floating_point_pictures_are_refused_with_their_type() -> None:
    with pytest.raises(ImageError, match="float32"):
        read_image(encode(Image.new("F", (4, 4)), "TIFF"))


def test_unicode_names_are_read(tmp_path: Path) -> None:
    for name in ("Gesichter ñ 顔 😀.png", os.fsdecode(b"latin-\xe9.png")):
        file = tmp_path / name
        file.write_bytes(encode(scene(), "PNG"))
        assert_near(read_image(file), scene())


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)


def test_special_files_are_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    with pytest.raises(ImageError, match="not a regular file"):
        read_image(pipe)


def test_a_file_without_permission_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret.jpg"
    file.write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a changed mode would not stop a test that runs as root
    with pytest.raises(ImageError, match=r"secret\.jpg.*permission"):
        read_image(file)


@pytest.mark.parametrize("name", ["no\0name.jpg", "n" * 5000 + ".jpg"])
def test_impossible_names_are_refused(name: str) -> None:
    with pytest.raises(ImageError, match="cannot be opened"):
        read_image(name)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "portrait.jpg").touch()
    with pytest.raises(SourceNotFoundError, match=r"portrai\.jpg does not exist.*portrait\.jpg"):
        read_image(tmp_path / "portrai.jpg")
    (tmp_path / "holiday").mkdir()
    with pytest.raises(SourceNotFoundError, match=r"there is no .*holidays\. Did you mean .*holiday\?"):
        read_image(tmp_path / "holidays" / "a.jpg")
    with pytest.raises(SourceNotFoundError):
        read_image(tmp_path / "portrait.jpg" / "a.jpg")


@pytest.mark.parametrize("kind", TRUNCATABLE)
def test_mutated_bytes_give_a_picture_or_an_image_error(kind: str) -> None:
    random = np.random.default_rng(11)
    small = np.random.default_rng(2).integers(0, 255, (9, 13, 3)).astype(np.uint8)
    options = {
        "progressive JPEG": {"progressive": True},
        "lossless WebP": {"lossless": True},
        "TIFF, compressed": {"compression": "tiff_lzw"},
    }
    format = next(word.strip(",") for word in kind.split() if word.strip(",").upper() in FORMATS)
    data = np.frombuffer(encode(Image.fromarray(small), format, **options.get(kind, {})), np.uint8)
    for _ in range(60):
        mutant = data.copy()
        where = random.integers(0, len(data), random.integers(1, 8))
        mutant[where] = random.integers(0, 256, len(where))
        try:
            image = read_image(mutant[: random.integers(1, len(data) + 1)].tobytes(), max_pixels=1e6)
        except ImageError:
            continue
        assert image.ndim == 3
        assert image.dtype == np.uint8


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.full((2, 3), 7, np.uint8), 7),
        (np.full((2, 3, 1), 7, np.uint8), 7),
        (np.full((2, 3, 3), 7, np.uint8), 7),
        (np.full((2, 3), 7 * 257, np.uint16), 7),
        (np.full((2, 3, 3), 65535, np.uint16), 255),
        (np.dstack([np.full((2, 3, 3), 7, np.uint8), np.zeros((2, 3), np.uint8)]), 128),
    ],
)
def test_arrays_are_turned_into_rgb(array: np.ndarray, wanted: int) -> None:
    assert_near(convert_image(array), np.full((2, 3, 3), wanted))


def test_the_order_of_an_arrays_channels_is_kept() -> None:
    rgb = np.asarray(scene())
    assert_near(convert_image(rgb), rgb)
    assert_near(convert_image(rgb[:, ::-1]), rgb[:, ::-1])
    assert convert_image(rgb[:, ::-1]).flags.c_contiguous


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((2, 3, 3), np.float32), "float32"),
        (np.zeros((2, 3, 3), bool), "bool"),
        (np.zeros((2, 3, 2), np.uint8), "shape"),
        (np.zeros((5,), np.uint8), "shape"),
        (np.zeros((4, 2, 3, 3), np.uint8), "list"),
        (np.zeros((0, 3, 3), np.uint8), "shape"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array: np.ndarray, word: str) -> None:
    with pytest.raises(ArgumentError, match=word):
        convert_image(array)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK", "YCbCr", "RGBA", "LA", "HSV"])
def test_pil_pictures_of_every_mode_are_taken(mode: str) -> None:
    image = scene().convert(mode)
    assert_near(convert_image(image), image.convert("RGB"))


def test_pil_pictures_of_sixteen_bits_are_scaled() -> None:
    for mode in ("I;16", "I"):
        assert_near(convert_image(Image.new(mode, (3, 2), 65535)), np.full((2, 3, 3), 255))
    with pytest.raises(ImageError, match="16 bits"):
        convert_image(Image.new("I", (3, 2), 70_000))
    with pytest.raises(ImageError, match="16 bits"):
        convert_image(Image.new("F", (3, 2), 0.5))


def test_pil_pictures_are_turned_once() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lazy = Image.open(io.BytesIO(encode(scene(), "PNG", exif=exif)))
    assert_near(convert_image(lazy), upright(scene(), 6))
    assert_near(convert_image(ImageOps.exif_transpose(lazy)), upright(scene(), 6))


def test_truncated_pil_pictures_are_image_errors() -> None:
    data = TRUNCATABLE["JPEG"]
    with pytest.raises(ImageError, match="cannot be read"):
        convert_image(Image.open(io.BytesIO(data[: len(data) // 2])))
    with pytest.raises(ArgumentError, match="PIL"):
        convert_image("photo.jpg")


def test_names_are_ordered_as_people_do() -> None:
    names = [Path(name) for name in ("b/1.png", "face10.png", "Face9.png", "a/2.png", "face1.png", "²5.png")]
    ordered = [str(path) for path in sorted(names, key=natural_key)]
    assert ordered[:5] == ["a/2.png", "b/1.png", "face1.png", "Face9.png", "face10.png"]


def test_files_are_read_one_by_one_and_again(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(encode(scene(), "PNG"))
    with ImageFiles([file, file.read_bytes(), np.asarray(scene()), scene()]) as source:
        assert len(source) == 4
        for _ in range(2):
            frames = list(source)
            assert [frame.index for frame in frames] == [0, 1, 2, 3]
            assert [frame.source for frame in frames] == [str(file), "bytes", "array", "image"]
            assert {frame.time_s for frame in frames} == {None}
            for frame in frames:
                assert_near(frame.image, scene())


def test_an_unreadable_file_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(encode(scene(), "PNG"))
    bad.write_text("no picture")
    with pytest.raises(ImageError, match=r"bad\.png"):
        list(ImageFiles([good, bad, good]))
    errors: list[SourceError] = []
    frames = list(ImageFiles([good, bad, good, tmp_path / "gone.png"], on_error=errors.append))
    assert [frame.index for frame in frames] == [0, 2]
    assert [type(error) for error in errors] == [ImageError, SourceNotFoundError]
    assert list(ImageFiles([])) == []


def test_reading_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for format in FORMATS:
            read_image(encode(scene(), format))
