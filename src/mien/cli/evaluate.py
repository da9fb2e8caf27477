"""``mien evaluate``: how good a model is on labelled faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.show import progress, show_table

if TYPE_CHECKING:
    from mien.training.evaluate import Evaluation, Report


def evaluate(
    dataset: Annotated[
        Path, typer.Argument(help="The official FER2013 csv, or a folder with one sub-folder per emotion.")
    ],
    ferplus: Annotated[
        Path | None, typer.Option(help="The FER+ votes file beside the csv (fer2013new.csv).")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Training, PublicTest or PrivateTest; by default all.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="ekman7 (FER2013's own) or ferplus8 (with --ferplus).")
    ] = None,
    model: Annotated[str, typer.Option(help="Name or ONNX file.")] = "default",
    detector: Annotated[str, typer.Option(help="Name or ONNX file.")] = "default",
    detect: Annotated[
        bool, typer.Option("--detect", help="Score the whole chain: a face not found is an error.")
    ] = False,
    framed: Annotated[
        bool, typer.Option("--framed", help="Take every picture as it is, without alignment.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file.")] = None,
) -> None:
    """Score a model on labelled, ready-cropped faces.

    Faces are aligned as in any photograph; where no face is found the picture is taken as it is, unless
    --detect counts that as an error. All numbers are given again without the pictures that also stand in
    Training.
    """
    from mien.faces.detect import load_detector
    from mien.models import load_model
    from mien.outputs.files import check_target, write_file
    from mien.sources.datasets import open_dataset
    from mien.training.evaluate import evaluate_model

    if detect and framed:
        raise typer.BadParameter("--detect and --framed exclude each other.")
    if json_file is not None:
        check_target(json_file)
    corpus = open_dataset(dataset, ferplus=ferplus, labels=labels)
    scorer = load_model(model, labels=_head_for(model, corpus.labels.key), threads=threads)
    finder = None if framed else load_detector(detector, threads=threads)
    with progress("scoring", len(corpus)) as show:
        result = evaluate_model(
            scorer,
            corpus,
            split=split,
            detector=finder,
            missed="error" if detect else "framed",
            progress=lambda done, _: show(done),
        )
    _print(result)
    if json_file is not None:
        write_file(json_file, (json.dumps(result.to_dict(), indent=2) + "\n").encode())


def _head_for(model: str, key: str) -> str | None:
    """Return the label set to ask a model for: the corpus's own where it has it, else its first."""
    from mien.catalog import find_model

    card, _ = find_model(model, "expression")
    return key if key in {head.labels for head in card.heads} else None


def _print(result: Evaluation) -> None:
    left_out = f"{result.left_out} pictures without a label left out"
    typer.echo(f"{result.model} on {result.data} ({result.rule}; {left_out})")
    columns = {"all": result.all} | ({"without those in Training": result.clean} if result.clean else {})
    lines = [
        ("N", *(str(r.n) for r in columns.values())),
        ("accuracy", *(f"{r.accuracy:.4f} ({r.low:.4f} to {r.high:.4f})" for r in columns.values())),
        ("macro-F1", *(f"{r.macro_f1:.4f}" for r in columns.values())),
        (
            "calibration error",
            *(f"{r.ece:.4f} ({r.ece_low:.4f} to {r.ece_high:.4f})" for r in columns.values()),
        ),
        ("faces missed", *(str(r.missed) for r in columns.values())),
        *(_recall_line(emotion, list(columns.values())) for emotion in result.all.recall),
    ]
    show_table(("", *columns), lines)


def _recall_line(emotion: str, reports: list[Report]) -> tuple[str, ...]:
    values = (f"{r.recall[emotion]:.4f}" if emotion in r.recall else "-" for r in reports)
    return (f"recall, {emotion}", *values)
