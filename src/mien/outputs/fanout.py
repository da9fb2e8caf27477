"""Many outputs at once, each in its own thread, so that a slow or absent receiver never slows the camera."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from mien.errors import ArgumentError, OutputError, bad_argument, unknown_name
from mien.outputs.decisions import DecisionLog
from mien.outputs.faceosc import PORT as FACEOSC_PORT
from mien.outputs.files import SINKS, open_sink
from mien.outputs.lane import Item, Lane, Output, OutputStatus
from mien.outputs.lsl import LslSink
from mien.outputs.osc import OscSink
from mien.readings import Readings
from mien.story import Decision

DEPTH = 8
"""Frames that wait for a live receiver; when more come, the oldest are dropped and counted."""

KEEP_MOST = 18_000
"""Frames that wait for a file whose disk does not answer: ten minutes at 30 frames a second, about 50 MB."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""After a failure an output is tried again after the first pause, which doubles up to the longest."""

CLOSE_S, FINISH_S = 2.0, 60.0
"""How long the end waits for a live receiver, and for a file that has rows to write."""

_OPTIONS = {"osc": ("profile", "values", "immediately"), "lsl": ("faces",)}
_EXAMPLES = ("osc://127.0.0.1:9000", "osc://127.0.0.1:8338?profile=faceosc", "lsl", "lsl://NAME")


def _warn(sentence: str) -> None:
    logging.getLogger("mien").warning(sentence)


class FanOut:
    """Hands readings and decisions to any number of outputs without ever waiting for one.

    A live receiver that is slow misses the oldest frames; they are counted. A file misses nothing: what
    the disk does not take at once waits in memory, up to :data:`KEEP_MOST` frames, beyond which new frames
    are lost, counted and reported. An output that fails is reported once and tried again with growing
    pauses; the others go on. Decisions are the last to be dropped.

    Parameters
    ----------
    outputs : sequence of Output
    report : callable, optional
        Called with a sentence when an output fails or works again, from the output's thread; by default
        such sentences are logged as warnings of the logger "mien".
    depth : int
        Frames that may wait for a live receiver.
    keep_most : int
        Frames that may wait for a file.
    first_pause_s, longest_pause_s : float
        Pauses after a failure.
    close_s, finish_s : float
        How long the end waits for live receivers and for files.

    Raises
    ------
    ArgumentError
        If a number is not positive.

    Examples
    --------
    >>> from mien.testing import CollectingSink, make_readings
    >>> sink = CollectingSink()
    >>> with FanOut([Output("list", sink, keep=True)]) as outputs:
    ...     outputs.write(make_readings(["fear"]))
    >>> len(sink.written)
    1
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        *,
        report: Callable[[str], None] = _warn,
        depth: int = DEPTH,
        keep_most: int = KEEP_MOST,
        first_pause_s: float = FIRST_PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        close_s: float = CLOSE_S,
        finish_s: float = FINISH_S,
    ) -> None:
        numbers = {"depth": depth, "keep_most": keep_most, "first_pause_s": first_pause_s}
        for name, value in {**numbers, "close_s": close_s, "finish_s": finish_s}.items():
            if not value > 0:
                raise bad_argument(name, allowed="a positive number", given=value)
        pauses = (first_pause_s, longest_pause_s)
        self._lanes = [
            Lane(one, keep_most if one.keep else depth, finish_s if one.keep else close_s, pauses, report)
            for one in outputs
        ]
        self._open = False

    def __enter__(self) -> Self:
        with ExitStack() as opened:  # files that are open already are closed when a later one cannot be
            for lane in self._lanes:
                if lane.output.keep:
                    opened.enter_context(lane.output.sink)
            opened.pop_all()
        for lane in self._lanes:
            lane.start()
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._open = False
        for lane in self._lanes:
            lane.ask_to_end()
        with ExitStack() as ends:  # every lane is ended, also when one of them complains
            for lane in self._lanes:
                ends.callback(lane.end, kind, error, traceback)

    def write(self, readings: Readings) -> None:
        """Hand on the readings of one frame; returns at once.

        Raises
        ------
        OutputError
            If the outputs are not open.
        """
        self._put(readings)

    def decide(self, decision: Decision) -> None:
        """Hand on a decision, to those outputs that take them; returns at once.

        Raises
        ------
        OutputError
            If the outputs are not open.
        """
        self._put(decision)

    def status(self) -> list[OutputStatus]:
        """Return how each output is doing, in the order given."""
        return [lane.status() for lane in self._lanes]

    def _put(self, item: Item) -> None:
        if not self._open:
            raise OutputError("the outputs are not open: write inside 'with FanOut(...) as outputs:'.")
        for lane in self._lanes:
            lane.put(item)


def open_output(spec: str) -> Output:
    """Return the output that a specification means.

    Parameters
    ----------
    spec : str
        "osc://HOST:PORT", with "?profile=faceosc", "?values=raw" or "?immediately=1" if wanted; "lsl" or
        "lsl://NAME", with "?faces=4"; "decisions:FILE.jsonl", a log of a story's decisions; or the name of
        a file for the rows, as of :func:`mien.open_sink`. What such a file holds already is kept: the rows
        go to a numbered name that is free, which is logged as a warning of the logger "mien".

    Returns
    -------
    Output
        For a :class:`FanOut`; nothing is opened yet. The name is that of the file that will be written.

    Raises
    ------
    ArgumentError
        If it is none of these.
    OutputError
        If a file cannot be written there.
    MissingExtraError
        If a package is not installed.
    """
    kind, found, rest = spec.partition(":")
    if kind == "decisions" and found:
        return Output(spec, DecisionLog(rest.removeprefix("//")), keep=True)
    if spec.partition("?")[0] in ("osc", "lsl") or "://" in spec:
        return _live_output(spec)
    if spec == "ws":
        raise bad_argument("out", allowed="without 'ws' here: the page of 'mien live' serves it", given=spec)
    sink = open_sink(spec, replace=False)
    if sink.path != Path(spec):
        _warn(f"an earlier run wrote to {spec}, which is kept: this one writes {sink.path}.")
    return Output(str(sink.path), sink, keep=True)


def _live_output(spec: str) -> Output:
    try:
        url = urlsplit(
            spec if "://" in spec else spec.replace("?", "://?", 1) if "?" in spec else f"{spec}://"
        )
        port = url.port
        options = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
    except ValueError as error:
        raise bad_argument("out", allowed=f"like {', '.join(_EXAMPLES)} ({error})", given=spec) from error
    known = _OPTIONS.get(url.scheme)
    if known is None:
        kinds = (*_OPTIONS, "decisions", "ws")
        raise bad_argument(
            "out",
            allowed=f"like {', '.join(_EXAMPLES)}, or a file that ends in {', '.join(SINKS)} "
            f"({unknown_name('kind of output', url.scheme, kinds)})",
            given=spec,
        )
    for name in options:
        if name not in known:
            raise ArgumentError(f"out {spec!r}: {unknown_name(f'option of {url.scheme}', name, known)}")
    if url.scheme == "lsl":
        faces = options.get("faces", "1")
        if not faces.isascii() or not faces.isdigit():
            raise bad_argument("faces", allowed="a whole number", given=faces)
        return Output(spec, LslSink(unquote(url.netloc) or "mien", faces=int(faces)))
    if port is None and options.get("profile") == "faceosc":
        port = FACEOSC_PORT
    if not url.hostname or port is None:
        raise bad_argument(
            "out", allowed="osc:// with a host and a port, like osc://127.0.0.1:9000", given=spec
        )
    plain = {name: options[name] for name in ("profile", "values") if name in options}
    immediately = options.get("immediately", "0") not in ("0", "no", "false")
    return Output(spec, OscSink(url.hostname, port, **plain, immediately=immediately))
