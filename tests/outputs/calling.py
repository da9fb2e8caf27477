"""Ask a server as a client would, by the standard library alone; and stages that wait to be let on."""

import http.client
import json
import threading
from dataclasses import dataclass

import cv2
import numpy as np

from mien.analyzer import Analyzer
from mien.testing import FixedDetector, TableModel, make_faces

BOUNDARY = "a-boundary"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        assert self.headers["content-type"] == "application/json", self
        assert list(self.json) == ["error"]
        return self.json["error"]


def call(port, method, path, body=None, **headers):
    """Send one request; names of headers are written with underscores."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def picture(suffix=".jpg", size_px=(64, 48), seed=0):
    """Return the file of a picture of coarse noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.imencode(suffix, cv2.resize(coarse, size_px))[1].tobytes()


def form(data, *, name="picture", file='filename="a.jpg"', boundary=BOUNDARY):
    """Return the body of a form with one file."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; {file}\r\n\r\n'
    return head.encode() + data + f"\r\n--{boundary}--\r\n".encode()


FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


class WaitingDetector(FixedDetector):
    """Finds faces only once it is let on; says when it is asked."""

    def __init__(self, faces):
        super().__init__(faces)
        self.asked = threading.Semaphore(0)
        self.go = threading.Event()
        self.failure = None

    def detect(self, image, *, min_face=None):
        self.asked.release()
        assert self.go.wait(20)
        if self.failure is not None:
            raise self.failure
        return super().detect(image, min_face=min_face)


def table():
    """Return eight rows for FER+'s emotions, each sure of another."""
    return np.eye(8, dtype=np.float32) * 0.92 + 0.01


def fake_analyzer(faces=2, detector=None):
    return Analyzer(detector or FixedDetector(make_faces(faces, (64, 48))), TableModel(table()))
