"""From a trained network to what ships: the ONNX file, its card, and golden tensors to test both by.

Nothing is written unless the file, run as users will run it, agrees with the network.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tomli_w
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.catalog import ModelCard
from mien.errors import ModelError, bad_argument
from mien.faces.align import CropSpec
from mien.runtime import Session
from mien.training.cards import complete_card, replacing
from mien.training.networks import EMBEDDING, ExpressionNetwork
from mien.training.quantise import quantise

TOLERANCE = 1e-3
"""Most by which an output may differ between the network and its file."""

OPSET = 18
"""Version of the ONNX operators; any ONNX Runtime since 1.14 has it."""

STORAGE = ("float32", "float16", "int8")
"""How weights may be kept in a file. Halves are widened to float32 when it is loaded; with bytes the
convolutions are computed in bytes, too (:mod:`mien.training.quantise`)."""

ROUNDING = 0.15
"""Most by which a file in bytes may differ from the network: root mean square, as a share of how much each
output varies."""

PACKAGES = ("numpy", "onnx", "onnxruntime", "torch")
"""Whose versions the card notes."""

LARGE = 1024
"""Weights with fewer numbers than this stay float32: they would save nothing."""


def export_network(
    module: nn.Module,
    inputs: Mapping[str, NDArray[Any]],
    outputs: Sequence[str],
    card: ModelCard,
    folder: str | Path,
    *,
    dynamic_axes: Mapping[str, Mapping[int, str]],
    others: Sequence[Mapping[str, NDArray[Any]]] = (),
    extras: Mapping[str, NDArray[Any]] | None = None,
    storage: str = "float16",
    tolerance: float = TOLERANCE,
    typical: Sequence[Mapping[str, NDArray[Any]]] = (),
    exact: Sequence[str] = (),
) -> Path:
    """Write a network as NAME.onnx, with its card NAME.toml and its golden tensors NAME.npz.

    Parameters
    ----------
    module : torch module
        Its ``forward`` takes the inputs in their order, as float32, and returns one tensor for each output.
    inputs : mapping of str to ndarray
        Example inputs by name. They go, with the outputs, into the golden file.
    outputs : sequence of str
        Names of the outputs, in the order in which ``forward`` returns them.
    card : ModelCard
        Without `sha256`, `size_bytes`, `parameters`, `created` and `versions`, which are filled in.
    folder : path
        Where to write; made if it does not exist.
    dynamic_axes : mapping of str to mapping of int to str
        For each input, the axes of any length, with a name for each.
    others : sequence of mapping, optional
        Further inputs, of other sizes, on which file and network must agree.
    extras : mapping of str to ndarray, optional
        More arrays for the golden file.
    storage : {"float16", "float32", "int8"}
        How the weights are kept; see :data:`STORAGE`.
    tolerance : float
        Most by which an output may differ from the network's; with "int8" see :data:`ROUNDING`.
    typical : sequence of mapping, optional
        For "int8": inputs as they will be, by which the range of every layer is set, and on which file and
        network must agree.
    exact : sequence of str, optional
        For "int8": what the names of the weights begin with whose convolutions stay in float32.

    Returns
    -------
    Path
        The ONNX file.

    Raises
    ------
    ModelError
        If the file does not agree with the network, or an axis did not stay dynamic. Nothing is written.
    """
    if storage not in STORAGE:
        raise bad_argument("storage", allowed=f"one of {STORAGE}", given=storage)
    if storage == "int8" and not typical:
        raise bad_argument("typical", allowed="inputs as they will be, for int8", given=typical)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    frozen = copy.deepcopy(module).float().eval()
    graph = _trace(frozen, inputs, outputs, dynamic_axes)
    with ExitStack() as stack:  # moved in the reverse order: the card, which makes the model known, last
        card_file, golden_file, onnx_file = (
            stack.enter_context(replacing(target / (card.name + suffix)))
            for suffix in (".toml", ".npz", ".onnx")
        )
        if storage != "float32":  # what is kept in fewer bits must first be right in all of them
            onnx_file.write_bytes(graph.SerializeToString())
            _compare(frozen, onnx_file, (inputs, *others), outputs, min(tolerance, TOLERANCE), dynamic_axes)
        if storage == "int8":
            feeds = [{name: np.asarray(array, np.float32) for name, array in one.items()} for one in typical]
            onnx_file.write_bytes(quantise(graph, feeds, exact=exact).SerializeToString())
            answers = _compare_rounded(frozen, onnx_file, inputs, feeds, outputs)
        else:
            onnx_file.write_bytes(_pack(graph, storage).SerializeToString())
            answers = _compare(frozen, onnx_file, (inputs, *others), outputs, tolerance, dynamic_axes)
        with golden_file.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **{**inputs, **answers, **(extras or {})})
        parameters = sum(p.numel() for p in frozen.parameters())
        finished = complete_card(card, onnx_file, parameters=parameters, packages=PACKAGES)
        card_file.write_text(tomli_w.dumps(finished.to_dict()), encoding="utf-8")
    return target / f"{card.name}.onnx"


def export_expression(
    network: nn.Module,
    card: ModelCard,
    folder: str | Path,
    crops: NDArray[np.uint8],
    *,
    picture: NDArray[np.uint8] | None = None,
    landmarks_xy: NDArray[np.float32] | None = None,
    storage: str = "float16",
    tolerance: float = TOLERANCE,
    typical: NDArray[np.uint8] | None = None,
) -> Path:
    """Write an expression network; see :func:`export_network`.

    Parameters
    ----------
    network : torch module
        Takes crops of 0 to 255 and returns a dict of logits. The heads that the card names are exported;
        others, which only helped training, are dropped. Where it can embed, the output "embedding" is added.
    card : ModelCard
        As for :func:`export_network`.
    folder : path
        Where to write.
    crops : ndarray of shape (n, S, S), (n, S, S, 3) or (n, t, S, S), uint8
        At least one, for the golden file; what the card says: grey, RGB, or a sequence of grey ones.
    picture : ndarray of shape (H, W) or (H, W, 3), uint8, optional
        A picture with its landmarks, to test the cutting by.
    landmarks_xy : ndarray of shape (n, 5, 2), float32, optional
        Pixels of `picture`.
    storage, tolerance
        As for :func:`export_network`.
    typical : ndarray of the shape of `crops`, uint8, optional
        For storage in bytes: crops of many faces.

    Returns
    -------
    Path
        The ONNX file.
    """
    shape = _crop_shape(card)
    if not len(crops) or crops.shape[1:] != shape:
        raise bad_argument("crops", allowed=f"of shape (n, {', '.join(map(str, shape))})", given=crops.shape)
    extras: dict[str, NDArray[Any]] = {}
    if picture is not None and landmarks_xy is not None:
        spec = CropSpec(card.template, card.margin, card.size_px, card.colour)
        extras = {"picture": picture, "landmarks_xy": landmarks_xy, "crop": spec.cut(picture, landmarks_xy)}
    heads = _Heads(network, [head.output for head in card.heads])
    return export_network(
        heads,
        {"crops": crops},
        heads.outputs,
        card,
        folder,
        dynamic_axes={"crops": {0: "n"}},
        others=[{"crops": crops[:1]}],
        extras=extras,
        storage=storage,
        tolerance=tolerance,
        typical=[] if typical is None else [{"crops": part} for part in _batches(typical)],
    )


def write_card(card: ModelCard, folder: str | Path) -> Path:
    """Write a card again, with the metrics that were measured after the export.

    Returns
    -------
    Path
        The TOML file.
    """
    path = Path(folder) / f"{card.name}.toml"
    with replacing(path) as file:
        file.write_text(tomli_w.dumps(card.to_dict()), encoding="utf-8")
    return path


def _crop_shape(card: ModelCard) -> tuple[int, ...]:
    spec = CropSpec(card.template, card.margin, card.size_px, card.colour)
    return (card.frames, *spec.shape) if card.frames > 1 else spec.shape


class _Heads(nn.Module):
    """Only the named heads of a network, in their order, and its embedding if it has one."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.names = list(names)
        self.embeds = isinstance(network, ExpressionNetwork)
        self.outputs = [*names, EMBEDDING] if self.embeds else self.names
        heads = self.network.heads
        if not isinstance(heads, nn.ModuleDict) or not set(names) <= set(heads):
            raise bad_argument("card", allowed="with heads that the network has", given=self.names)
        for name in set(heads) - set(names):
            del heads[name]

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        if not self.embeds:
            scores = self.network(crops)
            return tuple(scores[name] for name in self.names)
        embedding = self.network.embed(crops)  # type: ignore[operator]  # an ExpressionNetwork
        return (*(self.network.heads[name](embedding) for name in self.names), embedding)  # type: ignore[index,operator]  # a ModuleDict


def _trace(
    module: nn.Module,
    inputs: Mapping[str, NDArray[Any]],
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
) -> onnx.ModelProto:
    """Return the network as an ONNX graph, without traces of the machine it was made on."""
    example = []
    for name, array in inputs.items():
        single = 0 in dynamic_axes.get(name, {}) and len(array) == 1  # an axis of one would be taken as fixed
        example.append(torch.from_numpy(np.repeat(array, 2, axis=0) if single else array).float())
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # what it says of packages we do not use
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's own, about its own code
            warnings.filterwarnings("ignore", "# The axis name: ")  # inputs that share an axis share its name
            program = torch.onnx.export(
                module,
                tuple(example),
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=tuple(dict(dynamic_axes.get(name, {})) for name in inputs),
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        log.setLevel(level)
    if program is None:
        raise ModelError("torch exported no program.")
    graph = program.model_proto
    for part in (graph, graph.graph, *graph.graph.node, *graph.graph.input, *graph.graph.output):
        part.doc_string = ""
        part.ClearField("metadata_props")
    graph.graph.ClearField("value_info")
    graph.graph.ClearField("metadata_props")
    for tensor in graph.graph.initializer:
        tensor.ClearField("metadata_props")
    return graph


def _pack(model: onnx.ModelProto, storage: str) -> onnx.ModelProto:
    """Keep large weights in 16 bits, with the operators that widen them again when the file is loaded."""
    if storage == "float32":
        return model
    packed = onnx.ModelProto()
    packed.CopyFrom(model)
    weights, widening = [], []
    for tensor in packed.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < LARGE:
            weights.append(tensor)
            continue
        stored, nodes = _as_half(tensor)
        weights += stored
        widening += nodes
    nodes = [*widening, *packed.graph.node]
    del packed.graph.node[:], packed.graph.initializer[:]
    packed.graph.node.extend(nodes)
    packed.graph.initializer.extend(weights)
    onnx.checker.check_model(packed)
    return packed


def _as_half(tensor: onnx.TensorProto) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    name = tensor.name
    half = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(np.float16), name + ".half")
    return [half], [onnx.helper.make_node("Cast", [half.name], [name], to=onnx.TensorProto.FLOAT)]


def _batches(crops: NDArray[np.uint8], size: int = 64) -> list[NDArray[np.uint8]]:
    return [crops[i : i + size] for i in range(0, len(crops), size)]


def _answers(module: nn.Module, feeds: Mapping[str, NDArray[Any]]) -> tuple[Tensor, ...]:
    """Return what the network says, also where it has one output only."""
    answer = module(*(torch.from_numpy(array) for array in feeds.values()))
    return (answer,) if isinstance(answer, Tensor) else tuple(answer)


def _compare(
    module: nn.Module,
    path: Path,
    cases: Sequence[Mapping[str, NDArray[Any]]],
    outputs: Sequence[str],
    tolerance: float,
    dynamic_axes: Mapping[str, Mapping[int, str]],
) -> dict[str, NDArray[Any]]:
    """Refuse a file that answers differently from the network; return its answers to the first case."""
    session = Session(path, threads=1)
    for name, axes in dynamic_axes.items():
        fixed = [axis for axis in axes if session.input_shapes[name][axis] is not None]
        if fixed:
            raise ModelError(
                f"The export fixed the axes {fixed} of the input {name!r}; they must stay dynamic."
            )
    answers: list[dict[str, NDArray[Any]]] = []
    for case in cases:
        feeds = {name: np.asarray(array, np.float32) for name, array in case.items()}
        with torch.no_grad():
            wanted = _answers(module, feeds)
        given = session.run(feeds, outputs)
        answers.append(dict(zip(outputs, given, strict=True)))
        for name, theirs, ours in zip(outputs, wanted, given, strict=True):
            difference = float(np.abs(theirs.numpy() - ours).max())
            if not difference <= tolerance:
                raise ModelError(
                    f"The exported output {name!r} differs from the network's by {difference:.2g}; "
                    f"at most {tolerance:.2g} is allowed. Nothing was written."
                )
    return answers[0]


def _compare_rounded(
    module: nn.Module,
    path: Path,
    golden: Mapping[str, NDArray[Any]],
    typical: Sequence[Mapping[str, NDArray[Any]]],
    outputs: Sequence[str],
) -> dict[str, NDArray[Any]]:
    """Refuse a file in bytes that answers otherwise than the network; return its golden answers."""
    session = Session(path, threads=1)
    given = [session.run(dict(feeds), outputs) for feeds in typical]
    with torch.no_grad():
        wanted = [_answers(module, feeds) for feeds in typical]
    for i, name in enumerate(outputs):
        ours = np.concatenate([answer[i] for answer in given])
        theirs = np.concatenate([answer[i].numpy() for answer in wanted])
        share = float(np.sqrt(((ours - theirs) ** 2).mean()) / max(1e-9, theirs.std()))
        if not share <= ROUNDING:
            raise ModelError(
                f"In bytes the output {name!r} differs from the network's by {share:.2g} of its spread; "
                f"at most {ROUNDING:.2g} is allowed. Nothing was written."
            )
    answers = session.run({name: np.asarray(a, np.float32) for name, a in golden.items()}, outputs)
    return dict(zip(outputs, answers, strict=True))
