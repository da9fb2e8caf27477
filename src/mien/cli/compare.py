"""``mien compare``: which architecture holds up, on its own data and on that of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.show import hush_training, show_table, typed_command
from mien.errors import bad_argument

if TYPE_CHECKING:
    from mien.sources.labelled import LabelledImages
    from mien.training.trials import Comparison


def compare(
    arch: Annotated[
        str | None, typer.Option(help="Architectures, with commas between; --list shows all.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data sets, with commas between: a folder per emotion, a FER2013 csv, FORMAT:PATH."
        ),
    ] = None,
    emotions: Annotated[
        list[str] | None,
        typer.Option(
            help="Learn only these, or mergers ('happy vs rest'); may be given again. 'own' for all."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Models of each kind: seeds 0, 1, ...")] = 1,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times a network sees every picture.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for compare.html, compare.csv and the models.")] = Path(
        "comparison"
    ),
    ferplus: Annotated[Path | None, typer.Option(help="The FER+ votes file beside a FER2013 csv.")] = None,
    base: Annotated[
        str,
        typer.Option(help="Network under cnn-svm, where none of the grid learned from the same pictures."),
    ] = "",
    pretrained: Annotated[
        str, typer.Option(help="Weights of transfer networks: 'hub', a file, or 'none' for random ones.")
    ] = "hub",
    limit: Annotated[
        int | None, typer.Option(min=2, help="About so many training pictures of each set, for a short look.")
    ] = None,
    framed: Annotated[
        bool, typer.Option("--framed", help="Take every picture as it is, without alignment.")
    ] = False,
    detector: Annotated[
        str | None, typer.Option(help="Name or ONNX file; by default the one that ships.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder in which cut faces are kept; default: OUT/cache.")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the architectures.")] = False,
) -> None:
    """Train architectures on data sets, test each on all of them, and write a page and a table.

    What is done is kept in --out: a comparison that was stopped goes on when the same is typed again, and
    one that is asked for more only does what is new. Where a data set has a validation and a test split, it
    is tested on the validation split.
    """
    if list_all:
        _list()
        return
    if not arch or not data:
        raise typer.BadParameter("--arch and --data are needed; --list shows the architectures.")
    if framed and detector is not None:
        raise typer.BadParameter("--detector and --framed exclude each other.")
    hush_training()
    from mien.faces.detect import load_detector
    from mien.labels import parse_scheme
    from mien.training.compare import Grid
    from mien.training.compare import compare as run_grid
    from mien.training.run import train_model

    specs = _names(data)
    schemes = [None if text == "own" else parse_scheme(text) for text in emotions or ["own"]]
    grid = Grid(
        architectures=_names(arch),
        corpora=_open(specs, ferplus),
        schemes=schemes,
        seeds=range(seeds),
        epochs=epochs,
        base=base,
        limit=limit,
        changes=_weights(pretrained),
    )
    result = run_grid(
        grid,
        out=out,
        train=train_model,
        detector=None if framed else load_detector(detector or "default"),
        cache=cache or out / "cache",
        command=typed_command(),
        progress=lambda done, total, doing: typer.echo(f"{done} of {total} done; {doing}", err=True),
    )
    _show(result)
    typer.echo(f"Written to {out / 'compare.html'} and {out / 'compare.csv'}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _weights(pretrained: str) -> dict[str, Any]:
    return {} if pretrained == "none" else {"pretrained": pretrained}


def _open(specs: list[str], ferplus: Path | None) -> list[LabelledImages]:
    """Read the data sets; the votes file belongs to the csv among them."""
    from mien.sources.datasets import open_dataset

    with_votes = [spec for spec in specs if spec.lower().endswith(".csv")]
    if ferplus is not None and len(with_votes) != 1:
        raise bad_argument("ferplus", allowed="given with one FER2013 csv in --data", given=str(ferplus))
    return [open_dataset(spec, ferplus=ferplus if spec in with_votes else None) for spec in specs]


def _list() -> None:
    from mien.training.architectures import get_architecture, list_architectures

    rows = [(one.name, one.family, one.summary) for one in map(get_architecture, list_architectures())]
    show_table(
        ("architecture", "family", "what it is"), [*rows, ("timm:NAME", "still", "any backbone of timm")]
    )


def _show(result: Comparison) -> None:
    from mien.training.trials import classes_of

    rows = [
        (s.arch, s.trained_on, s.data, classes_of(s.scheme),
         f"{s.accuracy:.4f} ({s.low:.4f} to {s.high:.4f})",
         f"{s.macro_f1:.4f}", str(s.n), str(len(s.seeds)))
        for s in sorted(result.summaries(), key=lambda s: (s.scheme, s.data, -s.accuracy))
    ]  # fmt: skip
    headings = ("architecture", "learned from", "tested on", "emotions", "accuracy", "macro-F1", "N", "seeds")
    show_table(headings, rows)
    for failure in result.failures:
        typer.echo(
            f"failed: {failure.arch} on {failure.data}, seed {failure.seed}: {failure.error}", err=True
        )
    for sentence in result.left_out:
        typer.echo(sentence, err=True)
