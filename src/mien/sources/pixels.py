"""Pictures in memory: arrays and PIL pictures turned into RGB of 8 bits, and the limit on their size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ImageError, bad_argument

MAX_PIXELS = 100_000_000
"""The default limit on width x height; a picture over it is refused before it is decoded."""

_MID_GREY = 128


def convert_image(image: object, *, max_pixels: float = MAX_PIXELS) -> NDArray[np.uint8]:
    """Turn a picture in memory into RGB.

    Parameters
    ----------
    image : ndarray or PIL.Image.Image
        An array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): grey, RGB or RGB with alpha, as uint8
        or as uint16 over its full range. Or a PIL picture of any mode with 8 or 16 bits; its EXIF
        orientation, where it still has one, is applied.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        RGB.

    Raises
    ------
    ArgumentError
        If an array has another shape or dtype, or no pixels.
    ImageError
        If a PIL picture cannot be decoded or has values that are no 8 or 16 bits, or a picture is over
        the limit.
    """
    if not isinstance(image, np.ndarray):
        return _from_pil(image, max_pixels)
    check_array(image)
    check_limit("the array given", image.shape[1], image.shape[0], max_pixels)
    return to_rgb8(image)


def check_array(image: NDArray[np.generic]) -> None:
    """Raise unless an array is laid out like a picture that :func:`convert_image` takes.

    Raises
    ------
    ArgumentError
    """
    shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))
    if not shaped or image.size == 0 or image.dtype not in (np.uint8, np.uint16):
        hint = ""
        if image.ndim == 4:
            hint = " (for several pictures give a list of arrays)"
        elif image.dtype.kind == "f":
            hint = " (turn values of 0 to 1 into uint8 first: (image * 255).round().astype('uint8'))"
        allowed = f"an array of shape (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16{hint}"
        raise bad_argument("image", allowed=allowed, given=f"shape {image.shape}, {image.dtype}")


def is_pil_image(value: object) -> bool:
    """Tell whether a value is a PIL picture, without importing PIL."""
    return any((kind.__module__, kind.__name__) == ("PIL.Image", "Image") for kind in type(value).__mro__)


def check_limit(name: str, width: int, height: int, max_pixels: float) -> None:
    """Raise if a picture has more pixels than allowed.

    Raises
    ------
    ImageError
        With the size and the limit.
    """
    if width * height > max_pixels:
        raise ImageError(
            f"{name} has {width} x {height} pixels, {width * height / 1e6:,.1f} million; the limit "
            f"(max_pixels) is {max_pixels / 1e6:,.1f} million. Make the picture smaller, or raise the limit."
        )


def to_rgb8(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Turn checked pixels into RGB of 8 bits.

    Parameters
    ----------
    image : ndarray of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or uint16
        Grey, RGB or RGBA; 16-bit values over their full range.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        RGB; transparent parts on mid grey (128).
    """
    pixels = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    elif pixels.shape[2] == 4:
        pixels = _on_grey(pixels)
    return np.ascontiguousarray(pixels, np.uint8)


def _on_grey(rgba: NDArray[np.generic]) -> NDArray[np.generic]:
    alpha = rgba[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return rgba[..., :3]
    mixed = rgba[..., :3].astype(np.uint16) * alpha + _MID_GREY * (255 - alpha)
    return (mixed + 127) // 255


def _from_pil(image: Any, max_pixels: float) -> NDArray[np.uint8]:
    if not is_pil_image(image):
        raise bad_argument("image", allowed="an array or a PIL picture", given=image)
    from PIL import ImageOps

    name = str(getattr(image, "filename", "") or "the picture given")
    width, height = image.size
    check_limit(name, width, height, max_pixels)
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("I", "F") or upright.mode.startswith("I;"):
            return to_rgb8(_as_16_bits(np.asarray(upright), upright.mode))
        alpha = upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in upright.info
        return to_rgb8(np.asarray(upright.convert("RGBA" if alpha else "RGB")))
    except (OSError, ValueError, SyntaxError) as error:  # what PIL raises of files it decodes late
        raise ImageError(f"{name} cannot be read as a picture: {error}.") from error


def _as_16_bits(values: NDArray[Any], mode: str) -> NDArray[np.uint16]:
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ValueError(f"mode {mode!r} with values outside 16 bits; convert it to 'RGB' first")
    return values.astype(np.uint16)
