"""The HTTP and WebSocket server. :func:`create_app` makes the application, :class:`Server` runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.analyzer import Analyzer
from mien.errors import require
from mien.outputs.server.answers import readings_json
from mien.outputs.server.guard import LOOPBACK_NAMES, Policy, lower
from mien.outputs.server.limits import Limits, RateLimiter
from mien.outputs.server.running import Server

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

__all__ = ["Limits", "Mount", "Server", "create_app", "readings_json"]


@dataclass(frozen=True)
class Mount:
    """What is served beside the API: the live page and its WebSocket.

    Parameters
    ----------
    router : APIRouter
        Its paths. They are guarded as the API is: host, origin, rate and token.
    open_paths : tuple of str
        Paths that need no token: those of a page, which shows nothing by itself and asks for the rest with
        the token in its own address. One that ends in "/" and is longer stands for all below it.
    gauges : callable, optional
        Returns numbers for /metrics by their whole name ("mien_live_latency_seconds").
    """

    router: APIRouter
    open_paths: tuple[str, ...] = ()
    gauges: Callable[[], dict[str, float]] | None = None


def create_app(
    analyzer: Analyzer,
    *,
    token: str | None = None,
    limits: Limits | None = None,
    hosts: Iterable[str] = (),
    origins: Iterable[str] = (),
    live: Mount | None = None,
) -> FastAPI:
    """Make the application that reads pictures (POST /v1/analyze) and cameras (WebSocket /v1/watch).

    Beside them stand /v1/models, /health, /metrics and the description of all, /openapi.json.

    Parameters
    ----------
    analyzer : Analyzer
        Reads for every client; its networks should use one thread each, as several are used at once.
    token : str, optional
        What clients must send: ``Authorization: Bearer TOKEN``, or ``?token=TOKEN`` where a browser cannot
        send headers. /health and the open paths of `live` do without.
    limits : Limits, optional
    hosts : iterable of str
        Names, without port, by which it may be called besides those of this machine. By default, where there
        is a token, any.
    origins : iterable of str
        Origins of other web pages that may use it ("https://example.org").
    live : Mount, optional
        What is served beside.

    Returns
    -------
    FastAPI
        Run it with :class:`Server`, or any ASGI server.

    Raises
    ------
    MissingExtraError
        If FastAPI is not installed.
    """
    require("fastapi", purpose="The server", extra="serve")
    require("python_multipart", purpose="The server", extra="serve")
    from mien.outputs.server.app import build_app

    limits = limits or Limits()
    names = lower(hosts)
    policy = Policy(
        RateLimiter(limits.requests_per_s, limits.burst),
        token=token,
        hosts=names | LOOPBACK_NAMES if names else None,
        origins=lower(origins),
        open_paths=("/health", *(live.open_paths if live else ())),
    )
    return build_app(
        analyzer,
        policy,
        limits,
        routers=[live.router] if live else [],
        gauges=live.gauges if live else None,
    )
