"""The report of a film as one HTML page: timeline, shares of time, changes and peaks of each person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.outputs.report import Page
from mien.outputs.summary import PEAK_APART_S, PEAK_FROM, Peak, Person, Summary, film_of, summarise
from mien.outputs.timeline import ShareChart, clock, timeline

if TYPE_CHECKING:
    import pandas as pd

    from mien.outputs.readback import FilmTable

CAVEAT = (
    "What is reported is the expression that a face displays, as a model reads it from the picture. It is "
    "not what the person feels, thinks or intends, and nothing should be decided about a person by it. "
    "Models err more often in poor light, on turned or covered faces, and more for some groups of people "
    "than for others. A probability says how sure the model is, not how strong an expression is."
)
"""What every report says first."""

MOST_CHANGES = 4
"""People whose changes have a table of their own; those seen longest."""

MOST_LISTED = 60
"""People in the table of shares, and peaks in that of peaks; the rest is in the numbers as JSON."""

_AT_ONCE_S = 2.0
"""A person seen shorter than this is a passer-by, or a face that was none."""


def write_film_report(table: str | Path | pd.DataFrame | FilmTable, path: str | Path) -> Summary:
    """Write the report of a film's table.

    Parameters
    ----------
    table : path, DataFrame or FilmTable
        As for :func:`mien.outputs.summary.summarise`.
    path : path
        The page; one file that fetches nothing.

    Returns
    -------
    Summary
        The numbers in it.

    Raises
    ------
    SourceError
        If it is no table of a film.
    OutputError
        If the page cannot be written.
    """
    film = film_of(table)
    summary = summarise(film)
    name = Path(summary.source).name
    page = Page(f"Displayed expressions in {name}", f"read by {summary.model}")
    page.text(CAVEAT)
    _overview(page, summary)
    page.section("Timeline")
    page.text(
        "A row for each person. The areas are the probabilities of the emotions, smoothed over time; the "
        "band above them is the emotion that counts as displayed. White: the person was not seen."
    )
    chart = timeline(film, summary=summary, title="").plot()
    page.figure(chart.ax_.figure, alt=_said_of(summary), caption=_left_out(chart.left_out))
    if summary.people:
        _shares(page, summary)
        _changes(page, summary)
        _peaks(page, summary)
    page.write(path)
    return summary


def _overview(page: Page, summary: Summary) -> None:
    long = [person for person in summary.people if person.seen_s >= _AT_ONCE_S]
    gaps = sum(end - start for start, end in summary.gaps_s)
    without = summary.without_face_s / summary.covered_s if summary.covered_s else 0.0
    rate = f", usually {1 / summary.step_s:.4g} each second" if summary.step_s else ""
    rows = [
        ("length", f"{clock(summary.end_s - summary.start_s)} (from {clock(summary.start_s)})"),
        ("frames read", f"{summary.frames:,}{rate}"),
        ("people", f"{len(summary.people)}, of whom {len(long)} were seen for {_AT_ONCE_S:g} s or longer"),
        ("without a face", f"{clock(summary.without_face_s)} ({without:.1%})"),
        ("gaps without frames", f"{len(summary.gaps_s)}, together {clock(gaps)}"),
    ]
    page.section("At a glance")
    page.table(("what", "value"), rows)
    page.text(
        "A person is a face that was followed from frame to frame. Someone who leaves and comes back may get "
        "a new number: the number is not an identity."
    )


def _shares(page: Page, summary: Summary) -> None:
    page.section("Share of time")
    bars = ShareChart.from_summary(summary).plot()
    page.figure(bars.ax_.figure, alt="Share of each emotion for each person; the numbers are in the table.")
    shown = summary.people[:MOST_LISTED]
    rows = [(f"person {p.track}", clock(p.seen_s), *(_percent(share) for share in p.share)) for p in shown]
    nothing = np.full((len(shown), 2), np.nan)
    page.table(
        ("person", "seen for", *summary.states),
        rows,
        caption="Part of the time in which a person was seen that each emotion was displayed.",
        shade=np.hstack([nothing, np.stack([p.share for p in shown])]),
    )
    if len(summary.people) > len(shown):
        page.text(f"{len(summary.people) - len(shown)} more people were seen shorter.")


def _changes(page: Page, summary: Summary) -> None:
    page.section("Changes")
    page.text(
        "How often one displayed emotion was followed by another. Changes over a gap, in which the person "
        "was not seen, do not count."
    )
    together = sum((p.changes for p in summary.people), np.zeros_like(summary.people[0].changes))
    if not together.any():
        page.text("No displayed emotion changed.")
        return
    several = len(summary.people) > 1
    if several:
        _matrix(page, summary, together, "Everyone together")
    for person in summary.people[:MOST_CHANGES]:
        if person.changes.any():
            per_minute = person.changes.sum() / max(person.seen_s, 1e-9) * 60
            words = f"Person {person.track} ({per_minute:.1f} changes a minute)"
            _matrix(page, summary, person.changes, words)


def _matrix(page: Page, summary: Summary, changes: NDArray[np.int64], caption: str) -> None:
    used = np.flatnonzero(changes.any(axis=0) | changes.any(axis=1))
    some = changes[np.ix_(used, used)]
    names = [summary.states[i] for i in used]
    total = np.maximum(some.sum(axis=1, keepdims=True), 1)
    shade = np.where(some > 0, some / total, np.nan)
    cells = [
        (name, *(None if i == j else f"{some[i, j]:,}" if some[i, j] else "" for j in range(len(used))))
        for i, name in enumerate(names)
    ]
    heat = np.hstack([np.full((len(used), 1), np.nan), shade])
    page.table(("from / to", *names), cells, caption=caption, shade=heat)


def _peaks(page: Page, summary: Summary) -> None:
    page.section("Peaks")
    peaks = [peak for person in summary.people for peak in person.peaks]
    page.text(
        f"The highest moments of each emotion but neutral, at least {PEAK_APART_S:g} s apart, where its "
        f"probability reached {PEAK_FROM:.0%} and was the highest. Look at the film there before "
        "you believe it."
    )
    if not peaks:
        page.text("There are none.")
        return
    highest = sorted(peaks, key=lambda peak: -peak.probability)[:MOST_LISTED]
    chosen = sorted(highest, key=lambda peak: (peak.time_s, peak.track))
    page.table(("time", "person", "emotion", "probability"), [_row(peak) for peak in chosen])
    if len(peaks) > len(chosen):
        page.text(f"The {len(chosen)} highest of {len(peaks)}.")


def _row(peak: Peak) -> tuple[str, str, str, str]:
    at = clock(peak.time_s, tenths=True)
    return at, f"person {peak.track}", peak.emotion, _percent(peak.probability)


def _percent(share: float) -> str:
    return f"{share:.1%}" if share else "0 %"


def _left_out(count: int) -> str:
    return f"{count} more people, seen shorter, are not drawn." if count else ""


def _said_of(summary: Summary) -> str:
    """Describe the timeline to those who do not see it."""
    if not summary.people:
        return "Timeline: no face was found."
    first = [_mostly(person, summary.states) for person in summary.people[:3]]
    return f"Timeline of {len(summary.people)} people. " + " ".join(first)


def _mostly(person: Person, states: tuple[str, ...]) -> str:
    best = int(person.share.argmax())
    where = f"from {clock(person.first_s)} to {clock(person.last_s)}"
    return f"Person {person.track}, {where}, mostly {states[best]} ({person.share[best]:.0%})."
