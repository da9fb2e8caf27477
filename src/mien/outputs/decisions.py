"""The log of a story's decisions: a line of JSON for each, with its reason in words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from mien.errors import OutputError
from mien.outputs.files import check_target
from mien.story import Decision


def _now() -> datetime:
    return datetime.now(UTC)


class DecisionLog:
    """Adds each decision to a file of JSON Lines; each line is on the disk before the next.

    A log that is there already is added to: an installation that is restarted keeps its history. Each line
    has "at" (the time of day, UTC, ISO 8601), and the values of :class:`mien.story.Decision`.

    Parameters
    ----------
    path : path
    clock : callable, optional
        Says what time it is.

    Raises
    ------
    OutputError
        If nothing can be written there.
    """

    def __init__(self, path: str | Path, *, clock: Callable[[], datetime] = _now) -> None:
        self.path = Path(path)
        self.clock = clock
        check_target(self.path)
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open("ab", buffering=0)
        except (OSError, ValueError) as error:  # ValueError: a name with a null character
            raise self._refused(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def decide(self, decision: Decision) -> None:
        """Add one line.

        Raises
        ------
        OutputError
            If the disk refuses, or the log is closed.
        """
        if self._file is None:
            raise OutputError(f"{self.path} is not open: write inside 'with DecisionLog(...) as log:'.")
        line = {"at": self.clock().isoformat(timespec="milliseconds"), **decision.to_dict()}
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8")
        end = self._file.seek(0, 2)
        try:
            if self._file.write(data) != len(data):
                raise OSError(28, "No space left on device")
            if self.path.is_file():  # no pipe; decisions are few, and each may wait for the disk
                os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)  # no half line, which the next would be added to
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> OutputError:
        return OutputError(f"{self.path} cannot be written: {getattr(error, 'strerror', None) or error}.")
