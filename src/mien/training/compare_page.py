"""A comparison as one page: who is best where, what it costs, and what was not measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mien.outputs.palette import as_hex, colour_of
from mien.outputs.plots import ConfusionPlot
from mien.outputs.report import Cell, Page
from mien.training.architectures import get_architecture
from mien.training.timing import MANY
from mien.training.trials import OWN, Comparison, Summary, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {family: as_hex(colour_of(emotion)) for family, emotion in
            {"classic": "anger", "still": "sadness", "sequence": "disgust"}.items()}  # fmt: skip
_INK, _FAINT = "#222222", "#d9d9d9"

_READING = """Accuracy is the share of test pictures on which a model gives the label that people gave to
the displayed expression. An interval in brackets is a 95 % interval: Wilson's for accuracy and recall,
drawing test pictures again (bootstrap) for macro-F1 and calibration error. It says how far the number would
move with other pictures of the same kind, not with data of another origin. The seeds of a model see the same
test pictures, so their mean has the interval of one; how much the seeds differ stands beside it. Where
intervals overlap, the order is not certain.

Test pictures that are byte-identical to a training picture are left out of every number, unless it says "with
leaks"."""

_NOT_MEASURED = (
    "Near-identical pictures (another crop or encoding of a training picture) are not looked for; "
    "mien audit finds them.",
    "Each architecture was trained with its one recipe. None was tuned for these data, and another recipe "
    "may change the order.",
    "How long finding and cutting a face takes is not in the times; accelerators were not measured.",
    "Groups of people (age, gender, skin), light, pose and distance are not told apart here; "
    "mien evaluate --groups and --robustness do that for one model.",
    "Who picks the best of many by these test pictures will find it a little worse on new ones.",
)


def compare_page(comparison: Comparison) -> Page:
    """Lay out what :func:`mien.training.compare.compare` found."""
    done = comparison.trials
    counts = [len({getattr(t, name) for t in done}) for name in ("arch", "data", "seed")]
    words = zip(counts, ("architecture", "data set", "seed"), strict=True)
    page = Page("Comparison of architectures", ", ".join(f"{n} {w}{'s' * (n != 1)}" for n, w in words))
    summaries = comparison.summaries()
    schemes = list(dict.fromkeys(s.scheme for s in summaries))
    if summaries:
        _results(page, comparison, summaries, schemes)
        _matrices(page, summaries, schemes)
        _costs(page, comparison, summaries, schemes)
        _mistakes(page, summaries)
        _training(page, done)
    _data(page, comparison)
    _absent(page, comparison)
    page.section("How it was made")
    page.text("\n\n".join(comparison.conditions))
    if comparison.command:
        page.code(comparison.command)
    return page


def _results(page: Page, comparison: Comparison, summaries: list[Summary], schemes: list[str]) -> None:
    page.section("Results on each data set's own test pictures")
    page.text(_READING)
    for scheme, data, chosen in _own(summaries, schemes):
        ranked = sorted(chosen, key=lambda s: -s.accuracy)
        rows: list[tuple[Cell, ...]] = []
        for s in ranked:
            trials = _of(comparison.trials, s)
            one, many = (_median(trials, name) for name in ("one_ms", "batch_ms"))
            rows.append(
                (s.arch, _interval(s.accuracy, s.low, s.high), _range(s.least, s.most, len(s.seeds)),
                 _interval(s.macro_f1, s.macro_f1_low, s.macro_f1_high),
                 _interval(s.ece, s.ece_low, s.ece_high), _interval(s.raw_accuracy, s.raw_low, s.raw_high),
                 f"{_median(trials, 'parameters') / 1e6:.2f}",
                 f"{_median(trials, 'size_bytes') / 1e6:.2f}", _ms(one), _ms(many))
            )  # fmt: skip
        best, share = _most_frequent(ranked[0])
        page.table(
            ("architecture", "accuracy", "seeds, least to most", "macro-F1", "calibration error",
             f"accuracy with leaks (N {ranked[0].raw_n:,})",
             "weights (M)", "size (MB)", "ms, one", f"ms, of {MANY}"),
            rows,
            caption=f"{data}, {scheme or OWN}: N {ranked[0].n:,}. "
            f"Always answering {best} would be right on {share:.3f}.",
        )  # fmt: skip
    page.text(
        f"Milliseconds are per answer on one processor thread, in this run: a single face, and {MANY} at a "
        "time. A model of sequences looks at all its frames for one answer. Weights and size include the "
        "network that a classic model is built on."
    )


def _matrices(page: Page, summaries: list[Summary], schemes: list[str]) -> None:
    page.section("Across data sets")
    page.text(
        "Each line is a model by what it learned from, each column what it was tested on. Both must know an "
        "emotion for it to be scored; pictures of others are left out, so that N may be smaller than above."
    )
    for scheme in schemes:
        chosen = [s for s in summaries if s.scheme == scheme]
        columns = list(dict.fromkeys(s.data for s in chosen))
        lines = list(dict.fromkeys((s.arch, s.trained_on) for s in chosen))
        place = {(s.arch, s.trained_on, s.data): s for s in chosen}
        for title, value in (("accuracy", "accuracy"), ("macro-F1", "macro_f1")):
            rows: list[tuple[Cell, ...]] = []
            heat = np.full((len(lines), 2 + len(columns)), np.nan)
            for r, (arch, trained_on) in enumerate(lines):
                found = [place.get((arch, trained_on, data)) for data in columns]
                rows.append((arch, trained_on, *(_matrix_cell(s, value) for s in found)))
                heat[r, 2:] = [np.nan if s is None else getattr(s, value) for s in found]
            page.table(
                ("architecture", "learned from", *columns),
                rows,
                caption=f"{title.capitalize()}, {scheme or 'the emotions both know'}",
                shade=heat,
            )
        if not scheme:
            page.text(_emotions_scored(chosen))


def _emotions_scored(chosen: list[Summary]) -> str:
    said = dict.fromkeys((s.trained_on, s.data, s.labels) for s in chosen)
    return "Scored were, " + "; ".join(
        f"from {trained_on} on {data}: {', '.join(labels)}" for trained_on, data, labels in said
    ) + "."  # fmt: skip


def _costs(page: Page, comparison: Comparison, summaries: list[Summary], schemes: list[str]) -> None:
    page.section("What accuracy costs")
    for scheme, data, chosen in _own(summaries, schemes):
        figure = _scatter(chosen, comparison.trials)
        page.figure(
            figure,
            alt=f"Accuracy on {data} against time and size: {', '.join(s.arch for s in chosen)}",
            caption=f"{data}, {scheme or OWN}, N {chosen[0].n:,}. Bars: 95 % interval. Time and size are on "
            "logarithmic scales.",
        )


def _mistakes(page: Page, summaries: list[Summary]) -> None:
    page.section("Recall of each emotion")
    own = _own(summaries, list(dict.fromkeys(s.scheme for s in summaries)))
    for scheme, data, chosen in own:
        names = [name for name in chosen[0].labels if name in chosen[0].recall]
        counts = [chosen[0].recall[name][3] for name in names]
        rows = [(s.arch, *(_interval(*s.recall[name][:3], digits=2) for name in names)) for s in chosen]
        heat = np.array([[np.nan, *(s.recall[name][0] for name in names)] for s in chosen])
        headings = [f"{name} (N {n:,})" for name, n in zip(names, counts, strict=True)]
        page.table(("architecture", *headings), rows, caption=f"{data}, {scheme or OWN}", shade=heat)
    page.section("What is taken for what")
    for scheme, data, chosen in own:
        for start in range(0, len(chosen), 2):
            pair = chosen[start : start + 2]
            page.figure(
                _confusions(pair),
                alt=f"Confusion matrices on {data}: {' and '.join(s.arch for s in pair)}",
                caption=f"{data}, {scheme or OWN}: test pictures of {len(pair[0].seeds)} seed(s) together.",
            )


def _training(page: Page, trials: Sequence[Trial]) -> None:
    page.section("Training")
    groups: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.arch, trial.data, trial.scheme), []).append(trial)
    rows: list[tuple[Cell, ...]] = []
    for (arch, data, scheme), some in groups.items():
        seconds = [t.seconds for t in some]
        time = f"{np.mean(seconds):,.0f}" + (
            f" ({min(seconds):,.0f} to {max(seconds):,.0f})" if len(some) > 1 else ""
        )
        more = "more: went on from an earlier run" if any(t.resumed for t in some) else ""
        bases = ", ".join(dict.fromkeys(t.base for t in some if t.base))
        rows.append(
            (arch, data, scheme or OWN, ", ".join(str(t.seed) for t in some), some[0].images,
             some[0].epochs or None, time, bases or None, more or None)
        )  # fmt: skip
    page.table(
        (
            "architecture",
            "learned from",
            "emotions",
            "seeds",
            "pictures",
            "epochs",
            "seconds",
            "built on",
            "note",
        ),
        rows,
        caption="Wall-clock seconds, finding the faces included where they were not kept already: mean of "
        "the seeds (least to most). Of the pictures a part is set aside inside, to calibrate.",
    )
    summaries = dict.fromkeys(t.arch for t in trials)
    page.table(("architecture", "what it is"), [(arch, get_architecture(arch).summary) for arch in summaries])


def _data(page: Page, comparison: Comparison) -> None:
    page.section("Data")
    page.table(
        ("data set", "pictures", "to learn from", "to test on", "of these also in training", "division",
         "emotions", "labels", "terms"),
        [
            (d.name, d.images, d.train, d.test, d.leaked, d.division, ", ".join(d.labels), d.rule,
             d.terms or None)
            for d in comparison.data
        ],
    )  # fmt: skip


def _absent(page: Page, comparison: Comparison) -> None:
    page.section("Left out, failed, not measured")
    unscored = [
        (f"{t.arch}, learned from {t.data}, seed {t.seed}", f"on {tested.data}: {tested.reason}")
        for t in comparison.trials
        for tested in t.tested
        if tested.reason
    ]
    failed = [
        (f"{f.arch} on {f.data}{f' ({f.scheme})' if f.scheme else ''}, seed {f.seed}", f.error)
        for f in comparison.failures
    ]
    for title, rows in (("Failed", failed), ("Could not be scored", unscored)):
        if rows:
            page.table((title.lower(), "why"), rows)
    found = [*comparison.left_out, *_NOT_MEASURED]
    if len({t.seed for t in comparison.trials}) == 1:
        found.append("There was one seed: how much chance in training moves the numbers is not known.")
    elsewhere = sorted({t.arch for t in comparison.trials if get_architecture(t.arch).backbone or t.base})
    if elsewhere:
        found.append(
            f"{', '.join(elsewhere)}: what the weights or the network they are built on saw before is not "
            "compared with the test pictures, unless that network was trained here."
        )
    page.text("\n\n".join(found))


def _own(summaries: Iterable[Summary], schemes: Sequence[str]) -> list[tuple[str, str, list[Summary]]]:
    """Group the results on the test pictures of the data set that was learned from."""
    own = [s for s in summaries if s.trained_on == s.data]
    names = list(dict.fromkeys(s.data for s in own))
    groups = [
        (scheme, data, [s for s in own if (s.scheme, s.data) == (scheme, data)])
        for scheme in schemes
        for data in names
    ]
    return [group for group in groups if group[2]]


def _of(trials: Iterable[Trial], s: Summary) -> list[Trial]:
    return [t for t in trials if (t.arch, t.data, t.scheme) == (s.arch, s.trained_on, s.scheme)]


def _median(trials: Sequence[Trial], name: str) -> float:
    values = [float(getattr(t, name)) for t in trials]
    known = [value for value in values if value == value]
    return float(np.median(known)) if known else float("nan")


def _most_frequent(s: Summary) -> tuple[str, float]:
    count = s.confusion.sum(axis=1)
    return s.labels[int(count.argmax())], float(count.max() / count.sum())


def _interval(value: float, low: float, high: float, digits: int = 3) -> str:
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _range(least: float, most: float, seeds: int) -> str | None:
    return None if seeds < 2 else f"{least:.3f} to {most:.3f}"


def _matrix_cell(s: Summary | None, value: str) -> str | None:
    if s is None:
        return None
    low, high = (s.low, s.high) if value == "accuracy" else (s.macro_f1_low, s.macro_f1_high)
    return f"{_interval(getattr(s, value), low, high)}, N {s.n:,}"


def _ms(value: float) -> str | None:
    return None if value != value else f"{value:.3g}"


def _scatter(chosen: list[Summary], trials: Sequence[Trial]) -> Figure:
    """Draw accuracy against milliseconds and against megabytes, side by side."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(10, 4.2), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    left, right = figure.subplots(1, 2, sharey=True)
    _points(left, chosen, [_median(_of(trials, s), "one_ms") for s in chosen], "ms per answer, one thread")
    _points(right, chosen, [_median(_of(trials, s), "size_bytes") / 1e6 for s in chosen], "size (MB)")
    left.set_ylabel("accuracy", color=_INK)
    families = dict.fromkeys(get_architecture(s.arch).family for s in chosen)
    for family in families:
        right.scatter([], [], color=_COLOURS[family], label=family)
    right.legend(loc="lower right", frameon=False, fontsize=8)
    return figure


def _points(ax: Axes, chosen: list[Summary], x: Sequence[float], title: str) -> None:
    from matplotlib.ticker import PercentFormatter

    ax.set_xscale("log")
    for s, at in zip(chosen, x, strict=True):
        if at == at and at > 0:
            colour = _COLOURS[get_architecture(s.arch).family]
            bars = [[s.accuracy - s.low], [s.high - s.accuracy]]
            ax.errorbar(at, s.accuracy, bars, fmt="o", color=colour, elinewidth=1)
            ax.annotate(s.arch, (at, s.accuracy), (5, 4), textcoords="offset points", fontsize=8, color=_INK)
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    ax.grid(color=_FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    known = [at for at in x if at > 0]
    if known:
        ax.set_xlim(min(known) / 1.8, max(known) * 3)  # names stand to the right of their points
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.set_xlabel(title, color=_INK)


def _confusions(pair: list[Summary]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    side = 1.8 + 0.48 * len(pair[0].labels)
    figure = Figure(figsize=(2 * side + 0.6, side), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    for ax, s in zip(np.ravel(figure.subplots(1, 2)), [*pair, *[None] * (2 - len(pair))], strict=True):
        if s is None:
            ax.set_visible(False)
        else:
            ConfusionPlot.from_counts(s.confusion, s.labels, title=f"{s.arch}, N {s.n:,}").plot(ax)
    return figure
