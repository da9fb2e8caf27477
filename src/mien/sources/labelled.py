"""Labelled pictures: what every reader of a corpus returns. No torch.

The columns are parallel over the pictures; what a corpus does not say is empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, SourceError, bad_argument
from mien.labels import LabelScheme, LabelSet
from mien.sources.images import read_image

Images = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
"""Pictures of one corpus: in one array, or each by itself."""

OPTIONAL_COLUMNS = ("votes", "subject", "sequence", "position", "valence_arousal")
"""Fields of :class:`LabelledImages` that a corpus may lack."""

_SPLIT_ROLES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "publictest": "val", "test": "test", "testing": "test", "privatetest": "test",
}  # fmt: skip


@dataclass(frozen=True)
class LabelledImages:
    """A labelled corpus as parallel arrays over its pictures.

    Parameters
    ----------
    name : str
        The corpus, as it is cited.
    labels : LabelSet
        The k classes its labels use.
    images : sequence of ndarray
        n pictures, each (H, W) grey or (H, W, 3) RGB, uint8.
    label : ndarray of shape (n,), int64
        Column in `labels`; -1 where the rule gives no label.
    split : ndarray of shape (n,), str
        The official split of each picture; empty where there is none.
    source : ndarray of shape (n,), str
        What to call each picture in a message.
    votes : ndarray of shape (n, k), float32, optional
        Number of voters per class, where the corpus has them.
    rule : str
        How `label` was derived, in words.
    subject : ndarray of shape (n,), str, optional
        Who is shown; empty where that is not known.
    sequence : ndarray of shape (n,), str, optional
        To which sequence a picture belongs; empty for none.
    position : ndarray of shape (n,), int64, optional
        Order of the pictures in their sequence.
    groups : mapping of str to ndarray of shape (n,), str
        Further properties by which results can be told apart ("gender", "age", "light"); empty where one
        is not known.
    valence_arousal : ndarray of shape (n, 2), float32, optional
        From -1 to 1; NaN where not known.
    terms : str
        On which terms the pictures may be used.
    """

    name: str
    labels: LabelSet
    images: Images
    label: NDArray[np.int64]
    split: NDArray[np.str_]
    source: NDArray[np.str_]
    votes: NDArray[np.float32] | None = None
    rule: str = "the label as given"
    subject: NDArray[np.str_] | None = None
    sequence: NDArray[np.str_] | None = None
    position: NDArray[np.int64] | None = None
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    valence_arousal: NDArray[np.float32] | None = None
    terms: str = ""

    def __post_init__(self) -> None:
        n = len(self.images)
        columns = {name: getattr(self, name) for name in ("label", "split", "source", *OPTIONAL_COLUMNS)}
        for name, value in {**columns, **self.groups}.items():
            if value is not None and len(value) != n:
                raise bad_argument(name, allowed=f"as long as images ({n})", given=len(value))
        if (self.sequence is None) != (self.position is None):
            raise bad_argument("position", allowed="given with sequence, and only then", given=self.position)

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> LabelledImages:
        """Return the same corpus with only these rows (a mask or positions)."""
        if rows.dtype == bool and rows.shape != (len(self),):
            raise bad_argument("rows", allowed=f"a mask of {len(self)} pictures", given=rows.shape)
        index = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        images = self.images[index] if isinstance(self.images, np.ndarray) else _Chosen(self.images, index)
        optional: dict[str, Any] = {
            name: None if (value := getattr(self, name)) is None else value[index]
            for name in OPTIONAL_COLUMNS
        }
        return replace(
            self,
            images=images,
            label=self.label[index],
            split=self.split[index],
            source=self.source[index],
            groups={name: value[index] for name, value in self.groups.items()},
            **optional,
        )

    def relabel(self, scheme: LabelScheme) -> LabelledImages:
        """Return the same pictures under a subset or merger of the emotions.

        Pictures whose emotion is in none of the classes lose their label (-1); votes are added up.

        Parameters
        ----------
        scheme : LabelScheme
            See :func:`mien.labels.parse_scheme`.
        """
        onto = scheme.matrix(self.labels)
        column = np.where(onto.any(axis=1), onto.argmax(axis=1), -1)
        return replace(
            self,
            labels=scheme.labels,
            label=np.where(self.label >= 0, column[self.label], -1).astype(np.int64),
            votes=None if self.votes is None else self.votes @ onto,
            rule=f"{self.rule}; as {scheme}",
        )


def readable(
    corpus: LabelledImages,
    on_error: Callable[[SourceError], None],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> LabelledImages:
    """Return a corpus without the pictures that cannot be read; those not yet in memory are all tried.

    Parameters
    ----------
    corpus : LabelledImages
    on_error : callable
        Called with the error of each picture that is left out.
    progress : callable, optional
        Called with the number of pictures tried, and of all.

    Raises
    ------
    DatasetError
        If none of its pictures can be read.
    """
    if isinstance(corpus.images, np.ndarray):
        return corpus
    kept = np.ones(len(corpus), bool)
    for i in range(len(corpus)):
        try:
            corpus.images[i]
        except SourceError as error:
            kept[i] = False
            on_error(error)
        if progress is not None:
            progress(i + 1, len(corpus))
    if len(corpus) and not kept.any():
        raise DatasetError(f"{corpus.name}: none of its {len(corpus)} pictures can be read.")
    return corpus if kept.all() else corpus.select(kept)


def split_role(split: str) -> str:
    """Return what an official split is for, by its name in any corpus.

    Returns
    -------
    str
        "train", "val" or "test"; empty where the name does not say.
    """
    return _SPLIT_ROLES.get(split.strip().lower(), "")


def leaked_into_training(corpus: LabelledImages) -> NDArray[np.bool_]:
    """Find the pictures outside the training split that are byte-identical to one in it.

    Returns
    -------
    ndarray of shape (n,), bool
        Always False for the training pictures themselves.
    """
    key = duplicate_groups(corpus.images)
    training = np.array([split_role(str(split)) == "train" for split in corpus.split], bool)
    leaked: NDArray[np.bool_] = np.isin(key, np.unique(key[training])) & ~training
    return leaked


def duplicate_groups(images: Images) -> NDArray[np.int64]:
    """Give byte-identical pictures the same number.

    Returns
    -------
    ndarray of shape (n,), int64
        Equal numbers for equal pictures (same shape, same bytes).
    """
    digests = [hashlib.sha256(repr(im.shape).encode() + im.tobytes()).digest() for im in images]
    return np.unique(np.array(digests, dtype="S32"), return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class Windows:
    """Stretches of sequences, each ending at a labelled picture.

    Parameters
    ----------
    rows : ndarray of shape (m, t), int64
        Rows of the corpus, oldest first; the label is that of the last.
    """

    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


def sequence_windows(corpus: LabelledImages, length: int, *, step: int = 1, hop: int = 1) -> Windows:
    """Find the stretches of a corpus that end at a labelled picture.

    Parameters
    ----------
    corpus : LabelledImages
        With sequences.
    length : int
        Pictures a stretch, t.
    step : int
        Every which picture before the last is taken; before the start of a sequence its first picture is
        repeated.
    hop : int
        Of a sequence's labelled pictures, counted from the last, every which ends a stretch.

    Raises
    ------
    ArgumentError
        If the corpus has no sequences.
    """
    for name, value in {"length": length, "step": step, "hop": hop}.items():
        if value < 1:
            raise bad_argument(name, allowed="a whole number from 1", given=value)
    if corpus.sequence is None or corpus.position is None or not (corpus.sequence != "").any():
        raise bad_argument("corpus", allowed="one with sequences", given=corpus.name)
    back = np.arange(length - 1, -1, -1) * step
    found = []
    for name in np.unique(corpus.sequence[corpus.sequence != ""]):
        rows = np.flatnonzero(corpus.sequence == name)
        rows = rows[np.argsort(corpus.position[rows], kind="stable")]
        ends = np.flatnonzero(corpus.label[rows] >= 0)[::-1][::hop][::-1]
        found.append(rows[np.maximum(ends[:, None] - back, 0)])
    return Windows(np.concatenate(found).reshape(-1, length).astype(np.int64))


class ImagePaths(Sequence[NDArray[np.uint8]]):
    """Pictures on disk, decoded when indexed."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # one picture at a time; slices are not asked for
        return read_image(self._paths[index])


class _Chosen(Sequence[NDArray[np.uint8]]):
    """Some rows of another sequence of pictures."""

    def __init__(self, images: Images, index: NDArray[np.int64]) -> None:
        self._images, self._index = images, index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as above
        return self._images[int(self._index[index])]
