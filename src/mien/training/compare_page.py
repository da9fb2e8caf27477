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
from mien.training.trials import Comparison, Summary, Trial, classes_of

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
    words = map(_counted, counts, ("architecture", "data set", "seed"))
    page = Page("Comparison of architectures", ", ".join(words))
    summaries = comparison.summaries()
    schemes = list(dict.fromkeys(s.scheme for s in summaries))
    if summaries:
        _results(page, summaries, schemes)
        if len(comparison.data) > 1:
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


def _results(page: Page, summaries: list[Summary], schemes: list[str]) -> None:
    page.section("Results on each data set's own test pictures")
    page.text(_READING)
    for scheme, data, chosen in _own(summaries, schemes):
        ranked = sorted(chosen, key=lambda s: -s.accuracy)
        several = max(len(s.seeds) for s in ranked) > 1
        rows = [
            (s.arch, _interval(s.accuracy, s.low, s.high),
             *([f"{s.least:.3f}\u00a0to\u00a0{s.most:.3f}"] if several else []),
             _interval(s.macro_f1, s.macro_f1_low, s.macro_f1_high),
             _interval(s.ece, s.ece_low, s.ece_high), _interval(s.raw_accuracy, s.raw_low, s.raw_high))
            for s in ranked
        ]  # fmt: skip
        seeds = ["accuracy of the seeds"] if several else []
        leaks = f"accuracy with leaks (N\u00a0{ranked[0].raw_n:,})"
        best, share = _most_frequent(ranked[0])
        page.table(
            ("architecture", "accuracy", *seeds, "macro-F1", "calibration error", leaks),
            rows,
            caption=f"{data} ({classes_of(scheme)}): N {ranked[0].n:,}, "
            f"{_counted(len(ranked[0].seeds), 'seed')}. "
            f"Always answering {best} would be right on {share:.3f}.",
        )


def _matrices(page: Page, summaries: list[Summary], schemes: list[str]) -> None:
    page.section("Across data sets")
    page.text(
        "Each line is a model by what it learned from, each column what it was tested on. Both must know an "
        "emotion for it to be scored; pictures of others are left out, so that N may be smaller than above. "
        "Only the test pictures that stand in what a model itself learned from are leaks, so that N may also "
        "differ in a column."
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
                caption=f"{title} ({classes_of(scheme) if scheme else 'the emotions both know'})",
                shade=heat,
            )
        if not scheme:
            page.text(_emotions_scored(chosen))


def _emotions_scored(chosen: list[Summary]) -> str:
    places: dict[tuple[str, ...], dict[str, None]] = {}
    for s in chosen:
        places.setdefault(s.labels, {})[f"{s.trained_on} on {s.data}"] = None
    if len(places) == 1:
        return f"Scored everywhere: {', '.join(next(iter(places)))}."
    said = [f"Scored from {'; '.join(pairs)}: {', '.join(labels)}." for labels, pairs in places.items()]
    return "\n\n".join(said)


def _costs(page: Page, comparison: Comparison, summaries: list[Summary], schemes: list[str]) -> None:
    page.section("What accuracy costs")
    page.text(
        f"Milliseconds are per answer on one processor thread, in this run: a single face, and {MANY} at a "
        "time. A model of sequences looks at all its frames for one answer. Weights and size include the "
        "network that a classic model is built on."
    )
    for scheme, data, chosen in _own(summaries, schemes):
        rows: list[tuple[Cell, ...]] = []
        for s in chosen:
            trials = _of(comparison.trials, s)
            weights, size = (_median(trials, name) / 1e6 for name in ("parameters", "size_bytes"))
            one, many = (_ms(_median(trials, name)) for name in ("one_ms", "batch_ms"))
            rows.append((s.arch, f"{s.accuracy:.3f}", one, many, f"{weights:.2f}", f"{size:.2f}"))
        page.table(
            ("architecture", "accuracy", "ms, one", f"ms, of {MANY}", "weights (M)", "size (MB)"),
            rows,
            caption=f"Learned from {data} ({classes_of(scheme)}), N {chosen[0].n:,}; medians of the seeds",
        )
        page.figure(
            _scatter(chosen, comparison.trials),
            alt=f"Accuracy on {data} against time and size: {', '.join(s.arch for s in chosen)}",
            caption=f"{data} ({classes_of(scheme)}), N {chosen[0].n:,}. Bars: 95 % interval. Time and size "
            "are on logarithmic scales.",
        )


def _mistakes(page: Page, summaries: list[Summary]) -> None:
    page.section("Recall of each emotion")
    own = _own(summaries, list(dict.fromkeys(s.scheme for s in summaries)))
    for scheme, data, chosen in own:
        names = [name for name in chosen[0].labels if name in chosen[0].recall]
        counts = [chosen[0].recall[name][3] for name in names]
        rows = [(s.arch, *(_narrow(*s.recall[name][:3]) for name in names)) for s in chosen]
        heat = np.array([[np.nan, *(s.recall[name][0] for name in names)] for s in chosen])
        headings = [f"{name} (N\u00a0{n:,})" for name, n in zip(names, counts, strict=True)]
        page.table(("architecture", *headings), rows, caption=f"{data} ({classes_of(scheme)})", shade=heat)
    page.section("What is taken for what")
    for scheme, data, chosen in own:
        for start in range(0, len(chosen), 2):
            pair = chosen[start : start + 2]
            page.figure(
                _confusions(pair),
                alt=f"Confusion matrices on {data}: {' and '.join(s.arch for s in pair)}",
                caption=f"{data} ({classes_of(scheme)}), N {pair[0].n:,}"
                + (
                    f"; the same pictures under {len(pair[0].seeds)} seeds, added up"
                    * (len(pair[0].seeds) > 1)
                ),
            )


def _training(page: Page, trials: Sequence[Trial]) -> None:
    page.section("Training")
    groups: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.arch, trial.data, trial.scheme), []).append(trial)
    rows: list[tuple[Cell, ...]] = []
    for (arch, data, scheme), some in groups.items():
        seconds = [t.seconds for t in some]
        spread = f" ({min(seconds):,.0f} to {max(seconds):,.0f})" if len(some) > 1 else ""
        more = " or more" if any(t.resumed for t in some) else ""
        bases = ", ".join(dict.fromkeys(t.base for t in some if t.base))
        rows.append(
            (arch, data, classes_of(scheme), ", ".join(str(t.seed) for t in some), some[0].images,
             some[0].epochs or None, f"{np.mean(seconds):,.0f}{spread}{more}", bases or None)
        )  # fmt: skip
    page.table(
        ("architecture", "learned from", "emotions", "seeds", "pictures", "epochs", "seconds", "built on"),
        rows,
        caption="Wall-clock seconds, finding the faces included where they were not kept already: mean of "
        "the seeds (least to most); \u201cor more\u201d where an earlier run had done a part. What a model "
        "is built on is not in its time. Of the pictures a part is set aside inside, to calibrate.",
    )
    names = dict.fromkeys(t.arch for t in trials)
    page.table(("architecture", "what it is"), [(arch, get_architecture(arch).summary) for arch in names])


def _data(page: Page, comparison: Comparison) -> None:
    page.section("Data")
    for scheme in dict.fromkeys(t.scheme for t in comparison.trials if t.scheme):
        page.text(f"Classes: {scheme.replace(',', '; ').replace('=', ' = ').replace('+', ' + ')}.")
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
    here = {t.cell for t in comparison.trials}
    elsewhere = sorted(
        {
            t.arch
            for t in comparison.trials
            if get_architecture(t.arch).backbone or (t.base and t.base not in here)
        }
    )
    if elsewhere:
        found.append(
            f"{', '.join(elsewhere)}: what the weights they start from, or the network they are built on, "
            "saw before is not compared with the test pictures."
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


def _counted(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}"


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _narrow(value: float, low: float, high: float) -> str:
    """Write a share with its interval so that many fit beside each other: ".61 (.57\N{EN DASH}.64)"."""
    mean, *ends = (f"{number:.2f}".removeprefix("0") for number in (value, low, high))
    return f"{mean} ({ends[0]}\N{EN DASH}{ends[1]})"


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

    figure = Figure(figsize=(10, 4.4), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    left, right = figure.subplots(1, 2, sharey=True)
    _points(left, chosen, [_median(_of(trials, s), "one_ms") for s in chosen], "ms per answer, one thread")
    _points(right, chosen, [_median(_of(trials, s), "size_bytes") / 1e6 for s in chosen], "size (MB)")
    left.set_ylabel("accuracy", color=_INK)
    families = dict.fromkeys(get_architecture(s.arch).family for s in chosen)
    for family in families:
        right.scatter([], [], color=_COLOURS[family], label=family)
    figure.legend(loc="outside upper right", ncols=len(families), frameon=False, fontsize=9)
    return figure


def _points(ax: Axes, chosen: list[Summary], x: Sequence[float], title: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    ax.set_xscale("log")
    known = sorted(((at, s) for at, s in zip(x, chosen, strict=True) if at > 0), key=lambda pair: pair[0])
    for i, (at, s) in enumerate(known):
        colour = _COLOURS[get_architecture(s.arch).family]
        bars = [[s.accuracy - s.low], [s.high - s.accuracy]]
        ax.errorbar(at, s.accuracy, bars, fmt="o", color=colour, elinewidth=1)
        left = _crowded(known, i)
        ax.annotate(
            s.arch, (at, s.accuracy), (-5 if left else 5, 4), textcoords="offset points", fontsize=8,
            color=_INK, ha="right" if left else "left",
        )  # fmt: skip
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
    ax.grid(color=_FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    if known:
        ax.set_xlim(known[0][0] / 1.8, known[-1][0] * 3)  # names stand to the right of their points
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.set_xlabel(title, color=_INK)


def _crowded(known: list[tuple[float, Summary]], i: int) -> bool:
    """Tell whether another point stands where the name to the right of this one would."""
    at, s = known[i]
    height = max(s.accuracy for _, s in known) - min(s.accuracy for _, s in known)
    return any(
        at <= other_at < 3 * at and abs(other.accuracy - s.accuracy) <= 0.12 * height
        for j, (other_at, other) in enumerate(known)
        if j > i
    )


def _confusions(pair: list[Summary]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    side = max(3.2, 1.8 + 0.48 * len(pair[0].labels))
    size = len(pair) * (side + 0.3), side
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    for ax, s in zip(np.ravel(figure.subplots(1, len(pair), squeeze=False)), pair, strict=True):
        ConfusionPlot.from_counts(s.confusion, s.labels, title=s.arch).plot(ax)
    return figure
