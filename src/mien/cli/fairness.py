"""``mien fairness``: are faces found and read alike in all groups of people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import options
from mien.cli.show import progress, show_table, typed_command

if TYPE_CHECKING:
    from mien.training.fairness_report import ColumnComparison, Estimate, FairnessReport


def fairness(
    table: Annotated[
        str,
        typer.Argument(
            help="A csv or Parquet table with a column path and columns of groups; a folder with "
            "labels.json; or a data set that has groups."
        ),
    ],
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column of groups, or two together ('age*gender'); may be given again."),
    ] = None,
    model: Annotated[str, typer.Option(help="Name or file.")] = "default",
    expect: options.Expect = None,
    detector: Annotated[str, typer.Option(help="Name or ONNX file.")] = "default",
    tolerance: Annotated[
        float,
        typer.Option(min=0, max=100, help="Name groups found so many points (of 100) less often than all."),
    ] = 2.0,
    surround: Annotated[
        float | None,
        typer.Option(
            help="Put so much around every picture, as a share of its sides; for faces cut closely."
        ),
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option(
            help="What --surround puts there: plain (its mean border colour; the default), repeat or black."
        ),
    ] = None,
    shuffles: Annotated[
        int, typer.Option(min=99, max=100_000, help="How often groups are shuffled for the p values.")
    ] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is drawn and shuffled.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write a page with charts (.html).")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file.")] = None,
) -> None:
    """Compare groups of people on pictures that need no labels of expressions.

    For each group: how often a face is found, how sure the detector is, and which expressions are read; and
    which groups differ by more than chance, corrected for the number of comparisons. It cannot say whether
    the readings are right.
    """
    from mien.faces.detect import load_detector
    from mien.models import load_model
    from mien.outputs.files import check_target, write_file
    from mien.sources.grouped import read_grouped
    from mien.training.fairness import measure_fairness
    from mien.training.fairness_page import write_fairness_page
    from mien.training.surround import Surround

    if fill is not None and surround is None:
        raise typer.BadParameter("is what --surround puts around; give that too.", param_hint="--fill")
    for target in (out, json_file):
        if target is not None:
            check_target(target)
    around = None if surround is None else Surround(surround, fill or "plain")
    pictures = read_grouped(table, by or ())
    finder = load_detector(detector, threads=threads)
    reader = load_model(model, expect=expect, threads=threads)
    with progress("looking", len(pictures)) as show:
        report = measure_fairness(
            pictures, finder, reader, surround=around, shuffles=shuffles, seed=seed,
            progress=lambda done, _: show(done),
        )  # fmt: skip
    _print(report, tolerance / 100)
    if out is not None:
        write_fairness_page(report, out, tolerance=tolerance / 100, command=typed_command())
    if json_file is not None:
        write_file(json_file, (json.dumps(report.to_dict(), indent=1) + "\n").encode())
    for target in filter(None, (out, json_file)):
        typer.echo(f"Written to {target}")


def _print(report: FairnessReport, tolerance: float) -> None:
    from mien.training.fairness_page import MEANING, verdicts, words

    typer.echo(
        f"{report.data}: {report.n} pictures, faces found in {report.found} by {report.detector}, "
        f"read by {report.model}"
    )
    if report.surround is not None:
        share, filled = float(report.surround["share"]), report.surround["fill"]
        typer.echo(f"Surrounded: {share:.0%} of its sides on every side of every picture, fill {filled!r}.")
    typer.echo(f"detection rate {words(report.rate)}, detection score {words(report.score)}")
    for column in report.columns:
        _print_column(report, column)
    typer.echo("")
    for sentence in verdicts(report, tolerance):
        typer.echo(sentence)
    typer.echo(
        f"p is from {report.shuffles} shuffles, corrected for {report.comparisons} comparisons. "
        "All intervals are of 95 %."
    )
    for paragraph in MEANING:
        typer.echo(f"\n{paragraph}")


def _print_column(report: FairnessReport, column: ColumnComparison) -> None:
    from mien.training.fairness_page import words

    names = [group.value or "not said" for group in column.groups]
    typer.echo("")
    show_table(
        (column.column, "N", "people", "found", "detection rate", "less that of all", "detection score"),
        [
            (name, str(g.n), str(g.people or "-"), str(g.found), words(g.rate),
             words(g.against_mean, sign=True), words(g.score))
            for name, g in zip(names, column.groups, strict=True)
        ],
    )  # fmt: skip
    typer.echo("")
    show_table(
        (f"{column.column}, mean probabilities", *report.emotions),
        [
            (name, *(_about(g.emotions[emotion]) for emotion in report.emotions))
            for name, g in zip(names, column.groups, strict=True)
        ],
    )
    if column.differences:
        typer.echo("")
        show_table(
            (f"{column.column}, largest differences", "higher in", "lower in", "difference", "p, corrected"),
            [
                (one.measure, one.higher, one.lower, words(one.difference), f"{one.p:.2g}")
                for one in column.largest
            ],
        )


def _about(estimate: Estimate) -> str:
    """Write a number with the longer side of its interval: eight intervals do not fit into a line."""
    if estimate.value != estimate.value:
        return "-"
    reach = max(estimate.high - estimate.value, estimate.value - estimate.low)
    return f"{estimate.value:.3f} ±{reach:.3f}"
