"""``mien analyze`` for one film: a table that survives a crash, an annotated film, a plot, and a summary."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from mien.cli.show import as_object, show_table
from mien.errors import FrameError, SourceError
from mien.readings import Readings

if TYPE_CHECKING:
    from mien.analyzer import Analyzer
    from mien.outputs.files import FileSink
    from mien.sources.frame import Frame
    from mien.sources.video import VideoFile
    from mien.watcher import Watcher

COMPLAINTS, MOST_PEOPLE = 10, 10
"""Broken frames that are named one by one, and people in the printed table; of more only the number."""

_COUNTS = ("frames", "faces", "empty", "broken")


@dataclass(frozen=True)
class FilmOptions:
    """What was typed for a film; see ``mien analyze --help``."""

    out: Path | None = None
    annotate: Path | None = None
    plot: Path | None = None
    every: int | None = None
    fps: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    columns: str = "mien"
    resume: bool = False
    as_json: bool = False

    def check(self) -> None:
        """Raise where options do not go together.

        Raises
        ------
        typer.BadParameter
        """
        if self.every is not None and self.fps is not None:
            raise typer.BadParameter("goes without --every: both choose frames.", param_hint="--fps")
        if self.start_s is not None and self.end_s is not None and self.end_s <= self.start_s:
            raise typer.BadParameter("must be after --start.", param_hint="--end")
        if self.plot is not None and (self.out is None or self.columns != "mien"):
            raise typer.BadParameter(
                "is drawn from the table: it needs --out, with the columns 'mien'.", param_hint="--plot"
            )
        if self.resume and self.out is None:
            raise typer.BadParameter("needs --out: it goes on with that table.", param_hint="--resume")
        if self.resume and self.annotate is not None:
            raise typer.BadParameter(
                "cannot be gone on with after an interruption: leave out --annotate or --resume.",
                param_hint="--annotate",
            )

    def refuse(self) -> None:
        """Raise where something was typed that only films have.

        Raises
        ------
        typer.BadParameter
        """
        typed = {
            "--plot": self.plot,
            "--every": self.every,
            "--fps": self.fps,
            "--start": self.start_s,
            "--end": self.end_s,
            "--resume": self.resume or None,
        }
        for name, value in typed.items():
            if value is not None:
                raise typer.BadParameter("is for a film, and these are pictures.", param_hint=name)


def analyze_film(path: Path, analyzer: Analyzer, options: FilmOptions) -> None:
    """Read a film frame by frame, and write what was asked for.

    Parameters
    ----------
    path : path
        The film.
    analyzer : Analyzer
    options : FilmOptions
    """
    from mien.sources.video import VideoFile

    _check_places(path, options)
    tally = Tally()
    film = VideoFile(
        path,
        every=options.every or 1,
        fps=options.fps,
        start_s=options.start_s,
        end_s=options.end_s,
        on_error=tally.complain,
    )
    try:
        _read(film, analyzer, options, tally)
    except KeyboardInterrupt:
        if options.out is not None:
            without = "" if options.annotate is None else " and without --annotate"
            again = f"the same command with --resume{without} goes on from here"
            typer.echo(f"mien: interrupted; {again}.", err=True)
        raise
    tally.end()
    if options.plot is not None and options.out is not None and tally.frames:
        from mien.outputs.timeline import timeline

        timeline(options.out).save(options.plot)
    if not options.as_json:
        tally.say(str(options.out or path))


def _read(film: VideoFile, analyzer: Analyzer, options: FilmOptions, tally: Tally) -> None:
    from mien.outputs.files import open_sink
    from mien.outputs.video import AnnotatedFilm
    from mien.sources.ahead import read_ahead

    watcher, last = analyzer.watch(), -1
    with ExitStack() as opened:
        opened.enter_context(film)
        table: FileSink | None = None
        if options.out is not None:
            marks = _fingerprint(film, analyzer, options)
            table = open_sink(options.out, options.columns, fingerprint=marks, resume=options.resume)
            if table.resumed is not None:
                last = _go_on(table.resumed, film, watcher, tally)
            opened.enter_context(table)
        drawn: AnnotatedFilm | None = None
        if options.annotate is not None:
            start_s = options.start_s or 0.0
            drawn = AnnotatedFilm(options.annotate, sound_of=film.path, start_s=start_s, end_s=film.end_s)
            opened.enter_context(drawn)
        show = opened.enter_context(film_progress(film.frames_estimate))
        for frame in opened.enter_context(read_ahead(film)):
            if frame.index <= last:
                continue
            readings = watcher.read(frame)
            tally.add(readings)
            if table is not None:
                table.write(readings)
                table.checkpoint(lambda frame=frame: _state(frame, watcher, tally))  # type: ignore[misc]  # called now
            if drawn is not None:
                drawn.write(frame, readings)
            if options.as_json:
                typer.echo(json.dumps(as_object(readings)))
            show()


def _check_places(path: Path, options: FilmOptions) -> None:
    """Complain before the work of hours rather than after it."""
    from mien.errors import bad_argument
    from mien.outputs.files import check_target
    from mien.outputs.plots import SAVE_SUFFIXES

    for name, target in (("--out", options.out), ("--annotate", options.annotate), ("--plot", options.plot)):
        if target is None:
            continue
        if target.resolve() == path.resolve():
            raise bad_argument(name, allowed="another file than the film itself", given=str(target))
        check_target(target)
    if options.plot is not None and options.plot.suffix.lower() not in SAVE_SUFFIXES:
        allowed = f"a name that ends in {', '.join(SAVE_SUFFIXES)}"
        raise bad_argument("--plot", allowed=allowed, given=str(options.plot))


def _fingerprint(film: VideoFile, analyzer: Analyzer, options: FilmOptions) -> dict[str, Any]:
    """Return what must be the same where a run is gone on with."""
    file = film.path.stat()
    return {
        "film": str(film.path),
        "its bytes": file.st_size,
        "its time of change": file.st_mtime_ns,
        "--every": options.every or 1,
        "--fps": options.fps,
        "--start": options.start_s,
        "--end": options.end_s,
        "model": _signature(analyzer.model),
        "detector": _signature(analyzer.detector),
        "emotions": list(analyzer.labels),
        "--unsure": analyzer.unsure,
        "--min-face": analyzer.min_face,
    }


def _signature(part: Any) -> str:
    sha256 = getattr(getattr(part, "card", part), "sha256", "")
    return f"{part.name} {sha256[:16]}".strip()


def _state(frame: Frame, watcher: Watcher, tally: Tally) -> dict[str, Any]:
    return {
        "index": frame.index,
        "time_s": frame.time_s,
        "watcher": watcher.state(),
        "tally": tally.to_dict(),
    }


def _go_on(state: dict[str, Any], film: VideoFile, watcher: Watcher, tally: Tally) -> int:
    """Put film, watcher and tally where an interrupted run was; return the number of its last frame."""
    film.start_at(state["time_s"], index=state["index"])
    watcher.restore(state["watcher"])
    tally.restore(state["tally"])
    typer.echo(f"mien: going on after frame {state['index']} at {state['time_s']:.2f} s.", err=True)
    return int(state["index"])


class Tally:
    """What was read so far, of a film of any length.

    Attributes
    ----------
    frames, faces, empty, broken : int
        Frames read, faces in them, frames without a face, frames that could not be decoded.
    shown : dict of str to Counter
        For each person (track), frames in which each emotion was displayed.
    """

    def __init__(self) -> None:
        self.frames = self.faces = self.empty = self.broken = 0
        self.shown: dict[str, Counter[str]] = {}
        self._ahead: deque[int] = deque()

    def add(self, readings: Readings) -> None:
        """Count the readings of one frame."""
        self.frames += 1
        self.faces += len(readings)
        self.empty += not len(readings)
        for track, name in zip(readings.faces.track_id.tolist(), readings.displayed or (), strict=True):
            self.shown.setdefault(str(track), Counter())[name] += 1
        while self._ahead and self._ahead[0] < readings.index:
            self._ahead.popleft()
            self.broken += 1

    def complain(self, error: SourceError) -> None:
        """Take a frame that cannot be decoded, by the thread that reads ahead; name the first ones."""
        if self.broken + len(self._ahead) < COMPLAINTS:
            typer.echo(f"mien: {error}", err=True)
        if isinstance(error, FrameError):
            self._ahead.append(error.index)

    def end(self) -> None:
        """Count the broken frames after the last that could be read."""
        self.broken += len(self._ahead)
        self._ahead.clear()

    def to_dict(self) -> dict[str, Any]:
        """Return what was counted up to the last frame read, as plain values."""
        counts = {name: getattr(self, name) for name in _COUNTS}
        return counts | {"shown": {track: dict(shown) for track, shown in self.shown.items()}}

    def restore(self, values: dict[str, Any]) -> None:
        """Go on from what :meth:`to_dict` returned."""
        for name in _COUNTS:
            setattr(self, name, values[name])
        self.shown = {track: Counter(shown) for track, shown in values["shown"].items()}

    def say(self, name: str) -> None:
        """Print who displayed what for how much of their time, and the counts."""
        people = sorted(self.shown.items(), key=lambda item: -item[1].total())
        rows = [
            (
                track,
                str(shown.total()),
                ", ".join(f"{name} {n / shown.total():.0%}" for name, n in shown.most_common(4)),
            )
            for track, shown in people[:MOST_PEOPLE]
        ]
        if rows:
            show_table(("person", "frames", "displays"), rows, right=("person", "frames"))
        if len(people) > MOST_PEOPLE:
            typer.echo(f"and {len(people) - MOST_PEOPLE} more people, seen for a shorter time")
        typer.echo(
            f"{name}: frames {self.frames}, faces {self.faces}, people {len(people)}, "
            f"frames without a face {self.empty}, not decoded {self.broken}"
        )


class _Speed(ProgressColumn):
    """How many frames are read in a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.0f} frames/s")


@contextmanager
def film_progress(total: int | None) -> Iterator[Callable[[], None]]:
    """Show frames done, frames per second and time left, on standard error; silent where that is no terminal.

    Yields
    ------
    callable
        Call it after each frame.
    """
    complaints = Console(stderr=True)
    counts = TextColumn("{task.completed:.0f}" + ("" if total is None else f" of about {total}"))
    columns = (TextColumn("reading"), BarColumn(), counts, _Speed(), TimeRemainingColumn())
    with Progress(*columns, console=complaints, transient=True, disable=not complaints.is_terminal) as bar:
        task = bar.add_task("reading", total=total)
        yield lambda: bar.advance(task)
