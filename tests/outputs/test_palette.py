from __future__ import annotations

from itertools import combinations

import numpy as np

from mien.labels import EMOTIONS
from mien.outputs.palette import EMOTION_COLOURS, UNSURE_COLOUR, as_hex, colour_of, text_colour_on


def test_every_emotion_has_a_colour_of_its_own() -> None:
    assert set(EMOTION_COLOURS) == set(EMOTIONS)
    colours = [*EMOTION_COLOURS.values(), UNSURE_COLOUR]
    assert min(np.abs(np.subtract(a, b)).sum() for a, b in combinations(colours, 2)) > 60


def test_a_word_that_is_no_emotion_is_grey() -> None:
    assert colour_of("unsure") == UNSURE_COLOUR
    assert colour_of("anger") == (213, 94, 0)
    assert as_hex((0, 158, 115)) == "#009e73"


def test_text_is_dark_on_light_and_light_on_dark() -> None:
    assert text_colour_on((240, 228, 66)) == text_colour_on((255, 255, 255)) == (24, 24, 28)
    assert text_colour_on((0, 114, 178)) == text_colour_on((0, 0, 0)) == (255, 255, 255)
