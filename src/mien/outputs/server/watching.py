"""A camera watched over WebSocket: pictures come in, readings go out, the newest picture first.

What a client may send:

- binary: one picture (JPEG, WebP or PNG). They are numbered from 0 as they come.
- ``{"type": "options", "emotions": ["anger", "fear"], "unsure": 0.3}``: begin anew with these options.
- ``{"type": "ping"}``: answered with ``{"type": "pong"}``.

What it is sent: first ``hello``; then for each picture that is read a ``readings``, with the number of the
frame, so that the client knows by its own clock how long it took; ``error`` for what cannot be read.
Pictures that come while one is read wait in a slot for one: a newer one replaces an older. After a picture
that takes too long the tracks begin anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien._version import __version__
from mien.errors import MienError
from mien.outputs.server.answers import readings_json
from mien.outputs.server.guard import Refusal
from mien.outputs.server.service import Service

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

LONGEST_TEXT = 4096
"""Characters of a message that is no picture."""

logger = logging.getLogger("mien.server")


@dataclass(frozen=True)
class _Picture:
    data: bytes
    index: int
    time_s: float
    came_s: float


class Watching:
    """One connection.

    Parameters
    ----------
    socket : WebSocket
        Accepted.
    service : Service
    """

    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket = socket
        self._service = service
        self._analyzer = service.analyzer
        self._watcher = service.analyzer.watch()
        self._newest: _Picture | None = None
        self._something = asyncio.Event()
        self._came = 0
        self._dropped = 0
        self._first_s: float | None = None

    async def run(self) -> None:
        """Talk until the client goes, or is silent for too long."""
        await self._say(self._hello())
        tasks = {asyncio.create_task(self._listen()), asyncio.create_task(self._answer())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    def _hello(self) -> dict[str, Any]:
        limits = self._service.limits
        return {
            "type": "hello",
            "version": __version__,
            "model": self._analyzer.model.name,
            "detector": self._analyzer.detector.name,
            "emotions": list(self._analyzer.labels),
            "known_emotions": list(self._analyzer.model.labels),
            "limits": {"upload_bytes": limits.upload_bytes, "pixels": limits.pixels, "idle_s": limits.idle_s},
        }

    async def _listen(self) -> None:
        idle_s = self._service.limits.idle_s
        try:
            while True:
                async with asyncio.timeout(idle_s):
                    message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._take(message)
        except TimeoutError:
            await self._complain(f"Nothing came for {idle_s:g} s: the connection is closed.")
            await self._socket.close(1000, "idle")

    async def _take(self, message: Mapping[str, Any]) -> None:
        data = message.get("bytes")
        if data is None:
            await self._obey(message.get("text") or "")
            return
        index, now = self._came, time.monotonic()
        self._came += 1
        if len(data) > self._service.limits.upload_bytes:
            most = self._service.limits.upload_bytes / 1e6
            await self._complain(f"The picture is larger than {most:g} MB; send a smaller one.", index)
            return
        self._first_s = now if self._first_s is None else self._first_s
        if self._newest is not None:
            self._dropped += 1
            self._service.metrics.count("mien_frames_dropped_total")
        self._newest = _Picture(data, index, now - self._first_s, now)
        self._something.set()

    async def _obey(self, text: str) -> None:
        """Do what a message that is no picture says."""
        try:
            wish = _parsed(text)
            if wish["type"] == "ping":
                await self._say({"type": "pong"})
                return
            self._analyzer = self._service.analyzer_for(wish.get("emotions"), wish.get("unsure"))
        except (MienError, Refusal) as error:
            await self._complain(str(error))
            return
        self._watcher = self._analyzer.watch()
        emotions, unsure = list(self._analyzer.labels), self._analyzer.unsure
        await self._say({"type": "options", "emotions": emotions, "unsure": unsure})

    async def _answer(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            picture, self._newest = self._newest, None
            if picture is not None:
                await self._read(picture)

    async def _read(self, picture: _Picture) -> None:
        try:
            readings = await self._service.read_frame(
                picture.data,
                self._watcher,
                index=picture.index,
                time_s=picture.time_s,
                captured_s=picture.came_s,
            )
        except (MienError, Refusal) as error:
            if isinstance(error, Refusal) and error.reason == "slow":
                self._watcher = self._analyzer.watch()  # a thread is inside the old one still
            await self._complain(str(error), picture.index)
            return
        except Exception:
            logger.exception("A frame of a WebSocket could not be read.")
            self._watcher = self._analyzer.watch()
            await self._complain("The server made a mistake; its log says which.", picture.index)
            return
        await self._say(
            {
                "type": "readings",
                "frame": picture.index,
                "time_s": round(picture.time_s, 6),
                "latency_s": round(time.monotonic() - picture.came_s, 6),
                "dropped": self._dropped,
                **readings_json(readings),
            }
        )

    async def _complain(self, sentence: str, index: int | None = None) -> None:
        where = {} if index is None else {"frame": index}
        await self._say({"type": "error", **where, "error": sentence})

    async def _say(self, message: Mapping[str, Any]) -> None:
        """Send; a client that went, or does not read what it is sent, ends the conversation."""
        from starlette.websockets import WebSocketDisconnect

        try:
            async with asyncio.timeout(self._service.limits.upload_s):
                await self._socket.send_text(json.dumps(message, allow_nan=False))
        except TimeoutError as error:
            raise WebSocketDisconnect(1006, "The client does not read.") from error


def _parsed(text: str) -> dict[str, Any]:
    """Return a message that is well-formed.

    Raises
    ------
    Refusal
        Saying how it is not.
    """
    if len(text) > LONGEST_TEXT:
        raise Refusal(400, f"A message may have {LONGEST_TEXT} characters; pictures are sent as binary.")
    try:
        wish = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"The message is no JSON: {error}.") from error
    kind = wish.get("type") if isinstance(wish, dict) else None
    if kind not in ("options", "ping"):
        raise Refusal(400, "A message must be an object whose type is 'options' or 'ping', or a picture.")
    emotions, unsure = wish.get("emotions"), wish.get("unsure")
    if emotions is not None and not (
        isinstance(emotions, list) and all(isinstance(e, str) for e in emotions)
    ):
        raise Refusal(400, "emotions must be a list of names.")
    if unsure is not None and (isinstance(unsure, bool) or not isinstance(unsure, (int, float))):
        raise Refusal(400, "unsure must be a number from 0 to 1.")
    return dict(wish)
