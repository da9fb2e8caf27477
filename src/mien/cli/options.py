"""Options that several commands have: how faces are found and read, and where a server listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mien.analyzer import Analyzer

Emotions = Annotated[str | None, typer.Option(help="Only these, e.g. anger,fear,calm; renormalised.")]
Unsure = Annotated[float, typer.Option(min=0, max=1, help="Below this probability say 'unsure'.")]
ModelName = Annotated[str, typer.Option(help="Name (see 'mien models') or ONNX file.")]
Expect = Annotated[
    str | None,
    typer.Option(help="How frequent emotions are there: 'even', or shares, neutral=0.5,fear=0.1."),
]
Labels = Annotated[str | None, typer.Option(help="Label set of the model: ferplus8 or ekman7.")]
DetectorName = Annotated[str, typer.Option(help="Name or ONNX file.")]
MinFace = Annotated[float | None, typer.Option(min=1, help="Height in pixels of the smallest face wanted.")]
Host = Annotated[str, typer.Option(help="Address to listen on; one that other machines reach needs a token.")]
Port = Annotated[int, typer.Option(help="Port; 0 for any that is free.")]
Token = Annotated[
    str | None,
    typer.Option(envvar="MIEN_TOKEN", help="What clients must send; better set in the environment."),
]


def build_analyzer(
    detector: str,
    model: str,
    *,
    emotions: str | None,
    labels: str | None,
    expect: str | None,
    unsure: float,
    min_face: float | None,
    threads: int | None,
) -> Analyzer:
    """Make the analyzer that these options describe; see :class:`mien.Analyzer`.

    Parameters
    ----------
    emotions : str, optional
        Names with commas between them.
    detector, model, labels, expect, unsure, min_face, threads
        As they are passed on.
    """
    from mien.analyzer import Analyzer

    return Analyzer(
        detector,
        model,
        emotions=None if emotions is None else emotions.split(","),
        labels=labels,
        expect=expect,
        unsure=unsure,
        min_face=min_face,
        threads=threads,
    )
