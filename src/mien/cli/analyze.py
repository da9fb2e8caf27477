"""``mien analyze``: faces and displayed expressions of pictures, and of films (see :mod:`mien.cli.film`)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options
from mien.cli.film import FilmOptions, analyze_film
from mien.cli.show import READING_HEADINGS, as_object, progress, reading_rows, show_table
from mien.errors import SourceError, bad_argument
from mien.readings import Readings

if TYPE_CHECKING:
    from mien.analyzer import Analyzer

LARGEST_TABLE = 200
"""Readings that are printed as a table; of more, with --out, only a summary is."""


def analyze(
    source: Annotated[
        list[str],
        typer.Argument(help="Pictures: files, folders (with sub-folders), patterns. Or one film."),
    ],
    out: Annotated[Path | None, typer.Option(help="Table to write: FILE.csv, .jsonl or .parquet.")] = None,
    columns: Annotated[
        str, typer.Option(help="Names of the columns: mien, openface, or fex (those of py-feat).")
    ] = "mien",
    annotate: Annotated[
        Path | None,
        typer.Option(
            help="Annotated picture to write, or a folder where there are several; of a film FILE.mp4."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Of a film: its timeline as FILE.png, .svg or .pdf.")
    ] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Of a film: only every so many frames.")] = None,
    fps: Annotated[float | None, typer.Option(help="Of a film: only so many frames a second.")] = None,
    start: Annotated[float | None, typer.Option(min=0, help="Of a film: seconds to begin at.")] = None,
    end: Annotated[float | None, typer.Option(min=0, help="Of a film: seconds to end before.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Of a film: go on with the table of an interrupted run.")
    ] = False,
    emotions: options.Emotions = None,
    unsure: options.Unsure = 0.0,
    model: options.ModelName = "default",
    labels: options.Labels = None,
    expect: options.Expect = None,
    detector: options.DetectorName = "default",
    min_face: options.MinFace = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object a picture or frame, instead of a table.")
    ] = False,
) -> None:
    """Read the displayed expression of every face in pictures, or in a film.

    One row a face; a picture without a face gives a row that says so. A file that cannot be read is
    reported, the others are finished, and the exit code is 1. In a film faces have tracks and values
    smoothed over time; a frame that cannot be decoded is reported and passed over.
    """
    from mien.outputs.community import get_layout
    from mien.sources import find_film

    if get_layout(columns).name != "mien" and out is None:
        raise typer.BadParameter("names the columns of a table: it needs --out.", param_hint="--columns")
    wanted = FilmOptions(out, annotate, plot, every, fps, start, end, columns, resume, as_json)
    film = find_film(source)
    if film is None:
        wanted.refuse()
    else:
        wanted.check()
    analyzer = options.build_analyzer(
        detector,
        model,
        emotions=emotions,
        labels=labels,
        expect=expect,
        unsure=unsure,
        min_face=min_face,
        threads=threads,
    )
    if film is None:
        _analyze_pictures(source, analyzer, wanted)
    else:
        analyze_film(film, analyzer, wanted)


def _analyze_pictures(source: list[str], analyzer: Analyzer, options: FilmOptions) -> None:
    from mien.outputs.files import open_sink
    from mien.sources import open_source

    out, annotate = options.out, options.annotate
    failures: list[SourceError] = []

    def report(error: SourceError) -> None:
        failures.append(error)
        typer.echo(f"mien: {error}", err=True)

    with open_source(source, on_error=report) as frames:
        names = frames.names  # type: ignore[attr-defined]  # sources of still pictures know what they hold
        total = len(names)
        sink: AbstractContextManager[Any] = nullcontext()
        if out is not None and total:
            sink = open_sink(out, options.columns)
        draw = _drawer(annotate, names) if annotate is not None and total else None
        tally = _Tally(keep_rows=not options.as_json and (out is None or total <= LARGEST_TABLE))
        with sink as table, progress("reading", total) as show:
            for frame in frames:
                readings = analyzer.analyze(frame)
                tally.add(readings)
                if table is not None:
                    table.write(readings)
                if draw is not None:
                    draw(frame, readings)
                if options.as_json:
                    typer.echo(json.dumps(as_object(readings)))
                show(frame.index + 1)
    if tally.rows:
        show_table(READING_HEADINGS, tally.rows, right=("face", "sure"))
    if out is not None and tally.pictures and not options.as_json:
        typer.echo(f"{out}: pictures {tally.pictures}, faces {tally.faces}, without a face {tally.empty}")
    if failures:
        if total > 1:
            typer.echo(f"mien: {len(failures)} could not be read.", err=True)
        raise typer.Exit(1)


@dataclass
class _Tally:
    """What was read so far; the lines of the table only where they will be printed."""

    keep_rows: bool
    pictures: int = 0
    faces: int = 0
    empty: int = 0
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, readings: Readings) -> None:
        self.pictures += 1
        self.faces += len(readings)
        self.empty += not len(readings)
        if self.keep_rows:
            self.rows += reading_rows(readings)


def _drawer(target: Path, sources: Sequence[str]) -> Callable[[Any, Readings], None]:
    """Return what draws a frame's readings: to one file, or into a folder under the picture's own name."""
    from mien.outputs.files import make_folder
    from mien.outputs.overlay import SAVE_SUFFIXES, annotate, save_image

    is_file = target.suffix.lower() in SAVE_SUFFIXES and not target.is_dir()
    place = os.path.realpath(target)
    originals = {os.path.realpath(source) for source in sources}
    wrong = ""
    if is_file and len(sources) > 1:
        wrong = "a folder where there are several pictures"
    elif is_file and place in originals:
        wrong = "another file than the picture itself"
    elif place in {os.path.dirname(original) for original in originals}:
        wrong = "a folder that holds none of the pictures to read, lest they be replaced"
    elif not is_file and target.exists() and not target.is_dir():
        wrong = f"a folder, or a name that ends in {', '.join(SAVE_SUFFIXES)}"
    if wrong:
        raise bad_argument("--annotate", allowed=wrong, given=str(target))
    if not is_file:
        make_folder(target)
    unused = _unused_names()

    def draw(frame: Any, readings: Readings) -> None:
        path = target if is_file else target / f"{unused(Path(frame.source).stem or 'picture')}.jpg"
        save_image(path, annotate(frame.image, readings))

    return draw


def _unused_names() -> Callable[[str], str]:
    """Return a function that numbers names it has given before: two folders may hold the same file name."""
    given: set[str] = set()

    def name(stem: str) -> str:
        numbered = (f"{stem}-{number}" for number in count(2))
        chosen = next(one for one in chain([stem], numbered) if one.lower() not in given)
        given.add(chosen.lower())  # names that differ in their case alone are one file on some disks
        return chosen

    return name
