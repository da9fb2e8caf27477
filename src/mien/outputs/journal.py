"""A file of lines that survives the death of its writer, and a checkpoint beside it from which to go on.

While a table is written it is called ``NAME.part`` and grows by whole frames. Beside it ``NAME.part.state``
says how many of its bytes belong to the checkpoint and what the writer was doing; it is replaced whole, at
most once a second, and only after those bytes are on the disk. A table without checkpoints is brought to the
disk as often. A process that is killed loses nothing it has written; a machine that loses its power loses
what was written in the last second at most.

What the operating system refuses is raised as it is: :mod:`mien.outputs.files` puts it into words.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PART, STATE = ".part", ".state"
CHECKPOINT_EVERY_S = 1.0
"""Seconds between two checkpoints, or two times that rows are brought to the disk, at least."""


class Journal:
    """The growing file of one table.

    Parameters
    ----------
    target : path
        The name of the table when it is whole.
    clock : callable
        Seconds that never go back; decides when a checkpoint is due.
    """

    def __init__(self, target: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.part = target.with_name(target.name + PART)
        self.state = target.with_name(self.part.name + STATE)
        self._clock = clock
        self._saved_s = -float("inf")
        self._file = -1
        self.size = 0

    def begin(self, *, replace: bool = True) -> None:
        """Begin an empty file; what an earlier run left is gone.

        Parameters
        ----------
        replace : bool
            Whether there may be such a file.

        Raises
        ------
        FileExistsError
            If there is one that may not be.
        """
        self._take(os.O_CREAT if replace else os.O_CREAT | os.O_EXCL)
        self.state.unlink(missing_ok=True)  # first: it must never speak of a file that is another by now
        self._cut(0)

    def go_on(self, size: int) -> None:
        """Open the file of an interrupted run and drop what lies behind its checkpoint.

        Parameters
        ----------
        size : int
            Bytes that belong to the checkpoint.

        Raises
        ------
        ValueError
                If the file is shorter than that.
        """
        self._take(0)
        there = os.fstat(self._file).st_size
        if there < size:
            self.close()
            raise ValueError(f"{self.part} holds {there} bytes, its checkpoint speaks of {size}")
        self._cut(size)

    def append(self, data: bytes, *, sync: bool = False) -> None:
        """Add bytes to the file, all of them or none.

        Parameters
        ----------
        data : bytes
        sync : bool
            Whether to bring all that is written to the disk, where that is due.
        """
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if sync and self.is_due:
                os.fdatasync(self._file)
                self._saved_s = self._clock()
        except BaseException:  # a full disk, or an interruption, leaves no half of a row
            self._cut(self.size)
            raise
        self.size += len(data)

    def _take(self, flags: int) -> None:
        """Open the file for this process alone."""
        self._file = os.open(self.part, os.O_RDWR | os.O_CLOEXEC | flags, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise BlockingIOError(errno.EAGAIN, f"another run is writing {self.part}") from error

    def _cut(self, size: int) -> None:
        os.ftruncate(self._file, size)
        os.lseek(self._file, size, os.SEEK_SET)
        self.size = size

    @property
    def is_due(self) -> bool:
        """Whether what is written was last brought to the disk long enough ago."""
        return self._clock() - self._saved_s >= CHECKPOINT_EVERY_S

    def save(self, note: dict[str, Any]) -> None:
        """Make a checkpoint of the bytes so far.

        Parameters
        ----------
        note : dict
            Plain JSON values, from which the run can go on.
        """
        text = json.dumps({"bytes": self.size, **note}, ensure_ascii=False)
        os.fdatasync(self._file)
        fresh = self.state.with_name(self.state.name + PART)
        try:
            fresh.write_text(text, encoding="utf-8")
            os.replace(fresh, self.state)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        self._saved_s = self._clock()

    def load(self) -> dict[str, Any] | None:
        """Return the checkpoint of an interrupted run with its `bytes`, or None where there is none.

        Raises
        ------
        ValueError
            If it is no checkpoint.
        """
        if not self.state.exists() or not self.part.exists():
            return None
        note = json.loads(self.state.read_text(encoding="utf-8"))
        if not isinstance(note, dict) or not isinstance(note.get("bytes"), int):
            raise ValueError("it does not say how many bytes are valid")
        return note

    def lines(self) -> Iterator[bytes]:
        """Read what is written so far, line by line, with constant memory."""
        with self.part.open("rb") as file:
            yield from file

    def close(self) -> None:
        """Let go of the file; what is written stays."""
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)

    def remove(self) -> None:
        """Remove the file and its checkpoint."""
        self.part.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)
