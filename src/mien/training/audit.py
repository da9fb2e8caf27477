"""Look a corpus over before anything is learned from it: copies, leaks, labels, faces, light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.detect import Detector
from mien.sources.labelled import LabelledImages
from mien.training.copies import Copies, find_copies
from mien.training.crops import detected_geometry
from mien.training.findings import (
    CorpusFindings,
    FaceFindings,
    Finding,
    count_labels,
    find_belonging,
    find_votes,
)
from mien.training.measures import LIGHT, Spread, estimate_pose, measure
from mien.training.similar import FLAT, NEAR

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Audit:
    """What was found in one corpus or several.

    Parameters
    ----------
    corpora : tuple of CorpusFindings
    parts : tuple of (int, str)
        The parts that copies are counted in: a corpus by its position, and one of its splits.
    part : ndarray of shape (n,), int64
        Part of each picture, over all corpora one after the other.
    copies : Copies
        Among the pictures of all corpora.
    near : float
        Correlation from which pictures counted as nearly the same.
    source : ndarray of shape (n,), str
        What each picture is called.
    label : ndarray of shape (n,), str
        Name of its emotion; empty for none.
    """

    corpora: tuple[CorpusFindings, ...]
    parts: tuple[tuple[int, str], ...]
    part: NDArray[np.int64]
    copies: Copies
    near: float
    source: NDArray[np.str_]
    label: NDArray[np.str_]

    def place(self, row: int) -> tuple[int, int]:
        """Return which corpus a picture is of, and its row there."""
        starts = np.cumsum([0, *(corpus.n for corpus in self.corpora)])
        corpus = int(np.searchsorted(starts, row, side="right")) - 1
        return corpus, int(row - starts[corpus])

    def part_name(self, part: int) -> str:
        """Return what a part is called in a table."""
        corpus, split = self.parts[part]
        if len(self.corpora) == 1:
            return split or self.corpora[0].name
        return f"{self.corpora[corpus].name} {split}".strip()

    def summary(self) -> list[Finding]:
        """Return what is most worth knowing, a line for each count."""
        copies, n = self.copies, len(self.source)
        near_only = copies.leaked[:, 1] & ~copies.leaked[:, 0]
        lines = [
            Finding("pictures with a byte-identical copy", sum(map(len, copies.groups)), n),
            Finding(
                "groups of identical pictures with different labels",
                copies.conflicting.sum(),
                len(copies.groups),
            ),
            Finding("pairs that are nearly the same", len(copies.near), None),
            Finding(
                "such pairs with different labels", copies.near_conflicting.sum(), copies.near_agreement.pairs
            ),
        ]
        for part in range(len(self.parts) if len(self.parts) > 1 else 0):
            here = self.part == part
            name, size = self.part_name(part), int(here.sum())
            lines += [
                Finding(f"{name}: identical to one in another part", copies.leaked[here, 0].sum(), size),
                Finding(f"{name}: only nearly the same as one in another part", near_only[here].sum(), size),
            ]
        for corpus in self.corpora:
            lines += corpus.summary(f", {corpus.name}" if len(self.corpora) > 1 else "")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return all findings as plain values for JSON; pictures by what they are called."""
        starts = np.cumsum([0, *(corpus.n for corpus in self.corpora)])
        return {
            "corpora": [
                corpus.to_dict(self.source[start : start + corpus.n])
                for corpus, start in zip(self.corpora, starts[:-1], strict=True)
            ],
            "identical": self._identical(),
            "near_identical": self._near(),
            "parts": [self.part_name(part) for part in range(len(self.parts))],
            "pictures_identical_to_one_in_part": self.copies.identical_in.tolist(),
            "pictures_nearly_identical_to_one_in_part": self.copies.near_in.tolist(),
            "leaked": [
                {"picture": str(self.source[row]), "part": self.part_name(int(self.part[row])), "how": how}
                for how, leaked in zip(("identical", "near"), self.copies.leaked.T, strict=True)
                for row in np.flatnonzero(leaked)
            ],
        }

    def _identical(self) -> dict[str, Any]:
        groups = [
            {"pictures": self.source[rows].tolist(), "labels": self.label[rows].tolist()}
            for rows in self.copies.groups
        ]
        return {
            "groups": len(groups),
            "pictures": sum(map(len, self.copies.groups)),
            "conflicting_groups": int(self.copies.conflicting.sum()),
            "label_agreement": self.copies.agreement.to_dict(),
            "list": groups,
        }

    def _near(self) -> dict[str, Any]:
        near = self.copies.near
        columns = zip(near.first, near.second, near.correlation, near.mirrored, strict=True)
        pairs = [
            {
                "pictures": self.source[[i, j]].tolist(),
                "labels": self.label[[i, j]].tolist(),
                "correlation": round(float(value), 4),
                "mirrored": bool(mirrored),
            }
            for i, j, value, mirrored in columns
        ]
        return {
            "from_correlation": self.near,
            "pairs": len(near),
            "mirrored_pairs": int(near.mirrored.sum()),
            "groups_with_identical": self.copies.near_groups,
            "conflicting_pairs": int(self.copies.near_conflicting.sum()),
            "label_agreement": self.copies.near_agreement.to_dict(),
            "list": pairs,
        }


def audit(
    corpora: Sequence[LabelledImages],
    *,
    detector: Detector | None = None,
    sample: int | None = None,
    cache: str | Path | None = None,
    near: float = NEAR,
    progress: Progress | None = None,
) -> Audit:
    """Look corpora over, each by itself and against the others.

    Parameters
    ----------
    corpora : sequence of LabelledImages
        One or more.
    detector : Detector, optional
        Looks for the face in every picture. Without one nothing is said of missing faces, of their turn and
        of their size, and light is measured in the whole picture.
    sample : int, optional
        Pictures of each corpus in which faces are looked for, drawn by chance, always the same; by default
        all. Everything else is always measured in all.
    cache : path, optional
        Folder in which what the detector finds is kept for the next time.
    near : float
        Correlation from which two pictures count as nearly the same, above 0 up to 1.
    progress : callable, optional
        Called with the number of steps done, and of all.

    Raises
    ------
    ArgumentError
        If there is no corpus, or an empty one.
    """
    if not corpora or not all(len(corpus) for corpus in corpora):
        raise bad_argument(
            "corpora", allowed="one or more, each with pictures", given=list(map(len, corpora))
        )
    if sample is not None and sample < 1:
        raise bad_argument("sample", allowed="a whole number from 1", given=sample)
    chosen = [_chosen(len(corpus), sample) if detector else np.empty(0, np.int64) for corpus in corpora]
    report = _joined(progress, sum(map(len, corpora)) + sum(map(len, chosen)))
    names = _distinct([corpus.name for corpus in corpora])
    findings = tuple(
        _look_over(corpus, name, rows, detector, cache, report)
        for corpus, name, rows in zip(corpora, names, chosen, strict=True)
    )
    label = np.concatenate([_label_names(corpus) for corpus in corpora])
    parts, part = _parts(corpora)
    copies = find_copies(
        np.concatenate([one.measures.key for one in findings]),
        np.concatenate([one.measures.thumbnail for one in findings]),
        part,
        label,
        parts=len(parts),
        apart=_sequences(corpora),
        near=near,
    )
    source = np.concatenate([corpus.source.astype(str) for corpus in corpora])
    return Audit(findings, parts, part, copies, near, source, label)


def _look_over(
    corpus: LabelledImages,
    name: str,
    rows: NDArray[np.int64],
    detector: Detector | None,
    cache: str | Path | None,
    report: Callable[[], None],
) -> CorpusFindings:
    landmarks = np.full((len(corpus), 5, 2), np.nan, np.float32)
    faces = None
    if detector is not None:
        images = corpus.select(rows).images
        where = detected_geometry(images, detector, cache=cache, progress=lambda *_: report())
        landmarks[rows[where.found]] = where.landmarks_xy[where.found]
        faces = FaceFindings(detector.name, rows, where.found, estimate_pose(landmarks[rows]))
    measures = measure(corpus.images, landmarks, progress=lambda *_: report())
    sizes = Counter(f"{width} x {height}" for width, height in measures.size_px.tolist())
    flat = measures.thumbnail.std(axis=(1, 2)) < FLAT
    return CorpusFindings(
        name=name,
        n=len(corpus),
        unlabelled=int((corpus.label < 0).sum()),
        rule=corpus.rule,
        terms=corpus.terms,
        balance=count_labels(corpus),
        sizes=dict(sizes.most_common()),
        not_square=int((measures.size_px[:, 0] != measures.size_px[:, 1]).sum()),
        coloured=int(measures.coloured.sum()),
        side_px=Spread.of(measures.size_px.min(axis=1)),
        blank=np.flatnonzero(flat),
        light={word: Spread.of(measures.light[:, i]) for i, word in enumerate(LIGHT)},
        measures=measures,
        faces=faces,
        votes=None if corpus.votes is None else find_votes(corpus.votes, corpus.labels.names),
        belonging=find_belonging(corpus),
    )


def _chosen(n: int, sample: int | None) -> NDArray[np.int64]:
    if sample is None or sample >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, sample, replace=False))


def _joined(progress: Progress | None, total: int) -> Callable[[], None]:
    """Return a function that counts one more step of all of them."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return step


def _distinct(names: list[str]) -> list[str]:
    """Give names that occur before a number."""
    return [
        f"{name} ({names[:i].count(name) + 1})" if name in names[:i] else name for i, name in enumerate(names)
    ]


def _label_names(corpus: LabelledImages) -> NDArray[np.str_]:
    names = np.array([*corpus.labels.names, ""])
    return names[corpus.label]  # -1, no label, is the last


def _parts(corpora: Sequence[LabelledImages]) -> tuple[tuple[tuple[int, str], ...], NDArray[np.int64]]:
    parts: list[tuple[int, str]] = []
    numbers = []
    for i, corpus in enumerate(corpora):
        splits = list(dict.fromkeys(corpus.split.tolist()))
        number = np.array([splits.index(split) for split in corpus.split.tolist()], np.int64)
        numbers.append(number + len(parts))
        parts += [(i, split) for split in splits]
    return tuple(parts), np.concatenate(numbers)


def _sequences(corpora: Sequence[LabelledImages]) -> NDArray[np.int64]:
    """Give every sequence of all corpora a number; -1 for a picture of none."""
    numbers, used = [], 0
    for corpus in corpora:
        number = np.full(len(corpus), -1, np.int64)
        if corpus.sequence is not None:
            names, index = np.unique(corpus.sequence, return_inverse=True)
            number = np.where(corpus.sequence != "", index + used, -1)
            used += len(names)
        numbers.append(number)
    return np.concatenate(numbers).astype(np.int64)
