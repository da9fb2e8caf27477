"""``mien train-landmarks``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.show import hush_training, show_table, typed_command


def train_landmarks(
    data: Annotated[
        Path, typer.Argument(help="Folder of faces, photographs and backgrounds; see docs/detector.md.")
    ],
    epochs: Annotated[int | None, typer.Option(min=1, help="Times every picture is seen.")] = None,
    seed: Annotated[int, typer.Option(help="Decides what chance decides.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the model, architecture.tag.")] = "points70.own",
    out: Annotated[Path, typer.Option(help="Folder for NAME.onnx, its card and golden tensors.")] = Path("."),
    run: Annotated[Path, typer.Option(help="Folder of the run; a stopped run goes on from here.")] = Path(
        "runs/landmarks"
    ),
) -> None:
    """Train the network of 70 landmarks, on which svm-geometry stands."""
    hush_training()
    from mien.training.landmarks import LandmarkRecipe, finish_landmarks, fit_landmarks
    from mien.training.material import load_material

    default = LandmarkRecipe(seed=seed)
    recipe = LandmarkRecipe(seed=seed, epochs=epochs or default.epochs)
    learned, aside = load_material(data), load_material(data, set_aside=True)
    module = fit_landmarks(learned, recipe, run)
    card = finish_landmarks(module, learned, aside, out=out, name=name, command=typed_command())
    rows = [(m.data, f"{m.value:.4f}", f"{m.low:.4f} to {m.high:.4f}", str(m.n)) for m in card.metrics]
    show_table(("landmark error, eye distances", "value", "95 % interval", "N"), rows)
    typer.echo(f"Written to {out / name}.onnx")
