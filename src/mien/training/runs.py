"""A run's folder: the recipe, the checkpoint of the last epoch, the log; and the trainer that writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger, Logger
from torch import Tensor, nn

from mien.errors import SourceNotFoundError, bad_argument, require
from mien.training.cards import replacing
from mien.training.recipe import listed

LEARNED = "learned.sha256"
"""What a run's folder says of the data it learned from."""


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


def open_run(folder: str | Path, recipe: Any, data: str = "") -> str | None:
    """Enter a recipe in a run's folder, or check that it is the one that was begun with there.

    Parameters
    ----------
    folder : path
    recipe : dataclass
        Of plain values with defaults; a field that a run of an earlier version did not know counts as its
        default.
    data : str, optional
        What tells the data that are learned from others. A run that does not say what it learned from goes on
        with any.

    Returns
    -------
    str or None
        The checkpoint to go on from, if there is one.

    Raises
    ------
    ArgumentError
        If the folder holds a run with another recipe, or on other data.
    """
    path, last, learned = (Path(folder) / name for name in ("recipe.json", "last.ckpt", LEARNED))
    ours = asdict(recipe)
    if last.exists():
        theirs = asdict(type(recipe)()) | (json.loads(path.read_text()) if path.exists() else {})
        different = sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))
        if different:
            raise bad_argument(
                "folder",
                allowed=f"empty, or of a run with the same recipe ({', '.join(different)} differs)",
                given=str(folder),
            )
        check_data(folder, data, "folder", "empty, or of a run")
        return str(last)
    Path(folder).mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ours, indent=2))
    if data:
        learned.write_text(data)
    return None


def check_data(folder: str | Path, data: str, what: str, allowed: str) -> None:
    """Refuse a run's folder that is known to be of other data.

    Parameters
    ----------
    folder : path
    data : str
        As for :func:`open_run`; empty to refuse none.
    what, allowed : str
        What the folder is given as, and what it may be: how the complaint begins.
    """
    learned = Path(folder) / LEARNED
    if data and learned.exists() and learned.read_text() != data:
        raise bad_argument(
            what, allowed=f"{allowed} on the same pictures and labels (these differ)", given=str(folder)
        )


def check_base(base: str, recipe: Any) -> None:
    """Refuse to go on from a run that set another part aside: what it learned from must not be set aside now.

    Parameters
    ----------
    base : str
        A run's folder. A model's file or name is not looked at, and where nothing is learned it is refused
        without a run beside it: what it calls common would be told from pictures that it did not learn from.
    recipe : dataclass
        With `held_out`, `split_seed`, `epochs` and `base`.
    """
    if not recipe.epochs and not any(Path(one).is_dir() for one in listed(recipe.base)):
        raise bad_argument("base", allowed="a run's folder, or several, where there are 0 epochs", given=base)
    path = Path(base) / "recipe.json"
    if not path.is_file():
        return
    theirs = json.loads(path.read_text())
    split = (theirs.get("held_out"), theirs.get("split_seed", theirs.get("seed")))
    if split != (recipe.held_out, recipe.split_seed):
        raise bad_argument(
            "base",
            allowed=f"a run that set the same part aside (held_out {recipe.held_out}, split_seed "
            f"{recipe.split_seed}); this one has held_out {split[0]}, split_seed {split[1]}",
            given=base,
        )


def save_weights(folder: str | Path, module: L.LightningModule) -> None:
    """Write weights in which nothing was learned as those of a finished run."""
    with replacing(Path(folder) / "last.ckpt") as part:
        torch.save({"state_dict": module.state_dict()}, part)


def make_trainer(
    folder: str | Path,
    epochs: int,
    average: float,
    callbacks: Sequence[L.Callback] = (),
    *,
    clip: float | None = None,
    precision: str = "bf16-mixed",
    devices: int = 1,
    log: str = "csv",
    thaws: bool = False,
) -> L.Trainer:
    """Make the trainer that every run uses: averaged weights, a checkpoint an epoch, a log.

    Parameters
    ----------
    folder : path
    epochs : int
    average : float
        Decay of the running average of the weights.
    callbacks : sequence of lightning.Callback, optional
    clip : float, optional
        Largest norm of the gradient.
    precision : str
        As Lightning names it.
    devices : int
        Processes or accelerators.
    log : {"csv", "tensorboard"}
    thaws : bool
        Whether what learns changes during the run.
    """
    strategy = "auto" if devices == 1 else "ddp_spawn_find_unused_parameters_true" if thaws else "ddp_spawn"
    return L.Trainer(
        accelerator="auto",
        devices=devices,
        strategy=strategy,
        precision=precision,  # type: ignore[arg-type]  # one of the recipe's
        max_epochs=epochs,
        default_root_dir=folder,
        logger=_logger(folder, log),
        callbacks=[
            WeightAveraging(_home(), multi_avg_fn=_Running(average)),
            ModelCheckpoint(folder, filename="last", enable_version_counter=False),
            *callbacks,
        ],
        gradient_clip_val=clip,
        enable_model_summary=False,
        log_every_n_steps=1,
        use_distributed_sampler=False,
    )


def one_cycle(network: nn.Module, recipe: Any, steps: int, rise: float) -> dict[str, Any]:
    """Return AdamW and its one-cycle schedule, as Lightning wants them.

    Parameters
    ----------
    network : torch module
    recipe : dataclass
        With `learning_rate`, the largest, and `weight_decay`.
    steps : int
        Of the whole run.
    rise : float
        Share of them in which the rate rises, 0 to 1.
    """
    rate = recipe.learning_rate
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=max(2, steps), pct_start=rise, cycle_momentum=False
    )
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _home() -> torch.device:
    """Return where the averaged weights live; left to Lightning they stay where the network was made."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class _Running:
    """One step of a running average; an object, not a closure, so that it reaches other processes.

    Parameters
    ----------
    decay : float
        Reached after some thousand steps; the first ones forget faster, lest the random weights of the start
        weigh in a short run.
    """

    decay: float

    def __call__(
        self,
        average: tuple[Tensor, ...] | list[Tensor],
        new: tuple[Tensor, ...] | list[Tensor],
        steps: Tensor | int,
    ) -> None:
        """Move tensors of one kind on by a step, all at once: asked one by one, a GPU would wait for each."""
        if not average[0].is_floating_point():
            for counted, now in zip(average, new, strict=True):
                counted.copy_(now)
            return
        done = int(steps)
        decay = min(self.decay, (1 + done) / (10 + done))
        torch._foreach_mul_(average, decay)
        torch._foreach_add_(average, new, alpha=1 - decay)


def check_log(kind: str) -> None:
    """Refuse a kind of log that there is not, or whose package is missing."""
    if kind not in ("csv", "tensorboard"):
        raise bad_argument("log", allowed="'csv' or 'tensorboard'", given=kind)
    if kind == "tensorboard":
        require("tensorboard", purpose="A log for TensorBoard", extra="tensorboard")


def _logger(folder: str | Path, kind: str) -> Logger:
    check_log(kind)
    if kind == "csv":
        return CSVLogger(folder, name="log")
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(folder, name="log")
