"""``mien combine``: several networks in one file, to their mean answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.corpora import complain_of, divide_labellings, open_labellings
from mien.cli.show import progress, show_written, typed_command
from mien.errors import SourceError


def combine(
    data: Annotated[
        list[str], typer.Argument(help="What the models learned from: a folder per emotion, or FORMAT:PATH.")
    ],
    model: Annotated[list[str], typer.Option(help="Name or file of a network; give two or more.")],
    name: Annotated[str, typer.Option(help="Name of the result, architecture.tag.")],
    ferplus: Annotated[Path | None, typer.Option(help="The FER+ votes file beside a FER2013 csv.")] = None,
    emotions: Annotated[
        str | None, typer.Option(help="Only these, or mergers: 'anger,fear,calm', 'happy vs rest'.")
    ] = None,
    held_out: Annotated[
        float, typer.Option(min=0.001, max=0.999, help="Share set aside when the models were trained.")
    ] = 0.05,
    split_seed: Annotated[int, typer.Option(help="Their split_seed: it says which share.")] = 0,
    framed: Annotated[
        bool, typer.Option("--framed", help="Take every picture as it is, without alignment.")
    ] = False,
    detector: Annotated[str, typer.Option(help="Name or ONNX file.")] = "default",
    out: Annotated[Path, typer.Option(help="Folder for the model, its card and golden tensors.")] = Path("."),
    cache: Annotated[
        Path | None, typer.Option(help="Folder in which cut faces are kept for the next run.")
    ] = None,
) -> None:
    """Write several networks as one, which answers with their mean; the result is a file for --model.

    Networks that learned apart err apart: together they are right more often, and cost what they cost
    together. The mean is calibrated on the part that was set aside when they were trained, and measured
    as by `mien train`.
    """
    from mien.faces.detect import load_detector
    from mien.training.combine import combine_models

    failures: list[SourceError] = []
    labellings = open_labellings(data, ferplus, emotions, failures)
    rows, tests = divide_labellings(
        labellings, data, ferplus, emotions=emotions, framed=framed, detector=detector, seed=split_seed
    )
    learned = [one.select(rows) for one in labellings]
    with progress("cutting faces", len(learned[0])) as show:
        card = combine_models(
            model,
            learned,
            out=out,
            name=name,
            held_out=held_out,
            split_seed=split_seed,
            detector=None if framed else load_detector(detector),
            tests=tests,
            command=typed_command(),
            cache=cache,
            progress=lambda done, _: show(done),
        )
    show_written(card, out)
    complain_of(failures)
