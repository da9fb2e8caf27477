"""Construct sequences from single faces: each is warped along its landmarks from a neutral shape to its own.

    python benchmarks/make_sequences.py fer2013.csv geometry.npz OUT [--rows rows.npy] [--clips 450]

There is no freely shared corpus of expressions unfolding in time, so these are made: the last frame is the
picture itself, the first has the mean shape of neutral faces, and the frames between lie on the way, with a
little drift of the head, so that motion alone tells nothing. What a network reaches on them says whether it
learns from sequences; it says nothing of people who move. OUT/clips.csv is what ``mien train`` and
``mien compare`` read; only the last frame of a clip has a label.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from mien.faces.align import fit_similarity, invert, transform
from mien.labels import EKMAN7
from mien.sources.fer2013 import read_fer2013
from mien.sources.labelled import leaked_into_training

RIGID = (27, 28, 29, 36, 39, 42, 45)
"""Bridge of the nose and corners of the eyes: what an expression moves least."""

MOST_YAW_DEG = 20.0
FRAMES = 8
SIDE = 48


def main() -> None:
    """Write the clips."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fer2013", type=Path)
    parser.add_argument("geometry", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--rows", type=Path, help="row of each picture in the official file, where csv is a part"
    )
    parser.add_argument("--clips", type=int, default=450, help="per emotion, to train on")
    parser.add_argument("--test-clips", type=int, default=60, help="per emotion, to test on")
    options = parser.parse_args()
    corpus = read_fer2013(options.fer2013)
    rows = np.load(options.rows) if options.rows else np.arange(len(corpus))
    usable, points = read_points(options.geometry, rows)
    neutral = mean_shape(points[usable & (corpus.label == EKMAN7.index("neutral"))])
    random = np.random.default_rng(0)
    leaked = leaked_into_training(corpus)
    table = [("path", "label", "split", "sequence", "position")]
    for split, folder, count in (
        ("Training", "train", options.clips),
        ("PublicTest", "test", options.test_clips),
    ):
        for column, emotion in enumerate(EKMAN7):
            candidates = np.flatnonzero(usable & ~leaked & (corpus.split == split) & (corpus.label == column))
            for row in random.permutation(candidates)[:count]:
                clip = unfold(np.asarray(corpus.images[row]), points[row], neutral, random)
                name = f"{folder}/{emotion}/{rows[row]}"
                write(options.out / name, clip)
                last = len(clip) - 1
                table += [
                    (f"{name}/{i:02d}.png", emotion if i == last else "", folder, name, str(i))
                    for i in range(len(clip))
                ]
    with (options.out / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows(table)


def read_points(path: Path, rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which pictures have a face that looks ahead, and all landmarks (n, 70, 2)."""
    with np.load(path) as file:
        place = {int(row): i for i, row in enumerate(file["row"])}
        order = np.array([place[int(row)] for row in rows])
        ahead = np.abs(file["yaw_pitch_roll_deg"][order][:, 0]) < MOST_YAW_DEG
        return file["found"][order].astype(bool) & ahead, file["landmarks_xy"][order].astype(np.float64)


def mean_shape(shapes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of shapes (n, 70, 2), laid upon each other by what is rigid."""
    mean = shapes[0]
    for _ in range(3):
        matrices = fit_similarity(shapes[:, RIGID], mean[list(RIGID)])
        mean = transform(shapes, matrices).mean(axis=0)
    return mean


def unfold(
    picture: NDArray[np.uint8],
    points: NDArray[np.float64],
    neutral: NDArray[np.float64],
    random: np.random.Generator,
) -> list[NDArray[np.uint8]]:
    """Return the frames of one clip, the picture itself last."""
    onto = fit_similarity(neutral[None, RIGID], points[list(RIGID)])
    start = transform(neutral[None], onto)[0]
    edge = np.linspace(-4, SIDE + 4, 5)
    border = np.array([(x, y) for x in edge for y in edge if x in edge[[0, -1]] or y in edge[[0, -1]]])
    shown = np.concatenate([start, border])
    moves = np.concatenate([points - start, np.zeros_like(border)])
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    field = RBFInterpolator(shown, moves, kernel="thin_plate_spline", smoothing=1.0)(grid)
    drift = random.normal(0, (2.0, 0.8, 0.8))  # degrees and pixels from the first frame to the last
    frames = []
    for i in range(FRAMES):
        rest = 1 - i / (FRAMES - 1)
        angle = np.radians(drift[0] * rest)
        turn = np.array([[[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]])
        turn[0, :, 2] = SIDE / 2 - turn[0, :, :2] @ np.full(2, SIDE / 2) + drift[1:] * rest
        places = transform(grid[None], invert(turn))[0] + field * rest
        frames.append(
            cv2.remap(
                picture,
                (places[:, 0] - 0.5).reshape(SIDE, SIDE).astype(np.float32),
                (places[:, 1] - 0.5).reshape(SIDE, SIDE).astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )
    return frames


def write(folder: Path, clip: list[NDArray[np.uint8]]) -> None:
    """Write the frames of a clip as numbered files."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(clip):
        cv2.imwrite(str(folder / f"{i:02d}.png"), frame)


if __name__ == "__main__":
    main()
