"""What a live run publishes, without a camera."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import numpy as np
from film_tables import moving

from mien import Analyzer
from mien.outputs.hub import LiveHub, Packet
from mien.sources.frame import Frame
from mien.testing import FixedDetector, TableModel, make_faces

REDDISH = (200, 40, 10)
"""RGB of the picture."""


def a_frame(index: int = 0, size_px: tuple[int, int] = (320, 240), captured_s: float | None = None) -> Frame:
    """Make a frame of one colour."""
    width, height = size_px
    image = np.full((height, width, 3), REDDISH, np.uint8)
    return Frame(image, index=index, time_s=index / 25, source="camera", captured_s=captured_s)


def publish(hub: LiveHub, emotions: list[str], index: int = 0) -> Packet:
    """Publish a frame in which people show these emotions."""
    return hub.publish(a_frame(index), moving(emotions, index=index, time_s=index / 25))


def an_analyzer(faces: int = 1, emotion: int = 4) -> Analyzer:
    """Return one that finds the same faces everywhere, all with the same expression (4 is happiness)."""
    row = np.full((1, 8), 0.02, np.float32)
    row[0, emotion] = 0.86
    return Analyzer(FixedDetector(make_faces(faces)), TableModel(row))


class Socket:
    """The client's end of a WebSocket."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def json(self) -> dict[str, Any]:
        """Receive a message that is JSON."""
        text = self.connection.recv(timeout=10)
        assert isinstance(text, str)
        return json.loads(text)

    def data(self) -> bytes:
        """Receive a message that is binary."""
        data = self.connection.recv(timeout=10)
        assert isinstance(data, bytes)
        return data

    def send(self, message: Any) -> None:
        """Send bytes or text as they are, anything else as JSON."""
        self.connection.send(message if isinstance(message, bytes | str) else json.dumps(message))


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status_code: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode()

    def json(self) -> Any:
        """Return the content as the value it is."""
        return json.loads(self.content)


class Site:
    """A server that runs, and clients for it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a path, just as it is written."""
        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        with closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())

    @contextmanager
    def connect(self, path: str, **headers: str) -> Iterator[Socket]:
        """Open a WebSocket."""
        from websockets.sync.client import connect

        url = self.url.replace("http", "ws", 1) + path
        with connect(url, additional_headers=headers, open_timeout=10, close_timeout=5) as connection:
            yield Socket(connection)


@contextmanager
def a_site(hub: LiveHub | None = None, **options: Any) -> Iterator[Site]:
    """Serve the live page from a port that is free."""
    from mien.outputs.live_routes import live_mount
    from mien.outputs.server import Server, create_app

    clips = options.pop("clips", None)
    app = create_app(an_analyzer(), live=live_mount(hub, clips=clips), **options)
    with Server(app, port=0) as server:
        yield Site(server.url)
