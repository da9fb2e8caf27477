"""What happens in the films of benchmarks/track.py: one function a kind, random but for its seed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from films import SIZE_PX, Film, Point, Role

WIDTH, HEIGHT = SIZE_PX
Random = np.random.Generator


def alone(random: Random) -> Film:
    """One person wanders about."""
    return Film("alone", 4, [Role(0, _wander(random), _breathe(random.uniform(70, 150), random))])


def crossing(random: Random) -> Film:
    """Two people pass each other, one in front of the other."""
    tall = random.uniform(90, 130)
    high = random.uniform(170, 260)
    first = _line((90, high), (WIDTH - 90, high + random.uniform(-30, 30)), 0.3, 3.5)
    second = _line((WIDTH - 90, high + random.uniform(-20, 20)), (90, high), 0.3, 3.5)
    return Film(
        "crossing",
        4,
        [
            Role(0, first, _breathe(tall, random)),
            Role(1, second, _breathe(tall * random.uniform(0.9, 1.3), random)),
        ],
    )


def meeting(random: Random) -> Film:
    """Two people walk towards each other, overlap, and turn back: no crossing, though it looks like one."""
    tall, high = random.uniform(90, 120), random.uniform(180, 250)
    middle = WIDTH / 2 + random.uniform(-40, 40)

    def sides(direction: int) -> Callable[[float], Point | None]:
        apart = 0.35 * tall
        far = 220.0
        return lambda t: (
            middle + direction * (apart + (far - apart) * abs(math.cos(math.pi * t / 4)) ** 1.5),
            high + direction * 8,
        )

    return Film(
        "meeting",
        4,
        [Role(0, sides(-1), _breathe(tall, random)), Role(1, sides(1), _breathe(tall, random))],
    )


def column(random: Random) -> Film:
    """Someone walks behind a column and comes out on its other side, at times after a pause."""
    tall, high = random.uniform(80, 130), random.uniform(170, 280)
    pause_s = random.choice([0.0, 0.5, 1.0])
    half = 2.0

    def place(t: float) -> Point | None:
        walked = t if t < half else max(half, t - pause_s)
        return 90 + (WIDTH - 180) * walked / (5 - pause_s), high

    middle = 90 + (WIDTH - 180) * half / (5 - pause_s)
    wide = tall * random.uniform(0.5, 0.7)
    edges = (round(middle - wide), round(middle + wide))
    return Film("column", 5, [Role(0, place, _breathe(tall, random))], [edges])


def returns(random: Random) -> Film:
    """Someone leaves the picture and comes back at the same side."""
    tall, high = random.uniform(80, 140), random.uniform(170, 280)
    away_s = random.uniform(0.5, 1.5)

    def place(t: float) -> Point | None:
        out = 1.5 + away_s
        if 1.5 < t < out:
            return None
        step = t / 1.5 if t <= 1.5 else max(0.0, 1 - (t - out) / 1.5)
        return 300 + (WIDTH + tall - 300) * step, high

    return Film("returns", 5, [Role(0, place, _breathe(tall, random))])


def replaced(random: Random) -> Film:
    """Someone is gone between two frames, and somebody else is in the same place, at once or soon."""
    tall = _breathe(random.uniform(80, 140), random)
    walk = _wander(random)
    gap_s = random.choice([0.0, 0.0, 0.3, 1.0])
    near = random.uniform(-0.2, 0.2, 2) * 100

    def second(t: float) -> Point | None:
        x, y = walk(t) or (0, 0)
        return (x + near[0], y + near[1]) if t >= 2 + gap_s else None

    return Film("replaced", 4, [Role(0, lambda t: walk(t) if t < 2 else None, tall), Role(1, second, tall)])


def exchange(random: Random) -> Film:
    """Someone leaves the picture; somebody else comes in there soon after."""
    tall, high = random.uniform(80, 140), random.uniform(170, 280)
    come_s = 1.5 + random.uniform(0.4, 1.5)
    end = WIDTH + tall
    second = _line((end, high), (320, high), come_s, come_s + 1.5)
    return Film(
        "exchange",
        5,
        [
            Role(
                0, lambda t: (300 + (end - 300) * t / 1.5, high) if t < 1.5 else None, _breathe(tall, random)
            ),
            Role(1, lambda t: second(t) if t >= come_s else None, _breathe(tall, random)),
        ],
    )


def crowd(random: Random) -> Film:
    """Four people wander about, and in front of each other."""
    roles = [Role(i, _wander(random), _breathe(random.uniform(60, 110), random)) for i in range(4)]
    return Film("crowd", 4, roles)


def fast(random: Random) -> Film:
    """Someone moves from side to side, up to about 900 pixels a second."""
    tall, high = random.uniform(80, 130), random.uniform(180, 280)
    speed = random.uniform(500, 900)
    turn = speed / 200
    return Film(
        "fast",
        4,
        [Role(0, lambda t: (WIDTH / 2 + 200 * math.sin(turn * t), high), _breathe(tall, random))],
    )


def turning(random: Random) -> Film:
    """Turn a head away until half its width is left, and lean it up to 35 degrees."""
    speed = random.uniform(1.5, 3)
    role = Role(
        0,
        _wander(random),
        _breathe(random.uniform(80, 140), random),
        squeeze=lambda t: 0.75 + 0.25 * math.cos(speed * t),
        roll_deg=lambda t: 35 * math.sin(1.3 * t),
    )
    return Film("turning", 4, [role])


def newcomer(random: Random) -> Film:
    """Someone sits still; somebody else is suddenly there too, or walks in."""
    come_s = random.uniform(1.2, 2)
    left = random.uniform(120, 180)
    inside = _line((WIDTH + 80, 200), (460, 200), come_s, come_s + 1)
    sudden = random.random() < 0.5

    def second(t: float) -> Point | None:
        if t < come_s:
            return None
        return (460, 220) if sudden else inside(t)

    return Film(
        "newcomer",
        4,
        [
            Role(0, lambda t: (left + 5 * math.sin(t), 220), _breathe(110, random)),
            Role(1, second, _breathe(random.uniform(70, 120), random)),
        ],
    )


KINDS = (alone, crossing, meeting, column, returns, replaced, exchange, crowd, fast, turning, newcomer)


def _line(start: Point, end: Point, start_s: float, end_s: float) -> Callable[[float], Point | None]:
    def place(t: float) -> Point | None:
        share = min(1.0, max(0.0, (t - start_s) / (end_s - start_s)))
        return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])

    return place


def _wander(random: Random) -> Callable[[float], Point | None]:
    speed, phase = random.uniform(0.5, 1.6, 2), random.uniform(0, 2 * math.pi, 2)
    wide, high = random.uniform(60, 200), random.uniform(20, 80)
    return lambda t: (
        WIDTH / 2 + wide * math.sin(speed[0] * t + phase[0]),
        HEIGHT / 2 - 20 + high * math.sin(speed[1] * t + phase[1]),
    )


def _breathe(tall: float, random: Random) -> Callable[[float], float]:
    phase = random.uniform(0, 2 * math.pi)
    return lambda t: tall * (1 + 0.1 * math.sin(1.1 * t + phase))
