from __future__ import annotations

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.sources.frame import Frame, Source
from mien.sources.images import ImageFiles


def test_a_frame_says_its_size_as_width_and_height() -> None:
    frame = Frame(np.zeros((3, 5, 3), np.uint8), index=2, time_s=0.08, source="clip.mp4")
    assert frame.size_px == (5, 3)
    assert (frame.index, frame.time_s, frame.source) == (2, 0.08, "clip.mp4")


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"image": np.zeros((3, 5), np.uint8)}, "image"),
        ({"image": np.zeros((3, 5, 4), np.uint8)}, "image"),
        ({"image": np.zeros((0, 5, 3), np.uint8)}, "image"),
        ({"image": np.zeros((3, 5, 3), np.float32)}, "float32"),
        ({"image": [[1, 2, 3]]}, "image"),
        ({"index": -1}, "index"),
        ({"time_s": float("nan")}, "time_s"),
    ],
)
def test_a_malformed_frame_is_refused_by_name(fields: dict[str, object], names: str) -> None:
    with pytest.raises(ArgumentError, match=names):
        Frame(**{"image": np.zeros((3, 5, 3), np.uint8), **fields})  # type: ignore[arg-type]  # wrong on purpose


def test_a_frame_cannot_be_changed() -> None:
    frame = Frame(np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(AttributeError):
        frame.index = 3  # type: ignore[misc]  # what is tested


def test_what_opens_and_iterates_is_a_source() -> None:
    assert isinstance(ImageFiles([]), Source)
    assert not isinstance([np.zeros((2, 2, 3), np.uint8)], Source)
