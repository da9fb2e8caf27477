"""Start a network from weights that are there, of a run or a model's file, and keep a part of them."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.catalog import ModelCard, find_model
from mien.errors import ModelError
from mien.labels import get_label_set
from mien.training.data import MOVEMENTS
from mien.training.layers import ResidualBlock
from mien.training.quantise import dequantised
from mien.training.recipe import listed
from mien.training.runs import averaged_weights

BatchNorm = nn.modules.batchnorm._BatchNorm

MEMBER = re.compile(r"(?:member\d+\.)*")
"""What stands before the weights' names of one network of several; see :mod:`mien.training.combine`."""

NORM_BATCH = 256
"""Crops looked at at a time to measure normalisations."""


def start_from(
    network: nn.Module, base: str, crops: Tensor, *, task: str = "expression", data: Collection[str] = ()
) -> frozenset[str]:
    """Load weights in place. What a head reads that the base does not keeps its random weights.

    Parameters
    ----------
    network : Module
        An expression network, or the detector's.
    base : str
        Folder of a finished run, or a model's name or file; of a file of several networks it is the first
        of this architecture. A residual network may have fewer blocks: those it lacks begin as what changes
        nothing (Chen et al. 2016, arXiv 1511.05641). Several, separated by commas, for the mean of their
        weights, whose normalisations are measured by these crops.
    crops : Tensor
        Crops (of a detector: scenes) of the new data. A model's file has its normalisations folded into the
        convolutions; they are taken apart again by how these crops look to each layer.
    task : {"expression", "detection"}
        What the network is for, where the base is a model's file or name.
    data : collection of str
        Names of the data sets that will be learned from. Where a model's card has numbers on none of them,
        heads begin with what its first head, the one in use, reads of their emotions: its others answer
        as those who labelled other data. By default heads are taken by their label sets.

    Returns
    -------
    frozenset of str
        Names of the weights that the base had; of several, those that all had.

    Raises
    ------
    ModelError
        If the base is of another architecture.
    SourceNotFoundError
        If the folder holds no run.
    """
    several = listed(base)
    if len(several) > 1:
        return _start_between(network, several, crops, task, data)
    if Path(base).is_dir():
        weights = averaged_weights(base)
        given = {
            name.removeprefix("network."): value
            for name, value in weights.items()
            if name.startswith("network.")
        }
        return _load(network, _grown(network, given), base)
    card, path = find_model(base, task)
    if path.suffix != ".onnx":
        raise ModelError(f"{path} is no network: only a network can be trained further.")
    members = [_unfold(network, weights) for weights in _members(path)]
    fitting = (one for one in members if not _lacking(network, one))
    given = next(fitting, _grown(network, members[-1]))
    had = _load(network, given, base)
    _begin_heads(network, given, card, data)
    set_up_norms(network, crops)
    return had


@torch.no_grad()
def _begin_heads(
    network: nn.Module, given: dict[str, Tensor], card: ModelCard, data: Collection[str]
) -> None:
    """Copy, for heads of data that a card knows nothing of, what its first head reads of their emotions."""
    heads: Any = network.heads if card.heads and data else {}
    for key, head in heads.items():
        first = card.head_for(key, *data).labels
        weight, bias = (given.get(f"heads.{first}.{name}") for name in ("weight", "bias"))
        if key in (first, MOVEMENTS) or weight is None or bias is None:
            continue
        theirs = list(get_label_set(first))
        for row, name in enumerate(get_label_set(key)):
            if name in theirs:
                head.weight[row], head.bias[row] = weight[theirs.index(name)], bias[theirs.index(name)]


@torch.no_grad()
def _start_between(
    network: nn.Module, bases: Sequence[str], crops: Tensor, task: str, data: Collection[str]
) -> frozenset[str]:
    """Load the mean of the weights of several bases, each as if the network started from it alone."""
    ones = [copy.deepcopy(network) for _ in bases]
    had = frozenset.intersection(
        *(
            start_from(one, base, crops[:NORM_BATCH], task=task, data=data)
            for one, base in zip(ones, bases, strict=True)
        )
    )
    states = [one.state_dict() for one in ones]
    for name, value in network.state_dict().items():
        if name in had and value.is_floating_point():
            value.copy_(torch.stack([state[name] for state in states]).mean(0))
    _measure_norms(network, crops)
    return had


@torch.no_grad()
def keep_of_base(
    network: nn.Module, base: str, share: float, crops: Tensor, *, data: Collection[str] = ()
) -> None:
    """Move a trained network's weights back towards those it started from (in place).

    What was learned last is partly taken back, and what was known before partly returns: often a better
    bargain than either (WiSE-FT, Wortsman et al. 2022, arXiv 2109.01903). Weights that the base did not
    have stay. The statistics of the normalisations are measured anew.

    Parameters
    ----------
    network : Module
        Trained from the base.
    base : str
        As for :func:`start_from`.
    share : float
        How much of the base is kept, from 0 to 1.
    crops : Tensor of shape (n, S, S) or (n, T, S, S)
        Of what it learned from.
    data : collection of str
        As for :func:`start_from`.
    """
    before = copy.deepcopy(network)
    had = start_from(before, base, crops[:NORM_BATCH], data=data)
    old = before.state_dict()
    for name, value in network.state_dict().items():
        if name in had and value.is_floating_point():
            value.lerp_(old[name], share)
    _measure_norms(network, crops)


def _grown(network: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add to the weights of a network of fewer residual blocks those it lacks, as what changes nothing."""
    grown = _renumbered(network, given)
    for name, module in network.named_modules():
        if _can_be_added(module) and not any(key.startswith(f"{name}.") for key in grown):
            own = {f"{name}.{key}": value for key, value in module.state_dict().items()}
            last = f"{name}.body.{len(module.body) - 1}.weight"
            grown |= own | {last: torch.zeros_like(own[last])}
    return grown


def _can_be_added(module: nn.Module) -> bool:
    return isinstance(module, ResidualBlock) and not len(module.shortcut)


def _renumbered(network: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a trunk of fewer residual blocks to those of a deeper one, where they fit."""
    prefix = "trunk."
    theirs: dict[str, dict[str, Tensor]] = {}
    for name, value in given.items():
        if name.startswith(prefix):
            layer, _, rest = name.removeprefix(prefix).partition(".")
            theirs.setdefault(layer, {})[rest] = value
    if not theirs:
        return given
    renamed = {name: value for name, value in given.items() if not name.startswith(prefix)}
    left = [theirs[layer] for layer in sorted(theirs, key=lambda layer: (len(layer), layer))]
    for layer, module in network.get_submodule(prefix[:-1]).named_children():
        own = _shapes(module.state_dict())
        if left and own == _shapes(left[0]):
            renamed |= {f"{prefix}{layer}.{name}": value for name, value in left.pop(0).items()}
        elif own and not _can_be_added(module):
            return given
    return given if left else renamed


def _shapes(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


def _load(network: nn.Module, given: dict[str, Tensor], base: str) -> frozenset[str]:
    missing = _lacking(network, given)
    if missing:
        raise ModelError(
            f"{base} cannot be trained further as this architecture: it lacks {missing[0]} "
            f"({len(missing)} weights do not fit). Choose the architecture it was made with."
        )
    wanted = network.state_dict()
    fitting = {name: v for name, v in given.items() if name in wanted and wanted[name].shape == v.shape}
    network.load_state_dict({**wanted, **fitting})
    return frozenset(fitting)


def _lacking(network: nn.Module, given: dict[str, Tensor]) -> list[str]:
    """Return the names of the trunk's weights that are not given in its shapes."""
    return sorted(
        name
        for name, value in network.state_dict().items()
        if not name.startswith("heads.")
        and not name.endswith("num_batches_tracked")
        and (name not in given or given[name].shape != value.shape)
    )


def _members(path: Path) -> list[dict[str, NDArray[Any]]]:
    """Return the weights of each of the networks that a file combines; most files are of one."""
    members: dict[str, dict[str, NDArray[Any]]] = {}
    for name, value in _initializers(path).items():
        prefix = MEMBER.match(name).group()  # type: ignore[union-attr]  # it matches the empty string too
        members.setdefault(prefix, {})[name.removeprefix(prefix).removeprefix("network.")] = value
    return [members[prefix] for prefix in sorted(members)]


def _initializers(path: Path) -> dict[str, NDArray[Any]]:
    """Return the weights of a file by the names the network gave them, widened to float32."""
    model = onnx.load(path)
    weights: dict[str, NDArray[Any]] = {}
    for tensor in model.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        weights[tensor.name.removesuffix(".half")] = value.astype(np.float32)
    weights |= dequantised(model)
    for node in model.graph.node:  # equal biases are stored once, and those of zero not at all
        parts = [name.removesuffix("_DequantizeLinear_Output") for name in node.input]
        if node.op_type in ("Conv", "Gemm") and parts[1] in weights:
            layer, bias = parts[1].removesuffix("weight"), (*parts[2:], "")[0]
            zeros = np.zeros(len(weights[parts[1]]), np.float32)
            weights.setdefault(layer + "bias", weights.get(bias, zeros))
    return weights


def _unfold(network: nn.Module, stored: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Give back to each normalisation the shift that the export folded into the convolution before it."""
    given = {name: torch.from_numpy(np.array(value)) for name, value in stored.items()}
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Sequential):
            continue
        children = list(layer.named_children())
        for (first, convolution), (second, norm) in zip(children, children[1:], strict=False):
            if not isinstance(norm, BatchNorm):
                continue
            before = f"{name}.{first}.weight".lstrip(".")
            after = f"{name}.{second}".lstrip(".")
            shift = given.get(before + "_bias", given.get(before.removesuffix("weight") + "bias"))
            if shift is not None and isinstance(convolution, nn.Conv2d | nn.Conv3d):
                given[after + ".weight"] = torch.full_like(shift, 1.0)
                given[after + ".bias"] = shift
                given[after + ".running_mean"] = torch.zeros_like(shift)
                given[after + ".running_var"] = torch.full_like(shift, 1.0 - norm.eps)
    return given


@torch.no_grad()
def set_up_norms(network: nn.Module, crops: Tensor) -> None:
    """Let every normalisation subtract and divide by what it sees, and give both back as its own weights.

    The network answers as before; in training, where a batch's own statistics are used, it now does too.

    Parameters
    ----------
    network : Module
    crops : Tensor
        What it will learn from, some of it.
    """
    seen: dict[BatchNorm, tuple[Tensor, Tensor]] = {}

    def look(norm: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        axes = (0, *range(2, inputs[0].ndim))
        seen[norm] = inputs[0].mean(dim=axes), inputs[0].var(dim=axes, correction=0)  # type: ignore[index]  # a BatchNorm

    handles = [m.register_forward_hook(look) for m in network.modules() if isinstance(m, BatchNorm)]
    training = network.training
    network.eval()(crops)
    network.train(training)
    for handle in handles:
        handle.remove()
    for norm, (mean, variance) in seen.items():
        assert norm.running_mean is not None and norm.running_var is not None  # all of ours track
        old_mean, old_deviation = norm.running_mean.clone(), (norm.running_var + norm.eps).sqrt()
        deviation = (variance + norm.eps).sqrt()
        norm.bias.add_(norm.weight * (mean - old_mean) / old_deviation)
        norm.weight.mul_(deviation / old_deviation)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def _measure_norms(network: nn.Module, crops: Tensor) -> None:
    """Set the statistics of every normalisation to their mean over batches of these crops."""
    norms = [m for m in network.modules() if isinstance(m, BatchNorm)]
    training, momenta = network.training, [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    for batch in torch.split(crops, NORM_BATCH):
        network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(training)
