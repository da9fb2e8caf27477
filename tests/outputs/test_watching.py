"""A camera watched over WebSocket, when its pictures take too long."""

import asyncio
import json

import pytest

pytest.importorskip("starlette")

from calling import WaitingDetector, fake_analyzer, picture

from mien.outputs.server.limits import Limits
from mien.outputs.server.metrics import Metrics
from mien.outputs.server.service import Service
from mien.outputs.server.watching import Watching
from mien.testing import make_faces
from mien.watcher import Watcher


class Client:
    """Sends pictures, each once the one before was answered; before the last the detector is let on."""

    def __init__(self, pictures, detector):
        self.left, self.detector = pictures, detector
        self.said = []
        self.answered = asyncio.Event()

    async def receive(self):
        await self.answered.wait()
        self.answered.clear()
        if not self.left:
            return {"type": "websocket.disconnect"}
        self.left -= 1
        if not self.left:
            self.detector.go.set()
        return {"type": "websocket.receive", "bytes": picture()}

    async def send_text(self, text):
        self.said.append(json.loads(text))
        self.answered.set()


def test_a_watcher_that_still_reads_is_given_nothing(monkeypatch):
    given, read = [], Watcher.read
    monkeypatch.setattr(Watcher, "read", lambda self, frame: given.append(self) or read(self, frame))
    detector = WaitingDetector(make_faces(1, (64, 48)))

    async def talk():
        service = Service(fake_analyzer(detector=detector), Limits(reading_s=1.0), Metrics())
        client = Client(3, detector)
        try:
            await Watching(client, service).run()
        finally:
            detector.go.set()
            service.close()
        return client.said

    said = asyncio.run(talk())
    assert [one["type"] for one in said] == ["hello", "error", "error", "readings"]
    assert "took longer than 1 s" in said[1]["error"]
    assert len(given) == len(set(map(id, given))) == 3
    assert [face["track"] for face in said[-1]["faces"]] == [0]
