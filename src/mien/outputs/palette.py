"""One colour for each emotion, in pictures and in charts alike, told apart by colour-blind people too."""

from __future__ import annotations

EMOTION_COLOURS = {
    # The palette of Okabe and Ito (2008), "Color Universal Design", with grey in place of black.
    "anger": (213, 94, 0),
    "contempt": (230, 159, 0),
    "disgust": (0, 158, 115),
    "fear": (204, 121, 167),
    "happiness": (240, 228, 66),
    "neutral": (187, 187, 187),
    "sadness": (0, 114, 178),
    "surprise": (86, 180, 233),
}
"""RGB, 0 to 255."""

UNSURE_COLOUR = (140, 140, 140)
"""RGB of a face whose emotion is not sure."""

DARK, LIGHT = (24, 24, 28), (255, 255, 255)
"""RGB of panels and of text."""


def colour_of(emotion: str) -> tuple[int, int, int]:
    """Return the RGB colour of an emotion, or that of "unsure" for any other word."""
    return EMOTION_COLOURS.get(emotion, UNSURE_COLOUR)


def text_colour_on(background: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return dark or light, whichever reads better on a colour.

    Compares the contrast ratios of WCAG 2.2 (relative luminance of sRGB).
    """
    light = (_luminance(LIGHT) + 0.05) / (_luminance(background) + 0.05)
    dark = (_luminance(background) + 0.05) / (_luminance(DARK) + 0.05)
    return LIGHT if light > dark else DARK


def as_hex(colour: tuple[int, int, int]) -> str:
    """Write an RGB colour as "#rrggbb"."""
    red, green, blue = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def _luminance(colour: tuple[int, int, int]) -> float:
    linear = [(c / 255 / 12.92) if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
