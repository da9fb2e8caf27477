"""Readings of an imagined film, each frame made from its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mien.labels import FERPLUS8
from mien.readings import Readings
from mien.testing import make_readings


def moving(
    emotions: Sequence[str],
    *,
    index: int = 0,
    time_s: float = 0.0,
    tracks: Sequence[int] | None = None,
    confidence: float = 0.8,
    source: str = "film.mp4",
) -> Readings:
    """Make the readings of one frame of a film, in which smoothing changes nothing."""
    plain = make_readings(emotions, confidence=confidence, source=source)
    track_id = np.arange(len(emotions)) if tracks is None else np.array(tracks, np.int64)
    return replace(
        plain,
        faces=replace(plain.faces, track_id=track_id),
        index=index,
        time_s=time_s,
        smoothed=plain.probability,
        displayed=tuple(plain.emotion),
    )


def film(frames: int, rate_hz: float = 25.0, start: int = 0) -> list[Readings]:
    """Make the frames of a film: two people; one is gone in every eleventh frame, both in every 17th."""
    made = []
    for index in range(start, frames):
        people = [0, 1] if index % 11 else [1]
        people = people if index % 17 else []
        random = np.random.default_rng(index)
        names = [FERPLUS8.names[random.integers(8)] for _ in people]
        confidence = float(random.uniform(0.3, 1.0))
        made.append(moving(names, index=index, time_s=index / rate_hz, tracks=people, confidence=confidence))
    return made
