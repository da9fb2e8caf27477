"""Train an expression network: batches, trainer, and the weights that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor
from torch.utils.data import DataLoader

from mien.errors import bad_argument
from mien.sources.splits import class_weights
from mien.training.architectures import FACES, get_architecture
from mien.training.augment import cut
from mien.training.base import keep_of_base, set_up_norms, start_from
from mien.training.data import MOVEMENTS, TrainingSet, loader
from mien.training.module import ExpressionModule
from mien.training.recipe import Recipe, listed
from mien.training.runs import averaged_weights, check_data, make_trainer, open_run, save_weights
from mien.training.teachers import teach

CALIBRATION_BATCH = 256
"""Pictures by which the normalisations of a model's file are set up again, when training goes on from it."""

KEEPING_CROPS = 2048
"""Pictures by which normalisations are measured where weights are a mean of several."""


class Batches(L.LightningDataModule):
    """The batches of a run, each shared out over its processes.

    Parameters
    ----------
    data : TrainingSet
    recipe : Recipe
    """

    def __init__(self, data: TrainingSet, recipe: Recipe) -> None:
        super().__init__()
        self.data, self.recipe = data, recipe

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return loader(
            self.data,
            ~self.data.held_out,
            self.recipe.batch,
            shuffle=True,
            seed=self.recipe.seed,
            weight=_sampling(self.data) if self.recipe.balance == "sampling" else None,
            rank=self.trainer.global_rank if self.trainer else 0,
            world=self.trainer.world_size if self.trainer else 1,
        )

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        size = max(32, 500 // max(1, self.recipe.frames))
        return loader(self.data, self.data.held_out, size, shuffle=False)


def fit(
    data: TrainingSet,
    recipe: Recipe,
    folder: str | Path,
    callbacks: Sequence[L.Callback] = (),
    *,
    devices: int = 1,
    log: str = "csv",
) -> ExpressionModule:
    """Train, or go on training where an earlier run of the same folder stopped.

    Parameters
    ----------
    data : TrainingSet
    recipe : Recipe
    folder : path
        Where the recipe, the checkpoint of the last epoch and the log are kept.
    callbacks : sequence of lightning.Callback, optional
        Further callbacks.
    devices : int
        Processes or accelerators; each batch is shared out over them, so that an epoch has as many steps as
        with one.
    log : {"csv", "tensorboard"}

    Returns
    -------
    ExpressionModule
        With the averaged weights, on the processor.

    Raises
    ------
    ArgumentError
        If the folder holds a run with another recipe, or on other pictures or labels; or if there are more
        devices than a batch has pictures.
    """
    if devices > recipe.batch:
        raise bad_argument(
            "devices", allowed=f"at most one for each of a batch's {recipe.batch} pictures", given=devices
        )
    checkpoint = open_run(folder, recipe, data.fingerprint())
    L.seed_everything(recipe.seed, verbose=False)
    if recipe.teachers and recipe.epochs:
        data = teach(data, recipe)
    module = ExpressionModule(recipe, data.heads, data.mirrored, _class_weights(data, recipe))
    if checkpoint is None:
        _start(module, data, recipe)
    if recipe.epochs:
        extra = [*callbacks]
        if recipe.patience:
            extra.append(EarlyStopping("accuracy", mode="max", patience=recipe.patience))
        trainer = make_trainer(
            folder,
            recipe.epochs,
            recipe.average,
            extra,
            precision=recipe.precision,
            devices=devices,
            log=log,
            thaws=recipe.head_epochs > 0,
        )
        trainer.fit(module, datamodule=Batches(data, recipe), ckpt_path=checkpoint)
    elif checkpoint is None:
        save_weights(folder, module)
    module.load_state_dict(averaged_weights(folder))
    module = module.cpu()
    if recipe.keep:
        crops = _some_crops(data, recipe, KEEPING_CROPS)
        keep_of_base(module.network, recipe.base, recipe.keep, crops, data=data.corpora)
    return module.eval()


def _start(module: ExpressionModule, data: TrainingSet, recipe: Recipe) -> None:
    """Load the weights that a network goes on from, or prepare given ones that have no normalisation."""
    bases = listed(recipe.base)
    if not recipe.epochs:
        known = data.fingerprint()
        for base in bases:
            check_data(base, known, "base", "runs")
    if bases:
        count = KEEPING_CROPS if len(bases) > 1 else CALIBRATION_BATCH
        start_from(module.network, recipe.base, _some_crops(data, recipe, count), data=data.corpora)
    elif recipe.pretrained and get_architecture(recipe.arch).backbone == FACES:
        set_up_norms(module.network, _some_crops(data, recipe))


def _labels(data: TrainingSet) -> tuple[str, Tensor]:
    """Return the first head of emotions and its labels; -1 where there is none."""
    head = next(name for name in data.heads if name != MOVEMENTS)
    return head, data.targets[head + "_label"]


def _class_weights(data: TrainingSet, recipe: Recipe) -> dict[str, Tensor]:
    if recipe.balance != "loss":
        return {}
    learned = torch.from_numpy(~data.held_out)
    weights = {}
    for head, k in data.heads.items():
        if head != MOVEMENTS:
            label = data.targets[head + "_label"][learned]
            weights[head] = torch.from_numpy(class_weights(label[label >= 0].numpy(), k)).float()
    return weights


def _sampling(data: TrainingSet) -> Tensor:
    """Return a weight for each sample by which every emotion is drawn equally often."""
    head, label = _labels(data)
    count = torch.bincount(label[label >= 0], minlength=data.heads[head])
    return torch.where(label >= 0, 1.0 / count.clamp(min=1)[label.clamp(min=0)], 0.0).double()


def _some_crops(data: TrainingSet, recipe: Recipe, count: int = CALIBRATION_BATCH) -> Tensor:
    learned = np.flatnonzero(~data.held_out)
    chosen = np.random.default_rng(recipe.seed).permutation(learned)[:count]
    pictures = data.rows[torch.from_numpy(chosen)]
    return cut(data.pictures["picture"][pictures], data.pictures["aligned"][pictures], recipe.size)
