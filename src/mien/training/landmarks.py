"""Train the network of 70 landmarks: it looks at a crop and says where the parts of the face lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from mien.catalog import Metric, ModelCard, TrainingData, load_card
from mien.faces.align import CropSpec
from mien.faces.landmarks import FIVE_OF_70, POINTS, LandmarkModel
from mien.training.augment import Augment, Augmentation, cut, jitter
from mien.training.cards import LIMITS, noise_crops
from mien.training.data import TrainingSet, loader
from mien.training.export import export_network, write_card
from mien.training.geometry import Geometry, crop_matrices
from mien.training.layers import ResidualBlock, Standardise, convolution
from mien.training.material import Material, Portraits
from mien.training.run_detector import DETECTOR_DATA
from mien.training.runs import averaged_weights, make_trainer, one_cycle, open_run

MIRRORED = (
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1), 69, 68,
)  # fmt: skip
"""For each of the 70 points, the one whose name it bears in a mirrored picture."""

SIDE = 64
"""Pixels to which all pictures are brought before they are cut while training."""

IRISES = (68, 69)


@dataclass(frozen=True)
class LandmarkRecipe:
    """Everything that decides a training run, besides the data.

    Parameters
    ----------
    size : int
        Side of the crops in pixels.
    template, margin
        How faces are cut; as the expression network that ships.
    epochs, batch, seed : int
    learning_rate, weight_decay : float
        Of AdamW, one-cycle.
    average : float
        Decay of the running average of the weights, which is what is kept.
    """

    size: int = 44
    template: str = "fer2013-mean"
    margin: float = -1 / 24
    epochs: int = 12
    batch: int = 128
    seed: int = 0
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    average: float = 0.998


class LandmarkNetwork(nn.Module):
    """Residual convolutions, then one linear layer over the cells of their map: 0.5 M weights."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            Standardise(),
            *convolution(1, 24, 2),
            ResidualBlock(24, 32, 1),
            ResidualBlock(32, 64, 2),
            ResidualBlock(64, 96, 2),
            nn.Conv2d(96, 24, 1),
            nn.AdaptiveAvgPool2d(6),
            nn.Flatten(),
            nn.Linear(24 * 36, 2 * POINTS),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """Return points (n, 140) in fractions of the side of crops (n, S, S), grey, 0 to 255."""
        return self.trunk(crops[:, None]) + 0.5  # type: ignore[no-any-return]  # a Tensor


class LandmarkModule(L.LightningModule):
    """Loss and optimiser of the landmark network."""

    def __init__(self, recipe: LandmarkRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = LandmarkNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks the keyword alone
        self.settings = Augmentation.preset("default")
        self.augment = Augment(recipe.size, self.settings)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            flip = torch.rand(len(batch["picture"])) < 0.5
            matrix = jitter(batch["aligned"], self.recipe.size, self.settings, flip)
            crops = self.augment.alter(cut(batch["picture"], matrix, self.recipe.size)[:, None])[:, 0]
            wanted = torch.einsum("nij,npj->npi", matrix[:, :, :2], batch["points"]) + matrix[:, None, :, 2]
            wanted = torch.where(flip[:, None, None], wanted[:, list(MIRRORED)], wanted) / self.recipe.size
        given = self.network(crops).float().view(-1, POINTS, 2)
        eyes = (wanted[:, IRISES[0]] - wanted[:, IRISES[1]]).norm(dim=1).clamp(min=0.05)[:, None, None]
        off = (given - wanted) / eyes
        loss = F.smooth_l1_loss(off, torch.zeros_like(off), beta=0.05)
        self.log("loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        return one_cycle(self.network, self.recipe, steps, rise=0.15)


def fit_landmarks(material: Material, recipe: LandmarkRecipe, folder: str | Path) -> LandmarkModule:
    """Train, or go on training where an earlier run of the same folder stopped.

    Parameters
    ----------
    material : Material
        Its portraits are learned from.
    recipe : LandmarkRecipe
    folder : path
        Where the recipe, the checkpoint of the last epoch and the log (csv) are kept.
    """
    checkpoint = open_run(folder, recipe)
    L.seed_everything(recipe.seed, verbose=False)
    module = LandmarkModule(recipe)
    data = _training_set(material, recipe)
    trainer = make_trainer(folder, recipe.epochs, recipe.average, clip=5.0)
    trainer.fit(module, _batches(data, recipe), ckpt_path=checkpoint)
    module.load_state_dict(averaged_weights(folder))
    return module.cpu().eval()


def _batches(data: TrainingSet, recipe: LandmarkRecipe) -> DataLoader[dict[str, Tensor]]:
    return loader(data, ~data.held_out, recipe.batch, shuffle=True, seed=recipe.seed)


def _training_set(material: Material, recipe: LandmarkRecipe) -> TrainingSet:
    """Bring the portraits of all corpora to one size, each with the alignment of its own five points."""
    pictures, points = [], []
    for part in material.portraits.values():
        scale = SIDE / part.pictures.shape[1]
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        pictures += [cv2.resize(one, (SIDE, SIDE), interpolation=how) for one in part.pictures]
        points.append(part.points_xy * scale)
    every = np.concatenate(points).astype(np.float32)
    n = len(every)
    aligned, _ = crop_matrices(
        _five(every), np.full((n, 2), SIDE), recipe.template, recipe.margin, recipe.size
    )
    return TrainingSet(
        pictures={"picture": torch.from_numpy(np.stack(pictures)), "aligned": torch.from_numpy(aligned)},
        rows=torch.arange(n),
        targets={"points": torch.from_numpy(every)},
        heads={},
        mirrored=[],
        held_out=np.zeros(n, bool),
    )


def _five(points: NDArray[np.float32]) -> Geometry:
    n = len(points)
    return Geometry(np.ones(n, bool), points[:, FIVE_OF_70], np.zeros((n, 0), np.float32), ())


def finish_landmarks(
    module: LandmarkModule, learned: Material, aside: Material, *, out: str | Path, name: str, command: str
) -> ModelCard:
    """Export a trained network of landmarks, measure it on what was set aside, and write its card.

    Parameters
    ----------
    module : LandmarkModule
    learned, aside : Material
        What was learned from, and what was set aside.
    out : path
        Folder for ``NAME.onnx``, ``NAME.toml`` and ``NAME.npz``.
    name : str
        ``architecture.tag``.
    command : str
        What was typed, for the card.
    """
    recipe = module.recipe
    sources = [TrainingData(*DETECTOR_DATA[key], images=len(part)) for key, part in learned.portraits.items()]
    teacher = TrainingData("MediaPipe face landmarker", "Apache-2.0", "the teacher of the landmarks", 0)
    card = ModelCard(
        name=name,
        task="landmarks",
        summary=f"70 landmarks of one grey face of {recipe.size} x {recipe.size} px.",
        licence="Apache-2.0",
        size_px=recipe.size,
        colour="grey",
        template=recipe.template,
        margin=recipe.margin,
        trained_with=command,
        training_data=(*sources, teacher),
        limits=f"The landmarks it learned are another network's, not people's. {LIMITS}",
    )
    spec = CropSpec(recipe.template, recipe.margin, recipe.size)
    crops = noise_crops(spec, 2)
    file = export_network(
        module.network,
        {"crops": crops},
        ["points"],
        card,
        out,
        dynamic_axes={"crops": {0: "n"}},
        others=[{"crops": crops[:1]}],
        storage="float16",
        tolerance=0.01,
    )
    model = LandmarkModel(load_card(file.with_suffix(".toml")), file)
    metrics = tuple(_measured(model, spec, key, part) for key, part in aside.portraits.items())
    finished = ModelCard(**{**vars(model.card), "metrics": metrics})
    write_card(finished, out)
    return finished


def _measured(model: LandmarkModel, spec: CropSpec, corpus: str, part: Portraits) -> Metric:
    """Return the mean distance from the teacher's points, in eye distances, with its interval."""
    crops, wanted = [], []
    for picture, points in zip(part.pictures, part.points_xy, strict=True):
        five = points[None, FIVE_OF_70]
        matrix = spec.matrices(five)[0]
        crops.append(spec.cut(picture, five)[0])
        wanted.append(points @ matrix[:, :2].T + matrix[:, 2])
    truth = np.stack(wanted)
    eyes = np.linalg.norm(truth[:, IRISES[0]] - truth[:, IRISES[1]], axis=1)
    error = np.linalg.norm(model.predict(np.stack(crops)) - truth, axis=2).mean(1) / eyes
    half = 1.96 * float(error.std(ddof=1)) / len(error) ** 0.5
    value = float(error.mean())
    return Metric(
        name="landmark error",
        value=round(value, 4),
        low=round(value - half, 4),
        high=round(value + half, 4),
        n=len(error),
        data=f"{corpus}, set aside",
        rule="mean distance from the teacher's 70 points in eye distances, cut by the teacher's five",
        command="mien train-landmarks DATA",
    )
