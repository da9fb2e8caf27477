"""What every export ends with: files moved to their place once they are whole, and the card completed."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from mien._version import __version__
from mien.catalog import ModelCard, file_sha256


def complete_card(card: ModelCard, file: Path, *, parameters: int, packages: Iterable[str]) -> ModelCard:
    """Return the card with what is only known once the file of weights stands.

    Parameters
    ----------
    card : ModelCard
    file : Path
        The file of weights, wherever it is now.
    parameters : int
        Number of weights.
    packages : iterable of str
        Distributions that made it, whose versions are noted beside mien's.
    """
    return replace(
        card,
        sha256=file_sha256(file),
        size_bytes=file.stat().st_size,
        parameters=parameters,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        versions=(("mien", __version__), *((name, metadata.version(name)) for name in packages)),
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file in the same folder; move it to its place if all went well, else remove it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
