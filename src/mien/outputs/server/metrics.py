"""What the server counts, in the text that Prometheus reads (exposition format 0.0.4)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

BUCKETS_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12)
"""Upper bounds of the classes that durations are counted in, seconds."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Family:
    """One quantity: what Prometheus calls a metric family."""

    kind: str
    meaning: str
    labels: tuple[str, ...] = ()


FAMILIES = {
    "mien_requests_total": Family("counter", "Requests answered.", ("path", "status")),
    "mien_refused_total": Family("counter", "Requests refused before they were looked at.", ("reason",)),
    "mien_pictures_total": Family("counter", "Pictures read for POST requests."),
    "mien_faces_total": Family("counter", "Faces found in pictures and frames."),
    "mien_frames_total": Family("counter", "Frames read for WebSocket connections."),
    "mien_frames_dropped_total": Family("counter", "Frames passed over because a newer one had come."),
    "mien_runs_total": Family("counter", "Runs of the expression model."),
    "mien_runs_questions_total": Family("counter", "Pictures and frames that shared these runs."),
    "mien_runs_crops_total": Family("counter", "Faces scored in these runs."),
    "mien_picture_seconds": Family("histogram", "From a whole POST request to its answer."),
    "mien_frame_seconds": Family("histogram", "From a frame over WebSocket to its answer."),
    "mien_pictures_inside": Family("gauge", "Pictures that are received, wait or are read now."),
    "mien_watchers": Family("gauge", "Cameras watched over WebSocket now."),
    "mien_uptime_seconds": Family("gauge", "Since the server started."),
}
"""Everything that is counted, by name."""


class Metrics:
    """Numbers that only this process knows; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in FAMILIES}
        self._sums: dict[str, float] = {}
        self._classes: dict[str, list[int]] = {}
        for name, family in FAMILIES.items():
            if family.kind == "histogram":
                self._sums[name], self._classes[name] = 0.0, [0] * (len(BUCKETS_S) + 1)
            elif not family.labels:
                self._values[name][()] = 0.0

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        key = tuple(labels[label] for label in FAMILIES[name].labels)
        with self._lock:
            self._values[name][key] = self._values[name].get(key, 0.0) + amount

    def observe(self, name: str, seconds: float) -> None:
        """Add a duration to a histogram."""
        with self._lock:
            self._classes[name][bisect_left(BUCKETS_S, seconds)] += 1
            self._sums[name] += seconds

    def value(self, name: str, **labels: str) -> float:
        """Return a counter's value, 0 where nothing was counted."""
        key = tuple(labels[label] for label in FAMILIES[name].labels)
        with self._lock:
            return self._values[name].get(key, 0.0)

    def text(self, gauges: Mapping[str, float], others: Mapping[str, float] | None = None) -> str:
        """Return everything, one line a number.

        Parameters
        ----------
        gauges : mapping of str to float
            What the families of kind gauge are now.
        others : mapping of str to float, optional
            Further gauges, by the whole name.
        """
        lines = []
        with self._lock:
            for name, family in FAMILIES.items():
                lines += [f"# HELP {name} {family.meaning}", f"# TYPE {name} {family.kind}"]
                if family.kind == "gauge":
                    lines.append(f"{name} {_number(gauges.get(name, 0.0))}")
                elif family.kind == "histogram":
                    lines += self._histogram(name)
                else:
                    values = sorted(self._values[name].items())
                    lines += [f"{name}{_labelled(family.labels, key)} {_number(v)}" for key, v in values]
        for name, value in (others or {}).items():
            lines += [f"# TYPE {name} gauge", f"{name} {_number(value)}"]
        return "\n".join(lines) + "\n"

    def _histogram(self, name: str) -> list[str]:
        lines, total = [], 0
        bounds = [*map(str, BUCKETS_S), "+Inf"]
        for bound, number in zip(bounds, self._classes[name], strict=True):
            total += number
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {_number(self._sums[name])}", f"{name}_count {total}"]


def _labelled(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
