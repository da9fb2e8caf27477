"""The command line: arguments in, one call, words out.

Results go to standard output, progress and complaints to standard error. Exit codes: 0 done, 1 something
could not be read, written or used, 2 the command was typed wrongly, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mien._version import __version__
from mien.cli.analyze import analyze
from mien.cli.audit import audit
from mien.cli.augment import augment_preview
from mien.cli.combine import combine
from mien.cli.compare import compare
from mien.cli.confirm import train_confirm
from mien.cli.demo import demo
from mien.cli.detector import evaluate_detector, train_detector
from mien.cli.evaluate import evaluate
from mien.cli.fairness import fairness
from mien.cli.landmarks import train_landmarks
from mien.cli.live import live
from mien.cli.models import models
from mien.cli.report import report
from mien.cli.serve import serve
from mien.cli.train import train
from mien.errors import MienError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "Read displayed facial expressions from pictures. Everything runs on this machine: nothing is sent, "
        "and no picture is kept unless you ask. What is reported is what a face shows, "
        "not what a person feels."
    ),
)
for command in (
    analyze, demo, models, evaluate, train, combine, compare, audit, fairness, live, serve, report,
):  # fmt: skip
    app.command()(command)
app.command("train-detector")(train_detector)
app.command("evaluate-detector")(evaluate_detector)
app.command("train-landmarks")(train_landmarks)
app.command("train-confirm")(train_confirm)
app.command("augment-preview")(augment_preview)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command that was typed; complain in one sentence, never with a traceback."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # what it would say of broken pictures, mien says better
    try:
        app()
    except MienError as error:
        typer.echo(f"mien: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output went away: no complaint
        _drop_output()
        sys.exit(1)
    except OSError as error:  # a full disk under our output; what mien opens itself complains of its own
        typer.echo(f"mien: {error.filename or 'standard output'}: {error.strerror or error}.", err=True)
        _drop_output()
        sys.exit(1)


def _drop_output() -> None:
    """Let what is still to be printed go nowhere, or Python complains of it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
