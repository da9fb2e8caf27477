"""``mien train``: any architecture on any labelled corpus, to a file for --model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.corpora import complain_of, divide_labellings, open_labellings
from mien.cli.portrait import sample_portrait
from mien.cli.show import hush_training, progress, show_table, show_written, typed_command
from mien.errors import SourceError, bad_argument, unknown_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.training.geometry import Geometry


def train(
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Labelled pictures: a folder per emotion, the FER2013 csv, or FORMAT:PATH."),
    ] = None,
    ferplus: Annotated[Path | None, typer.Option(help="The FER+ votes file beside a FER2013 csv.")] = None,
    emotions: Annotated[
        str | None, typer.Option(help="Only these, or mergers: 'anger,fear,calm', 'happy vs rest'.")
    ] = None,
    arch: Annotated[str, typer.Option(help="Architecture; --list shows all.")] = "resnet",
    list_all: Annotated[bool, typer.Option("--list", help="List the architectures and the formats.")] = False,
    base: Annotated[
        str | None, typer.Option(help="Model, or folder of a run, to go on from; A,B for their mean.")
    ] = None,
    pretrained: Annotated[
        str, typer.Option(help="Weights of a transfer network: 'hub', a file, or 'none' for random ones.")
    ] = "hub",
    epochs: Annotated[int | None, typer.Option(min=0, help="Times every picture is seen.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides what chance decides.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Largest rate.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures a step.")] = None,
    balance: Annotated[str | None, typer.Option(help="For rare emotions: none, loss or sampling.")] = None,
    mixup: Annotated[float | None, typer.Option(min=0, help="Mix pairs of faces; 0.2 is usual.")] = None,
    smoothing: Annotated[float | None, typer.Option(min=0, max=0.99, help="Label smoothing.")] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="Preset of alterations, changes behind commas: strong,cover=0.3. See augment-preview."
        ),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=0, help="Stop after so many epochs without improvement.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any other field of the recipe: NAME=VALUE.")
    ] = None,
    framed: Annotated[
        bool, typer.Option("--framed", help="Take every picture as it is, without alignment.")
    ] = False,
    detector: Annotated[str, typer.Option(help="Name or ONNX file.")] = "default",
    geometry: Annotated[
        Path | None,
        typer.Option(help="Landmarks and facial movements (.npz) of a FER2013 csv; default: our detector's."),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="Row of each picture in the official file (.npy), where the csv is a part of it."),
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="Processes or accelerators that share a batch.")] = 1,
    log: Annotated[str, typer.Option(help="csv or tensorboard.")] = "csv",
    name: Annotated[str | None, typer.Option(help="Name of the model, architecture.tag.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the model, its card and golden tensors.")] = Path("."),
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run; a stopped run goes on. Default: runs/NAME.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder in which cut faces are kept for the next run.")
    ] = None,
) -> None:
    """Train a model on labelled pictures; the result is a file for --model.

    Where the data have official splits, the model learns from the training split and is measured on the
    others that may be looked at; else a tenth, by person where persons are known, is kept back to measure.
    A part of what it learns from is set aside to calibrate the probabilities.
    """
    if list_all:
        _list()
        return
    if not data:
        raise typer.BadParameter("name the data: a folder per emotion, a FER2013 csv, or FORMAT:PATH.")
    hush_training()
    from mien.faces.detect import load_detector
    from mien.training.recipe import recipe_for
    from mien.training.run import train_model

    changes = _fields(setting or [])
    for field, value in {
        "epochs": epochs,
        "seed": seed,
        "learning_rate": learning_rate,
        "batch": batch,
        "balance": balance,
        "mixup": mixup,
        "smoothing": smoothing,
        "augment": augment,
        "patience": patience,
        "base": base,
    }.items():
        if value is not None:
            changes[field] = value
    arch = changes.pop("arch", arch)
    recipe = recipe_for(arch, **{"pretrained": _weights(arch, pretrained)} | changes)
    finder = None if framed else load_detector(detector)
    failures: list[SourceError] = []
    labellings = open_labellings(data, ferplus, emotions, failures)
    if failures and geometry is not None:
        raise bad_argument("geometry", allowed="beside pictures that can all be read", given=str(geometry))
    taken, tests = divide_labellings(
        labellings, data, ferplus, emotions=emotions, framed=framed, detector=detector, seed=recipe.split_seed
    )
    learned = [one.select(taken) for one in labellings]
    chosen = name or f"{recipe.arch.replace(':', '-')}.own"
    with progress("cutting faces", len(learned[0])) as show:
        card = train_model(
            learned[0],
            recipe,
            run=run or Path("runs") / chosen,
            out=out,
            name=chosen,
            others=learned[1:],
            geometry=_geometry(geometry, rows, taken),
            detector=finder,
            tests=tests,
            picture=sample_portrait(),
            command=typed_command(),
            cache=cache,
            devices=devices,
            log=log,
            progress=lambda done, _: show(done),
        )
    show_written(card, out)
    complain_of(failures)


def _list() -> None:
    from mien.sources.datasets import FORMATS
    from mien.training.architectures import ARCHITECTURES, list_architectures

    rows = [
        (one.name, one.family, one.summary) for one in map(ARCHITECTURES.get, list_architectures()) if one
    ]
    show_table(
        ("architecture", "family", "what it is"), [*rows, ("timm:NAME", "still", "any backbone of timm")]
    )
    typer.echo()
    show_table(("format", "layout"), [(name, one.layout) for name, one in FORMATS.items()])


def _fields(given: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE pairs as fields of a recipe."""
    from dataclasses import asdict

    from mien.training.recipe import Recipe

    kinds = {name: type(value) for name, value in asdict(Recipe()).items()}
    values: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or name not in kinds:
            raise unknown_name("field of a recipe", pair, [f"{known}=..." for known in kinds])
        try:
            values[name] = kinds[name](text)
        except ValueError as error:
            raise bad_argument(name, allowed=f"of the kind {kinds[name].__name__}", given=text) from error
    return values


def _weights(arch: str, pretrained: str) -> str:
    from mien.training.architectures import get_architecture

    return "" if pretrained == "none" or not get_architecture(arch).backbone else pretrained


def _geometry(path: Path | None, rows: Path | None, learned: NDArray[np.bool_]) -> Geometry | None:
    import numpy as np

    from mien.training.geometry import load_geometry

    if path is None:
        return None
    row = np.load(rows, allow_pickle=False) if rows else np.arange(len(learned))
    if len(row) != len(learned):
        raise bad_argument(
            "rows", allowed=f"one number for each of the {len(learned)} pictures", given=len(row)
        )
    return load_geometry(path, row[learned])
