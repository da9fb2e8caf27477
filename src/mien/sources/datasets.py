"""Labelled corpora: :func:`open_dataset` chooses the reader.

Every reader maps the corpus's own names to the standard ones and returns a
:class:`mien.sources.labelled.LabelledImages`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mien.errors import DatasetError, bad_argument, unknown_name
from mien.labels import EMOTIONS, LabelScheme, get_label_set, parse_scheme
from mien.sources.fer2013 import read_fer2013, read_ferplus
from mien.sources.folders import SFEW_LAYOUT, is_folder, read_folder, read_sfew
from mien.sources.labelled import LabelledImages
from mien.sources.lists import (
    AFFECTNET_LAYOUT,
    EXPW_LAYOUT,
    RAFDB_LAYOUT,
    is_affectnet,
    is_expw,
    is_rafdb,
    read_affectnet,
    read_expw,
    read_rafdb,
)
from mien.sources.named import JAFFE_LAYOUT, KDEF_LAYOUT, is_jaffe, is_kdef, read_jaffe, read_kdef
from mien.sources.sequences import (
    AFEW_LAYOUT,
    CKPLUS_LAYOUT,
    CLIPS_LAYOUT,
    OULU_LAYOUT,
    is_ckplus,
    is_clips,
    is_oulu,
    read_afew,
    read_ckplus,
    read_clips,
    read_oulu,
)
from mien.sources.tables import column_names, existing
from mien.sources.tabular import TABLE_LAYOUT, is_table, read_table

FER2013_FILE, FERPLUS_FILE = "fer2013.csv", "fer2013new.csv"
"""What the official files are called."""


@dataclass(frozen=True)
class Format:
    """One layout in which corpora come.

    Parameters
    ----------
    name : str
        What stands before the colon in "rafdb:/data/RAF-DB".
    layout : str
        In one line, what its reader expects.
    read : callable
        Takes the path; returns :class:`LabelledImages`.
    recognise : callable, optional
        Tells whether an existing path has this layout; None where it looks like another and must be named.
    any_labels : bool
        Whether `read` also takes the key of a label set, ``labels=``.
    """

    name: str
    layout: str
    read: Callable[..., LabelledImages]
    recognise: Callable[[Path], bool] | None = None
    any_labels: bool = False


def open_dataset(
    spec: str | Path, *, ferplus: str | Path | None = None, labels: str | None = None
) -> LabelledImages:
    """Read a labelled corpus, choosing the reader by its name or by what stands at the path.

    Parameters
    ----------
    spec : str or path
        A path whose layout is recognised, or ``FORMAT:PATH`` ("rafdb:/data/RAF-DB") with one of
        :func:`list_formats`. A path that exists as it is written is never taken apart.
    ferplus : path, optional
        The FER+ votes file beside the FER2013 csv.
    labels : str, optional
        A label set by its key ("ekman7", "ferplus8", "affectnet8"), or classes as
        :func:`mien.labels.parse_scheme` reads them ("anger,fear,calm", "happy vs rest"). By default the
        corpus's own: FER+ where its votes are given, for folders and tables the set that has the emotions
        found.

    Raises
    ------
    SourceNotFoundError
        If the path leads to nothing.
    UnknownNameError
        If there is no such format or label set.
    DatasetError
        If the layout is not recognised, or not the one named.
    """
    form, path = _parse_spec(spec, ferplus is not None)
    scheme = parse_scheme(labels) if labels is not None and _is_scheme(labels) else None
    key = None if scheme is not None else labels
    if ferplus is not None and form.name not in ("fer2013", "ferplus"):
        raise bad_argument("ferplus", allowed="given only beside a FER2013 csv", given=str(ferplus))
    if form.name in ("fer2013", "ferplus"):
        votes = ferplus or (path / FERPLUS_FILE if form.name == "ferplus" else None)
        corpus = _read_fer(path / FER2013_FILE if path.is_dir() else path, votes, key)
    elif form.any_labels:
        corpus = form.read(path, labels=key)
    else:
        corpus = form.read(path)
        scheme = scheme if key is None else _as_set(key)
        if scheme is not None and scheme.labels == corpus.labels:
            return corpus
    return corpus.relabel(scheme) if scheme is not None else corpus


def list_formats() -> list[str]:
    """Return the names of all formats, in alphabetical order."""
    return sorted(FORMATS)


def _parse_spec(spec: str | Path, with_votes: bool) -> tuple[Format, Path]:
    prefix, colon, rest = str(spec).partition(":")
    if Path(spec).exists() or not colon or not re.fullmatch(r"\w[\w+-]+", prefix):
        path = existing(spec)
        return (FORMATS["fer2013"] if with_votes and path.is_file() else _recognise(path)), path
    if prefix not in FORMATS:
        raise unknown_name("data set format", prefix, FORMATS)
    return FORMATS[prefix], existing(rest)


def _recognise(path: Path) -> Format:
    found = [form for form in FORMATS.values() if form.recognise is not None and form.recognise(path)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DatasetError(
            f"{path} could be {' or '.join(form.name for form in found)}: "
            f"say which, as in '{found[0].name}:{path}'."
        )
    known = "\n".join(f"  {form.name}: {form.layout}" for form in FORMATS.values())
    raise DatasetError(
        f"{path} has no layout that is recognised. Known are, also by name as in 'rafdb:{path}':\n{known}"
    )


def _is_scheme(labels: str) -> bool:
    return bool(re.search(r",|=|\svs\b", labels))


def _as_set(key: str) -> LabelScheme:
    """Return the scheme that keeps the emotions of a label set and no others."""
    chosen = get_label_set(key)
    outside = [name for name in chosen if name not in EMOTIONS]
    if outside:
        raise unknown_name("emotion", outside[0], EMOTIONS)
    return LabelScheme(chosen, tuple((name,) for name in chosen))


def _read_fer(path: Path, votes: str | Path | None, labels: str | None) -> LabelledImages:
    wants = labels or ("ferplus8" if votes is not None else "ekman7")
    if wants not in ("ekman7", "ferplus8"):
        raise bad_argument("labels", allowed="'ekman7' or 'ferplus8' for a FER2013 csv", given=labels)
    if wants == "ekman7":
        return read_fer2013(path)
    if votes is None:
        raise bad_argument("labels", allowed="'ekman7' unless the FER+ votes file is given too", given=labels)
    return read_ferplus(path, votes)


def _read_ferplus_folder(path: Path) -> LabelledImages:
    return _read_fer(path / FER2013_FILE, path / FERPLUS_FILE, None)


def _is_fer2013(path: Path, *, voted: bool) -> bool:
    if path.is_dir():
        return (path / FER2013_FILE).is_file() and (path / FERPLUS_FILE).is_file() == voted
    return not voted and path.suffix.lower() == ".csv" and "pixels" in column_names(path)


def _in_folder(recognise: Callable[[Path], bool]) -> Callable[[Path], bool]:
    return lambda path: path.is_dir() and recognise(path)


_ALL = (
    Format(
        "fer2013",
        f"{FER2013_FILE} (columns emotion, pixels, Usage), or a folder with it",
        read_fer2013,
        partial(_is_fer2013, voted=False),
    ),
    Format(
        "ferplus",
        f"a folder with {FER2013_FILE} and {FERPLUS_FILE}",
        _read_ferplus_folder,
        partial(_is_fer2013, voted=True),
    ),
    Format(
        "folder",
        "folders named after emotions, holding pictures; folders train, val, test may stand above",
        read_folder,
        _in_folder(is_folder),
        any_labels=True,
    ),
    Format("clips", CLIPS_LAYOUT, read_clips, _in_folder(is_clips), any_labels=True),
    Format("table", TABLE_LAYOUT, read_table, is_table, any_labels=True),
    Format("ckplus", CKPLUS_LAYOUT, read_ckplus, _in_folder(is_ckplus)),
    Format("jaffe", JAFFE_LAYOUT, read_jaffe, _in_folder(is_jaffe)),
    Format("kdef", KDEF_LAYOUT, read_kdef, _in_folder(is_kdef)),
    Format("rafdb", RAFDB_LAYOUT, read_rafdb, _in_folder(is_rafdb)),
    Format("affectnet", AFFECTNET_LAYOUT, read_affectnet, _in_folder(is_affectnet)),
    Format("oulu", OULU_LAYOUT, read_oulu, _in_folder(is_oulu)),
    Format("sfew", SFEW_LAYOUT, read_sfew),
    Format("afew", AFEW_LAYOUT, read_afew),
    Format("expw", EXPW_LAYOUT, read_expw, _in_folder(is_expw)),
)

FORMATS = {form.name: form for form in _ALL}
"""Every format by its name."""
