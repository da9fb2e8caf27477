"""``mien evaluate``: how good models are on labelled faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.show import progress, show_table
from mien.errors import bad_argument

if TYPE_CHECKING:
    from mien.faces.detect import Detector
    from mien.labels import LabelScheme
    from mien.models import Model
    from mien.sources.labelled import LabelledImages
    from mien.training.evaluate import Evaluation, Report
    from mien.training.groups import GroupResult
    from mien.training.matrix import Matrix, Place
    from mien.training.robustness import RobustnessReport


def evaluate(
    dataset: Annotated[
        list[str],
        typer.Argument(help="Labelled faces: a folder per emotion, the FER2013 csv, or FORMAT:PATH."),
    ],
    ferplus: Annotated[
        Path | None, typer.Option(help="The FER+ votes file beside the csv (fer2013new.csv).")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Training, PublicTest or PrivateTest, or another; by default all.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="ekman7 (FER2013's own) or ferplus8 (with --ferplus).")
    ] = None,
    emotions: Annotated[
        str | None, typer.Option(help="Only these, or mergers: 'anger,fear,calm', 'happy vs rest'.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Name or file; may be given again.")] = None,
    detector: Annotated[str, typer.Option(help="Name or ONNX file.")] = "default",
    detect: Annotated[
        bool, typer.Option("--detect", help="Score the whole chain: a face not found is an error.")
    ] = False,
    framed: Annotated[
        bool, typer.Option("--framed", help="Take every picture as it is, without alignment.")
    ] = False,
    groups: Annotated[
        list[str] | None,
        typer.Option(help="Column to tell results apart by ('gender'; 'agreement' of votes), or 'all'."),
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Score again darker, turned, blurred, half covered ...")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, help="With --robustness: at most so many pictures.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder in which cut faces are kept for the next run.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file.")] = None,
) -> None:
    """Score models on labelled, ready-cropped faces.

    Faces are aligned as in any photograph; where no face is found the picture is taken as it is, unless
    --detect counts that as an error. All numbers are given again without the pictures that also stand in
    Training. Several data sets or models give a table of each on each, on the emotions that both know.
    """
    from mien.faces.detect import load_detector
    from mien.labels import parse_scheme
    from mien.outputs.files import check_target, write_file
    from mien.training.matrix import evaluate_matrix

    if detect and framed:
        raise typer.BadParameter("--detect and --framed exclude each other.")
    if json_file is not None:
        check_target(json_file)
    corpora = _open(dataset, ferplus, labels)
    scheme = parse_scheme(emotions) if emotions is not None else None
    scorers = [[_load(name, corpus, threads) for corpus in corpora] for name in model or ["default"]]
    finder = None if framed else load_detector(detector, threads=threads)
    missed = "error" if detect else "framed"
    splits = [_split_of(corpus, split, one=len(corpora) == 1) for corpus in corpora]
    columns = [_columns(corpus, groups or [], corpora) for corpus in corpora]
    if len(corpora) == len(scorers) == 1:
        result = _one(scorers[0][0], corpora[0], splits[0], finder, missed, scheme, columns[0], cache)
        _print(result)
        written = result.to_dict()
    else:
        with progress("scoring", len(corpora) * len(scorers)) as show:
            matrix = evaluate_matrix(
                scorers, corpora, splits=splits, detector=finder, missed=missed, scheme=scheme,
                groups=columns, cache=cache, progress=lambda done, _: show(done),
            )  # fmt: skip
        _print_matrix(matrix)
        written = matrix.to_dict()
    if robustness:
        tried = [
            _disturbed(one, corpus, part, finder, missed, scheme, sample, cache)
            for row in scorers
            for one, corpus, part in zip(row, corpora, splits, strict=True)
        ]
        written["robustness"] = [report.to_dict() for report in tried]
    if json_file is not None:
        write_file(json_file, (json.dumps(written, indent=2) + "\n").encode())


def _open(specs: list[str], ferplus: Path | None, labels: str | None) -> list[LabelledImages]:
    """Read the corpora; the votes file belongs to the csv among several."""
    from mien.sources.datasets import open_dataset

    with_votes = [ferplus if len(specs) == 1 or spec.lower().endswith(".csv") else None for spec in specs]
    if ferplus is not None and not any(with_votes):
        raise bad_argument("ferplus", allowed="given only beside a FER2013 csv", given=str(ferplus))
    return [
        open_dataset(spec, ferplus=votes, labels=labels)
        for spec, votes in zip(specs, with_votes, strict=True)
    ]


def _load(name: str, corpus: LabelledImages, threads: int | None) -> Model:
    """Load a model with the label set to ask it for: the corpus's own where it has it, else its first."""
    from mien.catalog import find_model
    from mien.models import load_model

    card, _ = find_model(name, "expression")
    key = corpus.labels.key
    return load_model(
        name, labels=key if key in {head.labels for head in card.heads} else None, threads=threads
    )


def _split_of(corpus: LabelledImages, split: str | None, *, one: bool) -> str | None:
    """Return the part of a corpus to score: of several corpora, one without any splits is scored whole."""
    return split if one or (corpus.split != "").any() else None


def _columns(corpus: LabelledImages, wanted: list[str], corpora: list[LabelledImages]) -> list[str]:
    """Return which of the wanted group columns a corpus has; one that none has is complained of."""
    from mien.training.groups import group_column, group_columns

    has = list(group_columns(corpus))
    if "all" in wanted:
        return has
    for name in wanted:
        if not any(name in group_columns(other) for other in corpora):
            group_column(corpus, name)
    return [name for name in has if name in wanted]


def _one(
    model: Model,
    corpus: LabelledImages,
    split: str | None,
    detector: Detector | None,
    missed: str,
    scheme: LabelScheme | None,
    columns: list[str],
    cache: Path | None,
) -> Evaluation:
    from mien.training.evaluate import evaluate_model

    with progress("scoring", len(corpus)) as show:
        return evaluate_model(
            model, corpus, split=split, detector=detector, missed=missed, scheme=scheme, groups=columns,
            cache=cache, progress=lambda done, _: show(done),
        )  # fmt: skip


def _disturbed(
    model: Model,
    corpus: LabelledImages,
    split: str | None,
    detector: Detector | None,
    missed: str,
    scheme: LabelScheme | None,
    sample: int | None,
    cache: Path | None,
) -> RobustnessReport:
    from mien.training.robustness import CONDITIONS, ROBUSTNESS_COLUMNS, evaluate_robustness

    known = corpus if scheme is None else corpus.relabel(scheme)
    with progress("disturbing", min(sample or len(known), len(known)) * (len(CONDITIONS) + 2)) as show:
        report = evaluate_robustness(
            model, known, split=split, detector=detector, missed=missed, scheme=scheme, sample=sample,
            cache=cache, progress=lambda done, _: show(done),
        )  # fmt: skip
    typer.echo(f"\n{report.model} on the same {report.n} pictures of {report.data}, disturbed")
    show_table(ROBUSTNESS_COLUMNS, report.rows(), right=ROBUSTNESS_COLUMNS[1:])
    return report


def _print(result: Evaluation) -> None:
    left_out = f"{result.left_out} pictures without a label left out"
    typer.echo(f"{result.model} on {result.data} ({result.rule}; {left_out})")
    columns = {"all": result.all} | ({"without those in Training": result.clean} if result.clean else {})
    lines = [
        ("N", *(str(r.n) for r in columns.values())),
        ("accuracy", *(f"{r.accuracy:.4f} ({r.low:.4f} to {r.high:.4f})" for r in columns.values())),
        ("macro-F1", *(f"{r.macro_f1:.4f}" for r in columns.values())),
        (
            "calibration error",
            *(f"{r.ece:.4f} ({r.ece_low:.4f} to {r.ece_high:.4f})" for r in columns.values()),
        ),
        ("faces missed", *(str(r.missed) for r in columns.values())),
        *(_recall_line(emotion, list(columns.values())) for emotion in result.all.recall),
    ]
    show_table(("", *columns), lines)
    for group in result.groups:
        _print_groups(group)


def _recall_line(emotion: str, reports: list[Report]) -> tuple[str, ...]:
    values = (f"{r.recall[emotion]:.4f}" if emotion in r.recall else "-" for r in reports)
    return (f"recall, {emotion}", *values)


def _print_groups(result: GroupResult) -> None:
    from mien.training.groups import SMALLEST

    lines = [
        (g.value or "not said", str(g.n), str(g.subjects or "-"), f"{g.accuracy:.4f}",
         f"{g.low:.4f} to {g.high:.4f}", f"{g.macro_f1:.4f}")
        for g in result.groups
    ]  # fmt: skip
    typer.echo("")
    show_table((result.column, "N", "people", "accuracy", "95 % interval", "macro-F1"), lines)
    drawn = "people" if result.by_subject else "pictures"
    if result.best:
        typer.echo(
            f"gap, best ({result.best}) minus worst ({result.worst}): {result.gap:.4f} "
            f"({result.gap_low:.4f} to {result.gap_high:.4f}, by drawing {drawn})"
        )
    else:
        typer.echo(f"no gap: fewer than two groups have {SMALLEST} pictures")


def _print_matrix(matrix: Matrix) -> None:
    for title, written in (("accuracy", _accuracy), ("macro-F1", _macro_f1)):
        lines = [
            (model, *(written(place) for place in row))
            for model, row in zip(matrix.models, matrix.places, strict=True)
        ]
        show_table((title, *matrix.data), lines)
        typer.echo("")
    for model, row in zip(matrix.models, matrix.places, strict=True):
        for data, place in zip(matrix.data, row, strict=True):
            typer.echo(f"{model} on {data}: {place.reason or 'scored in ' + ', '.join(place.emotions)}")
            for group in place.evaluation.groups if place.evaluation else ():
                _print_groups(group)


def _accuracy(place: Place) -> str:
    if place.evaluation is None:
        return "-"
    r = place.evaluation.clean or place.evaluation.all
    return f"{r.accuracy:.4f} ({r.low:.4f} to {r.high:.4f}), N {r.n}{_raw(place.evaluation)}"


def _macro_f1(place: Place) -> str:
    if place.evaluation is None:
        return "-"
    r = place.evaluation.clean or place.evaluation.all
    return f"{r.macro_f1:.4f} ({r.macro_f1_low:.4f} to {r.macro_f1_high:.4f})"


def _raw(evaluation: Evaluation) -> str:
    """Say that pictures were left out of the number, and what it is with them."""
    if evaluation.clean is None or evaluation.clean.n == evaluation.all.n:
        return ""
    return f"; {evaluation.all.accuracy:.4f} of {evaluation.all.n} with those in Training"
