"""What an expression network learns by: losses, schedule, and what is measured meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.training.architectures import get_architecture
from mien.training.augment import Augment, Augmentation, cut
from mien.training.data import MOVEMENTS
from mien.training.networks import ExpressionNetwork
from mien.training.recipe import Recipe
from mien.training.sharpness import uphill
from mien.training.teachers import TAUGHT


class ExpressionModule(L.LightningModule):
    """Losses, optimiser and what is measured while training.

    Parameters
    ----------
    recipe : Recipe
    heads : dict of str to int
        Heads of the network: label sets, and "blendshapes".
    mirrored : list of int
        For each blend shape, the column it becomes in a mirrored picture.
    weight : dict of str to Tensor of shape (k,), optional
        By head, the weight of each class, where rare ones count more.
    """

    def __init__(
        self,
        recipe: Recipe,
        heads: dict[str, int],
        mirrored: list[int],
        weight: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.sequence = get_architecture(recipe.arch).family == "sequence"
        weights = "" if recipe.base else recipe.pretrained  # the base's will stand in their place
        network = ExpressionNetwork(
            recipe.arch, heads, size=recipe.size, dropout=recipe.dropout, weights=weights
        )
        # in float32 torch 2.13 ends in a segmentation fault at a narrow 1 x 1 convolution with a stride
        if not self.sequence and recipe.precision != "32-true":
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks the keyword alone
        self.network = network
        settings = Augmentation.parse(recipe.augment)
        self.augment = Augment(recipe.size, settings, untouched=recipe.untouched)
        self.mirrored = mirrored
        self.weight = weight or {}
        self.best = {name: 0.0 for name in heads if name != MOVEMENTS}

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        # as this step draws in every run of the seed, stopped before it or not, and in each of its passes
        torch.manual_seed(step_seed(self.recipe.seed, self.global_step, self.global_rank))
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            crops, flip = self.augment(batch["picture"], self._alignments(batch))
            share, other = self._pairs(len(crops))
            mixed = crops if other is None else share * crops + (1 - share) * crops[other]
        scores = self.network(mixed)
        loss = crops.new_zeros(())
        for name, logits in scores.items():
            each = self._losses(name, logits.float(), batch, flip)
            if other is not None:
                turned = {key: value[other] for key, value in batch.items()}
                each = share * each + (1 - share) * self._losses(name, logits.float(), turned, flip[other])
            loss = loss + each.mean()
        self.log("loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def _alignments(self, batch: dict[str, Tensor]) -> Tensor:
        """Draw how each picture is cut: by the best landmarks, by the detector's, or as it is framed."""
        aligned = batch["aligned"]
        draw = torch.rand(len(aligned), device=self.device).view(-1, *[1] * (aligned.ndim - 1))
        if "detected" in batch:
            aligned = torch.where(draw < self.recipe.whole + self.recipe.detected, batch["detected"], aligned)
        return torch.where(draw < self.recipe.whole, batch["whole"], aligned)

    def _pairs(self, n: int) -> tuple[float, Tensor | None]:
        """Draw how much of each face remains, and with which other it is mixed."""
        if not self.recipe.mixup:
            return 1.0, None
        share = float(torch.distributions.Beta(self.recipe.mixup, self.recipe.mixup).sample())
        return share, torch.randperm(n, device=self.device)

    def _losses(self, head: str, logits: Tensor, batch: dict[str, Tensor], flip: Tensor) -> Tensor:
        weight, target = batch[head + "_weight"], batch[head]
        if head == MOVEMENTS:
            target = torch.where(flip[:, None], target[:, self.mirrored], target)
            each = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)
            return each * weight * self.recipe.blendshapes
        classes = self.weight.get(head)
        classes = None if classes is None else classes.to(logits.device)
        smoothing = 0.0 if target.is_floating_point() else self.recipe.smoothing
        each = F.cross_entropy(logits, target, weight=classes, reduction="none", label_smoothing=smoothing)
        if head + TAUGHT in batch:
            taught = F.cross_entropy(logits, batch[head + TAUGHT], reduction="none")
            each = (1 - self.recipe.taught) * each + self.recipe.taught * taught
        return each * weight

    def validation_step(self, batch: dict[str, Tensor], _: int) -> None:
        alignment = batch.get("detected", batch["aligned"])
        scores = self.network(cut(batch["picture"], alignment, self.recipe.size))
        total, count = torch.zeros((), device=self.device), 0
        for head in self.best:
            label = batch[head + "_label"]
            known = label >= 0
            right = (scores[head].argmax(1) == label)[known].float()
            n = int(known.sum())
            if n:
                total, count = total + right.sum(), count + n
                self.log(f"{head}_accuracy", right.mean(), prog_bar=True, batch_size=n, sync_dist=True)
        if count:
            self.log("accuracy", total / count, batch_size=count, sync_dist=True)

    def on_train_epoch_start(self) -> None:
        """Decide, for transfer from given weights, which part of the backbone learns in this epoch."""
        if self.recipe.pretrained:
            begun = self.current_epoch >= self.recipe.head_epochs
            thaw(self.network.trunk, self.recipe.learning if begun else 0.0)

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None
    ) -> None:
        """Take a step; a sharpness-aware one by the gradient that the batch has a little uphill from here."""
        if not self.recipe.sharpness or optimizer_closure is None:
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
            return
        optimizer_closure()

        def from_uphill() -> Any:
            with uphill(self.network, self.recipe.sharpness):
                return optimizer_closure()

        super().optimizer_step(epoch, batch_idx, optimizer, from_uphill)

    def configure_optimizers(self) -> Any:
        decay = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": decay, "weight_decay": self.recipe.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        rate = self.recipe.learning_rate
        if self.recipe.optimiser == "sgd":
            optimiser: torch.optim.Optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
        else:
            optimiser = torch.optim.AdamW(groups, lr=rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            rate,
            total_steps=max(2, int(self.trainer.estimated_stepping_batches)),
            pct_start=0.15,
            cycle_momentum=False,
            final_div_factor=1e3,
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return what the draws of one step of a run follow from.

    Parameters
    ----------
    seed : int
        Of the run, 0 or more.
    step : int
        Of the whole run, from 0.
    rank : int
        Which of the processes that share a batch.
    """
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0])


def thaw(trunk: nn.Module, share: float) -> None:
    """Let the upper part of a backbone learn, whatever learned before; the rest keeps its statistics.

    Parameters
    ----------
    trunk : Module
    share : float
        How much of it, from 0 for nothing to 1 for all.
    """
    parameters = list(trunk.parameters())
    lower = int((1 - share) * len(parameters))
    for i, parameter in enumerate(parameters):
        parameter.requires_grad_(i >= lower)
    for layer in trunk.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.train(any(p.requires_grad for p in layer.parameters(recurse=False)))
