"""Where the faces of labelled pictures lie, and how they are cut by it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError
from mien.faces.align import fit_similarity, framed_matrices, template_points
from mien.faces.landmarks import FIVE_OF_70


@dataclass(frozen=True)
class Geometry:
    """Landmarks and blend shapes of labelled pictures, from any landmarker.

    Parameters
    ----------
    found : ndarray of shape (n,), bool
        Where there is a face.
    landmarks_xy : ndarray of shape (n, 5, 2), float32
        Pixels of the picture.
    blendshapes : ndarray of shape (n, b), float32
        Strength 0 to 1 of each facial movement; b may be 0.
    blendshape_names : tuple of str
    """

    found: NDArray[np.bool_]
    landmarks_xy: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    blendshape_names: tuple[str, ...]

    def select(self, rows: NDArray[np.int64]) -> Geometry:
        """Return the geometry of these pictures only."""
        return Geometry(
            self.found[rows], self.landmarks_xy[rows], self.blendshapes[rows], self.blendshape_names
        )

    def mirrored_columns(self) -> list[int]:
        """Return, for each blend shape, the column it becomes when the picture is mirrored."""
        swap = {"Left": "Right", "Right": "Left"}
        names = list(self.blendshape_names)
        partner = []
        for name in names:
            side = next((s for s in swap if name.endswith(s)), None)
            partner.append(names.index(name.removesuffix(side) + swap[side] if side else name))
        return partner


def load_geometry(path: str | Path, rows: NDArray[np.int64]) -> Geometry:
    """Read a geometry file and order it as the pictures are.

    Parameters
    ----------
    path : path
        A ``.npz`` with `row`, `found`, `landmarks_xy` (70 points), `blendshapes` (x 255) and their names.
    rows : ndarray of shape (n,)
        The row of each picture in the corpus's official file.
    """
    with np.load(path) as file:
        missing = {"row", "found", "landmarks_xy", "blendshapes", "blendshape_names"} - set(file.files)
        if missing:
            raise DatasetError(f"{path} is no geometry file: it lacks {', '.join(sorted(missing))}.")
        place = {int(row): i for i, row in enumerate(file["row"])}
        absent = [int(r) for r in rows if int(r) not in place]
        if absent:
            raise DatasetError(f"{path} has no entry for row {absent[0]} ({len(absent)} rows are missing).")
        order = np.array([place[int(r)] for r in rows])
        return Geometry(
            found=file["found"][order].astype(bool),
            landmarks_xy=file["landmarks_xy"][order][:, FIVE_OF_70, :].astype(np.float32),
            blendshapes=file["blendshapes"][order].astype(np.float32) / 255,
            blendshape_names=tuple(str(name) for name in file["blendshape_names"]),
        )


def crop_matrices(
    geometry: Geometry | None, shapes: NDArray[np.int64], template: str, margin: float, size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how each picture is cut: by its landmarks, and as it is.

    Parameters
    ----------
    geometry : Geometry, optional
        Landmarks; without them, and where none were found, the picture is taken as it is.
    shapes : ndarray of shape (n, 2)
        Height and width of the pictures.
    template, margin, size
        As on the model's card.

    Returns
    -------
    aligned, whole : ndarray of shape (n, 2, 3), float32
        Picture to crop. `whole` treats the picture as a face already framed like the template.
    """
    whole = framed_matrices(shapes, margin, size).astype(np.float32)
    if geometry is None:
        return whole, whole
    target = template_points(template, margin, size)
    aligned = fit_similarity(geometry.landmarks_xy, target).astype(np.float32)
    return np.where(geometry.found[:, None, None], aligned, whole), whole
