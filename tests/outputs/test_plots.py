from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from mien.errors import ArgumentError, OutputError
from mien.labels import EKMAN7
from mien.outputs.plots import ConfusionPlot, ProbabilityChart, ReliabilityPlot
from mien.sources.images import read_image
from mien.testing import make_readings

CHARTS = {
    "no face": ProbabilityChart.from_readings(make_readings([])),
    "one face": ProbabilityChart.from_readings(make_readings(["anger"])),
    "many faces": ProbabilityChart.from_readings(make_readings(["anger", "fear"] * 15)),
    "odd title": ProbabilityChart.from_readings(make_readings(["fear"], source="/a/$x_$ 顔 😀.jpg")),
    "confusion": ConfusionPlot.from_counts(np.eye(7, dtype=int) * 5, EKMAN7.names, title="on a set"),
    "empty confusion": ConfusionPlot.from_counts(np.zeros((7, 7), int), EKMAN7.names),
    "reliability": ReliabilityPlot.from_bins([0.3, 0.9], [0.25, 0.8], [4, 6], ece=0.08),
    "empty reliability": ReliabilityPlot.from_bins([0.0, 0.0], [0.0, 0.0], [0, 0], ece=0.0),
}


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_saved_whole(name: str, tmp_path: Path) -> None:
    path = tmp_path / "chart.png"
    CHARTS[name].save(path)
    image = read_image(path)
    assert (image[0] == 255).all()
    assert (image != 255).any()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", CHARTS)
def test_charts_draw_into_given_axes_and_return_themselves(name: str) -> None:
    ax = Figure().add_subplot()
    chart = CHARTS[name].plot(ax)
    assert chart is CHARTS[name]
    assert chart.ax_ is ax
    assert ax.has_data() or ax.texts
    assert chart.plot().ax_ is not ax


def test_one_face_has_a_bar_for_each_emotion_the_best_on_top() -> None:
    readings = make_readings(["surprise"], EKMAN7, confidence=0.7)
    ax = ProbabilityChart.from_readings(readings).plot().ax_
    bars = [patch for patch in ax.patches if patch.get_facecolor()[:3] != (242 / 255,) * 3]
    lengths = [bar.get_width() for bar in bars]
    assert lengths == pytest.approx([0.05] * 6 + [0.7])
    assert ax.get_yticklabels()[-1].get_text() == "surprise"
    assert ax.texts[-1].get_text() == "70%"


def test_several_faces_have_their_numbers_and_add_up_to_one() -> None:
    ax = ProbabilityChart.from_readings(make_readings(["anger", "fear", "calm"])).plot().ax_
    assert [label.get_text() for label in ax.get_yticklabels()] == ["#0 anger", "#1 fear", "#2 neutral"]
    ends = [max(bar.get_x() + bar.get_width() for bar in container) for container in ax.containers]
    assert ends[-1] == pytest.approx(1)
    assert len(ax.get_legend().get_texts()) == 8


def test_the_confusion_shows_parts_and_counts() -> None:
    ax = ConfusionPlot.from_counts([[3, 1], [0, 0]], ("anger", "fear")).plot().ax_
    assert [text.get_text() for text in ax.texts] == ["75%\n3", "25%\n1", "0%\n0", "0%\n0"]
    assert ax.get_yticklabels()[0].get_text() == "anger (4)"
    assert ax.get_xlabel() == "read as"


def test_empty_bins_are_not_drawn() -> None:
    ax = ReliabilityPlot.from_bins([0.1, 0.0, 0.9], [0.2, 0.0, 0.8], [5, 0, 5], ece=0.1).plot().ax_
    assert ax.lines[1].get_xdata().tolist() == [0.1, 0.9]
    assert ax.lines[1].get_ydata().tolist() == [0.2, 0.8]
    assert "10.0%" in ax.texts[0].get_text()
    assert "10 answers" in ax.texts[0].get_text()


@pytest.mark.parametrize("counts", [np.ones((2, 3)), np.ones(4), -np.ones((2, 2))])
def test_counts_that_are_no_confusion_are_refused(counts: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match="counts"):
        ConfusionPlot.from_counts(counts, ("anger", "fear"))


def test_bins_of_different_lengths_are_refused() -> None:
    with pytest.raises(ArgumentError, match="equally long"):
        ReliabilityPlot.from_bins([0.1], [0.2, 0.3], [5], ece=0.1)


def test_charts_that_cannot_be_saved_say_why(tmp_path: Path) -> None:
    chart = CHARTS["one face"]
    with pytest.raises(ArgumentError, match=r"\.svg"):
        chart.save(tmp_path / "chart.gif")
    with pytest.raises(OutputError, match="create it first"):
        chart.save(tmp_path / "missing" / "chart.png")
    chart.save(tmp_path / "chart.svg")
    assert "<svg" in (tmp_path / "chart.svg").read_text()


def test_pyplot_is_not_touched() -> None:
    code = (
        "import io, sys; from mien.outputs.plots import ProbabilityChart;"
        "from mien.testing import make_readings;"
        "assert 'matplotlib' not in sys.modules;"
        "ProbabilityChart.from_readings(make_readings(['fear'])).plot().ax_.figure.savefig(io.BytesIO());"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
