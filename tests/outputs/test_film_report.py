"""The page of a film: everything a reader is told is in it, and nothing is fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from film_tables import film, moving
from test_report import Outline

from mien.errors import OutputError, SourceError
from mien.outputs.film_report import CAVEAT, MOST_CHANGES, write_film_report


def table(frames):
    return pd.DataFrame([row for readings in frames for row in readings.rows()])


def story():
    """Two people of whom one changes from fear to anger, then a gap, then nobody."""
    frames = [
        moving(["fear" if i < 30 else "anger", "calm"], index=i, time_s=i / 10, confidence=0.9)
        for i in range(60)
    ]
    return frames + [moving([], index=i, time_s=20 + i / 10) for i in range(60, 80)]


def page_of(frames, tmp_path):
    summary = write_film_report(table(frames), tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    return summary, text, Outline(text)


def words_of(outline):
    return " ".join(words for _, words in outline.words)


def test_the_page_says_what_was_seen_and_what_it_does_not_mean(tmp_path: Path) -> None:
    summary, _, outline = page_of(story(), tmp_path)
    assert len(summary.people) == 2
    assert CAVEAT in words_of(outline)
    assert outline.texts("h2") == ["At a glance", "Timeline", "Share of time", "Changes", "Peaks"]
    assert outline.texts("h1") == ["Displayed expressions in film.mp4"]
    cells = outline.texts("td")
    assert "0:28 (from 0:00)" in cells
    assert "80, usually 10 each second" in cells
    assert "0:02 (25.0%)" in cells
    assert "1, together 0:20" in cells
    assert cells.count("50.0%") == 2
    assert cells.count("100.0%") == 1
    assert cells.count("90.0%") == 2  # a peak of fear and one of anger; calm is none
    assert {"fear", "anger"} <= {*cells}
    assert len(outline.named("img")) == 2
    alt = outline.named("img")[0]["alt"] or ""
    assert "Person 1, from 0:00 to 0:06, mostly neutral (100%)." in alt


def test_changes_are_in_a_matrix_without_what_never_happened(tmp_path: Path) -> None:
    _, _, outline = page_of(story(), tmp_path)
    captions = outline.texts("caption")
    assert captions[1:] == ["Everyone together", "Person 0 (10.0 changes a minute)"]
    heads = outline.texts("th")
    assert heads.count("from / to") == 2
    assert heads[heads.index("from / to") :][:5] == ["from / to", "anger", "fear", "anger", "fear"]


def test_nothing_is_fetched(tmp_path: Path) -> None:
    _, text, outline = page_of(story(), tmp_path)
    assert not outline.named("script")
    assert not outline.named("link")
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in outline.named("img"))
    assert not re.search(r"https?://", text)


def test_a_film_without_faces_has_a_page(tmp_path: Path) -> None:
    summary, _, outline = page_of([moving([], index=i, time_s=i / 10) for i in range(20)], tmp_path)
    assert summary.people == ()
    assert outline.texts("h2") == ["At a glance", "Timeline"]
    assert outline.named("img")[0]["alt"] == "Timeline: no face was found."
    assert "0:02 (100.0%)" in outline.texts("td")


def test_nothing_changes_and_nothing_peaks(tmp_path: Path) -> None:
    frames = [moving(["calm"], index=i, time_s=i / 10) for i in range(20)]
    _, _, outline = page_of(frames, tmp_path)
    assert "No displayed emotion changed." in words_of(outline)
    assert "There are none." in words_of(outline)


def test_a_film_of_one_frame_has_a_page(tmp_path: Path) -> None:
    _, _, outline = page_of([moving(["fear"])], tmp_path)
    assert "nan" not in words_of(outline)
    assert outline.texts("h2")[-1] == "Peaks"


def test_many_people_are_listed_up_to_a_limit(tmp_path: Path) -> None:
    frames = []
    for index in range(280):
        track, names = index // 4, ("fear", "anger")
        frames.append(moving([names[index % 2]], index=index, time_s=index / 10, tracks=[track]))
    summary, _, outline = page_of(frames, tmp_path)
    assert len(summary.people) == 70
    words = words_of(outline)
    assert "10 more people were seen shorter." in words
    assert "62 more people, seen shorter, are not drawn." in words
    assert len([c for c in outline.texts("caption") if c.startswith("Person")]) == MOST_CHANGES
    assert "The 60 highest of 140." in words


def test_odd_names_are_text(tmp_path: Path) -> None:
    frames = [replace(readings, source='<b>&"ü.mp4') for readings in film(30)]
    _, _, outline = page_of(frames, tmp_path)
    assert not outline.named("b")
    assert '<b>&"ü.mp4' in outline.texts("h1")[0]


def test_what_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no table of readings"):
        write_film_report(pd.DataFrame({"a": [1]}), tmp_path / "a.html")
    with pytest.raises(OutputError, match="create it first"):
        write_film_report(table(film(5)), tmp_path / "none" / "a.html")
    assert list(tmp_path.iterdir()) == []
