"""Draw the clips of the story "The line": a street at night, and a line of police that bars it.

Everything is drawn and sounded here, with numpy; PyAV writes H.264 and AAC that browsers play.

    python make_clips.py [FOLDER]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, RATE_HZ = 640, 360, 15
SOUND_HZ = 32_000
HORIZON = 150.0
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
Picture = NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """What one moment of the film looks like; all from 0 to 1 but where said.

    Parameters
    ----------
    near : float
        How near the line has come; 0 is far down the street, 1 fills the picture, below 0 there is none.
    gap : float
        How far it has opened in the middle.
    heat : float
        Fire: red light.
    dawn : float
        Morning: pale light.
    shake : float
        The camera trembles.
    tilt : float
        The camera lies on its side.
    dark : float
        The picture goes black.
    """

    near: float = 0.3
    gap: float = 0.0
    heat: float = 0.3
    dawn: float = 0.0
    shake: float = 0.0
    tilt: float = 0.0
    dark: float = 0.0


def smooth(t: float, start: float, end: float) -> float:
    """Return 0 before the start, 1 after the end, and a soft way between."""
    u = min(max((t - start) / (end - start), 0.0), 1.0)
    return u * u * (3 - 2 * u)


CLIPS: dict[str, tuple[float, Callable[[float], Look]]] = {
    "waiting": (10, lambda t: Look(near=-1, heat=0.25 + 0.05 * np.sin(2 * np.pi * t / 5))),
    "street": (20, lambda t: Look(near=0.02 + 0.4 * smooth(t, 0, 18), heat=0.3 + 0.2 * smooth(t, 6, 18))),
    "standoff": (12, lambda t: Look(near=0.42 + 0.1 * np.sin(t) ** 2, heat=0.5, shake=0.1)),
    "charge": (
        11,
        lambda t: Look(
            near=0.42 + 0.75 * smooth(t, 0.5, 9), heat=0.5 + 0.5 * smooth(t, 0, 2), shake=smooth(t, 0.5, 4)
        ),
    ),
    "passage": (
        13,
        lambda t: Look(
            near=0.45, gap=smooth(t, 1, 6), heat=0.5 * (1 - smooth(t, 1, 7)), dawn=smooth(t, 3, 11)
        ),
    ),
    "fallen": (
        11,
        lambda t: Look(
            near=0.9, heat=0.8 - 0.5 * smooth(t, 2, 9), tilt=smooth(t, 0, 1.2), dark=smooth(t, 3, 9)
        ),
    ),
}
"""Length in seconds, and the look at each time."""


def cover(
    picture: Picture, shape: Callable[[Picture, Picture], Picture], box: tuple[float, ...], colour: object
) -> None:
    """Paint a shape, given as the distance in pixels to its edge (inside negative), with a soft edge."""
    left, top, right, bottom = (round(v) for v in box)
    rows = slice(max(top - 2, 0), max(bottom + 2, 0))
    columns = slice(max(left - 2, 0), max(right + 2, 0))
    x, y = X[rows, columns], Y[rows, columns]
    if x.size:
        alpha = np.clip(0.5 - shape(x, y), 0, 1)[..., None]
        picture[rows, columns] += alpha * (np.asarray(colour, np.float32) - picture[rows, columns])


def disc(picture: Picture, x: float, y: float, radius: float, colour: object) -> None:
    """Paint a disc."""
    box = (x - radius, y - radius, x + radius, y + radius)
    cover(picture, lambda px, py: np.hypot(px - x, py - y) - radius, box, colour)


def slab(picture: Picture, x: float, y: float, w: float, h: float, corner: float, colour: object) -> None:
    """Paint a rectangle with round corners around its middle."""

    def edge(px: Picture, py: Picture) -> Picture:
        dx, dy = np.abs(px - x) - w / 2 + corner, np.abs(py - y) - h / 2 + corner
        outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        return outside + np.minimum(np.maximum(dx, dy), 0) - corner

    cover(picture, edge, (x - w / 2, y - h / 2, x + w / 2, y + h / 2), colour)


def clouds(seed: int, t: float, rise: float) -> Picture:
    """Return slowly moving smoke, 0 to 1: waves of several sizes, drawn at half the size."""
    random = np.random.default_rng(seed)
    x, y = X[::2, ::2], Y[::2, ::2]
    total = np.zeros_like(x)
    for size in (260, 140, 70, 36):
        angle, phase, pace = random.uniform(-0.6, 0.6), random.uniform(0, 7), random.uniform(0.5, 1.3)
        u = (x * np.cos(angle) + y * np.sin(angle)) / size + pace * t * 0.4
        v = (y * np.cos(angle) - x * np.sin(angle)) / size + rise * t
        total += size * np.sin(2 * np.pi * u + phase + 1.7 * np.sin(2 * np.pi * v)) * np.cos(2 * np.pi * v)
    return np.clip(0.5 + total / 500, 0, 1).repeat(2, axis=0).repeat(2, axis=1)


def backdrop(look: Look, t: float) -> Picture:
    """Draw sky, fire, houses and street."""
    height = np.clip((HORIZON - Y) / HORIZON, 0, 1)[..., None]
    night, fire, morning = np.array([[10, 14, 28], [205, 76, 20], [214, 208, 190]], np.float32)
    flicker = look.heat * (0.8 + 0.2 * np.sin(9 * t) * np.sin(5.3 * t))
    picture = night + fire * flicker * 1.7 * (1 - height) ** 2.2 + morning * look.dawn * (1 - 0.6 * height)
    picture = picture * (0.7 + 0.6 * clouds(3, t, 0.15)[..., None])
    for side in (-1, 1):
        for i, reach in enumerate((0.16, 0.3, 0.52, 0.86, 1.4)):
            x, top = WIDTH / 2 + side * WIDTH * reach * 0.75, HORIZON - 170 * reach**0.8
            wall = np.array([14, 16, 24], np.float32) * (1 + look.dawn * 3) + fire * flicker * 0.09 / reach
            slab(picture, x + side * 200 * reach, (top + HEIGHT) / 2, 420 * reach, HEIGHT - top, 1, wall)
            for row in range(3):
                lit = np.sin(12.9 * (i + 5 * row + 17 * (side + 1))) > 0.3
                glass = (150, 120, 70) if lit and look.dawn < 0.5 else wall * 0.6
                at = x + side * (40 + 60 * row % 90) * reach
                slab(picture, at, top + (34 + 42 * row) * reach, 18 * reach, 24 * reach, 1, glass)
    depth = np.clip((Y - HORIZON) / (HEIGHT - HORIZON), 0, 1)[..., None]
    road = np.array([20, 20, 26], np.float32) * (1 + 2 * look.dawn) + fire * flicker * 0.5 * (1 - depth) ** 2
    wide = np.abs(X - WIDTH / 2) < 60 + 420 * depth[..., 0]
    below = (Y > HORIZON) & wide
    picture[below] = road[below] + morning[None] * look.dawn * 0.35 * (1 - depth[below])
    return picture


def officer(picture: Picture, x: float, foot: float, size: float, look: Look, step: float) -> None:
    """Draw one of the line: body, helmet with visor, shield."""
    glow = np.array([150, 60, 22], np.float32) * look.heat + np.array([90, 90, 84], np.float32) * look.dawn
    y = foot - size * (0.5 + 0.01 * np.sin(step))
    for leg in (-1, 1):
        slab(picture, x + leg * size * 0.07, foot - size * 0.16, size * 0.1, size * 0.36, 2, glow * 0.08 + 8)
    slab(picture, x, y + size * 0.02, size * 0.34, size * 0.46, size * 0.08, glow * 0.14 + (12, 14, 20))
    disc(picture, x, y - size * 0.31, size * 0.115, glow * 0.5 + (22, 24, 32))
    disc(picture, x, y - size * 0.3, size * 0.1, glow * 0.15 + (10, 11, 16))
    slab(picture, x, y - size * 0.285, size * 0.17, size * 0.06, size * 0.02, glow * 0.8 + (44, 54, 70))
    shield = (x + size * 0.03, y + size * 0.06)
    slab(picture, *shield, size * 0.36, size * 0.62, size * 0.05, glow * 0.7 + (52, 60, 74))
    slab(picture, *shield, size * 0.33, size * 0.59, size * 0.04, glow * 0.25 + (24, 28, 38))
    slab(
        picture,
        shield[0],
        shield[1] - size * 0.12,
        size * 0.22,
        size * 0.1,
        size * 0.02,
        glow * 0.6 + (60, 72, 90),
    )


def line(picture: Picture, look: Look, t: float) -> None:
    """Draw the line, two deep, with its gap."""
    for row in (0, 1):
        near = look.near * (0.82 if row == 0 else 1.0)
        size = 60 + 330 * near**1.4
        foot = HORIZON + 22 + 240 * near**1.1 - (6 if row == 0 else 0)
        count = int(WIDTH / (size * 0.36)) // 2 + 2
        for i in range(-count, count + 1):
            offset = i + 0.5
            away = np.sign(offset) * look.gap * 1.6
            tread = 7 * t * (0.3 + look.shake) + 1.3 * i
            officer(picture, WIDTH / 2 + (offset + away) * size * 0.38, foot, size, look, tread)


def frame(look: Look, t: float) -> NDArray[np.uint8]:
    """Draw one picture, RGB."""
    picture = backdrop(look, t)
    if look.near > 0:
        line(picture, look, t)
    smoke = clouds(8, t, 0.35)[..., None] * np.clip((Y[..., None] - 60) / 260, 0, 1)
    picture += smoke * look.heat * np.array([70, 44, 34], np.float32) * 0.6
    if look.shake:
        moved = (
            (look.shake * 9 * np.array([np.sin(23 * t) + np.sin(31 * t), np.sin(27 * t)])).round().astype(int)
        )
        picture = np.roll(picture, tuple(moved), axis=(0, 1))
    if look.tilt:
        angle = look.tilt * 1.2
        x, y = X - WIDTH / 2, Y - HEIGHT / 2
        u = (x * np.cos(angle) + y * np.sin(angle)) * 0.9 + WIDTH / 2
        v = (y * np.cos(angle) - x * np.sin(angle)) * 0.9 + HEIGHT * (0.5 + 0.2 * look.tilt)
        picture = picture[np.clip(v, 0, HEIGHT - 1).astype(int), np.clip(u, 0, WIDTH - 1).astype(int)]
    corner = np.hypot((X - WIDTH / 2) / WIDTH, (Y - HEIGHT / 2) / HEIGHT)[..., None]
    grain = np.random.default_rng(int(t * 1000)).normal(0, 3, (HEIGHT, WIDTH, 1)).astype(np.float32)
    picture = (picture * (1.05 - 0.9 * corner**2) + grain) * (1 - look.dark)
    return np.clip(picture, 0, 255).astype(np.uint8)


def sound(length_s: float, look: Callable[[float], Look]) -> NDArray[np.float32]:
    """Make the sound: rumbling with the fire, boots with the nearness, a soft chord in the morning."""
    t = np.arange(int(length_s * SOUND_HZ)) / SOUND_HZ
    sampled = [look(float(s)) for s in np.arange(0, length_s + 0.1, 0.1)]

    def over(pick: Callable[[Look], float]) -> NDArray[np.float64]:
        return np.interp(t, np.arange(len(sampled)) * 0.1, [pick(one) for one in sampled])

    noise = np.random.default_rng(1).normal(0, 1, len(t))
    width = 400
    rumble = np.convolve(noise, np.hanning(width) / width**0.5, "same") * 0.12 * over(lambda one: one.heat)
    beat = (t * 1.8) % 1
    boots = (
        np.sin(2 * np.pi * 55 * beat / 1.8)
        * np.exp(-14 * beat)
        * over(lambda one: max(one.near, 0) * (1 - one.gap))
    )
    chord = (
        sum(np.sin(2 * np.pi * f * t) for f in (130.8, 196.0, 261.6, 329.6))
        * 0.06
        * over(lambda one: one.dawn)
    )
    ends = np.minimum(1, np.minimum(t, length_s - t) / 0.15)
    return ((rumble + 0.5 * boots + chord) * ends * (1 - over(lambda one: one.dark))).astype(np.float32)


def write_clip(path: Path, length_s: float, look: Callable[[float], Look]) -> None:
    """Write one clip as MP4, under a temporary name until it is whole."""
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w", options={"movflags": "faststart"}) as file:
        video = file.add_stream("libx264", rate=RATE_HZ, options={"crf": "25", "preset": "fast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = file.add_stream("aac", rate=SOUND_HZ, layout="mono")
        for i in range(round(length_s * RATE_HZ)):
            t = i / RATE_HZ
            file.mux(video.encode(av.VideoFrame.from_ndarray(frame(look(t), t), format="rgb24")))
        file.mux(video.encode())
        wave = av.AudioFrame.from_ndarray(
            np.clip(sound(length_s, look), -1, 1)[None], format="fltp", layout="mono"
        )
        wave.sample_rate = SOUND_HZ
        file.mux(audio.encode(wave))
        file.mux(audio.encode())
    part.replace(path)


def main() -> None:
    """Draw every clip into the folder that was typed, beside this file if none was."""
    parser = argparse.ArgumentParser(description="Draw the clips of the story.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "clips")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, (length_s, look) in CLIPS.items():
        write_clip(folder / f"{name}.mp4", length_s, look)
        sys.stdout.write(f"{folder / name}.mp4  {length_s} s\n")


if __name__ == "__main__":
    main()
