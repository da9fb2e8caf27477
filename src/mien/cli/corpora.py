"""What the commands learn from and measure on, as typed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.show import progress
from mien.errors import SourceError, bad_argument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.sources.labelled import LabelledImages
    from mien.sources.splits import By
    from mien.training.run import Test

AGAIN = "the command that made the model"
"""Repeats a number that `mien evaluate` cannot give: of what was kept back, of several data sets as one."""


def leave_out_unreadable(corpus: LabelledImages, failures: list[SourceError]) -> LabelledImages:
    """Return a corpus without the pictures that cannot be read; these are named, and added to `failures`."""
    from mien.sources.labelled import readable

    def report(error: SourceError) -> None:
        failures.append(error)
        typer.echo(f"mien: {error}", err=True)

    with progress("reading", len(corpus)) as show:
        return readable(corpus, report, progress=lambda done, _: show(done))


def complain_of(failures: list[SourceError]) -> None:
    """Say at the end how many pictures were left out, and end with the status 1 if there were any."""
    if failures:
        typer.echo(f"mien: left out because they could not be read: {len(failures)}.", err=True)
        raise typer.Exit(1)


def open_labellings(
    data: list[str], ferplus: Path | None, emotions: str | None, failures: list[SourceError]
) -> list[LabelledImages]:
    """Return the data under each of their labellings: FER2013 with votes has two.

    Parameters
    ----------
    data : list of str
        Folders, tables or FORMAT:PATH.
    ferplus : path, optional
        The FER+ votes file beside a FER2013 csv.
    emotions : str, optional
        Only these, or mergers.
    failures : list of SourceError
        Takes up the errors of pictures that are left out.
    """
    from mien.labels import parse_scheme
    from mien.sources.datasets import open_dataset
    from mien.sources.splits import merge

    if ferplus is not None:
        if len(data) > 1:
            raise bad_argument("ferplus", allowed="given with one FER2013 csv", given=data)
        corpora = [open_dataset(data[0], ferplus=ferplus), open_dataset(data[0], labels="ekman7")]
    else:
        opened = [leave_out_unreadable(open_dataset(spec), failures) for spec in data]
        corpora = [opened[0] if len(opened) == 1 else merge(opened)]
    if emotions is None:
        return corpora
    return [corpora[0].relabel(parse_scheme(emotions))]


def divide_labellings(
    labellings: list[LabelledImages],
    data: list[str],
    ferplus: Path | None,
    *,
    emotions: str | None,
    framed: bool,
    detector: str,
    seed: int,
) -> tuple[NDArray[np.bool_], list[Test]]:
    """Return which pictures are learned from, and what the model is measured on.

    Parameters
    ----------
    labellings : list of LabelledImages
        The same pictures under each of their labellings.
    data, ferplus, emotions, framed, detector
        What was typed, for the command by which a number can be had again.
    seed : int
        Draws what is kept back of a data set without official splits.
    """
    from dataclasses import replace

    from mien.training.run import Test

    first = labellings[0]
    part, kept = _parts(first, _data_sets(first, data), seed)
    watched = sorted(set(first.split[part == ("val" if "val" in part else "test")].tolist()))
    how = [] if emotions is None else ["--emotions", emotions]
    if framed or detector != "default":
        how += ["--framed"] if framed else ["--detector", _portable(detector)]
    tests = []
    for one in labellings:
        votes = ["--ferplus", ferplus.name] if ferplus is not None and one.votes is not None else []
        for split in watched:
            words = [_portable(data[0]), *votes, "--split", split, *how]
            tests.append(Test(one, split, _evaluation(words) if len(data) == 1 else AGAIN))
        for name, rows in kept.items():
            back = replace(one.select(rows), name=name)
            if (back.label >= 0).any():
                tests.append(Test(back, None, AGAIN))
    return part == "train", tests


def _data_sets(corpus: LabelledImages, data: list[str]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each data set by its name."""
    import numpy as np

    if len(data) == 1:
        return {corpus.name: np.arange(len(corpus))}
    member = corpus.groups["corpus"]
    return {name: np.flatnonzero(member == name) for name in dict.fromkeys(member.tolist())}


def _parts(
    corpus: LabelledImages, sets: dict[str, NDArray[np.int64]], seed: int
) -> tuple[NDArray[np.str_], dict[str, NDArray[np.int64]]]:
    """Divide each data set by its own splits, or as it is divided where it stands alone.

    Returns
    -------
    part : ndarray of shape (n,), str
        "train", "val", "test", "kept" or, for pictures that are not used, empty. Pictures without a split of
        a data set that has splits are learned from.
    kept : dict of str to ndarray of int64
        The rows kept back of each data set without splits, by its name and how they were drawn.
    """
    import numpy as np

    from mien.sources.labelled import split_role
    from mien.sources.splits import split_rows

    official = np.array([split_role(str(split)) for split in corpus.split], "U5")
    part = official.copy()
    whole = [name for name, rows in sets.items() if (official[rows] == "").all()]
    for rows in (sets[name] for name in sets if name not in whole):
        part[rows[corpus.split[rows] == ""]] = "train"
    if not whole and "train" not in part:
        whole = list(sets)
    kept = {}
    for name in whole:
        rows = sets[name]
        alone = corpus.select(rows)
        by = _kept_together(alone)
        part[rows] = split_rows(alone, {"train": 0.9, "kept": 0.1}, by=by, seed=seed)
        kept[f"{name} (a tenth kept back by {by} with seed {seed})"] = rows[part[rows] == "kept"]
    if (len(sets) > 1 or not whole) and (official[part == "train"] != "train").any():
        part = _without_copies(corpus, part)
    return part, kept


def _kept_together(corpus: LabelledImages) -> By:
    """Return what no two parts of a data set may share."""
    if corpus.subject is not None and len(set(corpus.subject.tolist()) - {""}) > 2:
        return "subject"
    if corpus.sequence is not None and len(set(corpus.sequence.tolist()) - {""}) > 2:
        return "sequence"
    return "stratified"


def _without_copies(corpus: LabelledImages, part: NDArray[np.str_]) -> NDArray[np.str_]:
    """Take byte-identical copies of what is measured on out of what is learned from."""
    import numpy as np

    from mien.sources.labelled import duplicate_groups

    copy = duplicate_groups(corpus.images)
    measured = np.isin(part, ("val", "test", "kept"))
    return np.where((part == "train") & np.isin(copy, copy[measured]), "", part)


def _portable(spec: str) -> str:
    """Return what was typed without the folders of this machine."""
    form, colon, path = spec.partition(":")
    if Path(spec).exists() or not colon:
        form, colon, path = "", "", spec
    return form + colon + os.path.basename(os.path.abspath(path))


def _evaluation(words: list[str]) -> str:
    """Return the command by which a number can be had again, with a place for the model's name."""
    typed = shlex.join(["mien", "evaluate", *words])
    return typed.replace("{", "{{").replace("}", "}}") + " --model {model}"
