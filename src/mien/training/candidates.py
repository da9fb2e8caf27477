"""What a detector takes for faces, rightly and wrongly: what a network that confirms faces learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError
from mien.faces.align import cut_boxes
from mien.faces.detect import PointDetector, surround
from mien.faces.faces import overlap
from mien.training.hiding import hide_part
from mien.training.lens import expose, take_in_the_dark
from mien.training.material import Grey, Material, Photo
from mien.training.scenes import SURE, UNSURE, Composer, Scene, face_box

SIDE, MARGIN = 64, 1.0
"""Pixels of a candidate's crop, and what of its surroundings is kept on every side: room to move the cut."""

IS_FACE, IS_NONE = 0.4, 0.1
"""A candidate whose overlap (intersection over union) with a face is from the first on is that face, one with
less than the second with every face is none; what lies between is not learned from."""

DOUBTFUL = 0.4
"""In photographs with faces, what the detector gives this score although the teacher has no box there is not
learned from: it is often a face that the teacher missed."""

SCENE_SIDES = ((320, 1.0), (640, 0.3))
"""Sides of composed scenes, and how many there are of each, in units of what is asked for."""

FRAME_SIDE, FRAME_SCALES = 640, (0.35, 1.4)
"""Longest side of a camera's frame, and how much smaller or larger pictures are shown."""

DARK_SHARE = 0.5
"""How many of the frames and single faces are taken in the dark."""

PATCH_SIDES = (48, 160)
"""Smallest and largest side of a piece of background that is shown as if it were a picture of a face."""


@dataclass(frozen=True)
class Candidates:
    """What was found, cut out with its surroundings.

    Parameters
    ----------
    crops : ndarray of shape (n, 64, 64), uint8
        Grey; squares of three times the side of the boxes.
    score : ndarray of shape (n,), float32
        The detector's.
    face : ndarray of shape (n,), bool
        Whether it is one.
    photographed : ndarray of shape (n,), bool
        Whether it was found in a photograph as it was taken; scenes are put together.
    """

    crops: Grey
    score: NDArray[np.float32]
    face: NDArray[np.bool_]
    photographed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.score)


def collect(
    material: Material, detector: PointDetector, *, scenes: int, rounds: int, singles: int, seed: int
) -> Candidates:
    """Show a detector scenes, frames and single faces, and keep what it finds.

    Parameters
    ----------
    material : Material
    detector : PointDetector
        Must find what is hardly a face, too.
    scenes : int
        Composed scenes of 320 pixels, and a third as many of 640.
    rounds : int
        How often each background is shown as a camera's frame; photographs twice as often.
    singles : int
        Pictures that are little more than a face, half as many of them without one.
    seed : int

    Raises
    ------
    DatasetError
        If nothing is found, or nothing but faces, or none.
    """
    shown = chain(
        ((scene, False) for scene in _composed(material, scenes, seed)),
        ((scene, True) for scene in frames(material, rounds, seed)),
        ((scene, False) for scene in alone(material, singles, seed)),
    )
    parts = [part for scene, photographed in shown if len(part := found_in(scene, detector, photographed))]
    columns = (
        [np.concatenate([getattr(part, name) for part in parts]) for name in Candidates.__annotations__]
        if parts
        else []
    )
    if not parts or columns[2].all() or not columns[2].any():
        raise DatasetError(
            f"{detector.name} finds nothing to tell apart: both faces and mistakes are needed."
        )
    return Candidates(*columns)


def found_in(scene: Scene, detector: PointDetector, photographed: bool = False) -> Candidates:
    """Return what a detector finds in a scene, without what is neither a face nor clearly none.

    Parameters
    ----------
    scene : Scene
    detector : PointDetector
    photographed : bool
        Whether the scene is a photograph.
    """
    found = detector.candidates(scene.picture)
    known = np.array(scene.boxes, np.float32).reshape(-1, 4)
    shared = overlap(found.box_xyxy, known) if len(known) else np.zeros((len(found), 1))
    sure = np.array(scene.sure) if len(known) else np.zeros(1, bool)
    most, which = shared.max(axis=1), shared.argmax(axis=1)
    face = (most >= IS_FACE) & sure[which]
    none = most < IS_NONE
    if photographed and len(known):
        none &= found.score < DOUBTFUL
    use = face | none
    return Candidates(
        crops=cut_boxes(scene.picture, found.box_xyxy[use], MARGIN, SIDE),
        score=found.score[use],
        face=face[use],
        photographed=np.full(int(use.sum()), photographed),
    )


def _composed(material: Material, count: int, seed: int) -> Iterator[Scene]:
    for side, share in SCENE_SIDES:
        composer = Composer(material, side, seed)
        for _ in range(round(share * count)):
            yield composer.compose()


def frames(material: Material, rounds: int, seed: int) -> Iterator[Scene]:
    """Show photographs and backgrounds about as large as a camera's frame, in any light.

    Parameters
    ----------
    material : Material
    rounds : int
        How often each background is shown; photographs twice as often.
    seed : int
    """
    random = np.random.default_rng((seed, 1))
    nobody = np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32)
    empty = [Photo(picture, *nobody, name="background") for picture in material.backgrounds]
    taken = [
        photo for name, photos in material.photos.items() if name != "without_landmarks" for photo in photos
    ]
    for photo in chain(*[empty] * rounds, *[taken] * (2 * rounds)):
        factor = FRAME_SIDE / max(photo.picture.shape) * np.exp(random.uniform(*np.log(FRAME_SCALES)))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        shown: Grey = cv2.resize(photo.picture, None, fx=factor, fy=factor, interpolation=how)  # type: ignore[assignment]  # uint8
        box = photo.box_xyxy[photo.score >= UNSURE] * factor
        if random.random() < 0.5:
            shown = np.ascontiguousarray(shown[:, ::-1])
            box = box[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (shown.shape[1], 0, shown.shape[1], 0)
        sure = photo.score[photo.score >= UNSURE] >= SURE
        yield _scene(_lit(shown, random), box, sure)


def alone(material: Material, count: int, seed: int) -> Iterator[Scene]:
    """Show single faces as they are looked for in pictures that are little more than a face.

    Parameters
    ----------
    material : Material
    count : int
        Faces; half as many pieces of backgrounds are shown in the same way.
    seed : int
    """
    random = np.random.default_rng((seed, 2))
    for i in range(count + count // 2):
        if i % 3 == 2:
            picture, box = _patch(material.backgrounds, random), np.empty((0, 4), np.float32)
        else:
            picture, box = _portrait(material, random)
        canvas, scale, shift = surround(picture)
        known = box * np.tile(scale, 2) + np.tile(shift, 2)
        yield _scene(_lit(canvas, random), known, np.ones(len(box), bool))


def _portrait(material: Material, random: np.random.Generator) -> tuple[Grey, NDArray[np.float32]]:
    """Return a single face of any corpus, perhaps half hidden, with its box (1, 4)."""
    boxed = material.photos.get("without_landmarks", [])
    names = [*material.portraits, *(["without_landmarks"] if boxed else [])]
    name = names[random.integers(len(names))]
    if name not in material.portraits:
        photo = boxed[random.integers(len(boxed))]
        return photo.picture, photo.box_xyxy[:1]
    portraits = material.portraits[name]
    row = random.integers(len(portraits))
    points = portraits.points_xy[row]
    picture = hide_part(portraits.pictures[row], points, material.backgrounds, random)
    return picture, face_box(points)[None]


def _patch(backgrounds: list[Grey], random: np.random.Generator) -> Grey:
    """Cut a random square out of a background."""
    picture = backgrounds[random.integers(len(backgrounds))]
    side = min(int(random.integers(*PATCH_SIDES)), *picture.shape)
    top, left = (int(random.integers(whole - side + 1)) for whole in picture.shape)
    return picture[top : top + side, left : left + side]


def _lit(picture: Grey, random: np.random.Generator) -> Grey:
    """Alter the light as in scenes, and take half of the pictures in the dark."""
    taken = expose(picture, random)
    if random.random() < DARK_SHARE:
        taken = np.clip(take_in_the_dark(taken.astype(np.float32), random), 0, 255).astype(np.uint8)
    return taken


def _scene(picture: Grey, boxes: NDArray[np.floating], sure: NDArray[np.bool_]) -> Scene:
    return Scene(
        picture,
        [box.astype(np.float32) for box in boxes],
        [np.full((5, 2), np.nan, np.float32)] * len(boxes),
        sure.tolist(),
    )
