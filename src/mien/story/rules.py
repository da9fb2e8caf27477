"""What a story is made of: conditions on what a face shows, rules, scenes; and the decisions they lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from mien.errors import StoryError, unknown_name
from mien.labels import ALIASES, EMOTIONS

FACE, NO_FACE = "face", "no face"
"""What a clause may be about beside emotions: whether there is a face."""

PRESENCE_LEVEL = 0.9
"""Share of its window in which a face must be there (or be missing) for a clause on that."""

USUAL_WINDOW_S = 1.0
"""The window of a clause that names none: a single frame never decides."""

LONGEST_WINDOW_S = 600.0
"""Longest window in seconds, so that memory stays bounded."""

_T = TypeVar("_T")

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_CLAUSE = re.compile(
    r"(?P<what>no\s+face|[a-z][\w-]*(?:\s*\+\s*[a-z][\w-]*)*)"
    rf"(?:\s+(?P<side>[a-z]+)\s+(?P<level>{_NUMBER})(?P<percent>\s*%)?)?"
    rf"(?:\s+for\s+(?P<seconds>{_NUMBER})\s*(?P<unit>[a-z]+)?)?",
    re.IGNORECASE,
)
_UNITS = {"s": 1.0, "second": 1.0, "seconds": 1.0, "sec": 1.0, "min": 60.0, "minute": 60.0, "minutes": 60.0}
_SIDES = {"over": True, "above": True, "under": False, "below": False}
_EXAMPLES = (
    "'fear over 0.4 for 2 s', 'anger + fear over 0.5 for 2 s', 'face for 1 s' or 'no face for 10 s', "
    "several joined with 'and'"
)


@dataclass(frozen=True)
class Clause:
    """One thing to be true of a face: the mean of a value over a window lies over or under a level.

    Parameters
    ----------
    what : tuple of str
        Emotions whose probabilities are added; or ("face",) or ("no face",).
    over : bool
        Whether the mean must lie over the level, else under it.
    level : float
        Over 0 and below 1.
    seconds : float
        Length of the window.
    """

    what: tuple[str, ...]
    over: bool
    level: float
    seconds: float

    @property
    def is_presence(self) -> bool:
        """Whether it is about there being a face, not about what the face shows."""
        return self.what[0] in (FACE, NO_FACE)

    def __str__(self) -> str:
        side = "" if self.is_presence else f" {'over' if self.over else 'under'} {self.level:g}"
        return f"{' + '.join(self.what)}{side} for {self.seconds:g} s"


@dataclass(frozen=True)
class Condition:
    """Clauses that must all be true.

    Parameters
    ----------
    clauses : tuple of Clause
        One or more.
    """

    clauses: tuple[Clause, ...]

    def __str__(self) -> str:
        return " and ".join(map(str, self.clauses))


@dataclass(frozen=True)
class Rule:
    """What to do when something is shown, or when time has passed. Made by :func:`rule`.

    Parameters
    ----------
    condition : Condition, optional
        What must be true; None for a rule of time alone.
    cue : str, optional
        What is sent when the rule applies; by default the cue of the scene it leads to.
    to : str, optional
        The scene that follows; without it the story ends here, or goes on if it stays.
    after_s : float
        The rule does not apply before the scene has run so long.
    stay : bool
        The cue is sent and the scene goes on.
    """

    condition: Condition | None
    cue: str | None = None
    to: str | None = None
    after_s: float = 0.0
    stay: bool = False

    def __post_init__(self) -> None:
        if self.cue is None and self.to is None:
            raise StoryError("a rule needs a cue, or the scene it leads 'to'.")
        if self.stay and self.to is not None:
            raise StoryError(f"a rule either stays or leads to a scene; this one leads to {self.to!r}.")
        if self.condition is None and not self.after_s > 0:
            raise StoryError("a rule needs a condition, or 'after' with a positive number of seconds.")
        if not 0 <= self.after_s < float("inf"):
            raise StoryError(f"'after' must be 0 or more seconds; given {self.after_s!r}.")

    def __str__(self) -> str:
        parts = [] if self.condition is None else [str(self.condition)]
        return " and ".join(parts + ([f"{self.after_s:g} s have passed"] if self.after_s else []))


@dataclass(frozen=True)
class Scene:
    """A part of a story, left by the first of its rules that applies.

    Parameters
    ----------
    name : str
    rules : tuple of Rule
        In the order in which they are asked. None: the story ends here.
    cue : str, optional
        What is sent when the scene begins; by default its name.
    at_least_s : float
        No rule applies before the scene has run so long.
    clip : str, optional
        A video to play, by its path beside the story file.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    cue: str | None = None
    at_least_s: float = 0.0
    clip: str | None = None

    @property
    def entry_cue(self) -> str:
        """What is sent when the scene begins."""
        return self.name if self.cue is None else self.cue


@dataclass(frozen=True)
class Decision:
    """What a story decided, and why.

    Parameters
    ----------
    time_s : float
        Time of the frame that decided it, seconds from the start of the source.
    cue : str
        What is to happen.
    track : int, optional
        Whose face decided it; None if nobody's.
    reason : str
        In words, with the numbers.
    scene : str
        The scene in which it was decided; "" for the beginning.
    to : str, optional
        The scene that begins; None if the scene goes on or the story ends.
    clip : str, optional
        The video of the scene that begins.
    ends : bool
        Whether the story ends with it.
    """

    time_s: float
    cue: str
    track: int | None
    reason: str
    scene: str = ""
    to: str | None = None
    clip: str | None = None
    ends: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON, with "type": "decision"."""
        return {"type": "decision", **asdict(self), "time_s": round(self.time_s, 6)}


def rule(
    condition: str | Condition | None = None,
    *,
    cue: str | None = None,
    to: str | None = None,
    after_s: float = 0.0,
    stay: bool = False,
) -> Rule:
    """Make a rule.

    Parameters
    ----------
    condition : str or Condition, optional
        In words; see :func:`parse_condition`.
    cue, to, after_s, stay
        See :class:`Rule`.

    Raises
    ------
    StoryError
        If it says nothing, or contradicts itself.

    Examples
    --------
    >>> str(rule("fear over 40% for 2 s", cue="B"))
    'fear over 0.4 for 2 s'
    """
    parsed = parse_condition(condition) if isinstance(condition, str) else condition
    return Rule(parsed, cue, to, after_s, stay)


def parse_condition(text: str, emotions: Iterable[str] = EMOTIONS) -> Condition:
    """Read a condition in words.

    Parameters
    ----------
    text : str
        Clauses joined with "and". A clause names emotions joined with "+", or "face" or "no face"; then
        "over" or "under" a level from 0 to 1 (or in percent); then "for" so many seconds, one if it does
        not say.
    emotions : iterable of str
        The names that are known; aliases are known for the usual ones.

    Raises
    ------
    StoryError
        If it cannot be understood; the message says which part, and the nearest match.

    Examples
    --------
    >>> parse_condition("calm over 0.5 and face for 3 s").clauses[0].what
    ('neutral',)
    """
    parts = re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE)
    known = {name: name for name in emotions}
    known |= {alias: name for alias, name in ALIASES.items() if name in known}
    return Condition(tuple(_clause(part, known) for part in parts))


def _clause(text: str, known: dict[str, str]) -> Clause:
    found = _CLAUSE.fullmatch(text.strip())
    if found is None:
        raise StoryError(f"{text!r} cannot be understood; write {_EXAMPLES}.")
    names = " ".join(found["what"].lower().split())
    seconds = float(found["seconds"] or USUAL_WINDOW_S) * _unit(found["unit"])
    if not 0 < seconds <= LONGEST_WINDOW_S:
        raise StoryError(f"{text!r}: a window must be over 0 and up to {LONGEST_WINDOW_S:g} s long.")
    if names in (FACE, NO_FACE):
        if found["side"]:
            raise StoryError(f"{text!r}: {names!r} has no level; write '{names} for {seconds:g} s'.")
        return Clause((names,), True, PRESENCE_LEVEL, seconds)
    what = tuple(_named(word.strip(), "emotion", known) for word in names.split("+"))
    if found["side"] is None:
        raise StoryError(f"{text!r} has no level; write '{names} over 0.4 for {seconds:g} s'.")
    level = float(found["level"]) / (100 if found["percent"] else 1)
    if not 0 < level < 1:
        raise StoryError(f"{text!r}: a level must be over 0 and below 1, or in percent; given {level:g}.")
    return Clause(what, _named(found["side"].lower(), "comparison", _SIDES), level, seconds)


def _unit(word: str | None) -> float:
    return 1.0 if word is None else _named(word.lower(), "unit of time", _UNITS)


def _named(word: str, kind: str, known: dict[str, _T]) -> _T:
    if word not in known:
        shown = (*known, FACE, NO_FACE) if kind == "emotion" else known
        raise StoryError(str(unknown_name(kind, word, shown)))
    return known[word]
