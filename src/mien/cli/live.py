"""``mien live``: a camera read as it films, with a page to look at and outputs for other programs."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from mien.cli import options
from mien.errors import bad_argument

if TYPE_CHECKING:
    from mien.analyzer import Analyzer
    from mien.outputs.hub import Pace
    from mien.outputs.lane import Output
    from mien.outputs.server import Server
    from mien.story import Story

ON_THE_PAGE = "ws"
"""The output that is always there: the page's own WebSocket, /v1/live."""


def live(
    camera: Annotated[
        str | None, typer.Option(help="Number or device of a camera: 0 (the default), /dev/video0.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="A film, played in real time, or the URL of a stream, instead.")
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Begin a film anew when it ends.")] = False,
    out: Annotated[
        list[str] | None,
        typer.Option(
            help="Where the readings go, several times if wanted: FILE.csv, .jsonl or .parquet, "
            "osc://127.0.0.1:9000, osc://127.0.0.1:8338?profile=faceosc, lsl, ws, decisions:FILE.jsonl."
        ),
    ] = None,
    story: Annotated[Path | None, typer.Option(help="Rules that decide how a story goes on (TOML).")] = None,
    baseline: Annotated[
        float | None,
        typer.Option(min=0, help="For the story: seconds in which each person's rest is learned."),
    ] = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 8765,
    token: options.Token = None,
    emotions: options.Emotions = None,
    unsure: options.Unsure = 0.0,
    model: options.ModelName = "default",
    labels: options.Labels = None,
    expect: options.Expect = None,
    detector: options.DetectorName = "default",
    min_face: options.MinFace = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads of each network.")] = 1,
) -> None:
    """Read the faces before a camera, live, and show them on a page; Ctrl-C ends it.

    The newest frame wins: what cannot be read in time is passed over. Pictures are not kept. People before
    the camera must be told that their expressions are being read; the page says so at its top.
    """
    from mien.outputs.fanout import open_output
    from mien.outputs.server.running import check_host
    from mien.story import read_story

    if camera is not None and source is not None:
        raise typer.BadParameter("give a camera or a source, not both.", param_hint="--source")
    if baseline is not None and story is None:
        raise typer.BadParameter("is for a story; give one with --story.", param_hint="--baseline")
    if story is None and any(spec.startswith("decisions:") for spec in out or []):
        raise typer.BadParameter("decisions are a story's; give one with --story.", param_hint="--out")
    spec = source or camera or "0"
    name = in_words(spec)
    check_host(host, token)
    tale = None if story is None else read_story(story, baseline_s=baseline)
    outputs = [open_output(spec) for spec in out or [] if spec != ON_THE_PAGE]
    analyzer = options.build_analyzer(
        detector,
        model,
        emotions=emotions,
        labels=labels,
        expect=expect,
        unsure=unsure,
        min_face=min_face,
        threads=threads,
    )
    if tale is not None:
        tale.check(analyzer.labels)
    address = _Address(host, port, token)
    _run(analyzer, spec, address, name=name, outputs=outputs, story=tale, loop=loop)


@dataclass(frozen=True)
class _Address:
    host: str
    port: int
    token: str | None


def _run(
    analyzer: Analyzer,
    spec: str,
    address: _Address,
    *,
    name: str,
    outputs: list[Output],
    story: Story | None,
    loop: bool,
) -> None:
    """Join the parts, and serve until Ctrl-C or until the source ends."""
    from mien.live import LiveRun
    from mien.outputs.fanout import FanOut
    from mien.outputs.hub import LiveHub
    from mien.outputs.live_routes import live_mount
    from mien.outputs.server import Server, create_app
    from mien.sources.camera import Camera

    hub = LiveHub(
        source=name,
        emotions=tuple(analyzer.labels),
        model=analyzer.model.name,
        records=tuple(Path(one.name.removeprefix("decisions:")).name for one in outputs if one.keep),
        story=None if story is None else {"title": story.title},
    )

    def report(sentence: str) -> None:
        typer.echo(f"mien: {sentence}", err=True)
        hub.tell({"type": "notice", "message": sentence})

    def changed(sentence: str) -> None:
        typer.echo(f"mien: {sentence}", err=True)
        hub.set_state("waiting", sentence)

    mount = live_mount(hub, clips=None if story is None else story.clips())
    app = create_app(analyzer, token=address.token, live=mount)
    number_or_name = int(spec) if spec.isdecimal() else spec
    with (
        Camera(number_or_name, loop=loop, on_change=changed) as camera,
        FanOut(outputs, report=report) as fan,
    ):
        server = Server(app, address.host, address.port)
        with LiveRun(
            camera, analyzer.watch(), hub, outputs=fan, story=story, report=report, on_end=server.stop
        ) as run:
            typer.echo(f"mien live: {server.url}/{'#token=TOKEN' if address.token else ''} (Ctrl-C ends it)")
            _serve(server)
    typer.echo(f"mien live: {_summary(hub.pace)}")
    if run.error is not None:
        raise run.error


def _serve(server: Server) -> None:
    """Serve until Ctrl-C or until the process is told to end, so that files are finished in both cases."""
    before = signal.signal(signal.SIGTERM, lambda *_: server.stop())
    try:
        server.run()
    finally:
        signal.signal(signal.SIGTERM, before)


def in_words(spec: str) -> str:
    """Name a source for people: a camera by its number, a file or stream without the way to it.

    Raises
    ------
    ArgumentError
        If it is no address.
    """
    if spec.isdecimal():
        return f"camera {spec}"
    if "://" not in spec:
        return Path(spec).name
    try:
        parts = urlsplit(spec)
    except ValueError:  # brackets that do not close
        allowed = "a film, or an address as rtsp://HOST"
        raise bad_argument("--source", allowed=allowed, given=spec.partition("://")[0] + "://...") from None
    return f"{parts.scheme}://{parts.hostname or ''}"  # no passwords on a page


def _summary(pace: Pace) -> str:
    if not pace.frames:
        return "no frame was read."
    latency = "" if pace.latency_ms is None else f", latency {pace.latency_ms:.0f} ms at the median"
    return f"{pace.frames} frames read, {pace.dropped} passed over{latency}."
