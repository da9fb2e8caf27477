"""Readings of a scripted face over time."""

from dataclasses import replace

import numpy as np

from mien.faces.faces import Faces
from mien.labels import FERPLUS8
from mien.readings import Readings
from mien.testing import make_faces


def shown(time_s, *people, labels=FERPLUS8, captured_s=None, moving=True):
    """Make the readings of one frame; each of the people is (track, {emotion: probability}, size)."""
    n = len(people)
    probability = np.zeros((n, len(labels)), np.float32)
    faces = make_faces(n, (640, 480))
    box = faces.box_xyxy.copy()
    for i, (_, emotions, *size) in enumerate(people):
        for name, value in emotions.items():
            probability[i, labels.index(name)] = value
        probability[i, labels.index("neutral")] += 1 - probability[i].sum()
        if size:
            box[i, 2:] = box[i, :2] + size[0]
    tracks = np.array([one[0] for one in people], np.int64)
    readings = Readings(
        faces=Faces(box, faces.score, faces.landmarks_xy, tracks),
        labels=labels,
        probability=probability,
        model="scripted",
        source="script",
        index=round(time_s * 25),
        time_s=time_s,
        size_px=(640, 480),
        captured_s=captured_s,
    )
    if not moving:
        return readings
    names = tuple(labels.names[i] for i in probability.argmax(axis=1))
    return replace(readings, smoothed=probability, displayed=names)


def play(story, *parts, rate_hz=25.0, start_s=0.0):
    """Play parts of (seconds, people) to a story; return its decisions."""
    decisions, index = [], round(start_s * rate_hz)
    for seconds, *people in parts:
        for _ in range(round(seconds * rate_hz)):
            decisions += story.update(shown(index / rate_hz, *people))
            index += 1
    return decisions
