"""``mien train-detector`` and ``mien evaluate-detector``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from mien.cli.portrait import sample_portrait
from mien.cli.show import hush_training, typed_command

if TYPE_CHECKING:
    from mien.training.evaluate_detector import DetectorReport


def train_detector(
    data: Annotated[
        Path, typer.Argument(help="Folder of faces, photographs and backgrounds; see docs/detector.md.")
    ],
    teacher: Annotated[
        Path | None, typer.Option(help="Detector that boxes portraits without landmarks, e.g. a YuNet file.")
    ] = None,
    base: Annotated[
        str,
        typer.Option(help="Detector, or folder of a run, to go on from; its mistakes are shown more often."),
    ] = "",
    epochs: Annotated[int, typer.Option(min=1, help="An epoch is 12,800 composed scenes.")] = 60,
    learning_rate: Annotated[float, typer.Option(min=0, help="Largest rate of the schedule.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Decides what chance decides.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the model, architecture.tag.")] = "facepoint.own",
    out: Annotated[Path, typer.Option(help="Folder for NAME.onnx, its card and golden tensors.")] = Path("."),
    run: Annotated[Path, typer.Option(help="Folder of the run; a stopped run goes on from here.")] = Path(
        "runs/detector"
    ),
) -> None:
    """Train a face detector on composed scenes; the result is a file for --detector."""
    hush_training()
    from mien.faces.detect import load_detector
    from mien.training.detector import DetectorRecipe
    from mien.training.run_detector import golden_scene, train_detector

    report = train_detector(
        data,
        DetectorRecipe(epochs=epochs, seed=seed, learning_rate=learning_rate, base=base),
        run=run,
        out=out,
        name=name,
        picture=golden_scene(sample_portrait()),
        command=typed_command(),
        teacher=load_detector(teacher) if teacher else None,
    )
    show_detectors([report])
    Console().print(f"Written to {out / name}.onnx")


def evaluate_detector(
    data: Annotated[
        Path, typer.Argument(help="Folder of faces, photographs and backgrounds; see docs/detector.md.")
    ],
    detector: Annotated[str, typer.Option(help="Name or file.")] = "default",
    against: Annotated[
        list[Path] | None, typer.Option(help="Other detectors to measure beside it, e.g. a YuNet file.")
    ] = None,
) -> None:
    """Measure detectors on what was set aside, each at the score of one false face in 100 backgrounds."""
    from mien.faces.detect import load_detector
    from mien.training.evaluate_detector import evaluate_detector
    from mien.training.material import load_material

    material = load_material(data, set_aside=True)
    specs: list[str | Path] = [detector, *(against or [])]
    detectors = [load_detector(spec, score_threshold=0.02) for spec in specs]
    show_detectors([evaluate_detector(one, material) for one in detectors])


def show_detectors(reports: list[DetectorReport]) -> None:
    """Print what was measured of detectors, side by side."""
    table = Table("measured on what was set aside", *(report.name for report in reports))
    table.add_row("score threshold", *(f"{r.score_threshold:.3f}" for r in reports))
    table.add_row("false faces / backgrounds", *(f"{r.false_faces} / {r.backgrounds}" for r in reports))
    for how in reports[0].fooled:
        table.add_row(f"with a false face, {how}", *(f"{r.fooled[how]} / {r.backgrounds}" for r in reports))
    for corpus in reports[0].recall:
        values = (r.recall[corpus] for r in reports)
        table.add_row(
            f"recall, {corpus}", *(f"{v.value:.4f} ({v.low:.3f} to {v.high:.3f}), N {v.n}" for v in values)
        )
    for corpus in reports[0].landmark_error:
        errors = (r.landmark_error[corpus] for r in reports)
        table.add_row(
            f"landmark error, {corpus}",
            *(f"{e.value:.4f} ({e.low:.3f} to {e.high:.3f}), N {e.n}" for e in errors),
        )
    Console().print(table)
