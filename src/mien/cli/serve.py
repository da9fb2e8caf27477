"""``mien serve``: readings of pictures and of the browser's camera, over HTTP and WebSocket."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options
from mien.errors import bad_argument

if TYPE_CHECKING:
    from mien.outputs.server import Limits


def serve(
    host: options.Host = "127.0.0.1",
    port: options.Port = 8765,
    token: options.Token = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Another web page's origin that may use it, as https://example.org."),
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="A name, without port, that the server may be called by.")
    ] = None,
    emotions: options.Emotions = None,
    unsure: options.Unsure = 0.0,
    model: options.ModelName = "default",
    labels: options.Labels = None,
    expect: options.Expect = None,
    detector: options.DetectorName = "default",
    min_face: options.MinFace = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Processor threads of each network; several pictures run side by side.")
    ] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Pictures that are decoded and searched at once.")] = 4,
    max_mb: Annotated[float, typer.Option(help="Largest upload, million bytes.")] = 10.0,
    max_megapixels: Annotated[float, typer.Option(help="Largest picture, million pixels.")] = 25.0,
    rate: Annotated[float, typer.Option(help="Requests per second of one client; 0 for no limit.")] = 60.0,
) -> None:
    """Serve an API that reads pictures: POST /v1/analyze, WebSocket /v1/watch, /health, /metrics.

    Nothing that is sent is kept or logged. The description of the API is at /openapi.json; at / is a page
    that shows what the browser's own camera sees.
    """
    from mien.outputs.live_routes import live_mount
    from mien.outputs.server import Server, create_app
    from mien.outputs.server.running import check_host

    check_host(host, token)
    limits = _limits(workers=workers, max_mb=max_mb, max_megapixels=max_megapixels, rate=rate)
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
    app = create_app(
        analyzer, token=token, limits=limits, hosts=name or (), origins=origin or (), live=live_mount()
    )
    server = Server(app, host, port)
    typer.echo(f"mien serves at {server.url} (Ctrl-C ends it)")
    server.run()


def _limits(*, workers: int, max_mb: float, max_megapixels: float, rate: float) -> Limits:
    from mien.outputs.server import Limits

    usual = Limits()
    return Limits(
        workers=workers,
        upload_bytes=_whole("--max-mb", max_mb, 1_000_000),
        pixels=_whole("--max-megapixels", max_megapixels, 1_000_000),
        requests_per_s=rate or float("inf"),
        burst=max(usual.burst, _whole("--rate", rate, 2)),
    )


def _whole(option: str, value: float, times: int) -> int:
    """Return so many times an option's value, to a whole number."""
    if not math.isfinite(value * times):
        raise bad_argument(option, allowed="a finite number", given=value)
    return round(value * times)
