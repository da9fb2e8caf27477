"""The story itself: readings in, decisions out. It has no clock of its own: a film always decides alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import StoryError, bad_argument, unknown_name
from mien.labels import LabelSet
from mien.readings import Readings
from mien.story.baseline import LONGEST_STEP_S, Baseline
from mien.story.rules import FACE, Clause, Decision, Rule, Scene
from mien.story.salience import Salience
from mien.story.windows import Window

FACES = ("salient", "each")
"""Whose face decides: the largest, with which the story stays; or each, on its own way through the story."""

FORGET_S = 30.0
"""In stories for each face, the way of one not seen for so long is forgotten; later where the longest
rules of all scenes, one after another, take longer."""


@dataclass(frozen=True)
class _Look:
    """What one frame says to one way through the story."""

    time_s: float
    step_s: float
    present: bool
    track: int | None
    values: dict[str, float] | None

    def value(self, clause: Clause) -> float | None:
        if clause.is_presence:
            return float(self.present == (clause.what == (FACE,)))
        return None if self.values is None else sum(self.values[name] for name in clause.what)


class _Way:
    """One way through the scenes, of the face `key` or the salient one: where it stands, what was shown."""

    def __init__(self, key: int | None, scene: Scene, time_s: float, relative: bool) -> None:
        self.key = key
        self.relative = relative
        self.track: int | None = None
        self.seen_s = time_s
        self.enter(scene, time_s)

    def enter(self, scene: Scene, time_s: float) -> None:
        self.scene = scene
        self.since_s = time_s
        self.over = not scene.rules
        self._open(time_s)

    def _open(self, time_s: float) -> None:
        """Open every window anew, and let every rule apply."""
        self.windows = [
            [Window(clause, time_s) for clause in (r.condition.clauses if r.condition else ())]
            for r in self.scene.rules
        ]
        self.fired = [False] * len(self.scene.rules)

    def _another(self, time_s: float) -> None:
        """Begin to watch another person: what the last one showed does not count, only presence does."""
        fired = self.fired
        kept = [[w if w.clause.is_presence else None for w in row] for row in self.windows]
        self._open(time_s)
        for row, old in zip(self.windows, kept, strict=True):
            row[:] = [o or w for w, o in zip(row, old, strict=True)]
        self.fired = [
            f and all(w.clause.is_presence for w in row) for f, row in zip(fired, self.windows, strict=True)
        ]

    def look(self, look: _Look) -> tuple[Rule, str] | None:
        """Take one frame; return the rule that applies, and why."""
        if look.track is not None:
            if self.track not in (None, look.track):
                self._another(look.time_s - look.step_s)
            self.track, self.seen_s = look.track, look.time_s
        if self.over:
            return None
        for window in (w for row in self.windows for w in row):
            window.add(look.time_s, look.step_s, look.value(window.clause))
        passed = look.time_s - self.since_s
        for i, (one, row) in enumerate(zip(self.scene.rules, self.windows, strict=True)):
            if self.fired[i]:
                self.fired[i] = not any(w.fell_back for w in row)
            elif passed >= max(one.after_s, self.scene.at_least_s) - 1e-6 and all(w.holds for w in row):
                self.fired[i] = True
                return one, self._reason(one, row, passed)
        return None

    def _reason(self, one: Rule, row: list[Window], passed: float) -> str:
        who = "nobody" if self.track is None else f"face {self.track}"
        parts = []
        for window in row:
            clause, mean = window.clause, window.mean or 0.0
            if clause.is_presence:
                parts.append(f"{self._presence(clause.what == (FACE,))} for {clause.seconds:g} s")
                continue
            rest = " relative to its rest" if self.relative else ""
            side = "over" if clause.over else "under"
            parts.append(
                f"{who} displayed {' + '.join(clause.what)} at {mean:.2f} on average over "
                f"{clause.seconds:g} s{rest}, {side} {clause.level:g}"
            )
        if one.after_s or not parts:
            whose = "" if self.key is None else f" for face {self.key}"
            parts.append(f"{passed:.1f} s of the scene {self.scene.name!r} have passed{whose}")
        return " and ".join(parts)

    def _presence(self, there: bool) -> str:
        if self.key is None:
            return f"there was {'a' if there else 'no'} face"
        return f"face {self.key} was {'' if there else 'not '}there"

    def progress(self, now_s: float) -> list[dict[str, Any]]:
        passed = now_s - self.since_s
        return [
            {
                "rule": str(one),
                "cue": one.cue,
                "to": one.to,
                "after_s": one.after_s,
                "passed_s": round(passed, 3),
                "applied": self.fired[i],
                "clauses": [
                    {"clause": str(w.clause), "level": w.clause.level, "mean": w.so_far, "holds": w.holds}
                    for w in self.windows[i]
                ],
            }
            for i, one in enumerate(self.scene.rules)
        ]


class Story:
    """Decides, from what faces display over seconds, how a story goes on.

    Parameters
    ----------
    scenes : sequence of Scene, or sequence of Rule
        Rules alone make a story of one scene.
    start : str, optional
        The first scene; by default the first of the list.
    face : {"salient", "each"}
        Whose face decides: the largest, with which the story stays; or each, on its own way.
    baseline_s : float
        Each person's rest is learned for so long, and emotions are taken relative to it; 0 takes them as
        they are (see :class:`mien.story.Baseline`). Until then no rule on emotions applies to the person.
    title : str
    folder : path, optional
        Where the clips lie.

    Raises
    ------
    StoryError
        If a scene is missing, named twice, or leads nowhere.
    ArgumentError
        If another value is not allowed.

    Examples
    --------
    >>> from mien.story import rule
    >>> story = Story([rule("fear over 0.4 for 2 s", cue="B"), rule(after_s=20, cue="C")])
    >>> story.scene
    'story'
    """

    def __init__(
        self,
        scenes: Sequence[Scene] | Sequence[Rule],
        *,
        start: str | None = None,
        face: str = "salient",
        baseline_s: float = 0.0,
        title: str = "",
        folder: str | Path | None = None,
    ) -> None:
        if face not in FACES:
            raise bad_argument("face", allowed=f"one of {', '.join(FACES)}", given=face)
        self.title = title
        self.folder = None if folder is None else Path(folder)
        self.face = face
        self.baseline_s = baseline_s
        self.scenes = _by_name(scenes)
        self._forget_s = max(FORGET_S, sum(map(_longest_s, self.scenes.values())))
        self.start = next(iter(self.scenes)) if start is None else start
        if self.start not in self.scenes:
            raise StoryError(f"start: {unknown_name('scene', self.start, self.scenes)}")
        self.restart()

    def restart(self) -> None:
        """Go back to the beginning and forget everyone."""
        self._baseline = Baseline(self.baseline_s)
        self._salience = Salience()
        self._ways: dict[int | None, _Way] = {}
        self._now_s: float | None = None
        self._labels: LabelSet | None = None

    @property
    def scene(self) -> str:
        """The scene that the salient face's story is in."""
        way = self._ways.get(None)
        return self.start if way is None else way.scene.name

    def clips(self) -> dict[str, Path]:
        """Return the files of the clips by the names that decisions give them.

        Raises
        ------
        StoryError
            If one of them is not there.
        """
        folder = Path() if self.folder is None else self.folder
        found = {scene.clip: folder / scene.clip for scene in self.scenes.values() if scene.clip is not None}
        for scene in self.scenes.values():
            if scene.clip is not None and not found[scene.clip].is_file():
                raise StoryError(f"scene {scene.name!r}: there is no clip {found[scene.clip]}.")
        return found

    def progress(self) -> dict[str, Any]:
        """Return how far each rule is, as plain values for JSON.

        Returns
        -------
        dict
            "scene", "since_s", "over", "face" (a track or None) and "rules", a list of dicts with "rule"
            in words, "cue", "to", "after_s", "passed_s", "applied", and "clauses": "clause" in words,
            "level", "mean" so far (None while nothing is known) and whether it "holds". Of stories for
            each face "ways", the same for every face.
        """
        ways = [
            {
                "face": way.track,
                "scene": way.scene.name,
                "since_s": way.since_s,
                "over": way.over,
                "rules": way.progress(self._now_s or 0.0),
            }
            for way in self._ways.values()
        ]
        if self.face == "each":
            return {"ways": ways}
        return (
            ways[0] if ways else {"face": None, "scene": self.start, "since_s": 0, "over": False, "rules": []}
        )

    def check(self, labels: LabelSet) -> None:
        """Raise if a rule is about an emotion that a model does not know.

        Raises
        ------
        StoryError
            Naming the scene, the rule and the nearest match.
        """
        for scene in self.scenes.values():
            for one in scene.rules:
                for clause in one.condition.clauses if one.condition else ():
                    for name in () if clause.is_presence else clause.what:
                        if name not in labels:
                            unknown = unknown_name("emotion of the model", name, labels)
                            raise StoryError(f"scene {scene.name!r}, rule {str(one)!r}: {unknown}")
        self._labels = labels

    def update(self, readings: Readings) -> list[Decision]:
        """Take the readings of one frame.

        Parameters
        ----------
        readings : Readings
            Of moving pictures. A time before that of the last frame (a film that begins again) begins the
            story again.

        Returns
        -------
        list of Decision
            What was decided with this frame; most often nothing.

        Raises
        ------
        ArgumentError
            If the readings have no time.
        StoryError
            If a rule is about an emotion they do not have.
        """
        now = readings.time_s
        if now is None:
            raise bad_argument("readings", allowed="of moving pictures, with a time", given="a still picture")
        if self._now_s is not None and now < self._now_s:
            self.restart()
        if readings.labels != self._labels:
            self.check(readings.labels)
        step = 0.0 if self._now_s is None else min(now - self._now_s, LONGEST_STEP_S)
        self._now_s = now
        relative = self._baseline.update(readings)
        seen = {
            track: None if relative[i, 0] != relative[i, 0] else relative[i].tolist()
            for i, track in enumerate(readings.faces.track_id.tolist())
        }
        looks = self._looks(readings, seen, step)
        decisions = [decision for key, look in looks.items() for decision in self._follow(key, look)]
        if self.face == "each":
            self._ways = {k: way for k, way in self._ways.items() if now - way.seen_s <= self._forget_s}
        return decisions

    def _looks(
        self, readings: Readings, seen: dict[int, list[float] | None], step: float
    ) -> dict[int | None, _Look]:
        """Return what this frame says to each way through the story."""
        now = readings.time_s or 0.0

        def look(track: int | None, present: bool) -> _Look:
            values = None if track is None else seen[track]
            named = None if values is None else dict(zip(readings.labels, values, strict=True))
            return _Look(now, step, present, track, named)

        if self.face == "salient":
            chosen = self._salience.choose(readings)
            track = None if chosen is None else int(readings.faces.track_id[chosen])
            return {None: look(track, present=bool(seen))}
        away = {key: look(None, present=False) for key in self._ways if key not in seen}
        return {**away, **{track: look(track, present=True) for track in seen}}

    def _follow(self, key: int | None, look: _Look) -> list[Decision]:
        way = self._ways.get(key)
        if way is None:
            first = self.scenes[self.start]
            self._ways[key] = way = _Way(key, first, look.time_s, self.baseline_s > 0)
            way.look(look)
            reason = "the story begins" if key is None else f"the story begins for face {key}"
            return [Decision(look.time_s, first.entry_cue, key, reason, "", first.name, first.clip, way.over)]
        found = way.look(look)
        if found is None:
            return []
        one, reason = found
        left = way.scene.name
        after = None if one.to is None else self.scenes[one.to]
        if after is not None:
            way.enter(after, look.time_s)
        elif not one.stay:
            way.over = True
        cue = one.cue if one.cue is not None else after.entry_cue if after else ""
        clip = after.clip if after else None
        clauses = one.condition.clauses if one.condition else ()
        salient = look.track if all(clause.is_presence for clause in clauses) else way.track
        track = salient if key is None else key
        return [Decision(look.time_s, cue, track, reason, left, one.to, clip, way.over)]


def _longest_s(scene: Scene) -> float:
    """Return how long the longest rule of a scene takes from its beginning, 0 without rules."""
    if not scene.rules:
        return 0.0
    windows = [clause.seconds for one in scene.rules if one.condition for clause in one.condition.clauses]
    return max(scene.at_least_s, *(one.after_s for one in scene.rules), *windows)


def _by_name(scenes: Sequence[Scene] | Sequence[Rule]) -> dict[str, Scene]:
    """Return the scenes by their names, in order, once every way between them leads somewhere."""
    rules = tuple(one for one in scenes if isinstance(one, Rule))
    named = [one for one in scenes if isinstance(one, Scene)]
    if bool(rules) == bool(named):
        raise StoryError("a story needs scenes, or rules alone; it has neither, or both.")
    known: dict[str, Scene] = {}
    for scene in named or [Scene("story", rules)]:
        if scene.name in known:
            raise StoryError(f"there are two scenes named {scene.name!r}.")
        known[scene.name] = scene
    for scene in known.values():
        for one in scene.rules:
            if one.to is not None and one.to not in known:
                raise StoryError(f"scene {scene.name!r}, to: {unknown_name('scene', one.to, known)}")
    return known
