"""Measure how fast mien reads a film, from its file to a table, and where the time goes.

    python benchmarks/video.py ../shared/data/clips/*.mkv --json video.json

The clips are joined to one film (H.264, as most films are), which is read several times in each of several
ways. The ways take turns, so that all meet the same machine; of each the median and the best run are shown.
The times of the stages are those inside the main thread: decoding runs beside it, and what it costs by itself
is given too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2

from mien import Analyzer
from mien.outputs.files import open_sink
from mien.sources import open_source
from mien.sources.ahead import read_ahead
from mien.watcher import Watcher

SIZE_PX, RATE_HZ = (640, 480), 30
"""What the film is like."""

WAYS: dict[str, dict[str, Any]] = {
    "as mien analyze does": {},
    "one thread a network": {"threads": 1},
    "without reading ahead": {"ahead": False},
    "detection on every frame": {"every_s": 0.0},
}


def join(clips: Sequence[Path], target: Path) -> int:
    """Write the frames of all clips into one film; return how many there are."""
    count = 0
    with av.open(str(target), "w") as film:
        stream = film.add_stream("libx264", rate=RATE_HZ, options={"crf": "20", "preset": "medium"})
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, RATE_HZ)
        stream.width, stream.height = SIZE_PX
        for clip in clips:
            with av.open(str(clip)) as container:
                for frame in container.decode(video=0):
                    copy = frame.reformat(*SIZE_PX, format="yuv420p")
                    copy.pts, copy.time_base = count, Fraction(1, RATE_HZ)
                    film.mux(stream.encode(copy))
                    count += 1
        film.mux(stream.encode())
    return count


def decode(film: Path) -> float:
    """Return the seconds that decoding alone takes."""
    start = time.perf_counter()
    with open_source(film) as frames:
        for _ in frames:
            pass
    return time.perf_counter() - start


def analyze(
    film: Path, table: Path, *, threads: int | None = None, ahead: bool = True, every_s: float | None = None
) -> dict[str, float]:
    """Read a film into a table; return the seconds of the whole and of each stage."""
    analyzer = Analyzer(threads=threads)
    watcher = analyzer.watch() if every_s is None else analyzer.watch(detect_every_s=every_s)
    spent: dict[str, float] = defaultdict(float)
    _time_stages(watcher, spent)
    start = time.perf_counter()
    with open_source(film) as frames, open_sink(table) as sink:
        write = _timed("write", sink.write, spent)
        coming = read_ahead(frames) if ahead else None
        if coming is None:
            for frame in frames:
                write(watcher.read(frame))
        else:
            with coming as waiting:
                for frame in waiting:
                    write(watcher.read(frame))
    whole = time.perf_counter() - start
    spent["align"] = spent.pop("score") - spent["classify"]
    spent["wait or rest"] = whole - sum(spent.values())
    return {"whole": whole, "detections": watcher.detections} | dict(spent)


def _time_stages(watcher: Watcher, spent: dict[str, float]) -> None:
    if watcher.follower is not None:
        watcher.follower.follow = _timed("follow", watcher.follower.follow, spent)  # type: ignore[method-assign]
    for part, method, name in (
        (watcher.detector, "detect", "detect"),
        (watcher.tracker, "update", "track"),
        (watcher.tracker, "carry", "track"),
        (watcher.model, "predict_proba", "classify"),
        (watcher, "_score", "score"),
        (watcher.smoother, "update", "smooth"),
    ):
        setattr(part, method, _timed(name, getattr(part, method), spent))


def _timed(name: str, work: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        try:
            return work(*args, **options)
        finally:
            spent[name] += time.perf_counter() - start

    return timed


def measure(film: Path, count: int, repeats: int) -> dict[str, Any]:
    """Read the film in every way, in turns."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    alone = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(repeats):
            alone.append(decode(film))
            for name, options in WAYS.items():
                runs[name].append(analyze(film, Path(folder) / f"{turn}.parquet", **options))
                Path(folder, f"{turn}.parquet").unlink()
    results: dict[str, Any] = {
        "frames": count,
        "decode_alone_ms_per_frame": 1000 * statistics.median(alone) / count,
    }
    for name, some in runs.items():
        stages = [stage for stage in some[0] if stage not in ("whole", "detections")]
        results[name] = {
            "frames_per_s": count / statistics.median(run["whole"] for run in some),
            "frames_per_s_best": count / min(run["whole"] for run in some),
            "detections_per_frame": some[0]["detections"] / count,
            "ms_per_frame": {
                stage: 1000 * statistics.median(run[stage] for run in some) / count for stage in stages
            },
        }
    return results


def show(results: dict[str, Any]) -> None:
    """Print the results as text."""
    print(f"frames {results['frames']}, decoding alone {results['decode_alone_ms_per_frame']:.2f} ms a frame")
    for name in WAYS:
        part = results[name]
        stages = ", ".join(f"{stage} {ms:.2f}" for stage, ms in part["ms_per_frame"].items())
        print(
            f"{name:26} {part['frames_per_s']:6.1f} frames/s (best {part['frames_per_s_best']:.1f}), "
            f"detected {part['detections_per_frame']:.0%}; ms a frame: {stages}"
        )


def main() -> None:
    """Measure, print, and write the numbers if asked to."""
    parser = argparse.ArgumentParser(description="Measure the way from a film to a table.")
    parser.add_argument("clips", type=Path, nargs="+", help="films, joined to one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    cv2.setNumThreads(2)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        count = join(options.clips, film)
        results = measure(film, count, options.repeats)
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
