"""Train the network that confirms faces: it looks at what a detector found, and at what surrounds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mien.training.augment import Augment, cut
from mien.training.augmentation import Augmentation
from mien.training.base import start_from
from mien.training.candidates import MARGIN, SIDE, Candidates
from mien.training.data import TrainingSet, loader
from mien.training.facepoint import FacePoint
from mien.training.material import Material, Portraits
from mien.training.runs import averaged_weights, make_trainer, one_cycle, open_run

AUGMENTATION = Augmentation(
    turn_deg=18, scale=0.1, shift=0.03, light=0.2, gamma=0.2, blur=0.1, noise=0.1, erasing=0.2
)
"""How far copies of candidates differ: in light less than faces do, as scenes have been altered already. They
turn far, since heads that lean are rare there and would be doubted (experiment C2)."""

ALONE = 0.3
"""Share of the loss of what the network says without the detector's score: it must not lean on that."""

HELD_OUT = 8
"""Of the material every so manyth face, photograph and background is not learned from, but calibrated by."""

TYPICAL = 512
"""Candidates by which the ranges of those are set."""


@dataclass(frozen=True)
class ConfirmRecipe:
    """Everything that decides a training run, besides the data.

    Parameters
    ----------
    size : int
        Side of the crops in pixels.
    margin : float
        What they show around a square of as large an area as the box, as a fraction of its side.
    floor : float
        Score of the detector from which on it is looked again, 0 to 1.
    scenes, rounds, singles : int
        What the detector is shown; see :func:`mien.training.candidates.collect`.
    epochs, batch, seed : int
    learning_rate, weight_decay : float
        Of AdamW, one-cycle.
    dropout : float
        Of the inputs of the last two layers.
    smoothing : float
        Half of it is how unsure the answers are taught to be.
    photographed : float
        How much more a face of a photograph counts, of which there are few.
    average : float
        Decay of the running average of the weights, which is what is kept.
    """

    size: int = 64
    margin: float = 1.0
    floor: float = 0.15
    scenes: int = 20_000
    rounds: int = 10
    singles: int = 24_000
    epochs: int = 4
    batch: int = 256
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    dropout: float = 0.3
    smoothing: float = 0.02
    photographed: float = 4.0
    average: float = 0.998


class ConfirmNetwork(nn.Module):
    """The first stages of a detector, up to a sixteenth of the crop's side, and two layers: 0.28 M weights.

    What a face looks like the detector has learned from far more pictures than it finds candidates in. The
    logit of its score is added with a weight.

    Parameters
    ----------
    detector : FacePoint
        Its stages become part of this network.
    size : int
        Side of the crops in pixels, a multiple of 16.
    dropout : float
    """

    def __init__(self, detector: FacePoint, size: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem, (self.fine, self.coarse, _) = detector.stem, detector.stages
        width, cells = 48, size // 16
        self.narrow = nn.Sequential(
            nn.Conv2d(width, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.judge = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear((16 * 4 + width) * cells**2, 64),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(64, 1),
        )
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, crops: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """Look at candidates.

        Parameters
        ----------
        crops : Tensor of shape (n, S, S)
            Grey, 0 to 255.
        score : Tensor of shape (n,)
            The detector's, 0 to 1.

        Returns
        -------
        confirmed, seen : Tensor of shape (n,)
            Logits: of both together, and of what is seen alone.
        """
        fine = self.fine(self.stem(torch.log(crops[:, None] + 8)))
        parts = [self.narrow(fine).flatten(1), self.coarse(fine).flatten(1)]
        seen = self.judge(torch.cat(parts, dim=1))[:, 0]
        return seen + self.weight * logit(score), seen


def logit(score: Tensor) -> Tensor:
    """Return the logarithm of the odds of scores from 0 to 1."""
    likely = score.clamp(1e-4, 1 - 1e-4)
    return torch.log(likely / (1 - likely))


class ConfirmModule(L.LightningModule):
    """Loss and optimiser of the network that confirms faces."""

    def __init__(self, recipe: ConfirmRecipe, detector: FacePoint) -> None:
        super().__init__()
        self.recipe = recipe
        network = ConfirmNetwork(detector, recipe.size, recipe.dropout)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks the keyword alone
        self.augment = Augment(recipe.size, AUGMENTATION)

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            crops, _flip = self.augment(batch["crops"], batch["matrix"])
        wanted = batch["face"] * (1 - self.recipe.smoothing) + self.recipe.smoothing / 2
        given = zip(self.network(crops, batch["score"]), (1.0, ALONE), strict=True)
        loss: Tensor = sum(  # type: ignore[assignment]  # a sum of tensors
            share * F.binary_cross_entropy_with_logits(logit.float(), wanted, weight=batch["weight"])
            for logit, share in given
        )
        self.log("loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        return one_cycle(self.network, self.recipe, steps, rise=0.3)


def divide(material: Material) -> tuple[Material, Material]:
    """Divide a material into what is learned from and the smaller part that is calibrated by."""

    def part(ours: bool) -> Material:
        def of(n: int) -> NDArray[np.int64]:
            return np.flatnonzero((np.arange(n) % HELD_OUT == 0) != ours)

        return Material(
            portraits={
                name: Portraits(some.pictures[of(len(some))], some.points_xy[of(len(some))])
                for name, some in material.portraits.items()
            },
            photos={name: [some[i] for i in of(len(some))] for name, some in material.photos.items()},
            backgrounds=[material.backgrounds[i] for i in of(len(material.backgrounds))],
        )

    return part(True), part(False)


def fit_confirm(
    candidates: Candidates, recipe: ConfirmRecipe, folder: str | Path, detector: str | Path
) -> ConfirmModule:
    """Train, or go on training where an earlier run of the same folder stopped.

    Parameters
    ----------
    candidates : Candidates
    recipe : ConfirmRecipe
    folder : path
        Where the recipe, the checkpoint of the last epoch and the log (csv) are kept.
    detector : str or path
        What it begins with, by name or file: a detector of our kind.

    Returns
    -------
    ConfirmModule
        With the averaged weights.

    Raises
    ------
    ArgumentError
        If the folder holds a run with another recipe.
    ModelError
        If the detector is another network.
    """
    checkpoint = open_run(folder, recipe)
    L.seed_everything(recipe.seed, verbose=False)
    base = FacePoint()
    start_from(base, str(detector), torch.from_numpy(candidates.crops[:TYPICAL]).float(), task="detection")
    module = ConfirmModule(recipe, base)
    data = _training_set(candidates, recipe)
    batches = loader(data, ~data.held_out, recipe.batch, shuffle=True, seed=recipe.seed)
    make_trainer(folder, recipe.epochs, recipe.average, clip=5.0).fit(module, batches, ckpt_path=checkpoint)
    module.load_state_dict(averaged_weights(folder))
    return module.cpu().eval()


@torch.no_grad()
def calibrate(network: ConfirmNetwork, held: Candidates, recipe: ConfirmRecipe) -> None:
    """Weigh what is seen and the detector's score anew, by candidates that were not learned from.

    What a network says of pictures it has learned from is surer than it should be of others: without this the
    detector's opinion would count too little. The weights are those of a logistic regression.

    Parameters
    ----------
    network : ConfirmNetwork
        Changed in place.
    held : Candidates
    recipe : ConfirmRecipe
    """
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # ships no types

    score = torch.from_numpy(held.score)
    rows = np.arange(len(held))
    seen = [
        network(torch.from_numpy(shown_crops(held, some, recipe)).float(), score[some])[1]
        for some in np.array_split(rows, -(-len(rows) // TYPICAL))
    ]
    logits = torch.stack([torch.cat(seen), logit(score)], dim=1).numpy()
    fit = LogisticRegression(C=1e3).fit(logits, held.face)
    last: Any = network.judge[-1]
    last.weight.mul_(float(fit.coef_[0, 0]))
    last.bias.mul_(float(fit.coef_[0, 0])).add_(float(fit.intercept_[0]))
    network.weight.fill_(float(fit.coef_[0, 1]))


def _training_set(candidates: Candidates, recipe: ConfirmRecipe) -> TrainingSet:
    n = len(candidates)
    weight = np.where(candidates.face & candidates.photographed, recipe.photographed, 1.0)
    targets = {"score": candidates.score, "face": candidates.face, "weight": weight}
    return TrainingSet(
        pictures={
            "crops": torch.from_numpy(candidates.crops),
            "matrix": _centre_cut(recipe).repeat(n, 1, 1),
        },
        rows=torch.arange(n),
        targets={name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in targets.items()},
        heads={},
        mirrored=[],
        held_out=np.zeros(n, bool),
    )


def _centre_cut(recipe: ConfirmRecipe) -> Tensor:
    """Return the matrix (1, 2, 3) that cuts a kept candidate as the network will be shown it."""
    scale = recipe.size / SIDE * (1 + 2 * MARGIN) / (1 + 2 * recipe.margin)
    shift = recipe.size / 2 - scale * SIDE / 2
    return torch.tensor([[[scale, 0.0, shift], [0.0, scale, shift]]])


def shown_crops(candidates: Candidates, rows: Any, recipe: ConfirmRecipe) -> Any:
    """Return candidates (m, S, S), uint8, as the network is shown them."""
    crops = torch.from_numpy(candidates.crops[rows])
    cut_out = cut(crops, _centre_cut(recipe).repeat(len(rows), 1, 1), recipe.size)
    return cut_out.round().clamp(0, 255).byte().numpy()
