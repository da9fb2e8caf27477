"""Train an expression network: a thin Lightning module and the trainer around it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from mien.errors import SourceNotFoundError, bad_argument
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.labelled import LabelledImages, duplicate_groups
from mien.training.augment import Augment, cut
from mien.training.data import Batches, BatchRows, Geometry, crop_matrices, hold_out
from mien.training.networks import ExpressionNetwork


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run, besides the data.

    Parameters
    ----------
    arch : str
        A name of :data:`mien.training.networks.NETWORKS`.
    size : int
        Side of the crops in pixels.
    template, margin
        How faces are cut; see :mod:`mien.faces.align`.
    epochs, batch, seed : int
    learning_rate : float
        Largest rate of the one-cycle schedule (Smith and Topin 2018, arXiv 1708.07120).
    weight_decay : float
    dropout : float
        Share of the features hidden from the heads while training.
    smoothing : float
        Label smoothing of the single labels; the votes need none.
    whole : float
        Share of the copies that are cut as the picture is, not by landmarks, so that ready-cropped
        faces work too.
    blendshapes : float
        Weight of predicting facial movements as an auxiliary task, where the geometry has them.
    average : float
        Decay of the running average of the weights, which is what is kept.
    held_out : float
        Share of Training set aside to follow the run and to calibrate. Which pictures these are depends
        on the seed: a run that goes on from another's weights must keep it.
    base : str
        Folder of a finished run whose averaged weights the network starts from; empty for none.
    """

    arch: str = "resnet"
    size: int = 44
    template: str = "fer2013-mean"
    margin: float = -1 / 24
    epochs: int = 48
    batch: int = 128
    seed: int = 0
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    dropout: float = 0.3
    smoothing: float = 0.1
    whole: float = 0.25
    blendshapes: float = 2.0
    average: float = 0.999
    held_out: float = 0.05
    base: str = ""


class ExpressionModule(L.LightningModule):
    """Losses, optimiser and what is measured while training.

    Parameters
    ----------
    recipe : Recipe
    heads : dict of str to int
        Heads of the network: "ferplus8" (votes), "ekman7" (labels), "blendshapes".
    mirrored : list of int
        For each blend shape, the column it becomes in a mirrored picture.
    """

    def __init__(self, recipe: Recipe, heads: dict[str, int], mirrored: list[int]) -> None:
        super().__init__()
        self.recipe = recipe
        self.network = ExpressionNetwork(recipe.arch, heads, recipe.dropout).to(
            memory_format=torch.channels_last
        )  # type: ignore[call-overload]  # torch's stub lacks the keyword alone
        self.augment = Augment(recipe.size)
        self.mirrored = mirrored

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            whole = torch.rand(len(batch["picture"]), 1, 1) < self.recipe.whole
            matrix = torch.where(whole, batch["whole"], batch["aligned"])
            crops, flip = self.augment(batch["picture"], matrix)
        scores = self.network(crops)
        loss = crops.new_zeros(())
        for name, logits in scores.items():
            loss = loss + self._loss(name, logits.float(), batch, flip)
        self.log("loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def _loss(self, head: str, logits: Tensor, batch: dict[str, Tensor], flip: Tensor) -> Tensor:
        weight, target = batch[head + "_weight"], batch[head]
        if head == "blendshapes":
            target = torch.where(flip[:, None], target[:, self.mirrored], target)
            each = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)
            weight = weight * self.recipe.blendshapes
        elif head == "ekman7":
            each = F.cross_entropy(logits, target, reduction="none", label_smoothing=self.recipe.smoothing)
        else:
            each = F.cross_entropy(logits, target, reduction="none")
        return (each * weight).mean()

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        scores = self.network(cut(batch["picture"], batch["aligned"], self.recipe.size))
        for head in ("ferplus8", "ekman7"):
            if head not in scores:
                continue
            label = batch[head + "_label"]
            known = label >= 0
            right = (scores[head].argmax(1) == label)[known].float()
            self.log(f"{head}_accuracy", right.mean(), prog_bar=True, batch_size=int(known.sum()))

    def configure_optimizers(self) -> Any:
        decay = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        optimiser = torch.optim.SGD(
            [
                {"params": decay, "weight_decay": self.recipe.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=self.recipe.learning_rate,
            momentum=0.9,
            nesterov=True,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            self.recipe.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.15,
            cycle_momentum=False,
            final_div_factor=1e3,
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@dataclass(frozen=True)
class TrainingSet:
    """What a run learns from.

    Parameters
    ----------
    columns : dict of str to Tensor
        Pictures, alignments and targets over one first axis.
    heads : dict of str to int
        The heads these targets teach.
    mirrored : list of int
        See :class:`ExpressionModule`.
    held_out : ndarray of shape (n,), bool
        Rows that are set aside.
    """

    columns: dict[str, Tensor]
    heads: dict[str, int]
    mirrored: list[int]
    held_out: NDArray[np.bool_]


def prepare(
    labelled: LabelledImages, voted: LabelledImages | None, geometry: Geometry | None, recipe: Recipe
) -> TrainingSet:
    """Turn the Training split of a corpus into tensors.

    Parameters
    ----------
    labelled : LabelledImages
        Pictures of one size with the ``ekman7`` labels.
    voted : LabelledImages, optional
        The same pictures with the FER+ votes.
    geometry : Geometry, optional
        Landmarks to cut by, and facial movements to learn beside the emotions.
    recipe : Recipe
    """
    training = np.flatnonzero(labelled.split == "Training")
    if not len(training):
        raise bad_argument(
            "data", allowed="a corpus with a split named Training", given=sorted(set(labelled.split))
        )
    pictures = np.stack([labelled.images[int(i)] for i in training])
    shapes = np.tile(pictures.shape[1:], (len(training), 1))
    part = _rows(geometry, training)
    aligned, whole = crop_matrices(part, shapes, recipe.template, recipe.margin, recipe.size)
    label = labelled.label[training]
    columns: dict[str, NDArray[Any]] = {
        "picture": pictures,
        "aligned": aligned,
        "whole": whole,
        "ekman7": label,
        "ekman7_label": label,
        "ekman7_weight": np.ones(len(training), np.float32),
    }
    heads = {"ekman7": len(EKMAN7)}
    if voted is not None:
        columns |= _vote_columns(voted.select(training))
        columns["ekman7_weight"] = (columns["ferplus8_weight"] > 0).astype(np.float32)  # no face: no label
        heads["ferplus8"] = len(FERPLUS8)
    mirrored: list[int] = []
    if part is not None and part.blendshapes.shape[1] and recipe.blendshapes:
        columns |= {"blendshapes": part.blendshapes, "blendshapes_weight": part.found.astype(np.float32)}
        heads["blendshapes"] = part.blendshapes.shape[1]
        mirrored = part.mirrored_columns()
    return TrainingSet(
        columns={name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in columns.items()},
        heads=heads,
        mirrored=mirrored,
        held_out=hold_out(duplicate_groups(pictures), recipe.held_out, recipe.seed),
    )


def fit(
    data: TrainingSet, recipe: Recipe, folder: str | Path, callbacks: Sequence[L.Callback] = ()
) -> ExpressionModule:
    """Train, or go on training where an earlier run of the same folder stopped.

    Parameters
    ----------
    data : TrainingSet
    recipe : Recipe
    folder : path
        Where the recipe, the checkpoint of the last epoch and the log (csv) are kept.
    callbacks : sequence of lightning.Callback, optional
        Further callbacks.

    Returns
    -------
    ExpressionModule
        With the averaged weights.

    Raises
    ------
    ArgumentError
        If the folder holds a run with another recipe.
    """
    checkpoint = open_run(folder, recipe)
    L.seed_everything(recipe.seed, verbose=False)
    module = ExpressionModule(recipe, data.heads, data.mirrored)
    if recipe.base and checkpoint is None:
        module.load_state_dict(averaged_weights(recipe.base))
    trainer = make_trainer(folder, recipe.epochs, recipe.average, callbacks)
    trainer.fit(
        module,
        _loader(data, ~data.held_out, recipe.batch, shuffle=True),
        _loader(data, data.held_out, 500, shuffle=False),
        ckpt_path=checkpoint,
    )
    module.load_state_dict(averaged_weights(folder))
    return module


def averaged_weights(folder: str | Path) -> dict[str, Tensor]:
    """Return the averaged weights of a run's last checkpoint, also of a run that was finished before.

    Raises
    ------
    SourceNotFoundError
        If the folder holds no checkpoint.
    """
    if not (Path(folder) / "last.ckpt").is_file():
        raise SourceNotFoundError(f"{folder} holds no run: there is no last.ckpt in it.")
    checkpoint = torch.load(Path(folder) / "last.ckpt", map_location="cpu", weights_only=True)
    weights: dict[str, Tensor] = checkpoint["state_dict"]
    return weights


def open_run(folder: str | Path, recipe: object) -> str | None:
    """Enter a recipe in a run's folder, or check that it is the one entered before.

    Parameters
    ----------
    folder : path
    recipe : dataclass
        Of plain values.

    Returns
    -------
    str or None
        The checkpoint to go on from, if there is one.

    Raises
    ------
    ArgumentError
        If the folder holds a run with another recipe.
    """
    path = Path(folder) / "recipe.json"
    ours = asdict(recipe)  # type: ignore[call-overload]  # any of the recipe dataclasses
    if path.exists():
        theirs = json.loads(path.read_text())
        different = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
        if different:
            raise bad_argument(
                "folder",
                allowed=f"empty, or of a run with the same recipe ({', '.join(different)} differs)",
                given=str(folder),
            )
    else:
        Path(folder).mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(ours, indent=2))
    last = Path(folder) / "last.ckpt"
    return str(last) if last.exists() else None


def make_trainer(
    folder: str | Path,
    epochs: int,
    average: float,
    callbacks: Sequence[L.Callback] = (),
    clip: float | None = None,
) -> L.Trainer:
    """Make the trainer that every run uses: bfloat16, averaged weights, a checkpoint an epoch, a csv log.

    Parameters
    ----------
    folder : path
    epochs : int
    average : float
        Decay of the running average of the weights.
    callbacks : sequence of lightning.Callback, optional
    clip : float, optional
        Largest norm of the gradient.
    """
    return L.Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        max_epochs=epochs,
        default_root_dir=folder,
        logger=CSVLogger(folder, name="log"),
        callbacks=[
            EMAWeightAveraging(decay=average),
            ModelCheckpoint(folder, filename="last", enable_version_counter=False),
            *callbacks,
        ],
        gradient_clip_val=clip,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def _loader(
    data: TrainingSet, rows: NDArray[np.bool_], batch: int, *, shuffle: bool
) -> DataLoader[dict[str, Tensor]]:
    index = torch.from_numpy(np.flatnonzero(rows))
    part = Batches({name: column[index] for name, column in data.columns.items()})
    return DataLoader(part, sampler=BatchRows(len(part), batch, shuffle=shuffle), batch_size=None)


def _vote_columns(voted: LabelledImages) -> dict[str, NDArray[Any]]:
    if voted.votes is None:
        raise bad_argument("voted", allowed="a corpus with votes", given=voted.name)
    total = voted.votes.sum(axis=1, keepdims=True)
    return {
        "ferplus8": voted.votes / np.maximum(total, 1),
        "ferplus8_label": voted.label,
        "ferplus8_weight": total[:, 0] / 10,  # ten voters; what they did not give to an emotion is doubt
    }


def _rows(geometry: Geometry | None, rows: NDArray[np.int64]) -> Geometry | None:
    if geometry is None:
        return None
    return Geometry(
        geometry.found[rows],
        geometry.landmarks_xy[rows],
        geometry.blendshapes[rows],
        geometry.blendshape_names,
    )
