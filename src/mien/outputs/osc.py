"""Readings as Open Sound Control over UDP, for Max, Pure Data, TouchDesigner, Processing and others."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from mien.errors import OutputError, bad_argument, require
from mien.faces.faces import NO_TRACK
from mien.outputs import faceosc
from mien.outputs.faceosc import Message
from mien.readings import Readings
from mien.story import Decision, Salience

PROFILES = ("mien", "faceosc")
"""Addresses: our own, one set for each face; or those of FaceOSC, about one face."""

VALUES = ("smooth", "raw")
"""Which probabilities are sent."""

MOST_BYTES = 8192
"""Largest bundle: some systems refuse datagrams over 9,216 bytes. A fuller frame goes out in several."""

LEAVE_S = 1.0
"""A face not seen for so long has left."""

_NOT_IN_ADDRESSES = re.compile(r"[\s#*,/?\[\]{}]|[^\x20-\x7e]")


class OscSink:
    """Sends each frame as a bundle; docs/live-outputs.md lists the addresses.

    UDP has no answer: a receiver that is absent costs nothing and is not noticed. The time tag of a bundle
    is when its frame was captured.

    Parameters
    ----------
    host : str
        Name or address of the receiver.
    port : int
        1 to 65535.
    profile : {"mien", "faceosc"}
        Whose addresses.
    values : {"smooth", "raw"}
        Which probabilities; those of still pictures are always raw.
    immediately : bool
        Sends the time tag that means "now" instead, for receivers that refuse a time that has passed.

    Raises
    ------
    ArgumentError
        If a value is not allowed.
    MissingExtraError
        If python-osc is not installed.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 9000,
        *,
        profile: str = "mien",
        values: str = "smooth",
        immediately: bool = False,
    ) -> None:
        if not host:
            raise bad_argument("host", allowed="the name or address of the receiver", given=host)
        if not 1 <= port <= 65535:
            raise bad_argument("port", allowed="a number from 1 to 65535", given=port)
        if profile not in PROFILES:
            raise bad_argument("profile", allowed=f"one of {', '.join(PROFILES)}", given=profile)
        if values not in VALUES:
            raise bad_argument("values", allowed=f"one of {', '.join(VALUES)}", given=values)
        self._messages: Any = require("pythonosc.osc_message_builder", purpose="Sending OSC", extra="osc")
        self._bundles: Any = require("pythonosc.osc_bundle_builder", purpose="Sending OSC", extra="osc")
        self.host, self.port = host, port
        self.profile, self.values, self.immediately = profile, values, immediately
        self._socket: socket.socket | None = None
        self._reset()

    def _reset(self) -> None:
        self._salience = Salience()
        self._last_seen: dict[int, float] = {}

    def __enter__(self) -> Self:
        try:
            kind, _, _, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(kind, socket.SOCK_DGRAM)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self._socket.setblocking(False)
        except OSError as error:
            raise self._refused(error) from error
        self._address = address
        self._reset()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def write(self, readings: Readings) -> None:
        """Send the readings of one frame.

        Raises
        ------
        OutputError
            If the network refuses, or the sink is closed.
        """
        face = self._salience.choose(readings)
        now = time.monotonic()
        age_s = 0.0 if readings.captured_s is None else max(now - readings.captured_s, 0.0)
        if self.profile == "faceosc":
            sent = faceosc.messages(readings, face)
        else:
            sent = [*_frame_messages(readings, age_s), *self._comings(readings)]
            sent.append(("/mien/salient", (NO_TRACK if face is None else _tracks(readings)[face],)))
            sent += _face_messages(readings, raw=self.values == "raw")
        self._send(sent, None if self.immediately else time.time() - age_s)

    def decide(self, decision: Decision) -> None:
        """Send a decision: ``/mien/decision``, and ``/mien/cue/<cue>`` for receivers that look at addresses.

        Raises
        ------
        OutputError
            As for :meth:`write`.
        """
        track = NO_TRACK if decision.track is None else decision.track
        cue = _NOT_IN_ADDRESSES.sub("_", decision.cue)
        sent: list[Message] = [("/mien/decision", (decision.cue, track, decision.reason, decision.to or ""))]
        if cue:
            sent.append((f"/mien/cue/{cue}", (track,)))
        self._send(sent, None)

    def _comings(self, readings: Readings) -> list[Message]:
        """Return who appeared and who left."""
        now = readings.time_s
        if now is None:
            return []
        tracks = _tracks(readings)
        came = [track for track in tracks if track not in self._last_seen]
        self._last_seen |= dict.fromkeys(tracks, now)
        left = [track for track, seen_s in self._last_seen.items() if not 0 <= now - seen_s <= LEAVE_S]
        for track in left:
            del self._last_seen[track]
        comings: list[Message] = [("/mien/appear", (track,)) for track in came]
        return comings + [("/mien/leave", (track,)) for track in left]

    def _send(self, sent: Iterable[Message], at_s: float | None) -> None:
        if self._socket is None:
            raise OutputError(f"osc://{self.host}:{self.port} is not open: write inside a 'with' block.")
        try:
            for bundle in self._bundled(sent, at_s):
                self._socket.sendto(bundle, self._address)
        except OSError as error:  # also where the system's buffer is full
            raise self._refused(error) from error

    def _bundled(self, sent: Iterable[Message], at_s: float | None) -> list[bytes]:
        """Return the datagrams of some messages, all with the same time tag."""
        groups: list[list[Any]] = [[]]
        size = 16  # of an empty bundle
        for address, values in sent:
            message = self._built(address, values)
            size += message.size + 4
            if size > MOST_BYTES and groups[-1]:
                groups.append([])
                size = 16 + message.size + 4
            groups[-1].append(message)
        datagrams = []
        for group in groups:
            bundle = self._bundles.OscBundleBuilder(self._bundles.IMMEDIATELY if at_s is None else at_s)
            for message in group:
                bundle.add_content(message)
            datagrams.append(bundle.build().dgram)
        return datagrams

    def _built(self, address: str, values: tuple[float | str, ...]) -> Any:
        message = self._messages.OscMessageBuilder(address)
        for value in values:
            kind = {int: "i", float: "f", str: "s"}[type(value)]
            message.add_arg(value.replace("\0", "") if isinstance(value, str) else value, kind)
        return message.build()

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(f"osc://{self.host}:{self.port} cannot be sent to: {error.strerror or error}.")


def _tracks(readings: Readings) -> list[int]:
    """Return the number of each face: its track, or its position where it has none."""
    return [i if t == NO_TRACK else t for i, t in enumerate(readings.faces.track_id.tolist())]


def _frame_messages(readings: Readings, age_s: float) -> list[Message]:
    sent: list[Message] = [
        ("/mien/frame", (readings.index % 2**31, float(readings.time_s or 0.0))),
        ("/mien/size", readings.size_px),
        ("/mien/faces", (len(readings),)),
    ]
    return sent if readings.captured_s is None else [*sent, ("/mien/latency", (age_s,))]


def _face_messages(readings: Readings, *, raw: bool) -> list[Message]:
    smoothed = None if raw else readings.smoothed
    probability = readings.probability if smoothed is None else smoothed
    displayed = readings.emotion if smoothed is None else readings.displayed or ()
    sent: list[Message] = []
    for i, track in enumerate(_tracks(readings)):
        left, top, right, bottom = readings.faces.box_xyxy[i].tolist()
        values = probability[i].tolist()
        face = f"/mien/face/{track}"
        sent.append((f"{face}/box", (left, top, right - left, bottom - top)))
        sent.append((f"{face}/score", (float(readings.faces.score[i]),)))
        sent.append((f"{face}/displayed", (displayed[i],)))
        sent.append((f"{face}/confidence", (max(values),)))
        for name, value in zip(readings.labels, values, strict=True):
            sent.append((f"{face}/emotion/{name}", (value,)))
    return sent
