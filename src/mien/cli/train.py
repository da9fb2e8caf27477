"""``mien train``, ``mien train-detector`` and ``mien evaluate-detector``: the training wing's commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from mien.errors import bad_argument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.training.evaluate_detector import DetectorReport


def train(
    dataset: Annotated[Path, typer.Argument(help="The official FER2013 csv (emotion, pixels, Usage).")],
    ferplus: Annotated[
        Path | None, typer.Option(help="The FER+ votes file beside it (fer2013new.csv).")
    ] = None,
    geometry: Annotated[
        Path | None,
        typer.Option(help="Landmarks and facial movements (.npz); default: our detector's landmarks."),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="Row of each picture in the official file (.npy), where the csv is a part of it."),
    ] = None,
    arch: Annotated[str, typer.Option(help="Network.")] = "resnet",
    epochs: Annotated[int, typer.Option(min=1, help="Times every picture is seen.")] = 50,
    seed: Annotated[int, typer.Option(help="Decides what chance decides.")] = 0,
    learning_rate: Annotated[float, typer.Option(min=0, help="Largest rate of the schedule.")] = 0.1,
    base: Annotated[Path | None, typer.Option(help="Folder of a finished run to start from.")] = None,
    name: Annotated[str, typer.Option(help="Name of the model, architecture.tag.")] = "resnet.own",
    out: Annotated[Path, typer.Option(help="Folder for NAME.onnx, its card and golden tensors.")] = Path("."),
    run: Annotated[Path, typer.Option(help="Folder of the run; a stopped run goes on from here.")] = Path(
        "runs/expression"
    ),
) -> None:
    """Train an expression network on FER2013; the result is a file for --model.

    The network learns the FER2013 labels and, where the votes are given, how ten people voted on each
    picture. A part of Training is set aside to calibrate the probabilities; accuracy is measured on
    PublicTest.
    """
    import numpy as np

    from mien.faces.detect import load_detector
    from mien.sources.fer2013 import read_fer2013, read_ferplus
    from mien.training.data import detected_geometry, load_geometry
    from mien.training.fit import Recipe
    from mien.training.run import train_expression

    labelled = read_fer2013(dataset)
    voted = read_ferplus(dataset, ferplus) if ferplus else None
    detector = load_detector()
    if geometry is not None:
        row = np.load(rows, allow_pickle=False) if rows else np.arange(len(labelled))
        if len(row) != len(labelled):
            raise bad_argument(
                "rows", allowed=f"one number for each of the {len(labelled)} pictures", given=len(row)
            )
        points = load_geometry(geometry, row)
    else:
        points = detected_geometry(labelled.images, detector)
    card = train_expression(
        labelled,
        voted,
        points,
        Recipe(
            arch=arch, epochs=epochs, seed=seed, learning_rate=learning_rate, base=str(base) if base else ""
        ),
        run=run,
        out=out,
        name=name,
        picture=sample_portrait(),
        detector=detector,
        command=_typed(),
    )
    table = Table("metric", "data", "value", "95 % interval", "N")
    for metric in card.metrics:
        table.add_row(
            metric.name,
            metric.data,
            f"{metric.value:.4f}",
            f"{metric.low:.4f} to {metric.high:.4f}",
            str(metric.n),
        )
    console = Console()
    console.print(table)
    console.print(f"Written to {out / name}.onnx")


def train_detector(
    data: Annotated[
        Path, typer.Argument(help="Folder of faces, photographs and backgrounds; see docs/detector.md.")
    ],
    teacher: Annotated[
        Path | None, typer.Option(help="Detector that boxes portraits without landmarks, e.g. a YuNet file.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="An epoch is 12,800 composed scenes.")] = 60,
    seed: Annotated[int, typer.Option(help="Decides what chance decides.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the model, architecture.tag.")] = "facepoint.own",
    out: Annotated[Path, typer.Option(help="Folder for NAME.onnx, its card and golden tensors.")] = Path("."),
    run: Annotated[Path, typer.Option(help="Folder of the run; a stopped run goes on from here.")] = Path(
        "runs/detector"
    ),
) -> None:
    """Train a face detector on composed scenes; the result is a file for --detector."""
    from mien.faces.detect import load_detector
    from mien.training.detector import DetectorRecipe
    from mien.training.run_detector import golden_scene, train_detector

    report = train_detector(
        data,
        DetectorRecipe(epochs=epochs, seed=seed),
        run=run,
        out=out,
        name=name,
        picture=golden_scene(sample_portrait()),
        command=_typed(),
        teacher=load_detector(teacher) if teacher else None,
    )
    _show_detectors([report])
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
    _show_detectors([evaluate_detector(one, material) for one in detectors])


def sample_portrait() -> NDArray[np.uint8]:
    """Return a portrait in the public domain that every installation has: Grace Hopper, from matplotlib."""
    from matplotlib.cbook import get_sample_data

    from mien.sources.images import read_image

    return read_image(get_sample_data("grace_hopper.jpg", asfileobj=False))


def _typed() -> str:
    return " ".join(["mien", *sys.argv[1:]])


def _show_detectors(reports: list[DetectorReport]) -> None:
    table = Table("measured on what was set aside", *(report.name for report in reports))
    table.add_row("score threshold", *(f"{r.score_threshold:.3f}" for r in reports))
    table.add_row("false faces / backgrounds", *(f"{r.false_faces} / {r.backgrounds}" for r in reports))
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
