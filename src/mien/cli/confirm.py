"""``mien train-confirm``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.detector import show_detectors
from mien.cli.show import hush_training, typed_command


def train_confirm(
    data: Annotated[
        Path, typer.Argument(help="Folder of faces, photographs and backgrounds; see docs/detector.md.")
    ],
    detector: Annotated[
        str, typer.Option(help="Detector whose finds are looked at again, by name or file.")
    ] = "default",
    teacher: Annotated[
        Path | None, typer.Option(help="Detector that boxes portraits without landmarks, e.g. a YuNet file.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times every find is seen.")] = None,
    seed: Annotated[int, typer.Option(help="Decides what chance decides.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the model, architecture.tag.")] = "confirm.own",
    out: Annotated[Path, typer.Option(help="Folder for NAME.onnx and the detector that uses it.")] = Path(
        "."
    ),
    run: Annotated[Path, typer.Option(help="Folder of the run; a stopped run goes on from here.")] = Path(
        "runs/confirm"
    ),
) -> None:
    """Train the network that looks again at what a detector found; writes both, measured together."""
    hush_training()
    from mien.faces.detect import load_detector
    from mien.training.confirm import ConfirmRecipe
    from mien.training.run_confirm import train_confirm

    recipe = ConfirmRecipe(seed=seed)
    report = train_confirm(
        data,
        replace(recipe, epochs=epochs or recipe.epochs),
        detector=detector,
        run=run,
        out=out,
        name=name,
        command=typed_command(),
        teacher=load_detector(teacher) if teacher else None,
    )
    show_detectors([report])
    typer.echo(f"Written to {out / name}.onnx, and {report.name} beside it")
