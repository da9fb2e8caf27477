"""``mien audit``: what is wrong with a data set, before anything is learned from it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.show import progress, show_table


def audit(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET...", help="Paths, or FORMAT:PATH where the format is not recognised."
        ),
    ],
    ferplus: Annotated[
        Path | None, typer.Option(help="The FER+ votes of the first data set, a FER2013 csv.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for audit.html and audit.json.")] = Path("audit"),
    detect: Annotated[
        bool, typer.Option("--detect/--no-detect", help="Look for the face in every picture.")
    ] = True,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Look for faces only in so many pictures of each data set.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="Name or ONNX file; by default the one that ships.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder in which what the detector finds is kept for the next time.")
    ] = None,
    near: Annotated[
        float, typer.Option(help="Correlation from which two pictures count as nearly the same.")
    ] = 0.94,
) -> None:
    """Look data sets over: balance, copies, leaks between parts and sets, missing faces, light, votes.

    Writes a page with pictures of what was found, and all numbers as JSON.
    """
    from mien.faces.detect import load_detector
    from mien.outputs.files import make_folder, write_file
    from mien.sources.datasets import open_dataset
    from mien.training.audit import audit as look_over
    from mien.training.audit_page import write_audit_page

    if not detect:
        _refuse_without_detection(sample=sample, detector=detector, cache=cache)
    make_folder(out)
    corpora = [open_dataset(spec, ferplus=None if i else ferplus) for i, spec in enumerate(datasets)]
    finder = load_detector(detector or "default") if detect else None
    pictures = sum(map(len, corpora))
    looked_at = sum(min(len(corpus), sample or len(corpus)) for corpus in corpora) if detect else 0
    with progress("looking", pictures + looked_at) as show:
        result = look_over(
            corpora,
            detector=finder,
            sample=sample,
            cache=cache,
            near=near,
            progress=lambda done, _: show(done),
        )
    write_file(out / "audit.json", (json.dumps(result.to_dict(), indent=1) + "\n").encode())
    write_audit_page(result, corpora, out / "audit.html", command=" ".join(["mien", *sys.argv[1:]]))
    rows = [
        (
            line.what,
            f"{line.n:,}",
            "" if line.of is None else f"{line.of:,}",
            f"{line.n / line.of:.1%}" if line.of else "",
        )
        for line in result.summary()
    ]
    show_table(("found", "number", "of", "share"), rows, right=("number", "of", "share"))
    typer.echo(f"Written to {out / 'audit.html'} and {out / 'audit.json'}")


def _refuse_without_detection(**given: object) -> None:
    """Complain of options that say how faces are looked for, where none are."""
    for name, value in given.items():
        if value is not None:
            raise typer.BadParameter("is for looking for faces, not for --no-detect.", param_hint=f"--{name}")
