"""How evaluations look in a terminal, and as a chart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.show import show_table

if TYPE_CHECKING:
    from mien.training.abstention import Abstention, Answered
    from mien.training.groups import GroupResult
    from mien.training.matrix import Matrix, Place
    from mien.training.reports import Evaluation, MeanRecall, Report
    from mien.training.votes import VoteAgreement

Line = tuple[str, ...]


def print_evaluation(result: Evaluation) -> None:
    """Print what one model reached on one data set."""
    left_out = f"{result.left_out} pictures without a label left out"
    typer.echo(f"{result.model} on {result.data} ({result.rule}; {left_out})")
    for sentence in _notes(result):
        typer.echo(sentence)
    columns = {"all": result.all} | ({"without those in Training": result.clean} if result.clean else {})
    reports = list(columns.values())
    lines = [
        ("N", *(str(r.n) for r in reports)),
        ("accuracy", *(_interval(r.accuracy, r.low, r.high) for r in reports)),
        ("macro-F1", *(f"{r.macro_f1:.4f}" for r in reports)),
        ("calibration error", *(_interval(r.ece, r.ece_low, r.ece_high) for r in reports)),
        ("faces missed", *(str(r.missed) for r in reports)),
        *_found_lines(reports),
        *(_recall_line(emotion, reports) for emotion in result.all.recall),
        *_mean_recall_lines(reports),
    ]
    show_table(("", *columns), lines)
    _print_abstention(columns)
    _print_votes(columns)
    for group in result.groups:
        print_groups(group)


def print_groups(result: GroupResult) -> None:
    """Print what a model reached on each group, and the gap between them."""
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


def print_matrix(matrix: Matrix) -> None:
    """Print what each model reached on each data set."""
    written: dict[str, Callable[[Place], str]] = {"accuracy": _accuracy, "macro-F1": _macro_f1}
    wanted = (place.evaluation.all.mean_recall for row in matrix.places for place in row if place.evaluation)
    if any(recall is not None for recall in wanted):
        written["mean recall"] = _mean_recall
    for title, write in written.items():
        lines = [
            (model, *(write(place) for place in row))
            for model, row in zip(matrix.models, matrix.places, strict=True)
        ]
        show_table((title, *matrix.data), lines)
        typer.echo("")
    for model, row in zip(matrix.models, matrix.places, strict=True):
        for data, place in zip(matrix.data, row, strict=True):
            typer.echo(f"{model} on {data}: {place.reason or 'scored in ' + ', '.join(place.emotions)}")
            for sentence in _notes(place.evaluation) if place.evaluation else ():
                typer.echo(f"  {sentence}")
            for group in place.evaluation.groups if place.evaluation else ():
                print_groups(group)


def save_charts(result: Evaluation, path: Path) -> None:
    """Draw how calibrated a model is, and what abstaining gains, side by side."""
    from mien.outputs.plots import ReliabilityPlot
    from mien.outputs.trust import AbstentionPlot, save_beside

    report = result.clean or result.all
    table, curve = report.reliability, report.abstention
    if curve is None:
        return
    calibrated = ReliabilityPlot.from_bins(
        table.confidence,
        table.accuracy,
        table.count,
        ece=report.ece,
        title="Can its probabilities be believed?",
    )
    marks = [(one.share, one.accuracy, f"{one.accuracy:.1%}") for one in curve.at_share]
    abstaining = AbstentionPlot.from_curve(
        curve.share,
        curve.accuracy,
        area=curve.area,
        n=curve.n,
        marks=marks,
        title="What does abstaining gain?",
    )
    save_beside([calibrated, abstaining], path, title=report.name)


def _notes(result: Evaluation) -> list[str]:
    """Say what was done to the pictures and to the answers."""
    said = []
    if result.mirrored:
        said.append(
            "Test-time mirroring: the mean of what is read from each face and from its mirror image, which "
            "is twice the work."
        )
    if result.surround is not None:
        share, fill = float(result.surround["share"]), result.surround["fill"]
        said.append(f"Surrounded: {share:.0%} of its sides on every side of every picture, fill {fill!r}.")
    return said


def _found_lines(reports: list[Report]) -> list[Line]:
    """Say how right the answers are where a face was found, if there is a difference."""
    if not any(report.missed for report in reports):
        return []
    return [("accuracy of faces found", *(_interval(*report.of_found) for report in reports))]


def _recall_line(emotion: str, reports: list[Report]) -> Line:
    values = (f"{r.recall[emotion]:.4f}" if emotion in r.recall else "-" for r in reports)
    return (f"recall, {emotion}", *values)


def _mean_recall_lines(reports: list[Report]) -> list[Line]:
    wanted = [report.mean_recall for report in reports if report.mean_recall is not None]
    if not wanted:
        return []
    names = ", ".join((*wanted[0].emotions, *wanted[0].absent))
    return [(f"mean recall over {names}", *(_said_of(recall) for recall in wanted))]


def _said_of(recall: MeanRecall) -> str:
    without = f" (no picture of {', '.join(recall.absent)})" if recall.absent else ""
    return f"{_interval(recall.value, recall.low, recall.high)}, N {recall.n}{without}"


def _print_abstention(columns: dict[str, Report]) -> None:
    curves = {name: report.abstention for name, report in columns.items() if report.abstention is not None}
    if not curves:
        return
    from mien.training.abstention import SHARES

    first = next(iter(curves.values()))
    lines: list[Line] = [
        (f"the surest {100 * share:g} %", *(_of_share(curve.at_share[i]) for curve in curves.values()))
        for i, share in enumerate(SHARES)
    ]
    lines += [
        (f"--unsure {one.confidence:g}", *(_of_threshold(curve.at_threshold[i]) for curve in curves.values()))
        for i, one in enumerate(first.at_threshold)
    ]
    lines.append(("area of errors", *(_area(curve) for curve in curves.values())))
    typer.echo("")
    show_table(("accuracy where the least sure are not answered", *curves), lines)


def _of_share(one: Answered) -> str:
    return f"{_interval(one.accuracy, one.low, one.high)}, from {one.confidence:.2f} up"


def _of_threshold(one: Answered) -> str:
    return f"{_interval(one.accuracy, one.low, one.high)}, {one.share:.1%} answered"


def _area(curve: Abstention) -> str:
    return f"{_interval(curve.area, curve.area_low, curve.area_high)}; at best {curve.area_best:.4f}"


def _print_votes(columns: dict[str, Report]) -> None:
    """Print the model beside the voters: on what was scored, and with what they have no majority on."""
    titles = {
        "beside the votes, where they decide": {name: report.votes for name, report in columns.items()},
        "beside all votes, also undecided": {name: report.all_votes for name, report in columns.items()},
    }
    for title, compared in titles.items():
        known = {name: votes for name, votes in compared.items() if votes is not None}
        if known:
            typer.echo("")
            show_table((title, *known), _vote_lines(list(known.values())))


def _vote_lines(compared: list[VoteAgreement]) -> list[Line]:
    return [
        ("N", *(str(v.n) for v in compared)),
        ("divergence D(votes || model), nats", *(_interval(v.kl, v.kl_low, v.kl_high) for v in compared)),
        ("  of the mean of all votes instead", *(f"{v.kl_constant:.4f}" for v in compared)),
        ("entropy of votes, of model, nats", *(_entropies(v) for v in compared)),
        ("  their correlation (Pearson)", *(_pearson(v) for v in compared)),
        ("  their correlation (Spearman)", *(_spearman(v) for v in compared)),
        *_left_out(compared),
    ]


def _left_out(compared: list[VoteAgreement]) -> list[Line]:
    """Say what was left out or raised, where anything was."""
    counts = {
        "left out: no vote": [v.without_votes for v in compared],
        "left out: no face found": [v.unanswered for v in compared],
        "an emotion with votes given nothing": [v.floored for v in compared],
    }
    return [(name, *map(str, row)) for name, row in counts.items() if any(row)]


def _entropies(votes: VoteAgreement) -> str:
    return f"{votes.entropy_votes:.4f}, {votes.entropy_model:.4f}"


def _pearson(votes: VoteAgreement) -> str:
    return _interval(votes.pearson, votes.pearson_low, votes.pearson_high)


def _spearman(votes: VoteAgreement) -> str:
    return _interval(votes.spearman, votes.spearman_low, votes.spearman_high)


def _interval(value: float, low: float, high: float) -> str:
    return "-" if value != value else f"{value:.4f} ({low:.4f} to {high:.4f})"


def _accuracy(place: Place) -> str:
    if place.evaluation is None:
        return "-"
    r = place.evaluation.clean or place.evaluation.all
    return f"{_interval(r.accuracy, r.low, r.high)}, N {r.n}{_raw(place.evaluation)}"


def _macro_f1(place: Place) -> str:
    if place.evaluation is None:
        return "-"
    r = place.evaluation.clean or place.evaluation.all
    return _interval(r.macro_f1, r.macro_f1_low, r.macro_f1_high)


def _mean_recall(place: Place) -> str:
    report = place.evaluation and (place.evaluation.clean or place.evaluation.all)
    return _said_of(report.mean_recall) if report and report.mean_recall else "-"


def _raw(evaluation: Evaluation) -> str:
    """Say that pictures were left out of the number, and what it is with them."""
    if evaluation.clean is None or evaluation.clean.n == evaluation.all.n:
        return ""
    return f"; {evaluation.all.accuracy:.4f} of {evaluation.all.n} with those in Training"
