"""``mien evaluate``: how good models are on labelled faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli import options
from mien.cli.corpora import complain_of, leave_out_unreadable
from mien.cli.show import progress, show_table
from mien.errors import SourceError, bad_argument

if TYPE_CHECKING:
    from mien.faces.detect import Detector
    from mien.labels import LabelScheme
    from mien.models import Model
    from mien.sources.labelled import LabelledImages
    from mien.training.evaluate import Evaluation
    from mien.training.robustness import RobustnessReport
    from mien.training.surround import Surround


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
    expect: options.Expect = None,
    detector: Annotated[str, typer.Option(help="Name or ONNX file.")] = "default",
    detect: Annotated[
        bool, typer.Option("--detect", help="Score the whole chain: a face not found is an error.")
    ] = False,
    framed: Annotated[
        bool, typer.Option("--framed", help="Take every picture as it is, without alignment.")
    ] = False,
    surround: Annotated[
        float | None,
        typer.Option(help="With --detect: put so much around every picture, as a share of its sides (0.5)."),
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option(help="What --surround puts there: plain (its mean border; default), repeat, black."),
    ] = None,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="Read each face twice, as it is and mirrored: twice the work.")
    ] = False,
    recall_over: Annotated[
        str | None, typer.Option(help="Also the mean recall over these emotions, with commas between.")
    ] = None,
    unsure: Annotated[
        list[float] | None,
        typer.Option(min=0, max=1, help="Accuracy where answers below this are none; may be given again."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw calibration and abstention into this .png, .svg or .pdf."),
    ] = None,
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
    Pictures that cannot be read are named and left out; the exit status is then 1.
    Where voters were counted (--ferplus), the probabilities are compared with their votes.
    """
    from mien.cli.scores import print_evaluation, print_matrix, save_charts
    from mien.faces.detect import load_detector
    from mien.labels import parse_scheme
    from mien.outputs.files import check_target, write_file
    from mien.training.abstention import THRESHOLDS
    from mien.training.matrix import evaluate_matrix
    from mien.training.mirrored import mirror

    _refuse(detect, framed, surround, plot, robustness, pairs=len(dataset) * len(model or ["default"]))
    _refuse_alone(
        {
            "--fill": fill is not None and surround is None,
            "--sample": sample is not None and not robustness,
            "--detector": detector != "default" and framed,
        }
    )
    if json_file is not None:
        check_target(json_file)
    extra: dict[str, Any] = {
        "surround": _surround(surround, fill),
        "recall_over": _names(recall_over),
        "thresholds": sorted(set(unsure)) if unsure else THRESHOLDS,
    }
    corpora = _open(dataset, ferplus, labels)
    scheme = parse_scheme(emotions) if emotions is not None else None
    scorers = [
        [_load(name, corpus, labels, expect, threads) for corpus in corpora] for name in model or ["default"]
    ]
    if mirrored:
        scorers = [[mirror(one) for one in row] for row in scorers]
    finder = None if framed else load_detector(detector, threads=threads)
    missed = "error" if detect else "framed"
    splits = [_split_of(corpus, split, one=len(corpora) == 1) for corpus in corpora]
    columns = [_columns(corpus, groups or [], corpora) for corpus in corpora]
    failures: list[SourceError] = []
    corpora = [leave_out_unreadable(corpus, failures) for corpus in corpora]
    if len(corpora) == len(scorers) == 1:
        result = _one(scorers[0][0], corpora[0], splits[0], finder, missed, scheme, columns[0], cache, extra)
        print_evaluation(result)
        if plot is not None:
            save_charts(result, plot)
        written = result.to_dict()
    else:
        with progress("scoring", len(corpora) * len(scorers)) as show:
            matrix = evaluate_matrix(
                scorers, corpora, splits=splits, detector=finder, missed=missed, scheme=scheme,
                groups=columns, cache=cache, progress=lambda done, _: show(done), **extra,
            )  # fmt: skip
        print_matrix(matrix)
        written = matrix.to_dict()
    if robustness:
        tried = [
            _disturbed(one, corpus, part, finder, missed, scheme, sample, cache)
            for row in scorers
            for one, corpus, part in zip(row, corpora, splits, strict=True)
        ]
        written["robustness"] = [report.to_dict() for report in tried]
    written["unreadable"] = len(failures)
    if json_file is not None:
        write_file(json_file, (json.dumps(written, indent=2) + "\n").encode())
    complain_of(failures)


def _refuse(
    detect: bool, framed: bool, surround: float | None, plot: Path | None, robustness: bool, *, pairs: int
) -> None:
    """Complain of options that do not go together, and of a chart that cannot be written, before any work."""
    from mien.outputs.plots import check_chart

    if detect and framed:
        raise typer.BadParameter("--detect and --framed exclude each other.")
    if surround is not None and not detect:
        raise typer.BadParameter("--surround is for the whole chain, from detection on: give --detect too.")
    if surround is not None and robustness:
        raise typer.BadParameter("--surround and --robustness exclude each other.")
    if plot is not None and pairs > 1:
        raise typer.BadParameter("--plot draws one model on one data set.")
    if plot is not None:
        check_chart(plot)


def _refuse_alone(typed: dict[str, bool]) -> None:
    """Complain of options that would change nothing as they were typed."""
    needs = {
        "--fill": "is for --surround.",
        "--sample": "is for --robustness.",
        "--detector": "is not asked where --framed takes every picture as it is.",
    }
    for name, idle in typed.items():
        if idle:
            raise typer.BadParameter(needs[name], param_hint=name)


def _surround(share: float | None, fill: str | None) -> Surround | None:
    from mien.training.surround import Surround

    return None if share is None else Surround(share, fill or "plain")


def _names(text: str | None) -> tuple[str, ...]:
    """Read the emotions of --recall-over; a word that is none is complained of before any work."""
    from mien.labels import canonical_name

    names = [name for name in (text or "").split(",") if name.strip()]
    if text is not None and not names:
        raise bad_argument("--recall-over", allowed="emotions with commas between", given=text)
    return tuple(canonical_name(name) for name in names)


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


def _load(
    name: str, corpus: LabelledImages, labels: str | None, expect: str | None, threads: int | None
) -> Model:
    """Load a model with the label set to ask it for.

    The one that was typed, where the model has it. Else a head is asked about the data it learned from, and
    the first, as in use, about all other.
    """
    from mien.catalog import find_model
    from mien.models import load_model

    card, _ = find_model(name, "expression")
    typed = labels in {head.labels for head in card.heads}
    asked = labels if typed else card.head_for(corpus.labels.key, corpus.name).labels
    return load_model(name, labels=asked, expect=expect, threads=threads)


def _split_of(corpus: LabelledImages, split: str | None, *, one: bool) -> str | None:
    """Return the part of a corpus to score: of several corpora, one without any splits is scored whole."""
    from mien.training.evaluate import rows_of

    if one:
        rows_of(corpus, split)
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
    extra: dict[str, Any],
) -> Evaluation:
    from mien.training.evaluate import evaluate_model

    with progress("scoring", len(corpus)) as show:
        return evaluate_model(
            model, corpus, split=split, detector=detector, missed=missed, scheme=scheme, groups=columns,
            cache=cache, progress=lambda done, _: show(done), **extra,
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
