"""How results look in a terminal: tables and progress."""

from __future__ import annotations

import logging
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mien.catalog import ModelCard
from mien.readings import Readings

PLAIN_WIDTH = 200
"""Columns of a table that goes to a file or another program, where no terminal says how wide it is."""


def console() -> Console:
    """Return the console for results; as wide as the terminal, or wide enough for any table."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=PLAIN_WIDTH)


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a table, its words as they are; the columns named in `right` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(Text(heading), justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def show_written(card: ModelCard, folder: Path) -> None:
    """Print how good a model is that was just written, and where it lies."""
    rows = [
        (m.name, m.data, f"{m.value:.4f}", f"{m.low:.4f} to {m.high:.4f}", str(m.n)) for m in card.metrics
    ]
    show_table(("metric", "data", "value", "95 % interval", "N"), rows)
    console().print(f"Written to {folder / card.name}.{card.format}", highlight=False, markup=False)


def hush_training() -> None:
    """Keep Lightning from talking about itself; its progress bar stays."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", module=r"lightning\..*", category=FutureWarning)
    warnings.filterwarnings("ignore", module=r"lightning\..*", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message="Your `IterableDataset` has `__len__` defined")


def typed_command() -> str:
    """Return what was typed, for cards and reports, as it can be typed again."""
    return shlex.join(["mien", *sys.argv[1:]])


def reading_rows(readings: Readings, others: int = 3) -> list[tuple[str, ...]]:
    """Return table rows of one frame: a line for each face, or one that says there is none."""
    if not len(readings):
        return [(_plain(readings.source), "-", "no face", "", "", "")]
    rows: list[tuple[str, ...]] = []
    for i, (emotion, probability) in enumerate(zip(readings.emotion, readings.probability, strict=True)):
        left, top, right, bottom = readings.faces.box_xyxy[i]
        order = probability.argsort()[::-1][:others]
        rows.append(
            (
                _plain(readings.source),
                str(i),
                emotion,
                f"{probability.max():.0%}",
                ", ".join(f"{readings.labels.names[j]} {probability[j]:.0%}" for j in order[1:]),
                f"{right - left:.0f} x {bottom - top:.0f} at {left:.0f}, {top:.0f}",
            )
        )
    return rows


def as_object(readings: Readings) -> dict[str, Any]:
    """Return what ``--json`` prints of one frame."""
    width, height = readings.size_px
    frame: dict[str, Any] = {"source": readings.source, "frame": readings.index}
    if readings.is_moving:
        frame["time_s"] = readings.time_s
    frame |= {"width": width, "height": height, "model": readings.model}
    said = {"source", "frame", "time_s", "model"}
    faces = [{key: value for key, value in face.items() if key not in said} for face in readings.to_dicts()]
    return frame | {"faces": faces}


READING_HEADINGS = ("picture", "face", "displays", "sure", "then", "box (px)")


@contextmanager
def progress(what: str, total: int) -> Iterator[Any]:
    """Show how far a long job is, on standard error; silent for short ones and where that is no terminal.

    Yields
    ------
    callable
        Call it with the number done so far.
    """
    complaints = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=complaints, transient=True, disable=total < 5 or not complaints.is_terminal
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _plain(text: str) -> str:
    """Return a file name as every terminal can print it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
