"""Measure how many pictures a server reads, and how long one waits, with 1, 4 and 16 clients at once.

    python benchmarks/serve.py --json serve.json

The server is a process of its own; the clients, one thread each, share another and hold their connections.
Each sends the next picture when it has the answer to the last. Server and clients share the machine, so the
numbers are lower than those of clients elsewhere, and what else runs there lowers them further: the processor
time that the server spent on each picture depends less on it. Arrangements are only worth comparing within
one run.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
from skimage.data import astronaut

CLIENTS = (1, 4, 16)
SIZE_PX = (640, 480)
WARM_UP_S = 1.0


@contextmanager
def server(threads: int, workers: int) -> Iterator[tuple[int, int]]:
    """Start ``mien serve`` at a free port; yield the port and the number of the process."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--rate", "0"]
    command += ["--threads", str(threads), "--workers", str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://[^ ]*:(\d+)", said)
            if found is None:
                raise SystemExit(f"the server did not start: {said!r}")
            yield int(found.group(1)), process.pid
        finally:
            process.terminate()


def picture() -> bytes:
    """Return a photograph with one face as a JPEG of SIZE_PX."""
    image = cv2.resize(astronaut(), SIZE_PX, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def counts(port: int) -> dict[str, float]:
    """Return what /metrics says, by whole name."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


def processor_s(process: int) -> float:
    """Return the processor time a process has used, seconds; not a number where there is no /proc."""
    stat = Path(f"/proc/{process}/stat")
    if not stat.exists():
        return math.nan
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, proc(5)


def ask(port: int, body: bytes, start: float, end: float, taken: list[float], failed: list[int]) -> None:
    """Send pictures until the end; note the seconds of each that began after the start."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while (began := time.perf_counter()) < end:
        connection.request("POST", "/v1/analyze", body)
        answer = connection.getresponse()
        answer.read()
        if began >= start:
            (taken if answer.status == 200 else failed).append(
                time.perf_counter() - began if answer.status == 200 else answer.status
            )
    connection.close()


def load(port: int, process: int, clients: int, seconds: float, body: bytes) -> dict[str, float]:
    """Let so many clients ask for some seconds; return what they saw."""
    before, spent_s = counts(port), processor_s(process)
    start = time.perf_counter() + WARM_UP_S
    taken: list[float] = []
    failed: list[int] = []
    threads = [
        threading.Thread(target=ask, args=(port, body, start, start + seconds, taken, failed))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent_s, after = processor_s(process) - spent_s, counts(port)
    pictures = after["mien_pictures_total"] - before["mien_pictures_total"]
    runs, questions = (after[n] - before[n] for n in ("mien_runs_total", "mien_runs_questions_total"))
    cuts = statistics.quantiles(taken, n=100)
    return {
        "clients": clients,
        "requests": len(taken),
        "failed": len(failed),
        "requests_per_s": len(taken) / seconds,
        "p50_ms": 1000 * cuts[49],
        "p99_ms": 1000 * cuts[98],
        "processor_ms": 1000 * spent_s / max(1, pictures),
        "pictures_per_run": questions / max(1, runs),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and, if asked, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--arrangements", default="1x4", help="threads x workers, e.g. 1x4,2x1")
    parser.add_argument("--json", type=Path, help="file to write")
    given = parser.parse_args(arguments)
    body = picture()
    results: list[dict[str, Any]] = []
    print(f"{SIZE_PX[0]} x {SIZE_PX[1]} JPEG of {len(body) / 1000:.0f} kB, one face; {os.cpu_count()} cores")
    print("threads workers clients  requests/s  p50 ms  p99 ms  processor ms  pictures/run  failed")
    for arrangement in given.arrangements.split(","):
        threads, workers = map(int, arrangement.split("x"))
        with server(threads, workers) as (port, process):
            for clients in CLIENTS:
                one = load(port, process, clients, given.seconds, body)
                results.append({"threads": threads, "workers": workers, **one})
                numbers = (
                    f"{one['requests_per_s']:11.1f} {one['p50_ms']:7.1f} {one['p99_ms']:7.1f} "
                    f"{one['processor_ms']:13.1f} {one['pictures_per_run']:13.2f} {one['failed']:7.0f}"
                )
                print(f"{threads:7} {workers:7} {clients:7} {numbers}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"cores": os.cpu_count(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
