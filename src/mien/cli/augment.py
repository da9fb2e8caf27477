"""``mien augment-preview``: what altered copies of pictures look like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.portrait import sample_portrait

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def augment_preview(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A picture, or a data set as for train; default: a portrait that is always there."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The sheet: a picture, .png or another suffix.")] = Path(
        "augment-preview.png"
    ),
    preset: Annotated[
        str,
        typer.Option(
            help="none, light, default, strong, any-light or dark-room; changes behind commas: "
            "strong,cover=0.3. As for train."
        ),
    ] = "default",
    seed: Annotated[int, typer.Option(help="Decides what chance decides.")] = 0,
    rows: Annotated[
        int,
        typer.Option(
            min=1, max=50, help="Rows in which everything happens together; of a data set also the pictures."
        ),
    ] = 2,
    model: Annotated[
        str, typer.Option(help="Name or file: its crops are shown, in its size and colour.")
    ] = "default",
    detector: Annotated[str, typer.Option(help="Name or ONNX file.")] = "default",
) -> None:
    """Draw a sheet of altered copies: a row for every transformation alone, and rows of all together."""
    from mien.catalog import find_model
    from mien.faces.align import CropSpec
    from mien.faces.detect import load_detector
    from mien.outputs.files import check_target
    from mien.outputs.overlay import save_image
    from mien.training.augmentation import Augmentation
    from mien.training.preview import draw_preview

    settings = Augmentation.parse(preset)
    check_target(out)
    card, _ = find_model(model, "expression")
    sheet = draw_preview(
        _pictures(source, rows, seed),
        CropSpec(card.template, card.margin, card.size_px, card.colour),
        settings,
        detector=load_detector(detector),
        rows=rows,
        seed=seed,
    )
    save_image(out, sheet)
    typer.echo(f"Written to {out}")


def _pictures(source: str | None, count: int, seed: int) -> list[NDArray[np.uint8]]:
    """Return the picture, or as many of a data set, drawn at random."""
    import random

    from mien.sources.datasets import open_dataset
    from mien.sources.images import IMAGE_SUFFIXES, read_image

    if source is None:
        return [sample_portrait()]
    if Path(source).suffix.lower() in IMAGE_SUFFIXES:
        return [read_image(source)]
    corpus = open_dataset(source)
    chosen = random.Random(seed).sample(range(len(corpus)), min(count, len(corpus)))
    return [corpus.images[row] for row in chosen]
