"""Train the face detector: assignment of faces to places, losses, loader, trainer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from mien.faces.detect import STRIDES
from mien.training.base import start_from
from mien.training.facepoint import FacePoint, decode, places
from mien.training.material import Material
from mien.training.mistakes import find_mistakes
from mien.training.runs import averaged_weights, make_trainer, one_cycle, open_run
from mien.training.scenes import Composer, Scene

FACES_A_SCENE = 48
"""Room for faces in a batch; scenes with more keep the largest."""

SIZE_RANGES = ((0.0, 40.0), (28.0, 104.0), (72.0, 1e6))
"""Which faces each grid answers for: root of the box's area in pixels. They overlap lest one is missed."""


@dataclass(frozen=True)
class DetectorRecipe:
    """Everything that decides a training run, besides the data.

    Parameters
    ----------
    size : int
        Side of the scenes in pixels, a multiple of 32.
    epochs, scenes, batch, seed : int
        An epoch is that many scenes.
    learning_rate : float
        Largest rate of the one-cycle schedule.
    weight_decay : float
    average : float
        Decay of the running average of the weights, which is what is kept.
    workers : int
        Processes that compose scenes.
    base : str
        What the weights start from: a run's folder, or a detector's file or name; empty for random ones.
    """

    size: int = 320
    epochs: int = 60
    scenes: int = 12_800
    batch: int = 32
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    average: float = 0.999
    workers: int = 1
    base: str = ""


@dataclass(frozen=True)
class Assignment:
    """What each place should answer.

    Parameters
    ----------
    face : Tensor of shape (n, a), int64
        Which face of the scene the place stands for; -1 for none.
    asked : Tensor of shape (n, a), bool
        False where it is not known whether there is a face.
    """

    face: Tensor
    asked: Tensor


def assign(boxes: Tensor, sure: Tensor, present: Tensor, centres: Tensor, strides: Tensor) -> Assignment:
    """Let each face be answered for by the places near its middle, on the grids that fit its size.

    Parameters
    ----------
    boxes : Tensor of shape (n, f, 4)
    sure, present : Tensor of shape (n, f), bool
        Whether it is asked for; whether there is a face in this slot at all.
    centres, strides
        See :func:`places`.
    """
    side = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3)
    size = side.prod(-1).sqrt()[:, None]
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    away = (centres[None, :, None] - middle[:, None]).abs().amax(-1)
    reach = torch.minimum(
        torch.maximum(0.3 * size, 0.5 * strides[None, :, None]), 1.5 * strides[None, :, None]
    )
    low, high = (
        torch.tensor(bound).repeat_interleave(_counts(strides)) for bound in zip(*SIZE_RANGES, strict=True)
    )
    fits = (size >= low[None, :, None]) & (size < high[None, :, None]) & present[:, None]
    near = fits & (away <= reach)
    area = torch.where(near, size.expand_as(near), torch.inf)  # where faces overlap the smaller one answers
    smallest, face = area.min(-1)
    face = torch.where(torch.isfinite(smallest), face, -1)
    chosen_sure = torch.gather(sure, 1, face.clamp(min=0))
    inside = (
        (centres[None, :, None] >= boxes[:, None, :, :2]) & (centres[None, :, None] <= boxes[:, None, :, 2:])
    ).all(-1)
    doubtful = (inside & (present & ~sure)[:, None]).any(-1)
    asked = torch.where(face >= 0, chosen_sure, ~doubtful)
    return Assignment(face=torch.where(asked, face, -1), asked=asked)


def _counts(strides: Tensor) -> Tensor:
    return torch.stack([(strides == stride).sum() for stride in STRIDES])


def losses(
    score: Tensor,
    box: Tensor,
    points: Tensor,
    batch: dict[str, Tensor],
    assignment: Assignment,
    grid: tuple[Tensor, Tensor],
) -> dict[str, Tensor]:
    """Score how far the answers are from the faces.

    Scores are taught half that there is a face and half the overlap of the box they come with (quality
    focal loss, Li et al. 2020, arXiv 2006.04388, there the overlap alone: then profiles, whose boxes are
    vague, score like mistakes), boxes by generalised overlap (Rezatofighi et al. 2019, arXiv 1902.09630),
    landmarks by a smooth distance in units of the face.
    """
    centres, strides = grid
    rows, columns = torch.nonzero(assignment.face >= 0, as_tuple=True)
    face = assignment.face[rows, columns]
    wanted = batch["boxes"][rows, face]
    given = decode(box[rows, columns][None], centres[columns], strides[columns])[0]
    overlap, generalised = _overlaps(given, wanted)
    target = torch.zeros_like(score)
    target[rows, columns] = 0.5 + 0.5 * overlap.detach()
    each = (
        F.binary_cross_entropy_with_logits(score, target, reduction="none")
        * (score.sigmoid() - target).abs().square()
    )
    count = max(1, len(rows))
    side = (wanted[:, 2:] - wanted[:, :2]).clamp(min=1).mean(1)
    where = centres[columns][:, None] + points[rows, columns].view(-1, 5, 2) * strides[columns][:, None, None]
    known = torch.isfinite(batch["landmarks"][rows, face])
    off = (where - torch.nan_to_num(batch["landmarks"][rows, face])) / side[:, None, None]
    distance = F.smooth_l1_loss(off, torch.zeros_like(off), beta=0.02, reduction="none") * known
    return {
        "score": (each * assignment.asked).sum() / count,
        "box": (1 - generalised).sum() / count,
        "points": distance.sum() / known.sum().clamp(min=1),
    }


def _overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    inter = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - inter
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    overlap = inter / union.clamp(min=1e-6)
    return overlap, overlap - (around - union) / around.clamp(min=1e-6)


class DetectorModule(L.LightningModule):
    """Losses and optimiser of the detector."""

    def __init__(self, recipe: DetectorRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = FacePoint().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks the keyword alone
        self.grid = places(recipe.size, recipe.size)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        score, box, points = (answer.float() for answer in self.network(batch["picture"].float()))
        with torch.autocast("cpu", enabled=False):
            slots = slice(0, max(1, int(batch["present"].sum(1).max())))  # most scenes fill few of them
            assignment = assign(
                batch["boxes"][:, slots], batch["sure"][:, slots], batch["present"][:, slots], *self.grid
            )
            parts = losses(score, box, points, batch, assignment, self.grid)
        for name, value in parts.items():
            self.log(name, value, on_step=False, on_epoch=True, prog_bar=True)
        return parts["score"] + 2 * parts["box"] + 5 * parts["points"]

    def configure_optimizers(self) -> Any:
        steps = self.recipe.epochs * (self.recipe.scenes // self.recipe.batch)
        return one_cycle(self.network, self.recipe, steps, rise=0.05)


class Scenes(IterableDataset[dict[str, Tensor]]):
    """Batches of scenes, composed as they are asked for.

    Parameters
    ----------
    material : Material
    recipe : DetectorRecipe
    """

    def __init__(self, material: Material, recipe: DetectorRecipe) -> None:
        self.material, self.recipe = material, recipe
        self.composer: Composer | None = None

    def __len__(self) -> int:
        return self.recipe.scenes // self.recipe.batch

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        index, count = (worker.id, worker.num_workers) if worker else (0, 1)
        if self.composer is None:  # kept over epochs, which would otherwise be all alike
            self.composer = Composer(self.material, self.recipe.size, int(torch.initial_seed() % 2**32))
        for _ in range(index, len(self), count):
            yield collate([self.composer.compose() for _ in range(self.recipe.batch)])


def collate(scenes: list[Scene]) -> dict[str, Tensor]:
    """Stack scenes; the faces of each fill the first of a fixed number of slots."""
    n = len(scenes)
    boxes = np.zeros((n, FACES_A_SCENE, 4), np.float32)
    landmarks = np.full((n, FACES_A_SCENE, 5, 2), np.nan, np.float32)
    sure = np.zeros((n, FACES_A_SCENE), bool)
    present = np.zeros((n, FACES_A_SCENE), bool)
    for i, scene in enumerate(scenes):
        largest = sorted(range(len(scene.boxes)), key=lambda j: -float(np.ptp(scene.boxes[j][1::2])))[
            :FACES_A_SCENE
        ]
        for slot, j in enumerate(largest):
            boxes[i, slot], landmarks[i, slot] = scene.boxes[j], scene.landmarks[j]
            sure[i, slot], present[i, slot] = scene.sure[j], True
    columns: dict[str, NDArray[Any]] = {
        "picture": np.stack([scene.picture for scene in scenes]),
        "boxes": boxes,
        "landmarks": landmarks,
        "sure": sure,
        "present": present,
    }
    return {name: torch.from_numpy(value) for name, value in columns.items()}


def scene_loader(material: Material, recipe: DetectorRecipe) -> DataLoader[dict[str, Tensor]]:
    """Return batches of scenes, composed by processes of their own that live as long as the loader.

    They are started afresh: a process forked from one in which OpenCV has used threads would wait for
    them forever.
    """
    apart: dict[str, Any] = {"multiprocessing_context": "spawn", "persistent_workers": True}
    return DataLoader(
        Scenes(material, recipe),
        batch_size=None,
        num_workers=recipe.workers,
        **(apart if recipe.workers else {}),
    )


def some_scenes(material: Material, recipe: DetectorRecipe) -> Tensor:
    """Compose a batch of scenes (n, H, W), 0 to 255, to set up normalisations or the ranges of layers by."""
    composer = Composer(material, recipe.size, recipe.seed)
    return torch.from_numpy(np.stack([composer.compose().picture for _ in range(recipe.batch)])).float()


def fit_detector(material: Material, recipe: DetectorRecipe, folder: str | Path) -> DetectorModule:
    """Train, or go on training where an earlier run of the same folder stopped.

    A detector that goes on from a base is shown what the base takes for faces, though there are none,
    more often (hard negatives).

    Parameters
    ----------
    material : Material
    recipe : DetectorRecipe
    folder : path
        Where the recipe, the checkpoint of the last epoch and the log (csv) are kept.

    Returns
    -------
    DetectorModule
        With the averaged weights.

    Raises
    ------
    ArgumentError
        If the folder holds a run with another recipe.
    SourceNotFoundError
        If the folder of the base holds no run.
    ModelError
        If the base is a file of another network.
    """
    checkpoint = open_run(folder, recipe)
    L.seed_everything(recipe.seed, verbose=False)
    module = DetectorModule(recipe)
    if recipe.base:
        start_from(module.network, recipe.base, some_scenes(material, recipe), task="detection")
        mistakes = find_mistakes(module.network, material.backgrounds)
        material = replace(material, mistakes=mistakes)
    loader = scene_loader(material, recipe)
    make_trainer(folder, recipe.epochs, recipe.average, clip=5.0).fit(module, loader, ckpt_path=checkpoint)
    module.load_state_dict(averaged_weights(folder))
    return module
