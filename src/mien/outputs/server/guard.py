"""Who may come in: the host and origin of a request, its client's rate, its token.

A server on one's own machine is reached by every web page that is open there. A page of a stranger shows
itself by its Origin; one that has had its own name point to this machine (DNS rebinding) by the Host it
asks for.
"""

from __future__ import annotations

import hmac
import json
import logging
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from mien.errors import bad_argument
from mien.outputs.server.limits import RateLimiter
from mien.outputs.server.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""What a browser on this machine may call it."""

SHORTEST_TOKEN = 8
"""Characters of a token."""

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
"""What every answer says unless it says something else itself."""

logger = logging.getLogger("mien.server")


class Refusal(Exception):
    """A request that is not answered as it wishes, and the sentence that says why.

    Parameters
    ----------
    status : int
        Of HTTP.
    sentence : str
    retry_after_s : float, optional
        Seconds after which it may succeed.
    reason : str
        One word, for the count of refusals.
    """

    def __init__(
        self, status: int, sentence: str, *, retry_after_s: float | None = None, reason: str = ""
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.retry_after_s = retry_after_s
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to it."""
        found = {}
        if self.retry_after_s is not None:
            found["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.status == 401:
            found["WWW-Authenticate"] = "Bearer"
        return found


@dataclass(frozen=True)
class Policy:
    """The rules.

    Parameters
    ----------
    limiter : RateLimiter
    token : str, optional
        What every request must bring, but those to `open_paths`; see :func:`clean_token`.
    hosts : frozenset of str, optional
        Names without port that the server may be called by. By default those of this machine itself; with a
        token any, as a page that tricks a browser does not know the token.
    origins : frozenset of str
        Other origins whose pages may ask ("https://example.org").
    open_paths : tuple of str
        Paths that need no token; one that ends in "/" and is longer stands for all below it.

    Raises
    ------
    ArgumentError
        If the token is none that every client can send.
    """

    limiter: RateLimiter
    token: str | None = None
    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()
    open_paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.token is not None:
            object.__setattr__(self, "token", clean_token(self.token))

    def judge(self, scope: Scope) -> Refusal | None:
        """Return why a request or connection is refused, or None."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        allowed = self.hosts or (LOOPBACK_NAMES if self.token is None else None)
        if not host or (allowed is not None and _hostname(host) not in allowed):
            return _wrong_host(host)
        origin = headers.get(b"origin")
        if origin is not None and not self._is_own(origin, host):
            return Refusal(403, f"Pages of {_short(origin)} may not use this server.", reason="origin")
        wait_s = self.limiter.take((scope.get("client") or ("unknown",))[0])
        if wait_s:
            sentence = f"Too many requests; ask again in {max(1, math.ceil(wait_s))} s."
            return Refusal(429, sentence, retry_after_s=wait_s, reason="rate")
        if self.token is not None and not self._is_open(scope["path"]) and not self._knows(scope, headers):
            sentence = (
                "This server needs its token: send the header 'Authorization: Bearer TOKEN', "
                "or for a WebSocket '?token=TOKEN'."
            )
            return Refusal(401, sentence, reason="token")
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:  # brackets that do not close
            return False
        own = parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
        return own or origin.lower() in self.origins

    def _is_open(self, path: str) -> bool:
        return any(
            path == one or (len(one) > 1 and one.endswith("/") and path.startswith(one))
            for one in self.open_paths
        )

    def _knows(self, scope: Scope, headers: dict[bytes, str]) -> bool:
        kind, _, given = headers.get(b"authorization", "").partition(" ")
        if kind.lower() != "bearer":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        wanted = (self.token or "").encode()
        return hmac.compare_digest(given.strip().encode(), wanted)


class Guard:
    """Stands before an app: lets in what the policy allows, counts, and answers where the app failed.

    Parameters
    ----------
    app : ASGI application
    policy : Policy
    metrics : Metrics
    """

    def __init__(self, app: ASGIApp, *, policy: Policy, metrics: Metrics) -> None:
        self.app = app
        self.policy = policy
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or connection, as ASGI wants it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self.policy.judge(scope)
        if refusal is not None:
            self.metrics.count("mien_refused_total", reason=refusal.reason)
            await refuse(refusal, scope, self._counting(scope, send, []))
            return
        began: list[str] = []
        counting = self._counting(scope, send, began)
        try:
            await self.app(scope, receive, counting)
        except Exception:
            logger.exception("A %s to %s failed.", scope["type"], scope["path"])
            if scope["type"] == "http" and not began:
                await refuse(Refusal(500, "The server made a mistake; its log says which."), scope, counting)

    def _counting(self, scope: Scope, send: Send, began: list[str]) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                began.append(message["type"])
                given = {name.lower() for name, _ in message.get("headers", ())}
                extra = [pair for pair in HEADERS.items() if pair[0] not in given]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
                self.metrics.count("mien_requests_total", path=_route(scope), status=str(message["status"]))
            await send(message)

        return counted


async def refuse(refusal: Refusal, scope: Scope, send: Send) -> None:
    """Answer with a refusal, as JSON; a WebSocket is told before it opens."""
    body = json.dumps({"error": refusal.sentence}).encode()
    pairs = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    headers = [(name.lower().encode(), value.encode()) for name, value in pairs.items()]
    prefix = "http"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.sentence[:120]})
            return
        prefix = "websocket.http"
    await send({"type": f"{prefix}.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})


def clean_token(token: str) -> str:
    """Return a token without the white space around it, as a file or a shell may add.

    Raises
    ------
    ArgumentError
        If it is short, or has characters that change on their way in an address or a header.
    """
    found = token.strip()
    if re.fullmatch(rf"[A-Za-z0-9._~-]{{{SHORTEST_TOKEN},}}", found) is None:
        allowed = f"{SHORTEST_TOKEN} characters or more, hard to guess, of a to z, A to Z, 0 to 9 and - . _ ~"
        others = len(re.sub(r"[A-Za-z0-9._~-]", "", found))
        given = f"{len(found)} characters, {others} of them others"
        raise bad_argument("token", allowed=allowed, given=given)
    return found


def lower(names: Iterable[str]) -> frozenset[str]:
    """Return names or origins as they are compared: in small letters, without a slash at the end."""
    return frozenset(name.lower().rstrip("/") for name in names)


def _wrong_host(host: str) -> Refusal:
    sentence = (
        f"This server does not go by the name {_short(host)}; call it 127.0.0.1 or localhost, or start it "
        "with the names it should answer to."
    )
    return Refusal(421 if host else 400, sentence, reason="host")


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # brackets that do not close
        return ""


def _route(scope: Scope) -> str:
    """Return the path as it was declared, so that strangers cannot fill the table of counts."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "other"))


def _short(text: str) -> str:
    return repr(text[:80])
