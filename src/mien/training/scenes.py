"""Composed scenes: faces of every size in rooms they were never in, for training a face detector.

A scene is a grey square with the boxes and landmarks of its faces. Faces arrive in two ways, so that
neither teaches the network to look for seams: as parts of whole pictures laid as tiles (with their own
surroundings; tiles without a face have the same borders), and as pastes blended along the face's
outline (patches of background are pasted with the same masks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.training.clutter import draw_clutter
from mien.training.hiding import hide_part
from mien.training.lens import expose
from mien.training.material import Grey, Material, Photo, Portraits, five_points

UNSURE, SURE = 0.35, 0.6
"""Teacher scores: below the first a box is no face, above the second it is one, between it is not asked."""

PHOTO_SHARES = {"caltech_faces": 0.2, "fairface540": 0.4, "clips": 0.15, "without_landmarks": 0.25}
"""How often a photograph is of each corpus."""

LAYOUTS = {"pasted": 0.15, "crowd": 0.1, "tiles": 0.3, "photo": 0.37, "empty": 0.08}
"""How often a scene is of each kind."""

CLUTTER_SHARE = 0.3
"""How often drawn things lie on a scene."""

MISTAKE_SHARE = 0.5
"""How often a background is one that was taken for a face, where such are known, laid so that it is seen."""


@dataclass
class Scene:
    """A canvas and the faces on it.

    Parameters
    ----------
    picture : ndarray of shape (H, W), uint8
        Grey.
    boxes : list of ndarray of shape (4,)
        Corners x, y, x, y in pixels.
    landmarks : list of ndarray of shape (5, 2)
        NaN where they are not known.
    sure : list of bool
        False where it is not asked whether there is a face.
    """

    picture: Grey
    boxes: list[NDArray[np.float32]]
    landmarks: list[NDArray[np.float32]]
    sure: list[bool]

    def add(self, box: NDArray[np.floating], landmarks: NDArray[np.floating], sure: bool) -> None:
        """Enter a face."""
        self.boxes.append(box.astype(np.float32))
        self.landmarks.append(landmarks.astype(np.float32))
        self.sure.append(sure)

    def cover(self, low: NDArray[np.floating], high: NDArray[np.floating]) -> None:
        """Forget the faces of which a paste now hides a third or more; leave partly hidden ones unasked."""
        kept = [(_share_inside(box, low, high), i) for i, box in enumerate(self.boxes)]
        keep = [i for share, i in kept if share < 0.65]
        hidden = {i for share, i in kept if share > 0.25}
        self.boxes = [self.boxes[i] for i in keep]
        self.landmarks = [self.landmarks[i] for i in keep]
        self.sure = [self.sure[i] and i not in hidden for i in keep]


def face_box(points_xy: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the box a detector of the WIDER convention draws around a face's 70 points.

    Parameters
    ----------
    points_xy : ndarray of shape (70, 2)

    Returns
    -------
    ndarray of shape (4,), float32
        Corners x, y, x, y.

    Notes
    -----
    The fractions of the points' extent are means over 796 faces of faces_wild on which YuNet-n drew a
    box; the upper edge lies above the brows, at about the hair line.
    """
    low, high = points_xy.min(axis=0), points_xy.max(axis=0)
    extent = high - low
    return np.concatenate([low + extent * (0.027, -0.287), low + extent * (0.962, 0.971)]).astype(np.float32)


class Composer:
    """Makes scenes without end.

    Parameters
    ----------
    material : Material
    size : int
        Side of a scene in pixels.
    seed : int
    """

    def __init__(self, material: Material, size: int, seed: int) -> None:
        self.material, self.size = material, size
        self.random = np.random.default_rng(seed)
        self.photos = [photo for photos in material.photos.values() for photo in photos]
        self.photo_weight = np.concatenate(
            [
                np.full(len(photos), PHOTO_SHARES.get(name, 0.2) / max(1, len(photos)))
                for name, photos in material.photos.items()
            ]
        )
        self.photo_weight /= self.photo_weight.sum()
        sureness = np.array([mistake.score for mistake in material.mistakes])
        self.mistake_weight = sureness / sureness.sum()

    def compose(self) -> Scene:
        """Make the next scene."""
        layout = self.random.choice(list(LAYOUTS), p=list(LAYOUTS.values()))
        if layout == "tiles":
            scene = self._tiles()
        elif layout == "photo":
            scene = self._blank()
            self._lay_photo(scene, (0, 0, self.size, self.size), self._photo())
        else:
            scene = self._blank()
            self._lay_background(scene, (0, 0, self.size, self.size))
            if layout == "pasted":
                self._paste_several(scene)
            elif layout == "crowd":
                self._paste_crowd(scene)
        if layout in ("tiles", "photo") and self.random.random() < 0.3:
            self._paste_face(scene, self._log_uniform(12, 90))
        if self.random.random() < CLUTTER_SHARE:
            for _ in range(self.random.integers(1, 9)):
                self._paste_clutter(scene, self._log_uniform(8, 160 if self.random.random() < 0.2 else 70))
        scene.picture = expose(scene.picture, self.random)
        return scene

    # layouts

    def _blank(self) -> Scene:
        return Scene(np.zeros((self.size, self.size), np.uint8), [], [], [])

    def _tiles(self) -> Scene:
        scene = self._blank()
        across, down = self.random.integers(1, 5, 2) if self.random.random() < 0.5 else (2, 2)
        xs, ys = self._cuts(across), self._cuts(down)
        for x0, x1 in zip(xs, xs[1:], strict=False):
            for y0, y1 in zip(ys, ys[1:], strict=False):
                area = (x0, y0, x1, y1)
                kind = self.random.random()
                if kind < 0.3:
                    self._lay_background(scene, area)
                elif kind < 0.6:
                    self._lay_photo(scene, area, self._photo())
                else:
                    self._lay_portrait(scene, area)
        return scene

    def _cuts(self, parts: int) -> list[int]:
        step = self.size / parts
        inner = [round(step * i + self.random.uniform(-0.25, 0.25) * step) for i in range(1, parts)]
        return [0, *inner, self.size]

    def _paste_several(self, scene: Scene) -> None:
        for _ in range(self.random.integers(1, 6)):
            if self.random.random() < 0.25:
                self._paste_patch(scene, self._log_uniform(12, 200))
            else:
                self._paste_face(scene, self._log_uniform(12, 300))

    def _paste_crowd(self, scene: Scene) -> None:
        side = self._log_uniform(12, 48)
        for _ in range(self.random.integers(6, 25)):
            self._paste_face(scene, side * self.random.uniform(0.75, 1.3))

    # tiles

    def _photo(self) -> Photo:
        return self.photos[self.random.choice(len(self.photos), p=self.photo_weight)]

    def _lay_background(self, scene: Scene, area: tuple[int, int, int, int]) -> None:
        if self.material.mistakes and self.random.random() < MISTAKE_SHARE:
            chosen = self.random.choice(len(self.material.mistakes), p=self.mistake_weight)
            mistake = self.material.mistakes[chosen]
            scale = mistake.scale * np.exp(self.random.uniform(-0.35, 0.35))
            focus = np.array(mistake.centre_xy)
            self._lay(scene, area, self.material.backgrounds[mistake.background], scale, focus)
            return
        picture = self._background()
        self._lay(scene, area, picture, self._covering_scale(picture, area, 2.0))

    def _background(self) -> Grey:
        """Return a picture without a face, half of them turned by right angles, on their head or negative."""
        picture = self.material.backgrounds[self.random.integers(len(self.material.backgrounds))]
        if self.random.random() < 0.5:
            return picture
        turned: Grey = np.rot90(picture, int(self.random.integers(4)))
        return np.ascontiguousarray(255 - turned if self.random.random() < 0.3 else turned)

    def _lay_photo(self, scene: Scene, area: tuple[int, int, int, int], photo: Photo) -> None:
        width, height = area[2] - area[0], area[3] - area[1]
        cover = max(width / photo.picture.shape[1], height / photo.picture.shape[0])
        scale = cover * np.exp(self.random.uniform(np.log(0.6), np.log(2.2)))
        face = self.random.integers(len(photo.score)) if len(photo.score) else None
        focus = None if face is None else photo.box_xyxy[face].reshape(2, 2).mean(axis=0)
        matrix, _ = self._lay(scene, area, photo.picture, scale, focus)
        unknown = np.full((5, 2), np.nan)  # a teacher's landmarks are less exact than those of the portraits
        for box, score in zip(photo.box_xyxy, photo.score, strict=True):
            if score >= UNSURE:
                corners = _carry(box.reshape(2, 2), matrix)
                self._enter(
                    scene, np.concatenate([corners.min(0), corners.max(0)]), unknown, area, score >= SURE
                )

    def _lay_portrait(self, scene: Scene, area: tuple[int, int, int, int]) -> None:
        portraits = self.material.portraits["faces_wild"]
        i = self.random.integers(len(portraits))
        picture = hide_part(
            portraits.pictures[i], portraits.points_xy[i], self.material.backgrounds, self.random
        )
        scale = self._covering_scale(picture, area, 1.3)
        matrix, flip = self._lay(scene, area, picture, scale, np.array([80.0, 90.0]))
        points = _carry(portraits.points_xy[i], matrix)
        five = five_points(points)
        self._enter(scene, face_box(points), _mirror_names(five) if flip else five, area, True)

    def _covering_scale(self, picture: Grey, area: tuple[int, int, int, int], most: float) -> float:
        cover = max((area[2] - area[0]) / picture.shape[1], (area[3] - area[1]) / picture.shape[0])
        return float(cover * np.exp(self.random.uniform(0, np.log(most))))

    def _lay(
        self,
        scene: Scene,
        area: tuple[int, int, int, int],
        picture: Grey,
        scale: float,
        focus: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[np.float64], bool]:
        """Lay a scaled, perhaps mirrored picture into an area; return how its points moved."""
        x0, y0, x1, y1 = area
        flip = bool(self.random.random() < 0.5)
        extent = np.array(picture.shape[1::-1]) * scale
        room = np.array([x1 - x0, y1 - y0])
        low, high = np.minimum(room - extent, 0), np.maximum(room - extent, 0)
        shift = self.random.uniform(low, high)
        if focus is not None:
            middle = focus * scale
            if flip:
                middle = np.array([extent[0] - middle[0], middle[1]])
            edge = 0.02 if self.random.random() < 0.35 else 0.2  # also faces that the border cuts
            wanted = room * self.random.uniform(edge, 1 - edge, 2) - middle
            shift = np.clip(wanted, low, high) if (extent >= room).all() else shift
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
        if flip:
            matrix[0] = [-scale, 0, extent[0] + shift[0]]
        scene.picture[y0:y1, x0:x1] = _warp(picture, matrix, (x1 - x0, y1 - y0), cv2.BORDER_REPLICATE)
        matrix[:, 2] += (x0, y0)
        return matrix, flip

    def _enter(
        self,
        scene: Scene,
        box: NDArray[np.floating],
        points: NDArray[np.floating],
        area: tuple[int, int, int, int],
        sure: bool,
    ) -> None:
        """Enter a face by the part of it that its tile, or the scene, shows; a slip is not asked for."""
        low, high = np.array(area[:2], np.float64), np.array(area[2:], np.float64)
        share = _share_inside(box, low, high)
        if share < 0.05:
            return
        clipped = (
            np.concatenate([np.maximum(box[:2], low), np.minimum(box[2:], high)]) if share < 0.8 else box
        )
        scene.add(clipped, points, sure and share > 0.6)

    # pastes

    def _paste_face(self, scene: Scene, height: float) -> None:
        """Blend a face of about this height somewhere into the scene."""
        small = height < 64 and self.random.random() < 0.6
        portraits: Portraits = self.material.portraits["fer2013" if small else "faces_wild"]
        i = self.random.integers(len(portraits))
        picture, points = portraits.pictures[i], portraits.points_xy[i]
        picture = hide_part(picture, points, self.material.backgrounds, self.random)
        matrix = self._pose(scene, points, height)
        if matrix is None:
            return
        flip = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0] < 0
        moved = _carry(points, matrix)
        mask = self._outline(points) if self.random.random() < 0.6 else self._frame(picture.shape[0])
        self._blend(scene, picture, mask, matrix)
        box = face_box(moved)
        scene.cover(box[:2], box[2:])
        five = five_points(moved)
        whole = (0, 0, self.size, self.size)
        self._enter(scene, box, _mirror_names(five) if flip else five, whole, height >= 8)

    def _pose(self, scene: Scene, points: NDArray[np.float32], height: float) -> NDArray[np.float64] | None:
        """Choose where a face goes: turned, mirrored, of the given height, clear of most other faces."""
        scale = height / max(1e-3, float(np.ptp(points[:, 1])) * 1.3)
        angle = np.radians(self.random.normal(0, 18))
        flip = -1 if self.random.random() < 0.5 else 1
        linear = (
            scale
            * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            @ np.diag([flip, 1])
        )
        middle = points[:68].mean(axis=0)
        for _ in range(4):
            place = self.random.uniform(-0.02 * self.size, 1.02 * self.size, 2)
            reach = height * 0.6
            clear = all(
                (np.abs(box.reshape(2, 2).mean(axis=0) - place) > reach * 0.8 + (box[2:] - box[:2]) / 2).any()
                for box in scene.boxes
            )
            if clear:
                return np.column_stack([linear, place - linear @ middle])
        return None

    def _paste_patch(self, scene: Scene, height: float) -> None:
        """Blend a patch of background in the shape of a face: a border alone is no face."""
        portraits = self.material.portraits["faces_wild"]
        i = self.random.integers(len(portraits))
        matrix = self._pose(scene, portraits.points_xy[i], height)
        if matrix is None:
            return
        source = self.material.backgrounds[self.random.integers(len(self.material.backgrounds))]
        patch = cv2.resize(source, portraits.pictures[i].shape[::-1], interpolation=cv2.INTER_AREA)
        mask = (
            self._outline(portraits.points_xy[i]) if self.random.random() < 0.6 else self._frame(len(patch))
        )
        self._blend(scene, patch, mask, matrix)

    def _paste_clutter(self, scene: Scene, side: float) -> None:
        """Lay a drawn thing somewhere into the scene."""
        shade, mask = draw_clutter(self.random)
        scale, angle = side / len(shade), np.radians(self.random.normal(0, 15))
        linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        place = self.random.uniform(0, self.size, 2)
        if self.random.random() < 0.3:  # cut by the border, as half things look like faces too
            place[self.random.integers(2)] = self.random.choice((0, self.size)) + side * self.random.uniform(
                -0.35, 0.35
            )
        shift = place - linear @ np.full(2, len(shade) / 2)
        self._blend(scene, shade, mask, np.column_stack([linear, shift]))
        scene.cover(place - side / 2, place + side / 2)

    def _outline(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw a soft mask of the face: jaw and brows, and the forehead as far again as the nose is long."""
        side = 48 if points.max() < 60 else 160
        up = (points[27] - points[33]) * self.random.uniform(0.5, 1.3)
        around = np.concatenate([points[:17], points[17:27] + up])
        hull = cv2.convexHull(np.round(around).astype(np.int32))
        mask = np.zeros((side, side), np.uint8)
        cv2.fillConvexPoly(mask, hull, 255)
        grown = cv2.dilate(
            mask, np.ones((3, 3), np.uint8), iterations=int(self.random.integers(0, 1 + side // 12))
        )
        soft = cv2.GaussianBlur(grown, (0, 0), side * self.random.uniform(0.01, 0.05))
        return soft.astype(np.float32) / np.float32(255)

    def _frame(self, side: int) -> NDArray[np.float32]:
        """Draw a soft mask of the whole picture."""
        mask = np.zeros((side, side), np.float32)
        edge = max(1, round(side * self.random.uniform(0.02, 0.12)))
        mask[edge:-edge, edge:-edge] = 1
        return cv2.GaussianBlur(mask, (0, 0), edge * 0.5)  # type: ignore[return-value]  # float32 in, float32 out

    def _blend(
        self, scene: Scene, picture: NDArray[Any], mask: NDArray[np.float32], matrix: NDArray[np.float64]
    ) -> None:
        corners = _carry(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * len(picture), matrix)
        low = np.clip(np.floor(corners.min(0)), 0, self.size).astype(int)
        high = np.clip(np.ceil(corners.max(0)), 0, self.size).astype(int)
        if (high - low).min() < 2:
            return
        local = matrix.copy()
        local[:, 2] -= low
        room = (int(high[0] - low[0]), int(high[1] - low[1]))
        face = _warp(picture, local, room, cv2.BORDER_REPLICATE).astype(np.float32)
        alpha = _warp(mask, local, room, cv2.BORDER_CONSTANT)
        under = scene.picture[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        if self.random.random() < 0.6:  # let the face take some of the light of its place
            face *= 1 + self.random.uniform(0, 0.8) * ((under.mean() + 20) / (face.mean() + 20) - 1)
        mixed = under + alpha * (face - under)
        scene.picture[low[1] : high[1], low[0] : high[0]] = np.clip(mixed, 0, 255)

    def _log_uniform(self, low: float, high: float) -> float:
        return float(np.exp(self.random.uniform(np.log(low), np.log(high))))


def _warp(
    picture: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int], border: int
) -> NDArray[Any]:
    """Warp in continuous coordinates, averaging first where the picture shrinks."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    inner = matrix.copy()
    if scale < 0.7:
        width, height = (max(1, round(side * scale)) for side in picture.shape[1::-1])
        inner[:, 0] *= picture.shape[1] / width
        inner[:, 1] *= picture.shape[0] / height
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    inner[:, 2] += inner[:, :2].sum(axis=1) * 0.5 - 0.5
    return cv2.warpAffine(picture, inner, size, flags=cv2.INTER_LINEAR, borderMode=border)


def _carry(points: NDArray[Any], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move points of shape (p, 2) by a matrix of shape (2, 3)."""
    moved: NDArray[np.float64] = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def _mirror_names(five: NDArray[Any]) -> NDArray[Any]:
    """Rename the landmarks of a mirrored face: its right eye is now its left."""
    return five[[1, 0, 2, 4, 3]]


def _share_inside(box: NDArray[np.floating], low: NDArray[np.floating], high: NDArray[np.floating]) -> float:
    """Return which part of a box of corners lies between two others."""
    inside = np.clip(np.minimum(box[2:], high) - np.maximum(box[:2], low), 0, None)
    return float(np.prod(inside) / max(1e-6, np.prod(box[2:] - box[:2])))
