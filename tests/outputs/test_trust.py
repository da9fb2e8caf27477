from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from mien.errors import ArgumentError, OutputError
from mien.outputs.plots import ReliabilityPlot
from mien.outputs.trust import AbstentionPlot, save_beside
from mien.sources.images import read_image

CALIBRATED = ReliabilityPlot.from_bins([0.3, 0.9], [0.25, 0.8], [4, 6], ece=0.08)
CURVE = AbstentionPlot.from_curve(
    np.linspace(0.01, 1, 100), np.linspace(1, 0.8, 100), area=0.123, n=4321, marks=[(0.5, 0.9, "90.0%")]
)
ONE = AbstentionPlot.from_curve([1.0], [0.0], area=1.0, n=1, title="one $ picture")


@pytest.mark.parametrize("chart", [CURVE, ONE])
def test_a_curve_is_drawn_into_given_axes_and_saved(chart: AbstentionPlot, tmp_path: Path) -> None:
    ax = Figure().add_subplot()
    assert chart.plot(ax) is chart
    assert chart.ax_ is ax
    assert chart.plot().ax_ is not ax
    chart.save(tmp_path / "curve.png")
    assert (read_image(tmp_path / "curve.png") != 255).any()


def test_the_curve_says_its_numbers() -> None:
    ax = CURVE.plot().ax_
    assert ax.lines[0].get_ydata().tolist() == CURVE.accuracy.tolist()
    assert ax.lines[1].get_ydata() == [0.8, 0.8], "the accuracy if all are answered"
    words = " ".join(text.get_text() for text in ax.texts)
    assert "90.0%" in words
    assert "12.3%" in words
    assert "4,321 pictures" in words


def test_no_label_of_the_scale_says_another_number_than_it_stands_at() -> None:
    ax = AbstentionPlot.from_curve([0.5, 1.0], [0.99, 0.885], area=0.1, n=9).plot().ax_
    shown = [tick for tick in ax.get_yticks() if ax.get_ylim()[0] <= tick <= ax.get_ylim()[1]]
    assert len(shown) > 2
    np.testing.assert_allclose(np.array(shown) * 100, np.round(np.array(shown) * 100))


def test_the_few_surest_do_not_set_the_scale() -> None:
    share = np.linspace(0.01, 1, 100)
    accuracy = np.where(share < 0.03, 0.0, 0.95)
    assert AbstentionPlot.from_curve(share, accuracy, area=0.1, n=100).plot().ax_.get_ylim()[0] > 0.8


def test_charts_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "both.png"
    save_beside([CALIBRATED, CURVE], path, title="a model on $ome data")
    image = read_image(path)
    assert image.shape[1] > 1.7 * image.shape[0]
    assert CALIBRATED.ax_.figure is CURVE.ax_.figure
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("charts", "name", "message"),
    [
        ([], "a.png", "charts must be one chart or more"),
        ([CURVE], "a.doc", "path must be a name that ends in"),
    ],
)
def test_wrong_arguments(charts: list[AbstentionPlot], name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=message):
        save_beside(charts, tmp_path / name)


def test_nowhere_to_write(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        save_beside([CURVE], tmp_path / "no" / "folder" / "a.png")


@pytest.mark.parametrize(("share", "accuracy"), [([], []), ([0.5, 1.0], [1.0])])
def test_wrong_curves(share: list[float], accuracy: list[float]) -> None:
    with pytest.raises(ArgumentError, match="equally long columns, not empty"):
        AbstentionPlot.from_curve(share, accuracy, area=0, n=0)
