"""``mien demo``: the main job on photographs that every installation has."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.show import READING_HEADINGS, reading_rows, show_table


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("mien-demo"),
) -> None:
    """Read the portrait of Grace Hopper that comes with matplotlib; no download, under three seconds."""
    from matplotlib.cbook import get_sample_data

    from mien.analyzer import Analyzer
    from mien.outputs.files import make_folder, open_sink
    from mien.outputs.overlay import annotate, save_image
    from mien.outputs.plots import ProbabilityChart
    from mien.sources import open_source

    started = time.perf_counter()
    picture = get_sample_data("grace_hopper.jpg", asfileobj=False)
    analyzer = Analyzer()
    make_folder(out)
    rows = []
    with open_source(str(picture)) as frames, open_sink(out / "readings.csv") as sink:
        for frame in frames:
            readings = analyzer.analyze(frame)
            sink.write(readings)
            save_image(out / "annotated.jpg", annotate(frame.image, readings))
            ProbabilityChart.from_readings(readings).save(out / "probabilities.png")
            rows += [(Path(row[0]).name, *row[1:]) for row in reading_rows(readings)]
    show_table(READING_HEADINGS, rows, right=("face", "sure"))
    seconds = time.perf_counter() - started
    typer.echo(f"Written to {out}: annotated.jpg, probabilities.png, readings.csv ({seconds:.1f} s)")
