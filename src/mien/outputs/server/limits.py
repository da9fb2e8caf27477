"""What one client and all clients together may ask of the server."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields

from mien.errors import bad_argument

MOST_CLIENTS = 4096
"""Clients whose rate is remembered; of more, the one that was silent longest is forgotten."""

NETWORK_BITS = 64
"""Of an IPv6 address: what one customer is given, who may change the rest at will."""


@dataclass(frozen=True)
class Limits:
    """The limits of a server; each is refused with a sentence when it is passed.

    Parameters
    ----------
    upload_bytes : int
        Size of one picture as it is sent.
    pixels : int
        Width x height of one picture, checked before it is decoded.
    requests_per_s : float
        Requests and new connections of one client in the long run; infinity for no limit.
    burst : int
        Requests of one client at once.
    waiting : int
        Pictures sent by POST that are received, wait or are read at the same time.
    workers : int
        Pictures that are decoded and searched for faces at the same time.
    upload_s : float
        Seconds in which a picture must have arrived.
    reading_s : float
        Seconds after which the answer is not waited for any more.
    watchers : int
        Cameras that are watched over WebSocket at the same time.
    idle_s : float
        Seconds without a message after which a WebSocket is closed.

    Raises
    ------
    ArgumentError
        If a limit is not positive.
    """

    upload_bytes: int = 10_000_000
    pixels: int = 25_000_000
    requests_per_s: float = 60.0
    burst: int = 120
    waiting: int = 32
    workers: int = 4
    upload_s: float = 20.0
    reading_s: float = 30.0
    watchers: int = 16
    idle_s: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            whole = field.type == "int"
            if (whole and (isinstance(value, bool) or not isinstance(value, int))) or not value > 0:
                allowed = "a whole number from 1" if whole else "a positive number"
                raise bad_argument(f"limits.{field.name}", allowed=allowed, given=value)


class RateLimiter:
    """How fast each client may ask: a bucket that holds `burst` and fills again over time.

    Parameters
    ----------
    rate_hz : float
        How fast a bucket fills; infinity for no limit.
    burst : int
        What it holds.
    clock : callable
        Seconds.
    """

    def __init__(self, rate_hz: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz = rate_hz
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str) -> float:
        """Count one request; return 0, or the seconds after which to ask again if it is one too many."""
        if math.isinf(self._rate_hz):
            return 0.0
        now = self._clock()
        key = client_key(client)
        left, then = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate_hz)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate_hz


def client_key(address: str) -> str:
    """Return what stands for a client: its IPv4 address, or the network of its IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        if mapped is not None:
            return str(mapped)
        return str(ipaddress.ip_network((parsed, NETWORK_BITS), strict=False))
    return str(parsed)
