"""Features of a face without training: gradients, texture, landmark geometry; and a network's embedding.

The functions map crops to rows of numbers, each crop by itself; the transformers put them into
scikit-learn pipelines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin  # type: ignore[import-untyped]  # ships no types

from mien.catalog import ModelCard, file_sha256, find_model
from mien.errors import ModelError, bad_argument, require
from mien.faces.landmarks import PARTS, POINTS, LandmarkModel, as_grey
from mien.models.network import NetworkModel

EXTRA = "classic"
"""What of mien brings the packages needed here."""

_PAIRS = (
    ("brow_{s}_inner", "eye_{s}_inner"),
    ("brow_{s}_middle", "eye_{s}"),
    ("brow_{s}_outer", "eye_{s}_outer"),
    ("brow_{s}_inner", "brow_{s}_outer"),
    ("lid_{s}_upper", "lid_{s}_lower"),
    ("lid_{s}_upper", "iris_{s}"),
    ("eye_{s}_inner", "eye_{s}_outer"),
    ("brow_{s}_inner", "nose_root"),
    ("mouth_{s}", "eye_{s}_outer"),
    ("mouth_{s}", "nostril_{s}"),
    ("mouth_{s}", "chin"),
    ("mouth_{s}", "jaw_{s}"),
    ("nostril_{s}", "eye_{s}_inner"),
)
_TRIPLES = (
    ("brow_{s}_outer", "brow_{s}_middle", "brow_{s}_inner"),
    ("lid_{s}_upper", "eye_{s}_outer", "lid_{s}_lower"),
    ("lid_{s}_upper", "eye_{s}_inner", "lid_{s}_lower"),
    ("lip_upper_edge", "mouth_{s}", "lip_lower_edge"),
    ("nose_base", "mouth_{s}", "chin"),
    ("eye_{s}_outer", "mouth_{s}", "lip_upper_edge"),
)


def _both_sides(table: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(name.format(s=side) for name in names) for names in table for side in ("right", "left")
    )


DISTANCES: tuple[tuple[str, ...], ...] = (
    *_both_sides(_PAIRS),
    ("brow_right_inner", "brow_left_inner"),
    ("mouth_right", "mouth_left"),
    ("nostril_right", "nostril_left"),
    ("lip_upper_inner", "lip_lower_inner"),
    ("lip_upper_edge", "lip_upper_inner"),
    ("lip_lower_edge", "lip_lower_inner"),
    ("lip_upper_edge", "nose_base"),
    ("lip_lower_edge", "chin"),
    ("nose_tip", "chin"),
)
"""Pairs of :data:`PARTS` whose distance expressions change: brows, lids, nose, lips, jaw."""

ANGLES: tuple[tuple[str, ...], ...] = (
    *_both_sides(_TRIPLES),
    ("mouth_right", "lip_upper_edge", "mouth_left"),
    ("mouth_right", "lip_lower_edge", "mouth_left"),
    ("mouth_right", "nose_tip", "mouth_left"),
)
"""Triples of :data:`PARTS`; the angle is the one at the second."""


def hog(
    crops: NDArray[np.uint8], *, cell: int = 6, block: int = 2, orientations: int = 9
) -> NDArray[np.float32]:
    """Return histograms of oriented gradients (Dalal and Triggs 2005, doi 10.1109/CVPR.2005.177).

    Nine orientations without sign, blocks of 2 x 2 cells that overlap by half, and their norm "L2-Hys", as
    the authors found best; cells smaller than their 8 pixels, because the faces are.

    Parameters
    ----------
    crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
        Grey or RGB; n may be 0. Colour is not looked at.
    cell : int
        Side of a cell in pixels.
    block : int
        Cells along the side of a block.
    orientations : int
        Bins over half a turn.

    Returns
    -------
    ndarray of shape (n, d), float32
        With c = S // cell cells along the side: d = (c - block + 1)**2 * block**2 * orientations, each
        from 0 to 1.
    """
    _counted(cell=cell, block=block, orientations=orientations)
    grey = as_grey(crops)
    blocks = grey.shape[1] // cell - block + 1
    if blocks < 1:
        raise bad_argument(
            "cell", allowed=f"at most {grey.shape[1] // block} for crops of {grey.shape[1]} px", given=cell
        )
    compute = _skimage().hog
    rows = np.empty((len(grey), blocks**2 * block**2 * orientations), np.float32)
    for row, crop in zip(rows, grey, strict=True):
        row[:] = compute(crop, orientations, (cell, cell), (block, block), "L2-Hys")
    return rows


def lbp(
    crops: NDArray[np.uint8], *, cells: int = 6, neighbours: int = 8, radius: int = 1
) -> NDArray[np.float32]:
    """Return histograms of uniform local binary patterns over a grid (Ojala et al. 2002).

    A pattern says which neighbours of a pixel are at least as bright (doi 10.1109/TPAMI.2002.1017623);
    those that change more than twice around the circle share one bin. That the directions stay apart and
    the face is divided into cells follows Ahonen et al. 2006 (doi 10.1109/TPAMI.2006.244). Of each share
    the square root is returned, by which plain distances become Hellinger's.

    Parameters
    ----------
    crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
        Grey or RGB; n may be 0. Colour is not looked at.
    cells : int
        Cells along the side of the grid.
    neighbours : int
        Points on the circle.
    radius : int
        Of the circle, in pixels; as many are left out along the border.

    Returns
    -------
    ndarray of shape (n, d), float32
        d = cells**2 * (neighbours * (neighbours - 1) + 3), each from 0 to 1.
    """
    _counted(cells=cells, neighbours=neighbours, radius=radius)
    grey = as_grey(crops)
    side = grey.shape[1] - 2 * radius
    if side < cells:
        raise bad_argument("cells", allowed=f"at most {side} for crops of {grey.shape[1]} px", given=cells)
    bins = neighbours * (neighbours - 1) + 3
    line = np.arange(side) * cells // side
    first_bin = ((line[:, None] * cells + line) * bins).ravel()
    compute = _skimage().local_binary_pattern
    rows = np.empty((len(grey), cells**2 * bins), np.float32)
    for row, crop in zip(rows, grey, strict=True):
        pattern = compute(crop, neighbours, radius, "nri_uniform")[radius:-radius, radius:-radius]
        count = np.bincount(first_bin + pattern.astype(np.int64).ravel(), minlength=cells**2 * bins)
        share = count.reshape(-1, bins) / count.reshape(-1, bins).sum(axis=1, keepdims=True)
        row[:] = np.sqrt(share).ravel()
    return rows


def geometry(landmarks_xy: ArrayLike) -> NDArray[np.float32]:
    """Return where the landmarks lie in the face, and distances and angles between them.

    The middle between the eyes becomes the origin, the line from the right eye to the left one the level,
    and its length the unit, so that place, size and turn in the picture do not matter.

    Parameters
    ----------
    landmarks_xy : array_like of shape (n, 70, 2)
        Pixels: the 68 points of iBUG, then the subject's right and left iris; n may be 0.

    Returns
    -------
    ndarray of shape (n, d), float32
        The 140 coordinates (x, y of the first, ...), then :data:`DISTANCES`, in distances of the eyes; then
        :data:`ANGLES` in radians, 0 to pi.
    """
    xy = np.asarray(landmarks_xy, np.float64)
    if xy.ndim != 3 or xy.shape[1:] != (POINTS, 2):
        raise bad_argument("landmarks_xy", allowed=f"of shape (n, {POINTS}, 2)", given=xy.shape)
    right, left = (xy[:, PARTS[name], :].mean(axis=1) for name in ("eye_right", "eye_left"))
    level = left - right
    square = (level**2).sum(axis=1)
    level = np.where(square[:, None] > 0, level, [1.0, 0.0])  # one pixel, where the eyes coincide
    square = np.where(square > 0, square, 1.0)[:, None]
    offset = xy - ((left + right) / 2)[:, None]
    x = (offset[..., 0] * level[:, :1] + offset[..., 1] * level[:, 1:]) / square
    y = (offset[..., 1] * level[:, :1] - offset[..., 0] * level[:, 1:]) / square
    placed = np.stack([x, y], axis=-1)
    part = {name: placed[:, points, :].mean(axis=1) for name, points in PARTS.items()}
    distances = [np.hypot(*(part[a] - part[b]).T) for a, b in DISTANCES]
    angles = [_angle(part[a] - part[middle], part[b] - part[middle]) for a, middle, b in ANGLES]
    return np.column_stack([placed.reshape(len(xy), 2 * POINTS), *distances, *angles]).astype(np.float32)


def _angle(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    angle: NDArray[np.float64] = np.abs(np.arctan2(cross, (a * b).sum(axis=1)))
    return angle


def _counted(**numbers: int) -> None:
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise bad_argument(name, allowed="a whole number from 1", given=value)


def _skimage() -> Any:
    return require("skimage.feature", purpose="Describing crops by gradients or texture", extra=EXTRA)


class CropFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What the transformers of crops share: all they learn is how many features there are."""

    def fit(self, X: NDArray[np.uint8], y: object = None) -> Self:  # noqa: ARG002  # scikit-learn passes it
        """Count the features of the first crop."""
        self.n_features_out_ = self.transform(X[:1]).shape[1]
        return self


class HogFeatures(CropFeatures):
    """Crops to histograms of oriented gradients; parameters as for :func:`hog`."""

    def __init__(self, cell: int = 6, block: int = 2, orientations: int = 9) -> None:
        self.cell = cell
        self.block = block
        self.orientations = orientations

    def transform(self, X: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return :func:`hog` of crops (n, S, S) or (n, S, S, 3)."""
        return hog(X, cell=self.cell, block=self.block, orientations=self.orientations)


class LbpFeatures(CropFeatures):
    """Crops to histograms of local binary patterns; parameters as for :func:`lbp`."""

    def __init__(self, cells: int = 6, neighbours: int = 8, radius: int = 1) -> None:
        self.cells = cells
        self.neighbours = neighbours
        self.radius = radius

    def transform(self, X: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return :func:`lbp` of crops (n, S, S) or (n, S, S, 3)."""
        return lbp(X, cells=self.cells, neighbours=self.neighbours, radius=self.radius)


class NetworkFeatures(CropFeatures):
    """What transformers by a network have in common: its file is loaded at its first use, and never changes.

    Parameters
    ----------
    model : str or path
        Name or file of the network.
    threads : int, optional
        Processor threads it may use; by default as many as the machine has cores.

    Attributes
    ----------
    sha256_ : str
        Of the network's file when this was fitted. With another one every feature would mean something else.
    """

    task = ""

    def __init__(self, model: str | Path, threads: int | None = None) -> None:
        self.model = model
        self.threads = threads

    def __getstate__(self) -> dict[str, Any]:
        """Return what is worth keeping: without the loaded network."""
        return {name: value for name, value in super().__getstate__().items() if name != "_loaded"}

    def fit(self, X: NDArray[np.uint8], y: object = None) -> Self:
        """Note which file the network is, and count the features of the first crop."""
        self.__dict__.pop("sha256_", None)
        self.__dict__.pop("_loaded", None)
        self.sha256_ = file_sha256(find_model(self.model, self.task)[1])
        return super().fit(X, y)

    def network(self) -> Any:
        """Return the network, loaded once.

        Raises
        ------
        ModelError
            If it is not the file that this was fitted with.
        """
        wanted = (str(self.model), self.threads)
        if getattr(self, "_loaded", (None, None))[0] != wanted:
            card, path = find_model(self.model, self.task)
            if getattr(self, "sha256_", "") not in ("", file_sha256(path)):
                raise ModelError(
                    f"{path} is not the file of {card.name!r} on which the classifier was trained. "
                    "Restore that one, or train the classifier again."
                )
            self._loaded = wanted, self._load(card, path)
        return self._loaded[1]


class EmbeddingFeatures(NetworkFeatures):
    """Crops to the embedding of a trained expression network; parameters as for :class:`NetworkFeatures`."""

    task = "expression"

    def __init__(self, model: str | Path = "resnet.ferplus", threads: int | None = None) -> None:
        super().__init__(model, threads)

    def transform(self, X: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the embedding (n, d) of crops that are cut as the network's card says."""
        embedding: NDArray[np.float32] = self.network().embed(X)
        return embedding

    def _load(self, card: ModelCard, path: Path) -> NetworkModel:
        return NetworkModel(card, path, threads=self.threads)


class GeometryFeatures(NetworkFeatures):
    """Crops to the geometry of the landmarks a network finds; parameters as for :class:`NetworkFeatures`."""

    task = "landmarks"

    def __init__(self, model: str | Path = "points70.faces", threads: int | None = None) -> None:
        super().__init__(model, threads)

    def transform(self, X: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return :func:`geometry` of crops (n, S, S) or (n, S, S, 3)."""
        return geometry(self.network().predict(X))

    def _load(self, card: ModelCard, path: Path) -> LandmarkModel:
        return LandmarkModel(card, path, threads=self.threads)


class EvenScale(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Features divided by one number, so that their mean variance is one.

    What they weigh against each other stays as it is; a Gaussian kernel of scikit-learn's default width (one
    over the number of features) then fits their spread. They leave in double precision: where two of the
    pictures that stand for all are copies, Nystroem's approximation multiplies rounding a million times.

    Attributes
    ----------
    scale_ : float
    """

    def fit(self, X: NDArray[np.float32], y: object = None) -> Self:  # noqa: ARG002  # scikit-learn passes it
        """Measure the spread of features (n, d)."""
        variance = float(np.var(X, axis=0, dtype=np.float64).mean())
        self.scale_ = float(np.sqrt(variance)) if variance > 0 else 1.0
        return self

    def transform(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return features (n, d), scaled."""
        return X.astype(np.float64) / self.scale_
