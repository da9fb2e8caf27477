"""Films with known truth: photographed people moved over photographed backgrounds on known paths.

Each person is a photograph of a head and shoulders with soft edges, that sways, turns and changes its light;
whoever comes later in a film's list is in front. The truth is the reference box of the photograph, carried
along, and how much of the face can be seen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_PX = (640, 480)
"""Width and height of the films."""

RATE_HZ = 30.0
COLUMN = 200
"""Number of a column of the background that stands in front, in the map of who is seen where."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Person:
    """A photograph of a head and shoulders: RGB, how much each pixel counts (0 to 1), and the face in it."""

    image: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    box_xyxy: NDArray[np.float64]


@dataclass(frozen=True)
class Role:
    """What one person does: where the middle of the face is at a time (None: not there), and how tall it is.

    `squeeze` is the width of the face as a part of its own (a head that turns away), `roll_deg` how it leans.
    """

    person: int
    place: Callable[[float], Point | None]
    height_px: Callable[[float], float]
    squeeze: Callable[[float], float] = lambda _: 1.0
    roll_deg: Callable[[float], float] = lambda _: 0.0


@dataclass(frozen=True)
class Film:
    """Roles, a background, and columns of it (left and right edge) that stand in front of everyone."""

    name: str
    duration_s: float
    roles: list[Role]
    columns: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Truth:
    """The faces of a frame: who, where, and which part of the face can be seen."""

    person: NDArray[np.int64]
    box_xyxy: NDArray[np.float64]
    visible: NDArray[np.float64]


def load_people(folder: Path, count: int, random: np.random.Generator) -> list[Person]:
    """Cut people out of the photographs of fairface540: those with one face alone, large and sure."""
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    names = [name for name, one in labels.items() if _is_alone(one["teacher"])]
    people = []
    for name in random.permutation(sorted(names))[:count]:
        image = cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB)
        people.append(_cut_out(image, np.array(labels[name]["teacher"][0]["box"], np.float64)))
    return people


def load_backgrounds(folder: Path, count: int, random: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Return photographs without people, scaled to cover a frame.

    They are drawn from the quarter that no detector of ours learned from, and none is asked about them:
    every detector meets the same films, and what it takes for a face there counts.
    """
    files = sorted(folder.glob("*.jpg"))[::4]
    chosen = random.permutation(len(files))[:count]
    return [_cover(cv2.cvtColor(cv2.imread(str(files[i])), cv2.COLOR_BGR2RGB)) for i in chosen]


def render(
    film: Film, people: list[Person], background: NDArray[np.uint8], seed: int
) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """Yield each frame, RGB, with its truth."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 3, (*background.shape[:2], 1))
    phase = random.uniform(0, 2 * math.pi, (len(film.roles), 3))
    for index in range(round(film.duration_s * RATE_HZ)):
        time_s = index / RATE_HZ
        frame = background.astype(np.float32)
        owner = np.zeros(frame.shape[:2], np.uint8)
        boxes, shapes, who = [], [], []
        for role, one in zip(film.roles, phase, strict=True):
            place = role.place(time_s)
            if place is None:
                continue
            matrix, light = _pose(people[role.person], role, place, time_s, one)
            shape = _paint(frame, owner, people[role.person], matrix, light, len(who) + 1)
            corners = _corners(people[role.person].box_xyxy) @ matrix[:, :2].T + matrix[:, 2]
            boxes.append([*corners.min(axis=0), *corners.max(axis=0)])
            shapes.append(shape)
            who.append(role.person)
        for left, right in film.columns:
            frame[:, left:right] = background[:, left:right]
            owner[:, left:right] = COLUMN
        seen = [(owner[s] == i + 1).sum() / max(1.0, area) for i, (s, area) in enumerate(shapes)]
        shift = tuple(random.integers(0, side) for side in noise.shape[:2])
        frame += np.roll(noise, shift, axis=(0, 1))
        truth = Truth(
            np.array(who, np.int64),
            np.array(boxes, np.float64).reshape(-1, 4),
            np.minimum(1, np.array(seen, np.float64)),
        )
        yield np.clip(frame, 0, 255).astype(np.uint8), truth


def _is_alone(faces: list[dict[str, Any]]) -> bool:
    if not faces or any(one["score"] > 0.25 for one in faces[1:]):
        return False
    face = faces[0]
    left, top, width, height = face["box"]
    inside = left > 40 and top > 30 and left + width < 280 and top + height < 300
    return bool(inside and height > 90 and face["score"] > 0.85)


def _cut_out(image: NDArray[np.uint8], box_xywh: NDArray[np.float64]) -> Person:
    x, y, width, height = box_xywh
    alpha = np.zeros(image.shape[:2], np.uint8)
    middle = (round(x + width / 2), round(y + height * 0.45))
    cv2.ellipse(alpha, middle, (round(width * 0.78), round(height * 0.8)), 0, 0, 360, 255, -1)
    shoulders = (round(x + width / 2), round(y + height * 1.75))
    cv2.ellipse(alpha, shoulders, (round(width * 1.35), round(height * 0.75)), 0, 0, 360, 255, -1)
    soft = cv2.GaussianBlur(alpha, (0, 0), height / 25).astype(np.float32) / 255
    soft[0] = soft[-1] = 0
    soft[:, 0] = soft[:, -1] = 0
    return Person(image, soft, np.array([x, y, x + width, y + height]))


def _cover(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width, height = SIZE_PX
    scale = max(width / image.shape[1], height / image.shape[0])
    large = cv2.resize(image, None, fx=scale + 1e-3, fy=scale + 1e-3, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[:height, :width])


def _pose(
    person: Person, role: Role, place: Point, time_s: float, phase: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return how the photograph is laid into the frame, and its light: everyone sways a little."""
    box = person.box_xyxy
    scale = role.height_px(time_s) / (box[3] - box[1])
    lean = math.radians(role.roll_deg(time_s) + 4 * math.sin(1.9 * time_s + phase[0]))
    narrow = role.squeeze(time_s) * (1 + 0.04 * math.sin(1.3 * time_s + phase[1]))
    turn = np.array([[math.cos(lean), -math.sin(lean)], [math.sin(lean), math.cos(lean)]])
    linear = turn @ np.diag([scale * narrow, scale])
    middle = (box[:2] + box[2:]) / 2
    matrix = np.concatenate([linear, (np.array(place) - linear @ middle)[:, None]], axis=1)
    return matrix, 1 + 0.08 * math.sin(0.9 * time_s + phase[2])


def _paint(
    frame: NDArray[np.float32],
    owner: NDArray[np.uint8],
    person: Person,
    matrix: NDArray[np.float64],
    light: float,
    number: int,
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], float]:
    """Lay a person over a frame; return the pixels of the face's ellipse inside it, and its whole area."""
    flags = {"flags": cv2.INTER_AREA if matrix[1, 1] < 0.5 else cv2.INTER_LINEAR}
    size = (frame.shape[1], frame.shape[0])
    shown = cv2.warpAffine(person.image, matrix, size, **flags)
    alpha = cv2.warpAffine(person.alpha, matrix, size, **flags)
    rows, columns = np.nonzero(alpha > 0.01)
    if len(rows):
        part = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        share = alpha[part][..., None]
        frame[part] += share * (light * shown[part].astype(np.float32) - frame[part])
    owner[alpha > 0.5] = number
    ellipse = np.zeros(frame.shape[:2], np.uint8)
    box = person.box_xyxy
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    angle = np.linspace(0, 2 * np.pi, 40)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * half * 0.9 + middle
    ring = ring @ matrix[:, :2].T + matrix[:, 2]
    cv2.fillPoly(ellipse, [np.round(ring).astype(np.int32)], 1)
    area = cv2.contourArea(ring.astype(np.float32))
    return np.nonzero(ellipse), float(area)


def _corners(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return box[[[0, 1], [2, 1], [2, 3], [0, 3]]]
