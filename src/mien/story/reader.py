"""Stories from TOML files, with complaints that name the line, the key and what was probably meant."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from mien.errors import ArgumentError, SourceNotFoundError, StoryError, unknown_name
from mien.labels import EMOTIONS
from mien.story.engine import FACES, Story
from mien.story.rules import Rule, Scene, parse_condition

MOST_BYTES = 1 << 20
"""Largest story file."""

_Place = tuple[str | int, ...]

_STORY = {
    "title": str,
    "start": str,
    "face": str,
    "baseline_s": float,
    "emotions": list,
    "rule": list,
    "scene": list,
}
_SCENE = {"name": str, "cue": str, "clip": str, "at_least_s": float, "rule": list}
_RULE = {"if": str, "cue": str, "to": str, "after_s": float, "stay": bool}
_WORDS = {str: "text in quotes", float: "a number", bool: "true or false", list: "a list"}


def read_story(path: str | Path, *, baseline_s: float | None = None) -> Story:
    """Read a story file.

    Parameters
    ----------
    path : path
        TOML; docs/live-outputs.md describes it.
    baseline_s : float, optional
        Seconds in which each person's rest is learned, instead of what the file says.

    Returns
    -------
    Story

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    StoryError
        If it is no TOML, or its rules cannot be followed: with the line, the key and the nearest match.
    """
    name = Path(path)
    try:
        with name.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"{name}: there is no such story file.") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise StoryError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if len(data) > MOST_BYTES:
        raise StoryError(f"{name} is larger than {MOST_BYTES} bytes; it is no story.")
    return _Reader(name, data).story(baseline_s)


class _Reader:
    """One file on its way to a story; it knows the line of every key for its complaints."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        try:
            text = data.decode("utf-8")
            self.table = tomllib.loads(text)
        except UnicodeDecodeError as error:
            raise StoryError(f"{path} is no story: a TOML file is UTF-8 text.") from error
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise StoryError(f"{path} is no TOML: {error}.") from error
        except ValueError as error:  # Python's limit on the digits of a whole number
            raise StoryError(f"{path} is no story: a number in it has too many digits.") from error
        self.lines = _lines(text)

    def story(self, baseline_s: float | None) -> Story:
        table = self._checked(self.table, _STORY, (), "story")
        self.emotions = self._emotions(table.get("emotions"))
        scenes = [self._scene(one, ("scene", i)) for i, one in enumerate(table.get("scene", []))]
        rules = self._rules(table.get("rule", []), ())
        self._check_ways(table, scenes, rules)
        if "face" in table and table["face"] not in FACES:
            raise self._wrong(("face",), str(unknown_name("choice of faces", table["face"], FACES)))
        seconds = table.get("baseline_s", 0.0) if baseline_s is None else baseline_s
        try:
            return Story(
                scenes or rules,
                start=table.get("start"),
                face=table.get("face", "salient"),
                baseline_s=seconds,
                title=table.get("title", ""),
                folder=self.path.parent,
            )
        except ArgumentError as error:
            if baseline_s is not None:
                raise
            raise self._wrong(("baseline_s",), str(error)) from error

    def _emotions(self, given: list[Any] | None) -> tuple[str, ...]:
        if given is None:
            return EMOTIONS
        if not given or not all(isinstance(name, str) and name for name in given):
            raise self._wrong(("emotions",), "'emotions' must be a list of names.")
        return tuple(given)

    def _check_ways(self, table: dict[str, Any], scenes: list[Scene], rules: list[Rule]) -> None:
        """Complain of scenes that are missing or there twice, at the line that names them."""
        if bool(scenes) == bool(rules):
            how = "either [[scene]] tables, or [[rule]] tables alone"
            raise StoryError(
                f"{self.path}: a story needs {how}; this one has {'both' if scenes else 'neither'}."
            )
        names = [scene.name for scene in scenes]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise self._wrong(("scene", i, "name"), f"there are two scenes named {name!r}.")
        ways: list[tuple[_Place, str | None]] = [(("start",), table.get("start"))]
        ways += [(("rule", i, "to"), one.to) for i, one in enumerate(rules)]
        for i, scene in enumerate(scenes):
            ways += [(("scene", i, "rule", j, "to"), one.to) for j, one in enumerate(scene.rules)]
        for place, to in ways:
            if to is not None and to not in names:
                raise self._wrong(place, str(unknown_name("scene", to, names)))

    def _scene(self, table: Any, place: _Place) -> Scene:
        scene = self._checked(table, _SCENE, place, "scene")
        if not scene.get("name"):
            raise self._wrong(place, "a scene needs a 'name'.")
        at_least = scene.get("at_least_s", 0.0)
        if not 0 <= at_least < float("inf"):
            raise self._wrong((*place, "at_least_s"), f"'at_least_s' must be 0 or more; given {at_least!r}.")
        clip = scene.get("clip")
        if clip is not None and (PurePosixPath(clip).is_absolute() or ".." in PurePosixPath(clip).parts):
            raise self._wrong(
                (*place, "clip"), f"'clip' must be a file in the folder of the story; given {clip!r}."
            )
        return Scene(
            scene["name"], tuple(self._rules(scene.get("rule", []), place)), scene.get("cue"), at_least, clip
        )

    def _rules(self, tables: list[Any], place: _Place) -> list[Rule]:
        return [self._rule(one, (*place, "rule", i)) for i, one in enumerate(tables)]

    def _rule(self, table: Any, place: _Place) -> Rule:
        one = self._checked(table, _RULE, place, "rule")
        condition = None
        try:
            if "if" in one:
                condition = parse_condition(one["if"], self.emotions)
        except StoryError as error:
            raise self._wrong((*place, "if"), str(error)) from error
        try:
            return Rule(
                condition, one.get("cue"), one.get("to"), one.get("after_s", 0.0), one.get("stay", False)
            )
        except StoryError as error:
            raise self._wrong(place, str(error)) from error

    def _checked(self, table: Any, keys: dict[str, type], place: _Place, what: str) -> dict[str, Any]:
        """Return a table whose keys are known and whose values are of the right kind."""
        if not isinstance(table, dict):
            raise self._wrong(place, f"a {what} must be a table, written [[{what}]].")
        checked = {}
        for key, value in table.items():
            if key not in keys:
                raise self._wrong((*place, key), str(unknown_name(f"key of a {what}", key, keys)))
            kind = keys[key]
            if isinstance(value, int) and abs(value) > sys.float_info.max:
                raise self._wrong((*place, key), f"{key!r} is too large a number.")
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number if kind is float else isinstance(value, kind)):
                how = f"a list of tables, written [[{key}]]" if key in ("rule", "scene") else _WORDS[kind]
                raise self._wrong((*place, key), f"{key!r} must be {how}; given {value!r}.")
            checked[key] = float(value) if kind is float else value
        return checked

    def _wrong(self, place: _Place, sentence: str) -> StoryError:
        """Word a complaint with the line of a key, or of the nearest table around it."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.lines:
                return StoryError(f"{self.path}, line {self.lines[place[:end]]}: {sentence}")
        return StoryError(f"{self.path}: {sentence}")


_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]\]?\s*(#.*)?")
_KEY = re.compile(r"""\s*["']?([\w-]+)["']?\s*=""")


def _lines(text: str) -> dict[_Place, int]:
    """Return the line, from 1, of every key and table that stands on a line of its own."""
    found: dict[_Place, int] = {}
    counts: dict[_Place, int] = {}
    place: _Place = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.fullmatch(line.rstrip("\r")):
            place = _table(header[1] == "[[", re.findall(r"[\w-]+", header[2]), counts)
            found.setdefault(place, number)
        elif key := _KEY.match(line):
            found.setdefault((*place, key[1]), number)
    return found


def _table(is_list: bool, names: Iterable[str], counts: dict[_Place, int]) -> _Place:
    """Return the place of a table by its heading; `counts` knows how many of each list there were."""
    place: _Place = ()
    parts = list(names)
    for i, name in enumerate(parts):
        place = (*place, name)
        if is_list and i == len(parts) - 1:
            counts[place] = counts.get(place, -1) + 1
        if place in counts:
            place = (*place, counts[place])
    return place
