"""Stories that branch on what a face displays: rules over seconds, and decisions with their reasons."""

from __future__ import annotations

from mien.story.baseline import Baseline
from mien.story.engine import Story
from mien.story.reader import read_story
from mien.story.rules import Decision, Rule, Scene, parse_condition, rule
from mien.story.salience import Salience

__all__ = [
    "Baseline",
    "Decision",
    "Rule",
    "Salience",
    "Scene",
    "Story",
    "parse_condition",
    "read_story",
    "rule",
]
