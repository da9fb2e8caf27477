"""Hostile pictures: whatever is sent, the server answers in JSON and reads the next picture.

The server is a process of its own here, so that a decoder that crashed would be seen as a death.
"""

import http.client
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from calling import BOUNDARY, FORM_TYPE, call, form
from skimage.data import astronaut
from websockets.sync.client import connect

EXPECTED = {200, 413, 415, 422}
"""What a picture may be answered with; anything else is a mistake of the server's."""

MOST_GROWTH_MB = 400
"""Threads keep what their largest picture needed; more than that would be a leak."""


@contextmanager
def process():
    """Start ``mien serve``; yield its port and the process."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--rate", "0", "--max-megapixels", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield int(re.search(r":(\d+) ", server.stdout.readline()).group(1)), server
        finally:
            server.terminate()
            said = server.stderr.read()
    assert "Traceback" not in said
    assert server.returncode in (0, -15), said


def seeds():
    """Return small pictures of every kind that is read, and of some that are not."""
    face = cv2.cvtColor(astronaut()[20:220, 120:320], cv2.COLOR_RGB2BGR)
    small = cv2.resize(face, (96, 96), interpolation=cv2.INTER_AREA)
    deep = small.astype(np.uint16) * 257
    alpha = np.dstack([small, small[..., 0]])
    kinds = [
        (".jpg", small, []),
        (".jpg", small, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".jpg", small, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
        (".png", small, []),
        (".png", small[..., 0], []),
        (".png", deep, []),
        (".png", alpha, []),
        (".webp", small, [cv2.IMWRITE_WEBP_QUALITY, 70]),
        (".webp", small, [cv2.IMWRITE_WEBP_QUALITY, 101]),
        (".webp", alpha, []),
        (".tiff", small, []),
        (".bmp", small, []),
    ]
    return [cv2.imencode(suffix, image, options)[1].tobytes() for suffix, image, options in kinds]


def mutated(data, others, random):
    """Return a file with something wrong with it; most often it still begins like a picture."""
    wrong = bytearray(data)
    kind = random.integers(8)
    place = int(random.integers(len(wrong)))
    if kind == 0:  # single bits, anywhere
        for at in random.integers(0, len(wrong), random.integers(1, 20)):
            wrong[at] ^= 1 << int(random.integers(8))
    elif kind == 1:  # bytes near the beginning, where sizes and kinds stand
        for at in random.integers(0, min(64, len(wrong)), random.integers(1, 6)):
            wrong[at] = int(random.choice([0, 1, 127, 128, 254, 255, random.integers(256)]))
    elif kind == 2:
        del wrong[place:]
    elif kind == 3:
        del wrong[place : place + int(random.integers(1, 200))]
    elif kind == 4:
        wrong[place:place] = random.bytes(int(random.integers(1, 200)))
    elif kind == 5:  # a part of itself again
        wrong[place:place] = wrong[place : place + int(random.integers(1, 2000))] * int(random.integers(1, 4))
    elif kind == 6:  # the beginning of one, the rest of another
        other = others[random.integers(len(others))]
        wrong[place:] = other[min(place, len(other) - 1) :]
    else:  # a size that claims too much or nothing
        width = bytes([0xFF, 0xFF, 0xFF, 0xFF]) if random.integers(2) else bytes(4)
        at = int(random.choice([16, 20, 24, 26, min(158, len(wrong) - 4), place]))
        wrong[at : at + 4] = width
    return bytes(wrong)


def resident_mb(process):
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024


def send_all(port, files):
    """Send files one after the other, some in a form; return how often each status came."""
    seen = {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number, data in enumerate(files):
        headers = {"Content-Type": FORM_TYPE} if number % 10 == 9 and BOUNDARY.encode() not in data else {}
        connection.request("POST", "/v1/analyze", form(data) if headers else data, headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        assert answer.status in EXPECTED, (number, answer.status, body)
        assert ("faces" in body) == (answer.status == 200) == ("error" not in body)
        seen[answer.status] = seen.get(answer.status, 0) + 1
    connection.close()
    return seen


def watch_all(port, files):
    """Send files as frames of a camera, waiting for each answer; return how many were read."""
    with connect(f"ws://127.0.0.1:{port}/v1/watch") as connection:
        assert json.loads(connection.recv(timeout=60))["type"] == "hello"
        read = 0
        for number, data in enumerate(files):
            connection.send(data)
            answer = json.loads(connection.recv(timeout=60))
            assert answer["frame"] == number
            assert answer["type"] in ("readings", "error"), answer
            assert "made a mistake" not in answer.get("error", ""), answer
            read += answer["type"] == "readings"
        return read


@pytest.mark.parametrize(("count", "frames"), [(300, 100), pytest.param(5000, 1500, marks=pytest.mark.slow)])
def test_no_picture_ends_the_server(count, frames):
    random = np.random.default_rng(20261124)
    good = seeds()
    files = [mutated(good[i % len(good)], good, random) for i in range(count + frames)]
    with process() as (port, server):
        first = send_all(port, good)
        assert first == {200: 10, 415: 2}
        send_all(port, files[:100])
        before = resident_mb(server) if os.path.exists("/proc/self/status") else None
        seen = send_all(port, files[100:count])
        logging.getLogger("mien.fuzz").info("answers: %s", seen)
        assert {200, 415, 422} <= set(seen), seen
        assert 0 < watch_all(port, files[count:]) < frames
        if before is not None:
            assert resident_mb(server) - before < MOST_GROWTH_MB
        assert server.poll() is None
        answer = call(port, "POST", "/v1/analyze", good[0])
        assert len(answer.json["faces"]) == 1
        counts = call(port, "GET", "/metrics").body.decode()
        assert 'status="500"' not in counts
        assert "mien_pictures_inside 0\n" in counts


def test_noise_in_the_place_of_http_and_websocket_ends_nothing():
    import socket

    random = np.random.default_rng(3)
    upgrade = b"GET /v1/watch HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    upgrade += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    openings = [b"", b"POST /v1/analyze HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", upgrade]
    with process() as (port, server):
        for number in range(40):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(openings[number % len(openings)] + random.bytes(500))
        assert call(port, "GET", "/health").status == 200
        assert server.poll() is None
