"""Shares, changes, peaks and gaps, against films whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from film_tables import film, moving

from mien.errors import ArgumentError
from mien.outputs.files import open_sink
from mien.outputs.summary import PEAKS_EACH, frame_seconds, longest_pause, summarise


def table(frames):
    return pd.DataFrame([row for readings in frames for row in readings.rows()])


def told(story, rate_hz=10.0, track=0, start_s=0.0):
    """Make frames of one person from (emotion, seconds) or (emotion, seconds, confidence)."""
    frames, time_s = [], start_s
    for emotion, seconds, *confidence in story:
        for _ in range(round(seconds * rate_hz)):
            people = [] if emotion is None else [emotion]
            frames.append(
                moving(
                    people,
                    index=len(frames),
                    time_s=time_s,
                    tracks=[track] * len(people),
                    confidence=confidence[0] if confidence else 0.8,
                )
            )
            time_s += 1 / rate_hz
    return frames


def test_shares_are_of_the_time_in_which_a_person_was_seen() -> None:
    summary = summarise(table(told([("fear", 3), (None, 4), ("happiness", 1)])))
    assert summary.frames == 80
    assert summary.step_s == pytest.approx(0.1)
    assert (summary.start_s, summary.end_s) == pytest.approx((0, 8))
    assert summary.covered_s == pytest.approx(8)
    assert summary.without_face_s == pytest.approx(4)
    assert summary.gaps_s == ()
    (person,) = summary.people
    assert person.frames == 40
    assert person.seen_s == pytest.approx(4)
    assert (person.first_s, person.last_s) == pytest.approx((0, 7.9))
    share = dict(zip(summary.states, person.share, strict=True))
    assert (share["fear"], share["happiness"]) == pytest.approx((0.75, 0.25))
    assert sum(share.values()) == pytest.approx(1)
    mean = dict(zip(summary.emotions, person.mean, strict=True))
    assert mean["fear"] == pytest.approx(0.75 * 0.8 + 0.25 * 0.2 / 7, abs=1e-5)


def test_time_counts_and_not_frames() -> None:
    slow = told([("anger", 4)], rate_hz=5)
    fast = told([("sadness", 4)], rate_hz=20, start_s=4.0)
    summary = summarise(table(slow + fast))
    (person,) = summary.people
    share = dict(zip(summary.states, person.share, strict=True))
    assert (share["anger"], share["sadness"]) == pytest.approx((0.5, 0.5), abs=0.01)


def test_a_gap_counts_for_nothing() -> None:
    first, second = told([("fear", 2)]), told([("calm", 2)], start_s=10.0)
    summary = summarise(table(first + second))
    assert summary.gaps_s == (pytest.approx((2.0, 10.0)),)
    assert summary.covered_s == pytest.approx(4)
    assert summary.people[0].seen_s == pytest.approx(4)
    assert summary.people[0].changes.sum() == 0
    without = summarise(table(first + told([("calm", 2)], start_s=2.0)))
    assert without.people[0].changes.sum() == 1


def test_a_face_that_blinks_out_is_still_there() -> None:
    summary = summarise(table(told([("fear", 1), (None, 0.2), ("anger", 1)])))
    states = summary.states
    assert summary.people[0].changes[states.index("fear"), states.index("anger")] == 1
    assert longest_pause(1 / 30) == 0.25
    assert longest_pause(0.2) == pytest.approx(0.7)


def test_changes_are_counted_from_one_to_the_next() -> None:
    story = [("fear", 1), ("anger", 0.5), ("fear", 1), ("anger", 1), ("calm", 1)]
    summary = summarise(table(told(story)))
    changes, at = summary.people[0].changes, summary.states.index
    assert changes[at("fear"), at("anger")] == 2
    assert changes[at("anger"), at("fear")] == 1
    assert changes[at("anger"), at("neutral")] == 1
    assert changes.sum() == 4
    assert np.diag(changes).sum() == 0


def test_people_are_told_apart_and_sorted_by_time_seen() -> None:
    frames = []
    for index in range(50):
        tracks = [3, 7] if index < 20 else [7]
        names = ["fear" if track == 3 else "happiness" for track in tracks]
        frames.append(moving(names, index=index, time_s=index / 10, tracks=tracks))
    summary = summarise(table(frames))
    assert [person.track for person in summary.people] == [7, 3]
    assert [person.seen_s for person in summary.people] == pytest.approx([5, 2])
    shown = [summary.states[person.share.argmax()] for person in summary.people]
    assert shown == ["happiness", "fear"]


def test_peaks_are_the_highest_moments_of_each_spell() -> None:
    story = [
        *(("fear", 0.1, level) for level in (0.4, 0.6, 0.9, 0.7, 0.6, 0.8, 0.5)),
        ("calm", 3, 0.95),
        *(("fear", 0.1, level) for level in (0.6, 0.7, 0.6)),
        ("calm", 0.5, 0.9),
        ("anger", 0.5, 0.45),
    ]
    (person,) = summarise(table(told(story))).people
    found = [(peak.emotion, round(peak.time_s, 3), round(peak.probability, 3)) for peak in person.peaks]
    assert found == [("fear", 0.2, 0.9), ("fear", 3.8, 0.7)]
    (person,) = summarise(table(told(story)), peak_from=0.4).people
    assert [peak.emotion for peak in person.peaks] == ["fear", "fear", "anger"]


def test_peaks_lie_apart_and_only_the_highest_are_kept() -> None:
    story = []
    for spell in range(10):
        story += [("fear", 0.3, 0.55 + spell / 50), ("calm", 2.7)]
    (person,) = summarise(table(told(story))).people
    heights = [peak.probability for peak in person.peaks]
    assert heights == pytest.approx([0.55 + spell / 50 for spell in range(10 - PEAKS_EACH, 10)], abs=1e-6)
    near = [("fear", 0.3, 0.9), ("calm", 0.5), ("fear", 0.3, 0.8)]
    (person,) = summarise(table(told(near))).people
    assert [peak.probability for peak in person.peaks] == pytest.approx([0.9])


def test_unsure_is_a_state_where_it_was_displayed() -> None:
    frames = told([("fear", 1), ("anger", 1)])
    rows = table(frames)
    rows.loc[rows["displayed"] == "fear", "displayed"] = "unsure"
    summary = summarise(rows)
    assert summary.states == (*summary.emotions, "unsure")
    assert summary.people[0].share[-1] == pytest.approx(0.5)
    assert summarise(table(frames)).states == summary.emotions


@pytest.mark.parametrize(("people", "without"), [([], 0.0), (["fear"], 0.0)])
def test_a_film_of_one_frame(people: list[str], without: float) -> None:
    summary = summarise(table([moving(people, time_s=3.0)]))
    assert (summary.frames, summary.step_s, summary.end_s) == (1, 0.0, 3.0)
    assert summary.without_face_s == without
    assert len(summary.people) == len(people)
    for person in summary.people:
        assert person.share.sum() == pytest.approx(1)
        assert person.peaks[0].emotion == "fear"


def test_a_film_without_a_face() -> None:
    summary = summarise(table(told([(None, 2)])))
    assert summary.people == ()
    assert summary.without_face_s == pytest.approx(2)


def test_a_face_without_a_track_is_a_face_but_no_person() -> None:
    frames = told([("fear", 1)])
    rows = table(frames)
    rows.loc[:4, "track"] = -1
    summary = summarise(rows)
    assert summary.without_face_s == 0
    assert summary.people[0].frames == 5


def test_all_numbers_are_plain(tmp_path: Path) -> None:
    with open_sink(tmp_path / "a.csv") as sink:
        for readings in film(200):
            sink.write(readings)
    summary = summarise(tmp_path / "a.csv")
    plain = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert plain["frames"] == 200
    first = plain["people"][0]
    assert sum(first["share"].values()) == pytest.approx(1)
    assert sum(change["times"] for change in first["changes"]) == summary.people[0].changes.sum() > 0
    one = first["changes"][0]
    at = summary.states.index
    assert summary.people[0].changes[at(one["from"]), at(one["to"])] == one["times"]
    assert len(first["peaks"]) == len(summary.people[0].peaks) > 0


def test_how_long_frames_last() -> None:
    lasts = frame_seconds(np.array([0.0, 0.1, 0.2, 5.0]), 0.1)
    assert lasts == pytest.approx([0.1, 0.1, 0.1, 0.1])
    assert frame_seconds(np.array([2.0]), 0.04) == pytest.approx([0.04])


def test_a_threshold_out_of_range() -> None:
    with pytest.raises(ArgumentError, match="peak_from"):
        summarise(table(film(3)), peak_from=2)
