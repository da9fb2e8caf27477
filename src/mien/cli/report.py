"""``mien report``: the page of a film's table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.errors import bad_argument


def report(
    table: Annotated[
        Path,
        typer.Argument(help="What 'mien analyze film.mp4 --out' wrote: .csv, .jsonl, .parquet, or a .part."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The page; by default beside the table, NAME_report.html.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file.")] = None,
) -> None:
    """Make one HTML page of a film's table: timeline, shares of time, changes and peaks of each person."""
    from mien.outputs.files import check_target, write_file
    from mien.outputs.film_report import write_film_report

    if table.is_dir():
        raise bad_argument("table", allowed="a file, not a folder", given=str(table))
    page = out or table.with_name(f"{Path(table.name.removesuffix('.part')).stem}_report.html")
    for target, name in ((page, "--out"), (json_file, "--json")):
        if target is not None and target.resolve() == table.resolve():
            raise bad_argument(name, allowed="another file than the table itself", given=str(target))
        if target is not None:
            check_target(target)
    summary = write_film_report(table, page)
    if json_file is not None:
        write_file(json_file, (json.dumps(summary.to_dict(), indent=1) + "\n").encode("utf-8"))
    typer.echo(
        f"{page}: frames {summary.frames}, people {len(summary.people)}, "
        f"seconds without a face {summary.without_face_s:.1f}"
    )
