"""The timeline: computed numbers first, then what is drawn of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from film_tables import film, moving
from matplotlib.figure import Figure

from mien.errors import ArgumentError, OutputError
from mien.labels import FERPLUS8
from mien.outputs.palette import as_hex, colour_of
from mien.outputs.summary import summarise
from mien.outputs.timeline import MOST_PEOPLE, ShareChart, clock, timeline


def table(frames):
    return pd.DataFrame([row for readings in frames for row in readings.rows()])


def story():
    """Person 0 is afraid for 4 s, gone for 2 s, happy for 4 s; 10 s without frames; then only person 1."""
    frames = []
    for index in range(100):
        people = [] if 40 <= index < 60 else ["fear"] if index < 40 else ["happiness"]
        frames.append(moving(people, index=index, time_s=index / 10))
    frames += [moving(["anger"], index=i, time_s=10 + i / 10, tracks=[1]) for i in range(100, 150)]
    return frames


def drawn_at(ax, x, y):
    """Return the colours of the areas over a point of the axes."""
    return [
        as_hex(tuple(round(255 * c) for c in area.get_facecolor()[0][:3]))
        for area in ax.collections
        for path in area.get_paths()
        if path.contains_point((x, y))
    ]


def test_numbers_are_means_over_each_step() -> None:
    chart = timeline(table(story()), bins=25)
    assert chart.edges_s == pytest.approx(np.arange(26.0))
    assert [track for track, _ in chart.people] == [0, 1]
    assert [seen_s for _, seen_s in chart.people] == pytest.approx([8, 5])
    at = chart.states.index
    expected = [at("fear")] * 4 + [-1] * 2 + [at("happiness")] * 4 + [-1] * 15
    assert chart.displayed[0].tolist() == expected
    assert chart.displayed[1].tolist() == [-1] * 20 + [at("anger")] * 5
    assert chart.probability[0, :4, at("fear")] == pytest.approx(0.8)
    assert np.isnan(chart.probability[0, [4, 5, *range(10, 25)]]).all()
    assert np.nansum(chart.probability[0], axis=1)[chart.displayed[0] >= 0] == pytest.approx(1, abs=1e-4)
    assert chart.without_face[:10] == pytest.approx([0, 0, 0, 0, 1, 1, 0, 0, 0, 0], abs=1e-6)
    assert np.isnan(chart.without_face[10:20]).all()


def test_a_step_that_is_divided_is_weighed_by_time() -> None:
    frames = [moving(["fear" if i < 14 else "calm"], index=i, time_s=i / 10) for i in range(20)]
    chart = timeline(table(frames), bins=2)
    fear = chart.probability[0, :, chart.states.index("fear")]
    assert fear == pytest.approx([0.8, 0.4 * 0.8 + 0.6 * 0.2 / 7], abs=1e-4)
    assert chart.displayed[0].tolist() == [chart.states.index("fear"), chart.states.index("neutral")]


def test_uneven_frames_leave_no_holes() -> None:
    random = np.random.default_rng(5)
    times = np.cumsum(random.uniform(0.01, 0.07, 500))
    frames = [moving(["fear"], index=i, time_s=float(t)) for i, t in enumerate(times)]
    assert (timeline(table(frames)).displayed >= 0).all()


def test_what_is_drawn_is_where_the_numbers_say() -> None:
    chart = timeline(table(story()))
    assert chart.plot() is chart
    ax = chart.ax_
    first, second = (bottom for bottom in (1.22, 0.0))
    for x, row, emotion in ((2, first, "fear"), (8, first, "happiness"), (22, second, "anger")):
        assert drawn_at(ax, x, row + 0.88) == [as_hex(colour_of(emotion))]
        assert as_hex(colour_of(emotion)) in drawn_at(ax, x, row + 0.37)
    assert drawn_at(ax, 5, first + 0.88) == drawn_at(ax, 2, second + 0.88) == []
    assert drawn_at(ax, 5, -0.16) == ["#8a8f98"]
    assert drawn_at(ax, 2, -0.16) == []
    assert drawn_at(ax, 15, first + 0.5) == drawn_at(ax, 15, -0.16) == ["#e3e5e8"]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["person 0\nseen 0:08", "person 1\nseen 0:05", "no face"]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["no frames", *reversed(FERPLUS8.names)]
    assert ax.get_title(loc="left") == "film.mp4"


def test_it_draws_into_given_axes() -> None:
    ax = Figure().add_subplot()
    assert timeline(table(film(50)), title="mine").plot(ax).ax_ is ax
    assert ax.get_title(loc="left") == "mine"


def test_many_people_are_left_out_but_counted() -> None:
    frames = [
        moving(["fear"] * (1 + i % 12), index=i, time_s=i / 10, tracks=range(1 + i % 12)) for i in range(240)
    ]
    chart = timeline(table(frames))
    assert [track for track, _ in chart.people] == list(range(MOST_PEOPLE))
    assert chart.left_out == 4
    assert "4 more people" in chart.plot().ax_.get_title(loc="left")
    chosen = timeline(table(frames), tracks=[11, 2])
    assert [track for track, _ in chosen.people] == [11, 2]
    assert chosen.left_out == 0


@pytest.mark.parametrize("frames", [[moving([])], [moving(["fear"], time_s=7.0)], story()[40:60]])
def test_the_smallest_films_are_drawn(frames: list[object], tmp_path: Path) -> None:
    chart = timeline(table(frames))
    chart.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    if len(chart.people):
        assert (chart.displayed >= 0).all()


def test_an_hour_is_drawn_in_as_many_steps_as_a_page_has_room_for() -> None:
    count = 108_000
    hour = pd.DataFrame(
        {
            "source": "hour.mp4",
            "frame": np.arange(count),
            "time_s": np.arange(count) * 1001 / 30000,
            "track": 0,
            "success": 1,
            "displayed": np.where(np.arange(count) < count // 2, "fear", "neutral"),
            "model": "m",
            "smooth_fear": np.linspace(1, 0, count),
            "smooth_neutral": np.linspace(0, 1, count),
        }
    )
    chart = timeline(hour)
    assert chart.probability.shape == (1, 1200, 2)
    assert chart.probability[0, :, 0] == pytest.approx(np.linspace(1, 0, 2401)[1::2], abs=1e-3)
    assert chart.displayed[0].tolist() == [0] * 600 + [1] * 600


def test_charts_are_saved_or_refused(tmp_path: Path) -> None:
    chart = timeline(table(film(30)))
    for name in ("a.png", "a.svg", "a.pdf"):
        chart.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(ArgumentError, match=r"\.png, \.svg, \.pdf"):
        chart.save(tmp_path / "a.doc")
    with pytest.raises(OutputError, match="create it first"):
        chart.save(tmp_path / "none" / "a.png")


def test_wrong_parameters() -> None:
    with pytest.raises(ArgumentError, match="bins"):
        timeline(table(film(3)), bins=0)
    with pytest.raises(ArgumentError, match=r"tracks must be among \[0, 1\]; given \[9\]"):
        timeline(table(film(30)), tracks=[0, 9])


def test_shares_are_bars_that_fill_the_row() -> None:
    summary = summarise(table(story()))
    ax = ShareChart.from_summary(summary).plot().ax_
    bars = {
        (name, round(bar.get_y() + bar.get_height() / 2)): (bar.get_x(), bar.get_width())
        for name, container in zip(summary.states, ax.containers, strict=True)
        for bar in container
    }
    assert bars["fear", 0] == pytest.approx((0, 0.5))
    assert bars["happiness", 0] == pytest.approx((0.5, 0.5))
    assert bars["anger", 1] == pytest.approx((0, 1))
    assert sum(width for (_, row), (_, width) in bars.items() if row == 0) == pytest.approx(1)
    assert [text.get_text() for text in ax.texts] == ["100%", "50%", "50%"]


@pytest.mark.parametrize(
    ("time_s", "tenths", "words"),
    [
        (0, False, "0:00"),
        (65, False, "1:05"),
        (59.7, False, "1:00"),
        (3723, False, "1:02:03"),
        (65.25, True, "1:05.2"),
        (59.96, True, "1:00.0"),
        (3600, True, "1:00:00.0"),
        (-0.01, False, "0:00"),
    ],
)
def test_times_are_said_as_a_clock_says_them(time_s: float, tenths: bool, words: str) -> None:
    assert clock(time_s, tenths=tenths) == words
