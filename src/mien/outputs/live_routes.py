"""The live page and its WebSocket, as routes for the server's application.

The page is made of the files in ``page/`` and asks nobody else for anything; its headers forbid it to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import require
from mien.outputs.hub import LiveHub, News, Viewer, about_mien
from mien.outputs.server import Mount

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

PAGE_FILES = {
    "index.html": "text/html; charset=utf-8",
    "live.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "inputs.js": "text/javascript; charset=utf-8",
    "timeline.js": "text/javascript; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    "story.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files of the page, with what they are."""

PAGE_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",
            "media-src 'self' blob:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
"""The browser is told to load nothing from elsewhere, and to send nothing elsewhere."""

IN_FLIGHT = 2
"""Pictures sent to a viewer that it has not yet said to have seen; further ones are passed over."""

LARGEST_WORD = 1000
"""Characters of a message from a viewer; they are short words like "seen"."""

_COMPLAINTS = 20
_REPLIES_WAITING = 16
_CLIP_KINDS = {".mp4": "video/mp4", ".webm": "video/webm", ".m4v": "video/mp4", ".ogv": "video/ogg"}


def live_mount(hub: LiveHub | None = None, *, clips: Mapping[str, Path] | None = None) -> Mount:
    """Return the live page, to be served beside the API by :func:`mien.outputs.server.create_app`.

    GET / and the page's files; GET /v1/live/info, what the page has to know; GET /v1/live/clips/NAME, the
    films of a story; WebSocket /v1/live, what is seen by the server's camera: one JSON text per frame (see
    :meth:`mien.outputs.hub.Packet.message`), followed, with ``?video=1``, by its JPEG as a binary message.

    Parameters
    ----------
    hub : LiveHub, optional
        The live run; without one the page offers only the browser's own camera.
    clips : mapping of str to path, optional
        The films of a story, by the names that its decisions have for them.

    Returns
    -------
    Mount
        The page itself needs no token; what it asks for does.

    Raises
    ------
    MissingExtraError
        If fastapi is not installed.
    """
    fastapi = require("fastapi", purpose="The live page", extra="serve")
    from starlette.responses import FileResponse, JSONResponse, Response
    from starlette.routing import Route, WebSocketRoute

    films = dict(clips or {})

    def about() -> dict[str, Any]:
        return (about_mien() if hub is None else hub.about()) | {"clips": sorted(films)}

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in PAGE_FILES:
            return JSONResponse({"error": f"The page has no file {name!r}."}, status_code=404)
        return Response(page_file(name), headers=PAGE_HEADERS | {"Content-Type": PAGE_FILES[name]})

    async def info(_: Request) -> Response:
        return JSONResponse(about(), headers={"Cache-Control": "no-store"})

    async def clip(request: Request) -> Response:
        path = films.get(request.path_params["name"])
        if path is None:
            return JSONResponse({"error": "The story has no such clip."}, status_code=404)
        return FileResponse(path, media_type=_CLIP_KINDS.get(path.suffix.lower()))

    async def live(socket: WebSocket) -> None:
        await socket.accept()
        if hub is None:
            await socket.send_json({"type": "error", "error": "This server has no camera of its own."})
            await socket.close(1000)
            return
        video = socket.query_params.get("video") == "1"
        await _Conversation(socket, hub, hello=about(), video=video).hold()

    router: APIRouter = fastapi.APIRouter(
        routes=[
            Route("/", page),
            Route("/page/{name}", page),
            Route("/v1/live/info", info),
            Route("/v1/live/clips/{name:path}", clip),
            WebSocketRoute("/v1/live", live),
        ]
    )
    return Mount(router, open_paths=("/", "/page/"), gauges=None if hub is None else partial(_gauges, hub))


def _gauges(hub: LiveHub) -> dict[str, float]:
    pace = hub.pace
    numbers = {
        "mien_live_frames": pace.frames,
        "mien_live_dropped_frames": pace.dropped,
        "mien_live_rate_hz": pace.rate_hz,
        "mien_live_viewers": hub.viewers,
    }
    latency = {} if pace.latency_ms is None else {"mien_live_latency_seconds": pace.latency_ms / 1000}
    return numbers | latency


def page_file(name: str) -> bytes:
    """Return the content of one of :data:`PAGE_FILES`."""
    return resources.files("mien.outputs").joinpath("page", name).read_bytes()


class _Conversation:
    """One viewer's WebSocket: a task that sends what is new, and one that hears what the viewer says."""

    def __init__(self, socket: WebSocket, hub: LiveHub, *, hello: dict[str, Any], video: bool) -> None:
        self._socket = socket
        self._hub = hub
        self._hello = hello
        self._video = video
        self._in_flight = 0
        self._news = asyncio.Event()
        self._replies: deque[dict[str, Any]] = deque(maxlen=_REPLIES_WAITING)

    async def hold(self) -> None:
        """Talk until one of the two goes away."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            # The publishing thread may come just after the server's loop has ended: nobody looks any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._news.set)

        with self._hub.view(wake) as viewer:
            await self._socket.send_json(self._hello)
            tasks = {asyncio.create_task(self._send(viewer)), asyncio.create_task(self._hear())}
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _send(self, viewer: Viewer) -> None:
        from starlette.websockets import WebSocketDisconnect

        with contextlib.suppress(WebSocketDisconnect):  # the viewer left while we were speaking
            while True:
                await self._news.wait()
                self._news.clear()
                await self._pass_on(viewer.take(picture=not self._video or self._in_flight < IN_FLIGHT))

    async def _pass_on(self, news: News) -> None:
        while self._replies:
            await self._socket.send_json(self._replies.popleft())
        for event in news.events:
            await self._socket.send_json(event)
        if news.packet is None:
            return
        await self._socket.send_json(news.packet.message())
        if self._video:
            self._in_flight += 1
            await self._socket.send_bytes(await asyncio.to_thread(news.packet.jpeg))

    async def _hear(self) -> None:
        complaints = 0
        while complaints < _COMPLAINTS:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            reply = self._answer(message.get("text"))
            if reply is not None:
                complaints += reply["type"] == "error"
                self._replies.append(reply)
            self._news.set()
        await self._socket.close(1008, "Too many messages that make no sense.")

    def _answer(self, text: str | None) -> dict[str, Any] | None:
        word = _word(text)
        if word.get("type") == "seen":
            self._in_flight = max(0, self._in_flight - 1)
            return None
        at = word.get("at")
        if word.get("type") == "ping" and isinstance(at, int | float) and abs(at) <= sys.float_info.max:
            return {"type": "pong", "at": at, "unix_s": time.time()}
        known = '{"type": "seen"} or {"type": "ping", "at": NUMBER}'
        return {"type": "error", "error": f"This message makes no sense here; known are {known}."}


def _word(text: str | None) -> dict[str, Any]:
    """Read a message; one that is no JSON object is an empty one."""
    if text is None or len(text) > LARGEST_WORD:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
