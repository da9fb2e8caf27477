"""Measure how well mien keeps people apart, and what it saves not to detect on every frame.

    python benchmarks/track.py ../shared/data --films 4 --json track.json

Films with known truth are made from the photographs of fairface540 and backgrounds (see films.py and
film_kinds.py). Each is read in three ways: by overlap alone with a detection on every frame, by the tracker
with a detection on every frame, and by the tracker that follows faces between detections. All ways meet the
same frames, one after the other, so that their speeds can be compared. Then real clips are read.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from film_kinds import KINDS
from films import RATE_HZ, Truth, load_backgrounds, load_people, render
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mien import Analyzer
from mien.faces.faces import Faces, overlap
from mien.faces.track import Tracker
from mien.readings import Readings
from mien.sources.frame import Frame
from mien.watcher import Watcher

MATCH = 0.35
"""A row is a person's where the boxes overlap at least this much."""

VISIBLE = 0.6
"""A face must be found when at least this part of it can be seen; less may be found or not."""

PEOPLE, BACKGROUNDS = 60, 40
"""From so many the films are made."""


class OverlapTracker(Tracker):
    """The baseline: a face is whose box of the last frame it overlaps most."""

    def update(self, faces: Faces, *_: Any, **__: Any) -> Faces:
        """Return the faces with `track_id`."""
        last = getattr(self, "last", Faces.empty())
        ids = np.full(len(faces), -1, np.int64)
        shared = overlap(faces.box_xyxy, last.box_xyxy)
        while shared.size and shared.max() > 0.2:
            i, j = np.unravel_index(shared.argmax(), shared.shape)
            ids[i] = last.track_id[j]
            shared[i], shared[:, j] = 0, 0
        new = np.flatnonzero(ids < 0)
        ids[new] = np.arange(self._next, self._next + len(new))
        self._next += len(new)
        self.last = replace(faces, track_id=ids)
        return self.last


@dataclass
class Score:
    """What was counted over films.

    Attributes
    ----------
    frames, wanted, found : int
        Frames; faces of which enough could be seen; those of them that have a row.
    own : int
        Rows of a person that bear the number which most of them do.
    switches : int
        A person has another number than before.
    takeovers : int
        A number belongs to another person than before.
    false_rows, false_tracks : int
        Rows where nobody is; numbers that nobody ever had.
    """

    frames: int = 0
    wanted: int = 0
    found: int = 0
    own: int = 0
    switches: int = 0
    takeovers: int = 0
    false_rows: int = 0
    false_tracks: int = 0
    detections: int = 0
    seconds: float = 0.0
    where: list[str] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """Add the counts of another."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def numbers(self) -> dict[str, float]:
        """Return what is reported."""
        return {
            "frames": self.frames,
            "coverage": self.found / max(1, self.wanted),
            "one_number": self.own / max(1, self.found),
            "switches": self.switches,
            "takeovers": self.takeovers,
            "false_rows_per_1000_frames": 1000 * self.false_rows / max(1, self.frames),
            "false_tracks": self.false_tracks,
            "detections_per_frame": self.detections / max(1, self.frames),
            "frames_per_s": self.frames / self.seconds if self.seconds else 0.0,
        }


def judge(answers: Iterable[tuple[Faces, Truth]], name: str = "") -> Score:
    """Compare the rows of a film with its truth."""
    score = Score()
    number_of: dict[int, int] = {}
    person_of: dict[int, int] = {}
    numbers: dict[int, Counter[int]] = {}
    strangers: Counter[int] = Counter()
    for index, (faces, truth) in enumerate(answers):
        score.frames += 1
        visible = truth.visible >= VISIBLE
        score.wanted += int(visible.sum())
        shared = overlap(faces.box_xyxy, truth.box_xyxy)
        rows, people = linear_sum_assignment(np.where(shared >= MATCH, shared, 0), maximize=True)
        taken = set()
        for row, column in zip(rows, people, strict=True):
            if shared[row, column] < MATCH:
                continue
            taken.add(row)
            person, number = int(truth.person[column]), int(faces.track_id[row])
            score.found += bool(visible[column])
            numbers.setdefault(person, Counter())[number] += bool(visible[column])
            if number_of.setdefault(person, number) != number:
                score.switches += 1
                score.where.append(f"{name}@{index}: person {person} {number_of[person]} -> {number}")
            if person_of.setdefault(number, person) != person:
                score.takeovers += 1
                score.where.append(f"{name}@{index}: track {number} {person_of[number]} -> {person}")
            number_of[person], person_of[number] = number, person
        for row in set(range(len(faces))) - taken:
            strangers[int(faces.track_id[row])] += 1
            partly = shared[row].max(initial=0) > 0.1
            score.false_rows += not partly
    score.own = sum(max(counts.values()) for counts in numbers.values())
    score.false_tracks = len(set(strangers) - set(person_of))
    return score


Way = Callable[[Analyzer], Watcher]

WAYS: dict[str, Way] = {
    "overlap, every frame": lambda analyzer: analyzer.watch(tracker=OverlapTracker(), detect_every_s=0),
    "tracker, every frame": lambda analyzer: analyzer.watch(detect_every_s=0),
    "tracker, following": lambda analyzer: analyzer.watch(),
}


def read(
    watcher: Watcher, frames: Sequence[NDArray[np.uint8]], rate_hz: float
) -> tuple[list[Readings], float]:
    """Read a film; return the readings and the seconds it took."""
    start = time.perf_counter()
    answers = [watcher.read(Frame(image, i, i / rate_hz, "film")) for i, image in enumerate(frames)]
    return answers, time.perf_counter() - start


def measure(options: argparse.Namespace, analyzer: Analyzer) -> dict[str, dict[str, Score]]:
    """Read the films in every way; a score for each way and kind."""
    random = np.random.default_rng(options.seed)
    people = load_people(options.data / "fairface540", PEOPLE, random)
    backgrounds = load_backgrounds(options.data / "backgrounds", BACKGROUNDS, random)
    scores = {way: {kind.__name__: Score() for kind in KINDS} for way in WAYS}
    for number in range(options.films):
        for kind in KINDS:
            cast = [people[i] for i in random.permutation(len(people))[:4]]
            background = backgrounds[random.integers(len(backgrounds))]
            film = kind(random)
            every = options.every
            shown = list(render(film, cast, background, number))[::every]
            frames, truth = [image for image, _ in shown], [one for _, one in shown]
            for way, make in WAYS.items():
                watcher = make(analyzer)
                answers, seconds = read(watcher, frames, RATE_HZ / every)
                name = f"{film.name}{number}"
                score = judge(zip((r.faces for r in answers), truth, strict=True), name)
                score.detections, score.seconds = watcher.detections, seconds
                scores[way][kind.__name__].add(score)
    return scores


def compare_clips(folder: Path, analyzer: Analyzer) -> dict[str, float]:
    """Read real clips with and without following; return how far the answers are apart."""
    import av

    tracks, seconds = {"every": 0, "following": 0}, {"every": 0.0, "following": 0.0}
    apart, changed, other, missed, frames, detections = [], [], 0, 0, 0, 0
    joined, shown, starts, ends = analyzer.watch(), 0, [], []  # neighbours are of different people
    for file in sorted(folder.glob("*.mkv")):
        with av.open(str(file)) as container:
            images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        both = {}
        for way, every_s in (("every", 0.0), ("following", None)):
            watcher = analyzer.watch() if every_s is None else analyzer.watch(detect_every_s=every_s)
            both[way], passed = read(watcher, images, 30.0)
            seconds[way] += passed
            tracks[way] += len({int(n) for r in both[way] for n in r.faces.track_id})
        detections += watcher.detections
        frames += len(images)
        for index, image in enumerate(images):
            answer = joined.read(Frame(image, shown, shown / 30.0, "joined"))
            shown += 1
            if len(answer) and index in (0, len(images) - 1):
                (ends if index else starts).append(int(answer.faces.track_id[0]))
        for a, b in zip(both["every"], both["following"], strict=True):
            missed += len(b) < len(a)
            if len(a) and len(b):
                one, two = a.faces.landmarks_xy[0], b.faces.landmarks_xy[0]
                apart.append(np.linalg.norm(one - two, axis=1).mean() / np.linalg.norm(one[0] - one[1]))
                changed.append(np.abs(a.probability[0] - b.probability[0]).sum() / 2)
                other += a.displayed[0] != b.displayed[0]
    return {
        "frames": frames,
        "cuts_to_somebody_else": len(ends) - 1,
        "cuts_not_seen": sum(a == b for a, b in zip(ends, starts[1:], strict=False)),
        "tracks_every": tracks["every"],
        "tracks_following": tracks["following"],
        "detections_per_frame": detections / frames,
        "landmarks_apart_eye_distances": float(np.mean(apart)),
        "probability_apart": float(np.mean(changed)),
        "displayed_differs": other / frames,
        "rows_missed": missed / frames,
        "speed_up": seconds["every"] / seconds["following"],
    }


def show(results: dict[str, Any]) -> None:
    """Print the results as text."""
    for way, kinds in results["films"].items():
        print(f"\n{way}")
        for kind, n in kinds.items():
            print(
                f"  {kind:9} frames {n['frames']:5}  covered {n['coverage']:6.1%}  "
                f"one number {n['one_number']:6.1%}  switches {n['switches']:3}  "
                f"taken over {n['takeovers']:2}  false rows {n['false_rows_per_1000_frames']:4.1f}/1000  "
                f"false tracks {n['false_tracks']:2}  "
                f"detected {n['detections_per_frame']:4.0%}  {n['frames_per_s']:5.0f} frames/s"
            )
    for name, value in results.get("clips", {}).items():
        print(f"  clips: {name:32} {value:.4f}")


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    parser = argparse.ArgumentParser(description="Measure tracking on films with known truth.")
    parser.add_argument("data", type=Path, help="folder with fairface540, backgrounds and clips")
    parser.add_argument("--films", type=int, default=4, help="films of each kind")
    parser.add_argument("--every", type=int, default=1, help="take every so-manyth frame of 30 a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--detector", default="default", help="name or ONNX file")
    parser.add_argument("--where", action="store_true", help="say where identities change")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    analyzer = Analyzer(detector=options.detector, threads=options.threads)
    scores = measure(options, analyzer)
    films: dict[str, Any] = {}
    for way, kinds in scores.items():
        total = Score()
        for one in kinds.values():
            total.add(one)
        films[way] = {kind: one.numbers() for kind, one in (kinds | {"all": total}).items()}
        if options.where:
            print(way, *total.where, sep="\n  ")
    results = {"films": films, "clips": compare_clips(options.data / "clips", analyzer)}
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
