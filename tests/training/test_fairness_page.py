"""The page of a comparison of groups, and its verdicts in words."""

import html
import re

import numpy as np
import pytest
from test_fairness import compare, people, seen_as

from mien.training.fairness_page import MEANING, verdicts, write_fairness_page


def report_of(*, lift=0.0, found=1.0, each=50, groups=("<b>", "$x")):
    group = np.repeat(list(groups), each)
    happy = np.where(group == groups[1], lift, 0.0)
    there = np.arange(len(group)) % each < np.where(group == groups[0], found, 1.0) * each
    return compare(
        people({"kind": group}),
        seen_as(len(group), found=there, lift=happy),
        surround={"share": 0.5, "fill": "plain"},
    )


def test_the_page_says_numbers_and_what_they_cannot_say(tmp_path):
    write_fairness_page(report_of(lift=0.8), tmp_path / "a.html", command="mien fairness <x>")
    page = (tmp_path / "a.html").read_text()
    assert page.count("<img") == 2 and "&lt;b&gt;" in page and "<b>" not in page
    assert "mien fairness &lt;x&gt;" in page and "0.5 of its sides" in page
    for paragraph in MEANING:
        assert html.escape(paragraph) in page
    text = re.sub(r"<[^>]+>", " ", page)
    assert "Largest differences" in text and "happiness" in text and "400 times" in text


@pytest.mark.parametrize("each", [1, 20])
def test_small_groups_are_shown_and_not_compared(tmp_path, each):
    write_fairness_page(report_of(each=each), tmp_path / "a.html")
    assert "Nothing is compared: fewer than two groups have 30 pictures." in (tmp_path / "a.html").read_text()


def test_no_face_at_all(tmp_path):
    group = {"kind": np.repeat(["a", "b"], 40)}
    write_fairness_page(compare(people(group), seen_as(80, found=np.zeros(80))), tmp_path / "a.html")
    assert "0.0000" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lift": 0.8}, "differences are more than chance (p < 0.05, corrected), in"),
        ({}, "no difference between two groups is told from chance"),
        ({"each": 10}, "nothing compared; fewer than two groups have 30 pictures"),
        ({"found": 0.8}, "the detection rate of <b> is more than 2 points of 100 below that of all pictures"),
        ({"found": 0.98}, "no group's detection rate is more than 2 points of 100 below"),
    ],
)
def test_verdicts(options, says):
    assert any(says in sentence for sentence in verdicts(report_of(**options)))


def test_another_tolerance():
    report = report_of(found=0.8)
    assert "no group's detection rate" in verdicts(report, tolerance=0.15)[0]
    assert "the lowest is that of <b>, -10.0" in verdicts(report)[0]
