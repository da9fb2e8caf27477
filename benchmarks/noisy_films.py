"""Measure what averaging over time does for faces in noisy films, from detection on.

    python benchmarks/noisy_films.py fer2013.csv fer2013new.csv --clips clips/*.mkv --json noisy.json

A picture of PublicTest, three times its size, lies on a plain ground and is filmed. It keeps still; or it
sways by two of its own pixels and 3 degrees to either side, once a second; or it walks past, by .6 of one of
its pixels a frame. Every frame is disturbed anew and read by a watcher that reduces noise and one that does
not. The last frame counts, of films in which it has a row, by the FER+ labels. With --geometry there are
films that unfold: a face warped to the shape of neutral ones takes its own within 8 frames, as those of
make_sequences.py; what counts is how many frames after the first change the display is that of the end.

Of clips, disturbed in the same way, nobody knows what they show: what counts is how far the smoothed readings
are from those of the clip as it is (Kullback-Leibler divergence, nats), and how often both read the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from make_sequences import mean_shape, read_points, unfold
from numpy.typing import NDArray

from mien import Analyzer, open_source
from mien.faces.detect import load_detector
from mien.models.denoise import Denoiser
from mien.readings import Readings
from mien.sources.datasets import open_dataset
from mien.sources.frame import Frame
from mien.sources.labelled import LabelledImages
from mien.training.conditions import CONDITIONS, choose_conditions
from mien.training.metrics import wilson_interval

RATE_HZ = 30.0

TIMES = 3
"""How large a picture's pixel is in the film."""

HIGH, WIDE = 240, 240
"""Size of the film, pixels."""

SHADE = 110
"""Of the ground."""

LANDMARKS = np.array([[14.0, 18.0], [34.0, 18.0], [24.0, 29.0], [16.0, 38.0], [32.0, 38.0]])
"""About where a picture of 48 pixels has them: noise has a grain of the size of the face."""

MOTIONS: Mapping[str, tuple[float, float, float]] = {
    "still": (0.0, 0.0, 0.0),
    "sways": (2.0, 3.0, 0.0),
    "walks": (0.0, 0.0, 0.6),
}
"""Pixels of the picture and degrees that it sways; pixels that it walks in a frame."""

WAYS = ("one frame", "smoothed", "less noise")


class Filmed:
    """Films of labelled faces, and who reads them.

    Parameters
    ----------
    corpus : LabelledImages
    analyzer : Analyzer
    condition : str
        "undisturbed", or one of those of :mod:`mien.training.conditions`.
    frames : int
        Length of a film of one face.
    seed : int
    """

    def __init__(
        self, corpus: LabelledImages, analyzer: Analyzer, condition: str, frames: int, seed: int
    ) -> None:
        self.corpus = corpus
        self.analyzer = analyzer
        self.condition = condition
        self.frames = frames
        self.seed = seed

    def alone(self, rows: Sequence[int], motion: str) -> dict[str, Any]:
        """Film each face alone; count what is read rightly in the last frames."""
        right, nats, n = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0.0), 0
        for row in rows:
            plain, denoised = list(self._read([self.corpus.images[row]] * self.frames, motion, row))[-1]
            if not len(plain):
                continue
            n += 1
            emotion = int(self.corpus.label[row])
            answers = (plain.probability, plain.smoothed, denoised.smoothed)
            for way, answer in zip(WAYS, answers, strict=True):
                right[way] += int(answer[0].argmax() == emotion)
                nats[way] -= float(np.log(max(answer[0, emotion], 1e-6)))
        shares = {
            way: {"right": right[way] / n, "interval": wilson_interval(right[way], n), "nats": nats[way] / n}
            for way in WAYS
        }
        return {"condition": self.condition, "motion": motion, "films": len(rows), "n": n, "ways": shares}

    def unfolding(self, rows: Sequence[int], geometry: str, official: str | None) -> dict[str, Any]:
        """Let each face take its own shape in its film; count the frames until that is displayed."""
        numbers = np.load(official) if official else np.arange(len(self.corpus))
        usable, points = read_points(Path(geometry), numbers)
        plain = usable & (self.corpus.label == self.corpus.labels.index("neutral"))
        neutral = mean_shape(points[plain & (self.corpus.split == "Training")])
        passed: dict[str, list[int]] = {way: [] for way in WAYS[1:]}
        for row in (row for row in rows if usable[row]):
            random = np.random.default_rng([self.seed, row])
            first, *others = unfold(np.asarray(self.corpus.images[row]), points[row], neutral, random)
            film = [*[first] * self.frames, *others, *[others[-1]] * (2 * self.frames - len(others))]
            for way, answers in zip(passed, zip(*self._read(film, "still", row), strict=True), strict=True):
                shown = [readings.displayed[:1] for readings in answers]
                if shown[-1] and shown[self.frames - 1] and shown[-1] != shown[self.frames - 1]:
                    before = max(i for i in range(len(shown)) if shown[i] != shown[-1])
                    passed[way].append(before + 2 - self.frames)
        waits = {
            way: {"n": len(n), "median": float(np.median(n)), "mean": float(np.mean(n))}
            for way, n in passed.items()
        }
        return {"condition": self.condition, "motion": "unfolds", "frames until it is displayed": waits}

    def _read(
        self, pictures: Sequence[NDArray[np.uint8]], motion: str, row: int
    ) -> Iterator[tuple[Readings, Readings]]:
        """Read a film of pictures, one a frame, without and with the reduction of noise."""
        watchers = [self.analyzer.watch(denoiser=denoiser) for denoiser in (Denoiser(0), Denoiser())]
        random = np.random.default_rng([self.seed, row])
        for i, picture in enumerate(pictures):
            moment = i - (len(pictures) / 2 if motion == "walks" else 0)
            sheet, placed = _placed(picture, MOTIONS[motion], moment)
            if self.condition != "undisturbed":
                sheet, _ = CONDITIONS[self.condition](sheet, placed, random)
            frame = Frame(np.repeat(sheet[..., None], 3, axis=2), i, i / RATE_HZ, "film")
            plain, denoised = (watcher.read(frame) for watcher in watchers)
            yield plain, denoised


def clips_disturbed(
    analyzer: Analyzer, paths: Sequence[str], condition: str, frames: int, seed: int
) -> dict[str, Any]:
    """Read real clips as they are and disturbed; compare frames in which both have the one face."""
    far: dict[str, list[float]] = {way: [] for way in WAYS}
    same: dict[str, list[bool]] = {way: [] for way in WAYS}
    for number, path in enumerate(paths):
        clear, *watchers = (analyzer.watch(denoiser=d) for d in (None, Denoiser(0), Denoiser()))
        random = np.random.default_rng([seed, number])
        with open_source(path) as source:
            for frame in itertools.islice(source, frames):
                wanted = clear.read(frame)
                if len(wanted) != 1:
                    continue
                image, _ = CONDITIONS[condition](frame.image, wanted.faces.landmarks_xy[0], random)
                plain, denoised = (watcher.read(replace(frame, image=image)) for watcher in watchers)
                if len(plain) != 1:
                    continue
                p = wanted.smoothed[0]
                for way, q in zip(WAYS, (plain.probability, plain.smoothed, denoised.smoothed), strict=True):
                    far[way].append(float(np.sum(p * np.log(np.maximum(p, 1e-6) / np.maximum(q[0], 1e-6)))))
                    same[way].append(bool(p.argmax() == q[0].argmax()))
    ways = {way: {"divergence": np.mean(far[way]), "same": np.mean(same[way])} for way in WAYS}
    return {"condition": condition, "clips": len(paths), "frames": len(far[WAYS[0]]), "ways": ways}


def main() -> None:
    """Read the options, film, and print a line for each condition and motion."""
    args = _options()
    corpus = open_dataset(args.fer2013, ferplus=args.ferplus)
    analyzer = Analyzer(load_detector(threads=args.threads), threads=args.threads)
    assert corpus.labels.names == analyzer.labels.names
    usable = np.flatnonzero((corpus.split == "PublicTest") & (corpus.label >= 0))
    rows = np.sort(np.random.default_rng(args.seed).permutation(usable)[: args.sample]).tolist()
    results = []
    conditions = args.conditions.split(",")
    choose_conditions(name for name in conditions if name != "undisturbed")  # refuses names that are none
    for condition in conditions:
        films = Filmed(corpus, analyzer, condition, args.frames, args.seed)
        for motion in filter(None, args.motions.split(",")):
            results.append(films.alone(rows, motion))
            print(json.dumps(results[-1]), flush=True)
        if args.geometry:
            results.append(films.unfolding(rows, args.geometry, args.rows))
            print(json.dumps(results[-1]), flush=True)
        if args.clips and condition in CONDITIONS:
            results.append(clips_disturbed(analyzer, args.clips, condition, args.clip_frames, args.seed))
            print(json.dumps(results[-1]), flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fer2013", help="fer2013.csv")
    parser.add_argument("ferplus", help="fer2013new.csv")
    parser.add_argument("--conditions", default="undisturbed,noisy,dark-noisy")
    parser.add_argument("--motions", default="still,sways,walks", help='"" for none')
    parser.add_argument("--sample", type=int, default=300, help="pictures, drawn at random")
    parser.add_argument("--frames", type=int, default=16, help="frames of a film of one face")
    parser.add_argument("--geometry", help="landmarks, for faces that unfold")
    parser.add_argument("--rows", help="row of each picture in the official file, where csv is a part")
    parser.add_argument("--clips", nargs="*", default=[], help="films of people")
    parser.add_argument("--clip-frames", type=int, default=60, help="frames read of each clip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", help="where to write the results")
    return parser.parse_args()


def _placed(
    picture: NDArray[np.uint8], motion: tuple[float, float, float], moment: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Lay a picture on the ground, and say where its landmarks are; `moment` counts frames."""
    sway, turn, walk = motion
    phase = np.sin(2 * np.pi * moment / RATE_HZ)
    middle = (np.array(picture.shape[::-1]) - 1) / 2
    matrix = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), turn * phase, TIMES)
    matrix[:, 2] += (WIDE / 2 - 0.5, HIGH / 2 - 0.5) - middle + (TIMES * (sway * phase + walk * moment), 0)
    sheet = cv2.warpAffine(picture, matrix, (WIDE, HIGH), flags=cv2.INTER_CUBIC, borderValue=SHADE)
    return sheet.astype(np.uint8), (LANDMARKS - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5


if __name__ == "__main__":
    main()
