"""From labelled pictures to tensors: crops or alignments, targets, and a part set aside."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mien.errors import bad_argument
from mien.faces.align import CropSpec
from mien.faces.detect import Detector
from mien.sources.labelled import LabelledImages, duplicate_groups, sequence_windows
from mien.training.architectures import get_architecture
from mien.training.crops import Progress, cut_corpus, detected_geometry
from mien.training.geometry import Geometry, crop_matrices
from mien.training.recipe import Recipe

SMALL = 64
"""Pictures of one size up to this side, in pixels, are kept as they are and cut while training; of others a
crop with surroundings is cut once."""

AROUND, FINER = 1.5, 1.25
"""How much wider than the crop those surroundings are, and how much finer."""

MOVEMENTS = "blendshapes"
"""Head of the auxiliary task."""


@dataclass(frozen=True)
class TrainingSet:
    """What a run learns from.

    Parameters
    ----------
    pictures : dict of str to Tensor
        "picture" (p, H, W) or (p, H, W, 3) uint8, with the alignments "aligned" and "whole" (p, 2, 3):
        picture to crop, by landmarks and as a face that is framed already; perhaps also "detected", by the
        landmarks of the detector in use.
    rows : Tensor of shape (n,) or (n, t), int64
        Which picture, or which pictures in their order, each of the n samples shows.
    targets : dict of str to Tensor
        For each head its target (n,) int64 or (n, k) float, with "_weight" (n,), and for emotions "_label"
        (n,), -1 where there is none.
    heads : dict of str to int
        Outputs by head.
    mirrored : list of int
        For each blend shape, the column it becomes in a mirrored picture.
    held_out : ndarray of shape (n,), bool
        Samples that are set aside.
    corpora : tuple of str
        Names of the data sets.
    """

    pictures: dict[str, Tensor]
    rows: Tensor
    targets: dict[str, Tensor]
    heads: dict[str, int]
    mirrored: list[int]
    held_out: NDArray[np.bool_]
    corpora: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprint(self) -> str:
        """Return what tells these pictures, targets and the part set aside from others; not how faces lie."""
        said = hashlib.sha256(repr(sorted(self.heads.items())).encode())
        columns = {"picture": self.pictures["picture"], "rows": self.rows, **self.targets}
        for name, column in sorted(columns.items()):
            said.update(f"{name} {tuple(column.shape)} {column.dtype}".encode() + column.numpy().tobytes())
        said.update(self.held_out.tobytes())
        return said.hexdigest()


def prepare(
    corpora: Sequence[LabelledImages],
    recipe: Recipe,
    *,
    geometry: Geometry | None = None,
    detector: Detector | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> TrainingSet:
    """Turn labelled pictures into tensors.

    Parameters
    ----------
    corpora : sequence of LabelledImages
        The same pictures under one or more labellings, each of which becomes a head. Votes are learned
        where there are any.
    recipe : Recipe
    geometry : Geometry, optional
        Of the same pictures: landmarks to cut by, and facial movements to learn beside the emotions.
    detector : Detector, optional
        Finds the landmarks where `geometry` is not given. Without either the pictures are taken as faces
        framed like the template.
    cache, progress
        See :func:`mien.training.crops.cut_corpus`.
    """
    first = corpora[0]
    if geometry is not None and len(geometry.found) != len(first):
        raise bad_argument(
            "geometry", allowed=f"of the same {len(first)} pictures", given=f"{len(geometry.found)}"
        )
    samples = _samples(first, recipe)
    targets: dict[str, NDArray[Any]] = {}
    for corpus in corpora:
        targets |= _targets(corpus.select(samples[:, -1]))
    for corpus in corpora:  # where nobody saw a face there is no label either
        if corpus.votes is not None:
            seen = (targets[corpus.labels.key + "_weight"] > 0).astype(np.float32)
            for other in corpora:
                targets[other.labels.key + "_weight"] *= seen
    heads = {corpus.labels.key: len(corpus.labels) for corpus in corpora}
    mirrored: list[int] = []
    if geometry is not None and geometry.blendshapes.shape[1] and recipe.blendshapes:
        part = geometry.select(samples[:, -1])
        targets |= {MOVEMENTS: part.blendshapes, MOVEMENTS + "_weight": part.found.astype(np.float32)}
        heads[MOVEMENTS] = part.blendshapes.shape[1]
        mirrored = part.mirrored_columns()
    pictures = _pictures(first, recipe, geometry, detector, cache, progress)
    rows = samples if get_architecture(recipe.arch).family == "sequence" else samples[:, 0]
    return TrainingSet(
        pictures={name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in pictures.items()},
        rows=torch.from_numpy(np.ascontiguousarray(rows)),
        targets={name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in targets.items()},
        heads=heads,
        mirrored=mirrored,
        held_out=hold_out(together(first)[samples[:, -1]], recipe.held_out, recipe.split_seed),
        corpora=tuple(corpus.name for corpus in corpora),
    )


def _samples(corpus: LabelledImages, recipe: Recipe) -> NDArray[np.int64]:
    """Return the pictures of each sample (n, t); of stills t is 1."""
    if get_architecture(recipe.arch).family == "sequence":
        samples = sequence_windows(
            corpus, recipe.frames, step=recipe.step, hop=recipe.hop or recipe.frames
        ).rows
    else:
        samples = np.arange(len(corpus))[:, None]
    if not len(samples):
        raise bad_argument("data", allowed="pictures with labels", given=corpus.name)
    return samples


def _targets(corpus: LabelledImages) -> dict[str, NDArray[Any]]:
    key = corpus.labels.key
    if corpus.votes is None:
        known = corpus.label >= 0
        return {
            key: np.maximum(corpus.label, 0),
            key + "_label": corpus.label,
            key + "_weight": known.astype(np.float32),
        }
    total = corpus.votes.sum(axis=1, keepdims=True)
    share = np.where(total > 0, corpus.votes / np.maximum(total, 1), 0)
    weight = total[:, 0] / max(10.0, float(total.max()))  # what voters did not give to an emotion is doubt
    single = np.flatnonzero((total[:, 0] == 0) & (corpus.label >= 0))  # of a corpus without votes
    share[single, corpus.label[single]] = 1
    weight[single] = 1
    return {
        key: share.astype(np.float32),
        key + "_label": corpus.label,
        key + "_weight": weight.astype(np.float32),
    }


def _pictures(
    corpus: LabelledImages,
    recipe: Recipe,
    geometry: Geometry | None,
    detector: Detector | None,
    cache: str | Path | None,
    progress: Progress | None,
) -> dict[str, NDArray[Any]]:
    """Return pictures with their alignments: small ones as they are, of others a crop with surroundings."""
    images, colour = corpus.images, get_architecture(recipe.arch).colour
    grey = isinstance(images, np.ndarray) and images.ndim == 3 and colour == "grey"
    if isinstance(images, np.ndarray) and grey and max(images.shape[1:]) <= SMALL:
        shapes = np.tile(images.shape[1:], (len(images), 1))
        cutting = (shapes, recipe.template, recipe.margin, recipe.size)
        seen = None
        if detector is not None and (geometry is None or recipe.detected):
            seen = detected_geometry(images, detector, cache=cache, progress=progress)
        aligned, whole = crop_matrices(seen if geometry is None else geometry, *cutting)
        pictures: dict[str, NDArray[Any]] = {"picture": images, "aligned": aligned, "whole": whole}
        if geometry is not None and seen is not None:
            pictures["detected"] = crop_matrices(seen, *cutting)[0]
        return pictures
    unit = 1 + 2 * recipe.margin
    wide = CropSpec(recipe.template, (AROUND * unit - 1) / 2, round(AROUND * FINER * recipe.size), colour)
    if geometry is None:
        crops = cut_corpus(images, wide, detector, cache=cache, progress=progress).crops
    else:
        crops = np.stack(
            [
                wide.cut(images[i], geometry.landmarks_xy[i : i + 1])[0]
                if geometry.found[i]
                else wide.cut_framed(images[i])
                for i in range(len(images))
            ]
        )
    scale, shift = AROUND * recipe.size / wide.size, (1 - AROUND) * recipe.size / 2
    matrix = np.array([[scale, 0, shift], [0, scale, shift]], np.float32)
    matrices = np.tile(matrix, (len(crops), 1, 1))
    return {"picture": crops, "aligned": matrices, "whole": matrices}


def together(corpus: LabelledImages) -> NDArray[np.int64]:
    """Give what may not be torn apart one number: identical pictures, a known person, a sequence.

    Parameters
    ----------
    corpus : LabelledImages
        Of n pictures.

    Returns
    -------
    ndarray of shape (n,), int64
    """
    groups = duplicate_groups(corpus.images)
    for names in (corpus.subject, corpus.sequence):
        if names is not None and (names != "").any():
            groups = _join(groups, np.unique(names, return_inverse=True)[1], names != "")
    return groups


def _join(
    groups: NDArray[np.int64], others: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Unite the groups that share a member of the other grouping, where that is known."""
    from scipy.sparse import coo_array  # type: ignore[import-untyped]  # ships no types
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]  # ships no types

    first, second = groups[known], others[known] + groups.max() + 1
    size = int(second.max()) + 1
    links = coo_array((np.ones(len(first)), (first, second)), shape=(size, size))
    component: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return component[groups]


def hold_out(groups: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose a part to set aside, whole groups at a time, so that no identical picture crosses.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        Equal numbers stay together.
    share : float
        About how much to set aside, between 0 and 1.
    seed : int

    Returns
    -------
    ndarray of shape (n,), bool
        True where set aside.
    """
    if not 0 < share < 1:
        raise bad_argument("share", allowed="a number between 0 and 1", given=share)
    names = np.unique(groups)
    if len(names) < 2:
        raise bad_argument("data", allowed="pictures of two groups or more, to set one aside", given=names)
    chosen = np.random.default_rng(seed).permutation(names)[: max(1, round(share * len(names)))]
    return np.isin(groups, chosen)


class Samples(Dataset[dict[str, Tensor]]):
    """Samples of a training set, a whole batch at a time.

    Parameters
    ----------
    data : TrainingSet
    chosen : Tensor of shape (m,), int64
        Which samples.
    """

    def __init__(self, data: TrainingSet, chosen: Tensor) -> None:
        self.data, self.chosen = data, chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, batch: list[int]) -> dict[str, Tensor]:
        samples = self.chosen[torch.as_tensor(batch)]
        pictures = self.data.rows[samples]
        return {name: column[pictures] for name, column in self.data.pictures.items()} | {
            name: column[samples] for name, column in self.data.targets.items()
        }


class BatchRows(Sampler[list[int]]):
    """Rows of each batch, drawn anew each epoch; several processes draw alike and share every batch.

    Parameters
    ----------
    rows : int
        Number of rows.
    size : int
        Rows a batch, of all processes together.
    shuffle : bool
        An incomplete last batch is then dropped.
    seed : int
    weight : Tensor of shape (rows,), optional
        Rows are drawn with replacement in proportion to it.
    rank, world : int
        Which process this is, and of how many.

    Raises
    ------
    ArgumentError
        If a batch has fewer rows than there are processes.
    """

    def __init__(
        self,
        rows: int,
        size: int,
        *,
        shuffle: bool,
        seed: int = 0,
        weight: Tensor | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.rows, self.size, self.shuffle = rows, min(size, rows), shuffle
        if self.size < world:
            raise bad_argument("batch", allowed=f"a row for each process, {world} or more", given=self.size)
        self.seed, self.weight, self.rank, self.world = seed, weight, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch follows; Lightning does."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows // self.size if self.shuffle else -(-(self.rows - self.rank) // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.arange(self.rows)
        if self.shuffle:
            draw = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
            if self.weight is None:
                order = torch.randperm(self.rows, generator=draw)
            else:
                order = torch.multinomial(self.weight, self.rows, replacement=True, generator=draw)
        for batch in range(len(self)):
            whole = order[batch * self.size : (batch + 1) * self.size]
            yield whole[self.rank :: self.world].tolist()


def loader(
    data: TrainingSet,
    samples: NDArray[np.bool_],
    size: int,
    *,
    shuffle: bool,
    seed: int = 0,
    weight: Tensor | None = None,
    rank: int = 0,
    world: int = 1,
) -> DataLoader[dict[str, Tensor]]:
    """Return batches of the chosen samples.

    Parameters
    ----------
    data : TrainingSet
    samples : ndarray of shape (n,), bool
        Which samples.
    size, shuffle, seed, weight, rank, world
        See :class:`BatchRows`; `weight` is over all n samples.
    """
    chosen = torch.from_numpy(np.flatnonzero(samples))
    part = Samples(data, chosen)
    rows = BatchRows(
        len(part),
        size,
        shuffle=shuffle,
        seed=seed,
        weight=None if weight is None else weight[chosen],
        rank=rank,
        world=world,
    )
    return DataLoader(part, sampler=rows, batch_size=None)


def labelled_rows(corpus: LabelledImages, *, sequences: bool = False) -> NDArray[np.int64]:
    """Return the rows that can be learned from: labelled pictures, or whole sequences that hold one.

    Parameters
    ----------
    corpus : LabelledImages
    sequences : bool
        Whether pictures without a label count that stand in a sequence with one.
    """
    known = corpus.label >= 0
    if corpus.votes is not None:
        known = known | (corpus.votes.sum(axis=1) > 0)
    if sequences and corpus.sequence is not None:
        holding = np.unique(corpus.sequence[known & (corpus.sequence != "")])
        known = known | np.isin(corpus.sequence, holding)
    return np.flatnonzero(known)
