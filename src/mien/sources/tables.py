"""Reading the tables that come with corpora."""

from __future__ import annotations

from pathlib import Path

from mien.errors import DatasetError, SourceNotFoundError


def existing(path: str | Path) -> Path:
    """Return a path, or say that it leads to nothing."""
    found = Path(path)
    if not found.exists():
        raise SourceNotFoundError(f"{found} does not exist.")
    return found


def read_csv(path: str | Path, columns: set[str], what: str):  # type: ignore[no-untyped-def]  # a pandas DataFrame, imported lazily
    """Read a csv file that must have some columns; `what` names the file expected."""
    import pandas as pd

    file = existing(path)
    try:
        table = pd.read_csv(file)
    except (ValueError, OSError) as error:
        raise DatasetError(f"{file} cannot be read as a csv file ({error}); expected {what}.") from error
    missing = columns - set(table.columns)
    if missing:
        raise DatasetError(
            f"{file} is not {what}: it lacks {', '.join(sorted(missing))} "
            f"and has {', '.join(map(str, table.columns[:12]))}."
        )
    return table
