"""A comparison of groups as one HTML page. It holds no picture of anybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.outputs.palette import as_hex, colour_of, text_colour_on
from mien.outputs.report import Page
from mien.training.fairness_report import (
    LEVEL,
    TOLERANCE,
    ColumnComparison,
    Difference,
    Estimate,
    FairnessReport,
)
from mien.training.groups import SMALLEST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEANING = (
    "What these numbers can say: in how many of these pictures a face is found, in each group, and which "
    "expressions the model reads in the faces found. Every picture is taken to show a face, so a face not "
    "found is an error.",
    "What they cannot say: whether the readings are right. Nobody said here what each face displays, and the "
    "pictures of two groups may well display different expressions: people smile more often in some kinds of "
    "pictures than in others. A difference between groups is a reason to look closer, with labelled pictures "
    "of the groups ('mien evaluate --groups'); that there is none does not show that the model errs equally "
    "often in all of them.",
    "They hold for these pictures, not for people in general. Groups may also differ in light, size or pose, "
    "and who belongs to which group is what the table says, mostly somebody's guess from the picture. A "
    "difference that is not told from chance may be there all the same: the interval says how large.",
)
"""What every report of this kind says first."""

_METHOD = """
Detection rate: share of the pictures in which a face is found; where there are several, the one that fills
most of the picture counts. Its interval is Wilson's. Against the mean: the rate less that of all pictures,
with Newcombe's interval for the group and all the others. Detection score and probabilities are means over
the faces found, with intervals from drawing {units} with replacement. All intervals are of 95 %.

Differences are between groups of {smallest} pictures or more; of fewer, chance alone makes the largest. The
interval of a difference holds for all pairs of groups of the column at once. The p value is from shuffling
{units} over the groups {shuffles:,} times: it is how often any of the {comparisons:,} comparisons (pairs of
groups times measures, over all columns) comes out as unlikely as this one (Westfall and Young 1993). So it
is corrected for how many were looked at.
"""

_INK, _FAINT, _BLUE = "#222222", "#d9d9d9", "#0072b2"
_NAMED_FROM = 0.07
"""A part of a bar smaller than this has no room for its number."""


def write_fairness_page(
    report: FairnessReport, path: str | Path, *, tolerance: float = TOLERANCE, command: str = ""
) -> None:
    """Write a comparison of groups as one HTML page that fetches nothing.

    Parameters
    ----------
    report : FairnessReport
    path : path
    tolerance : float
        How far below the rate of all pictures a group may be before it is named.
    command : str
        What was typed, to be shown at the end.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    page = Page(f"Groups in {report.data}", f"found by {report.detector}, read by {report.model}")
    for paragraph in MEANING:
        page.text(paragraph)
    _overview(page, report, tolerance)
    for column in report.columns:
        _column(page, report, column)
    by_people = any(column.by_people for column in report.columns)
    page.section("How it was measured")
    units = "people, with all their pictures," if by_people else "pictures"
    page.text(
        _METHOD.format(
            units=units, smallest=SMALLEST, shuffles=report.shuffles, comparisons=report.comparisons
        )
    )
    if command:
        page.code(command)
    page.write(path)


def verdicts(report: FairnessReport, tolerance: float = TOLERANCE) -> list[str]:
    """Say in sentences which groups are found less often, and which differences are more than chance.

    Parameters
    ----------
    report : FairnessReport
    tolerance : float
        How far below the rate of all pictures a group may be before it is named.
    """
    said = []
    for column in report.columns:
        said.append(f"{column.column}: {_found_words(column, tolerance)}")
        sure = [one for one in column.differences if one.p < LEVEL]
        if not column.differences:
            said.append(f"{column.column}: nothing compared; fewer than two groups have {SMALLEST} pictures.")
        elif not sure:
            said.append(
                f"{column.column}: no difference between two groups is told from chance (p < {LEVEL:g})."
            )
        else:
            measures = ", ".join(dict.fromkeys(one.measure for one in sure))
            said.append(
                f"{column.column}: {len(sure)} of {len(column.differences)} differences are more than chance "
                f"(p < {LEVEL:g}, corrected), in {measures}."
            )
    return said


def _found_words(column: ColumnComparison, tolerance: float) -> str:
    """Say which groups are found less often than all, in points of 100."""
    known = sorted((g for g in column.groups if g.value), key=lambda group: group.against_mean.value)
    below = [group.value for group in column.below(tolerance) if group.value]
    allowed = f"more than {100 * tolerance:g} points of 100 below that of all pictures"
    if not known:
        return "no group is known."
    gap = known[0].against_mean
    lowest = f"{known[0].value}, {100 * gap.value:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    if below:
        return f"the detection rate of {'; '.join(below)} is {allowed}; the lowest is that of {lowest}."
    return f"no group's detection rate is {allowed}; the lowest is that of {lowest}."


def words(estimate: Estimate, *, sign: bool = False) -> str:
    """Write a number with its interval; a dash where there is none."""
    if estimate.value != estimate.value:
        return "-"
    form = "+.4f" if sign else ".4f"
    low, high = format(estimate.low, form), format(estimate.high, form)
    interval = "" if estimate.low != estimate.low else f" ({low} to {high})"
    return format(estimate.value, form) + interval


def _overview(page: Page, report: FairnessReport, tolerance: float) -> None:
    page.section("At a glance")
    around = report.surround
    rows = [
        ("pictures", f"{report.n:,}"),
        ("faces found", f"{report.found:,}"),
        ("detection rate", words(report.rate)),
        ("detection score", words(report.score)),
        *(
            [("put around every picture", f"{around['share']} of its sides, {around['fill']}")]
            if around
            else []
        ),
    ]
    page.table(("what", "value"), rows)
    page.text("\n\n".join(verdicts(report, tolerance)))


def _column(page: Page, report: FairnessReport, column: ColumnComparison) -> None:
    page.section(f"By {column.column}")
    names = [group.value or "not said" for group in column.groups]
    page.subsection("Faces found")
    page.figure(
        _rates(report, column), alt=f"Detection rate by {column.column}; the numbers are in the table."
    )
    people = column.by_people
    page.table(
        ("group", "N", *(("people",) if people else ()), "found", "rate", "against the mean", "score"),
        [
            (name, g.n, *((g.people,) if people else ()), g.found, words(g.rate),
             words(g.against_mean, sign=True), words(g.score))
            for name, g in zip(names, column.groups, strict=True)
        ],
    )  # fmt: skip
    page.subsection("Expressions read in the faces found")
    page.figure(
        _expressions(report, column),
        alt=f"Mean probabilities by {column.column}; the numbers are in the table.",
    )
    page.table(
        ("group", "faces", *report.emotions),
        [
            (name, g.found, *(words(g.emotions[emotion]) for emotion in report.emotions))
            for name, g in zip(names, column.groups, strict=True)
        ],
        caption="Mean probability of each emotion, with its 95 % interval.",
    )
    page.subsection("Largest differences")
    if column.differences:
        _differences(page, column.largest, "The largest difference in each measure.")
        sure = [one for one in column.differences if one.p < LEVEL and one not in column.largest]
        if sure:
            _differences(page, sure, f"Further differences with p < {LEVEL:g}.")
    else:
        page.text(f"Nothing is compared: fewer than two groups have {SMALLEST} pictures.")


def _differences(page: Page, differences: Sequence[Difference], caption: str) -> None:
    rows = [
        (one.measure, one.higher, one.lower, words(one.difference), f"{one.p:.2g}") for one in differences
    ]
    page.table(("measure", "higher in", "lower in", "difference", "p, corrected"), rows, caption=caption)


def _rates(report: FairnessReport, column: ColumnComparison) -> Figure:
    """Draw the detection rate of each group with its interval, and that of all pictures."""
    figure, ax = _axes(column)
    rows = np.arange(len(column.groups))
    value = np.array([group.rate.value for group in column.groups])
    low, high = (np.array([getattr(g.rate, end) for g in column.groups]) for end in ("low", "high"))
    ax.axvline(report.rate.value, color="#9a9a9a", linewidth=1, linestyle="--", label="all pictures")
    spread = np.stack([value - low, high - value]).clip(0)
    ax.errorbar(value, rows, xerr=spread, fmt="o", color=_BLUE, elinewidth=1.6, clip_on=False)
    ax.set_xlim(max(0.0, np.floor(low.min() * 20 - 0.2) / 20), 1.005)
    ax.set_xlabel("faces found, with 95 % intervals", color=_INK)
    ax.grid(axis="x", color=_FAINT, linewidth=0.6)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, fontsize=8)
    return figure


def _expressions(report: FairnessReport, column: ColumnComparison) -> Figure:
    """Draw a bar for each group, divided by the mean probabilities of the emotions."""
    figure, ax = _axes(column)
    start = np.zeros(len(column.groups))
    for emotion in report.emotions:
        part = np.nan_to_num([group.emotions[emotion].value for group in column.groups])
        colour = colour_of(emotion)
        ax.barh(
            np.arange(len(start)), part, left=start, color=as_hex(colour), label=emotion, edgecolor="white"
        )
        ink = as_hex(text_colour_on(colour))
        for row in np.flatnonzero(part >= _NAMED_FROM):
            middle = start[row] + part[row] / 2
            ax.text(middle, int(row), f"{part[row]:.0%}", ha="center", va="center", color=ink, fontsize=8)
        start += part
    ax.set_xlim(0, 1)
    ax.set_xlabel("mean probability of the displayed expression", color=_INK)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, handlelength=1)
    return figure


def _axes(column: ColumnComparison) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure(figsize=(7.6, 1.3 + 0.34 * len(column.groups)), layout="constrained")
    ax = figure.add_subplot()
    ax.set_yticks(
        range(len(column.groups)),
        [f"{g.value or 'not said'} (N {g.n:,})".replace("$", r"\$") for g in column.groups],
    )
    ax.set_ylim(len(column.groups) - 0.4, -0.6)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(_FAINT)
    ax.tick_params(length=0, colors=_INK, labelsize=9)
    ax.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    return figure, ax
