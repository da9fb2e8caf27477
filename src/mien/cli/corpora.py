"""What ``mien train`` and ``mien combine`` learn from and measure on, as typed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import bad_argument

if TYPE_CHECKING:
    from mien.sources.labelled import LabelledImages
    from mien.training.run import Test


def open_labellings(data: list[str], ferplus: Path | None, emotions: str | None) -> list[LabelledImages]:
    """Return the data under each of their labellings: FER2013 with votes has two.

    Parameters
    ----------
    data : list of str
        Folders, tables or FORMAT:PATH.
    ferplus : path, optional
        The FER+ votes file beside a FER2013 csv.
    emotions : str, optional
        Only these, or mergers.
    """
    from mien.labels import parse_scheme
    from mien.sources.datasets import open_dataset
    from mien.sources.splits import merge

    if ferplus is not None:
        if len(data) > 1:
            raise bad_argument("ferplus", allowed="given with one FER2013 csv", given=data)
        corpora = [open_dataset(data[0], ferplus=ferplus), open_dataset(data[0], labels="ekman7")]
    else:
        opened = [open_dataset(spec) for spec in data]
        corpora = [opened[0] if len(opened) == 1 else merge(opened)]
    if emotions is None:
        return corpora
    return [corpora[0].relabel(parse_scheme(emotions))]


def divide_labellings(
    labellings: list[LabelledImages], data: list[str], ferplus: Path | None, *, seed: int
) -> tuple[list[LabelledImages], list[Test]]:
    """Return what is learned from, and what the model is measured on.

    Parameters
    ----------
    labellings : list of LabelledImages
        The same pictures under each of their labellings.
    data, ferplus
        What was typed, for the command by which a number can be had again.
    seed : int
        Draws what is kept back, where the data have no official splits.
    """
    import numpy as np

    from mien.sources.labelled import split_role
    from mien.sources.splits import split_rows
    from mien.training.run import Test

    first = labellings[0]
    role = np.array([split_role(str(split)) for split in first.split])
    if (role == "train").any():
        watched = sorted({str(s) for s, r in zip(first.split, role, strict=True) if r == "val"}) or sorted(
            {str(s) for s, r in zip(first.split, role, strict=True) if r == "test"}
        )
        learned = [one.select(role == "train") for one in labellings]
        tests = [
            Test(one, split, _evaluation(data, ferplus, one, split))
            for one in labellings
            for split in watched
        ]
        return learned, tests
    by: Any = "stratified"
    if first.subject is not None and len(set(first.subject.tolist()) - {""}) > 2:
        by = "subject"
    elif first.sequence is not None and len(set(first.sequence.tolist()) - {""}) > 2:
        by = "sequence"
    part = split_rows(first, {"train": 0.9, "test": 0.1}, by=by, seed=seed)
    kept = f"a tenth kept back by {by} with seed {seed}"
    tests = [
        Test(_named(one.select(part == "test"), kept), None, "mien train, as above") for one in labellings
    ]
    return [one.select(part == "train") for one in labellings], tests


def _named(corpus: LabelledImages, part: str) -> LabelledImages:
    from dataclasses import replace

    return replace(corpus, name=f"{corpus.name} ({part})")


def _evaluation(data: list[str], ferplus: Path | None, corpus: LabelledImages, split: str) -> str:
    """Return the command by which a number can be had again, without the folders of this machine."""
    names = " ".join(Path(spec).name for spec in data)
    votes = f" --ferplus {ferplus.name}" if ferplus is not None and corpus.votes is not None else ""
    return f"mien evaluate {names}{votes} --split {split} --model {{model}}"
