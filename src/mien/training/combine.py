"""Several networks in one file, which answers with the mean of what they say.

Networks that learned apart err apart: their mean is right more often and is less often sure of what is wrong
(Lakshminarayanan et al. 2017, arXiv 1612.01474). It costs what its members cost together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tomli_w
from numpy.typing import NDArray

from mien.catalog import Head, ModelCard, find_model
from mien.errors import ModelError, bad_argument
from mien.faces.align import CropSpec
from mien.faces.detect import Detector
from mien.models.network import EMBEDDING, NetworkModel
from mien.runtime import Session
from mien.sources.labelled import LabelledImages
from mien.training.cards import LIMITS, complete_card, noise_crops, replacing
from mien.training.crops import Progress, cut_corpus
from mien.training.data import hold_out, labelled_rows, together
from mien.training.export import TOLERANCE, write_card
from mien.training.heritage import gather
from mien.training.run import Test, calibrated_head, measure

INPUT = "crops"
PREFIX = "member{}."
"""What stands before every name of a member's graph."""

PACKAGES = ("numpy", "onnx", "onnxruntime")
"""Whose versions the card notes."""

Member = tuple[ModelCard, Path]


def combine_models(
    models: Sequence[str | Path],
    corpora: Sequence[LabelledImages],
    *,
    out: str | Path,
    name: str,
    held_out: float,
    split_seed: int = 0,
    detector: Detector | None = None,
    tests: Sequence[Test] = (),
    command: str = "",
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> ModelCard:
    """Write several networks as one, calibrated on what none of them has learned from, and measured.

    Parameters
    ----------
    models : sequence of str or path
        Two or more names or files of networks of stills that look at the same crops.
    corpora : sequence of LabelledImages
        What they learned from, under each of its labellings.
    out : path
        Folder for ``NAME.onnx``, its card and its golden tensors.
    name : str
        ``architecture.tag``.
    held_out, split_seed
        The share of the corpora that was set aside when all of them were trained, and what decided which
        pictures these are: see :class:`mien.training.recipe.Recipe`.
    detector : Detector, optional
        Aligns the pictures; without it they are taken as faces framed like the template.
    tests : sequence of Test, optional
        What to measure the result on.
    command : str
        What was typed, for the card.
    cache : path, optional
        Folder in which crops are kept for the next time.
    progress : callable, optional
        Called with the number of pictures cut, and of all.

    Returns
    -------
    ModelCard

    Raises
    ------
    ModelError
        If the networks do not fit together, or the file would answer otherwise than they do.
    """
    corpora = list(corpora) if len(corpora) > 1 else [corpora[0].select(labelled_rows(corpora[0]))]
    aside = np.flatnonzero(hold_out(together(corpora[0]), held_out, split_seed))
    parts = {corpus.labels.key: corpus.select(aside) for corpus in corpora}
    shared = _common_heads([find_model(model, "expression")[0] for model in models])
    if not parts.keys() & {head.labels for head in shared}:
        allowed = f"labelled in one of the models' label sets {', '.join(head.labels for head in shared)}"
        raise bad_argument("data", allowed=f"{allowed}, to calibrate on", given=", ".join(parts))
    file = write_combined(models, name, out, command=command)
    card, _ = find_model(file, "expression")
    images = parts[corpora[0].labels.key].images
    crops = cut_corpus(images, _spec(card), detector, cache=cache, progress=progress).crops
    heads = [
        calibrated_head(file, head, crops, parts[head.labels].label) if head.labels in parts else head
        for head in card.heads
    ]
    write_card(dataclasses.replace(card, heads=tuple(heads)), file.parent)
    return measure(file, tests, detector, cache)


def write_combined(models: Sequence[str | Path], name: str, folder: str | Path, *, command: str = "") -> Path:
    """Write networks as one file whose logits are the mean of their calibrated ones.

    Parameters
    ----------
    models : sequence of str or path
    name : str
    folder : path
        Where to write; made if it does not exist.
    command : str
        What was typed, for the card.

    Returns
    -------
    Path
        The ONNX file. Its heads have the temperature 1: the mean of several is less sure than each, and waits
        to be calibrated.
    """
    members = [find_model(model, "expression") for model in models]
    _check(members)
    heads = _common_heads([card for card, _ in members])
    graph = _merge(members, heads)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:  # moved in the reverse order: the card, which makes the model known, last
        card_file, golden_file, onnx_file = (
            stack.enter_context(replacing(target / (name + suffix))) for suffix in (".toml", ".npz", ".onnx")
        )
        onnx_file.write_bytes(graph.SerializeToString())
        golden = _golden(members)
        answers = _compare(members, heads, onnx_file, golden[INPUT])
        with golden_file.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **{**golden, **answers})
        card = _card([card for card, _ in members], heads, name, command)
        finished = complete_card(card, onnx_file, parameters=card.parameters, packages=PACKAGES)
        card_file.write_text(tomli_w.dumps(finished.to_dict()), encoding="utf-8")
    return target / f"{name}.onnx"


def _check(members: Sequence[Member]) -> None:
    """Refuse what is no network of stills, or looks at other crops than the first."""
    if len(members) < 2:
        raise bad_argument("models", allowed="two or more", given=[card.name for card, _ in members])
    for card, path in members:
        if card.format != "onnx" or card.frames > 1:
            raise ModelError(f"{path} is no network of single pictures; only such can be combined.")

    def kind(card: ModelCard, path: Path) -> tuple[Any, ...]:
        shapes = [shape[1:] for shape in Session(path, threads=1).input_shapes.values()]
        return (card.template, card.margin, card.size_px, card.colour, card.mean, card.std, shapes)

    first = kind(*members[0])
    for card, path in members[1:]:
        if kind(card, path) != first:
            raise ModelError(
                f"{path} looks at other crops than {members[0][0].name}: size, template, margin, colours or "
                "normalisation differ. Only networks of the same crops can be combined."
            )


def _common_heads(cards: Sequence[ModelCard]) -> list[Head]:
    """Return the label sets that all have, in the order of the first, not calibrated yet."""
    shared = [h for h in cards[0].heads if all(h.labels in {o.labels for o in c.heads} for c in cards[1:])]
    if not shared:
        raise ModelError(f"{' and '.join(card.name for card in cards)} have no label set in common.")
    heads = []
    for head in shared:
        each = [card.head(head.labels) for card in cards]
        if any(one.meaning != "logits" for one in each):
            raise ModelError(f"Only networks that answer {head.labels} in logits can be combined.")
        known = all(one.frequency for one in each)
        mean = np.mean([one.frequency for one in each], axis=0) if known else np.empty(0)
        heads.append(Head(head.labels, head.labels, frequency=tuple(mean.round(5).tolist())))
    return heads


def _merge(members: Sequence[Member], heads: Sequence[Head]) -> onnx.ModelProto:
    """Return the members side by side on one input, with the mean of their calibrated logits."""
    models = [
        onnx.compose.add_prefix(onnx.load(path), PREFIX.format(i)) for i, (_, path) in enumerate(members)
    ]
    merged = onnx.ModelProto()
    merged.CopyFrom(models[0])
    graph = merged.graph
    del graph.output[:]
    for i, model in enumerate(models):
        if {(o.domain, o.version) for o in model.opset_import} != {
            (o.domain, o.version) for o in merged.opset_import
        }:
            raise ModelError(f"{members[i][1]} was made for another version of the ONNX operators.")
        own = model.graph.input[0].name
        for node in model.graph.node:
            node.input[:] = [INPUT if given == own else given for given in node.input]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.input[0].name = INPUT
    for model in models:
        graph.node.extend(model.graph.node)
        graph.initializer.extend(model.graph.initializer)
    for head in heads:
        _mean(graph, members, head)
    _embedding(graph, members)
    onnx.checker.check_model(merged)
    return merged


def _mean(graph: onnx.GraphProto, members: Sequence[Member], head: Head) -> None:
    """Add the mean of the members' calibrated logits as an output."""
    parts = []
    for i, (card, _) in enumerate(members):
        own = card.head(head.labels)
        factor = np.array(1 / (own.temperature * len(members)), np.float32)
        scale, part = f"{head.output}.scale{i}", f"{head.output}.part{i}"
        graph.initializer.append(onnx.numpy_helper.from_array(factor, scale))
        graph.node.append(onnx.helper.make_node("Mul", [PREFIX.format(i) + own.output, scale], [part]))
        parts.append(part)
    graph.node.append(onnx.helper.make_node("Sum", parts, [head.output]))
    _give(graph, head.output, len(head.label_set))


def _embedding(graph: onnx.GraphProto, members: Sequence[Member]) -> None:
    """Add what the members know before they name an emotion as an output, one after the other."""
    widths = [Session(path, threads=1).output_shapes.get(EMBEDDING, (None,))[-1] for _, path in members]
    known = [width for width in widths if width is not None]
    if len(known) == len(members):
        parts = [PREFIX.format(i) + EMBEDDING for i in range(len(members))]
        graph.node.append(onnx.helper.make_node("Concat", parts, [EMBEDDING], axis=1))
        _give(graph, EMBEDDING, sum(known))


def _give(graph: onnx.GraphProto, name: str, columns: int) -> None:
    kind = onnx.TensorProto.FLOAT
    graph.output.append(onnx.helper.make_tensor_value_info(name, kind, ["n", columns]))


def _spec(card: ModelCard) -> CropSpec:
    return CropSpec(card.template, card.margin, card.size_px, card.colour)


def _golden(members: Sequence[Member]) -> dict[str, NDArray[Any]]:
    """Return what the first member is tested on, or noise where it has nothing beside it."""
    card, path = members[0]
    beside = path.with_suffix(".npz")
    if not beside.is_file():
        return {INPUT: noise_crops(_spec(card), 2)}
    with np.load(beside, allow_pickle=False) as stored:
        wanted = (INPUT, "picture", "landmarks_xy", "crop")
        return {name: stored[name] for name in wanted if name in stored.files}


def _compare(
    members: Sequence[Member], heads: Sequence[Head], file: Path, crops: NDArray[np.uint8]
) -> dict[str, NDArray[Any]]:
    """Refuse a file that answers otherwise than its members in the mean; return its answers."""
    card = dataclasses.replace(members[0][0], heads=tuple(heads))
    answers: dict[str, NDArray[Any]] = {}
    for head in heads:
        own = [(one, one.head(head.labels), path) for one, path in members]
        parts = [
            NetworkModel(one, path, labels=h.labels).scores(crops) / h.temperature for one, h, path in own
        ]
        answers[head.output] = NetworkModel(card, file, labels=head.labels).scores(crops)
        difference = float(np.abs(np.mean(parts, axis=0) - answers[head.output]).max())
        if not difference <= TOLERANCE:
            raise ModelError(
                f"The combined output {head.output!r} differs from the mean by {difference:.2g}; at most "
                f"{TOLERANCE:.2g} is allowed. Nothing was written."
            )
    if EMBEDDING in Session(file, threads=1).output_names:
        answers[EMBEDDING] = NetworkModel(card, file).embed(crops)
    return answers


def _card(cards: Sequence[ModelCard], heads: Sequence[Head], name: str, command: str) -> ModelCard:
    first = cards[0]
    archs = " + ".join(card.name.partition(".")[0] for card in cards)
    commands = [f"{card.name}: {card.trained_with}" for card in cards if card.trained_with]
    return ModelCard(
        name=name,
        task="expression",
        summary=f"Displayed expression of one {first.colour} face, {first.size_px} x {first.size_px} px "
        f"(the mean of {archs}).",
        licence=first.licence if all(c.licence == first.licence for c in cards) else _licences(cards),
        size_px=first.size_px,
        colour=first.colour,
        mean=first.mean,
        std=first.std,
        template=first.template,
        margin=first.margin,
        heads=tuple(heads),
        parameters=sum(card.parameters for card in cards),
        trained_with="; ".join([*([command] if command else []), *commands]),
        training_data=gather(source for card in cards for source in card.training_data),
        limits=LIMITS,
    )


def _licences(cards: Sequence[ModelCard]) -> str:
    return " AND ".join(sorted({card.licence for card in cards}))
