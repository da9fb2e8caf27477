"""One still crop to probabilities of the displayed expression, by a network in an ONNX file.

Everything about the input and the outputs is taken from the model's card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.catalog import Head, ModelCard
from mien.errors import ModelError, bad_argument
from mien.faces.align import CropSpec
from mien.labels import LabelSet
from mien.runtime import Session

BATCH = 256
"""Most crops in one run, so that memory stays bounded."""

EMBEDDING = "embedding"
"""Name of the output that holds what a network knows before it names an emotion."""

SMALLEST = 1e-12
"""Probabilities below this are raised to it before a logarithm is taken."""


class Model(Protocol):
    """Anything that scores crops.

    Attributes
    ----------
    name : str
        What it is called in results.
    labels : LabelSet
        The k columns of its answer.
    crop : CropSpec
        How its crops are cut.
    """

    name: str
    labels: LabelSet
    crop: CropSpec

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities of shape (n, k), rows that sum to one, for n crops cut by `crop`."""
        ...


class NetworkModel:
    """A network that scores single crops.

    Parameters
    ----------
    card : ModelCard
        How the network is used.
    path : path
        Its ONNX file: one input of shape (n, S, S), (n, c, S, S) or (n, S, S, c) with c of 1 or 3.
    labels : str, optional
        Which of the card's label sets to answer in; by default the first.
    threads : int, optional
        Processor threads one run may use; by default as many as the machine has cores.

    Raises
    ------
    ModelError
        If the file is no model, or its input and outputs are not as the card says.
    UnknownNameError
        If the card has no such label set.
    """

    def __init__(
        self, card: ModelCard, path: str | Path, *, labels: str | None = None, threads: int | None = None
    ) -> None:
        self.card = card
        self.name = card.name
        self.head = card.head(labels)
        self.labels: LabelSet = self.head.label_set
        self.crop = CropSpec(card.template, card.margin, card.size_px, card.colour)
        self.session = Session(path, threads=threads)
        self._input, self._shape = _single_input(self.session)
        self._channels_last = _is_channels_last(self._shape, card.size_px, path)
        check_output(self.session, self.head)

    def __repr__(self) -> str:
        return f"NetworkModel({self.name!r}, labels={self.labels.key!r})"

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return calibrated probabilities of the displayed expression.

        Parameters
        ----------
        crops : ndarray of shape (n, S, S) for grey or (n, S, S, 3) for RGB, uint8
            As :attr:`crop` cuts them; n may be 0.

        Returns
        -------
        ndarray of shape (n, k), float32
            Rows that sum to one, over :attr:`labels`.

        Raises
        ------
        ArgumentError
            If the crops are not of the card's size and colour.
        ModelError
            If the network cannot run on them, or answers with something that is no number.
        """
        return calibrated(self.scores(crops), self.head)

    def scores(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's own output, before temperature and softmax.

        Parameters
        ----------
        crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
            As :attr:`crop` cuts them.

        Returns
        -------
        ndarray of shape (n, k), float32
            What the card's head says: logits or probabilities.
        """
        return self._scores(crops, [self.head])[self.head.output]

    def predict_heads(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the calibrated probabilities of every label set of the card, for the work of one.

        Parameters
        ----------
        crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
            As :attr:`crop` cuts them.

        Returns
        -------
        dict of str to ndarray of shape (n, k), float32
            By the key of the label set; as :meth:`predict_proba` answers, whatever is expected.

        Raises
        ------
        ArgumentError, ModelError
            As for :meth:`predict_proba`, and if the file lacks an output that the card names.
        """
        heads = [self.head if head.labels == self.head.labels else head for head in self.card.heads]
        for head in heads:
            check_output(self.session, head)
        scores = self._scores(crops, heads)
        return {head.labels: calibrated(scores[head.output], head) for head in heads}

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the network knows of crops before it names an emotion, for models built on it.

        Parameters
        ----------
        crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
            As :attr:`crop` cuts them.

        Returns
        -------
        ndarray of shape (n, d), float32

        Raises
        ------
        ModelError
            If its file gives no embedding.
        """
        columns = self.session.output_shapes.get(EMBEDDING, (None,))[-1]
        if columns is None:
            raise ModelError(
                f"{self.session.path} has no output {EMBEDDING!r}; networks that this version of mien trains "
                "have one."
            )
        return self._in_batches(crops, {EMBEDDING: columns})[0]

    def _scores(self, crops: NDArray[np.uint8], heads: Sequence[Head]) -> dict[str, NDArray[np.float32]]:
        """Return what the network says of crops (n, k), by the name of each head's output."""
        columns = {head.output: len(head.label_set) for head in heads}
        answers = zip(columns, self._in_batches(crops, columns), strict=True)
        return {name: check_finite(self.session, name, scores) for name, scores in answers}

    def _in_batches(self, crops: NDArray[np.uint8], columns: Mapping[str, int]) -> list[NDArray[np.float32]]:
        """Ask for outputs, of so many columns each."""
        check_crops(crops, self.crop.shape)
        fixed = self._shape[0]
        step = fixed or BATCH
        parts = [self._run(crops[i : i + step], fixed, columns) for i in range(0, len(crops), step)]
        empty = [np.empty((0, k), np.float32) for k in columns.values()]
        return [np.concatenate(each) for each in zip(empty, *parts, strict=True)]

    def _run(
        self, crops: NDArray[np.uint8], fixed: int | None, columns: Mapping[str, int]
    ) -> list[NDArray[np.float32]]:
        """Ask for the outputs of one batch; a file whose batch is fixed gets it filled up with black."""
        n = len(crops)
        if fixed is not None and n < fixed:
            crops = np.concatenate([crops, np.zeros((fixed - n, *crops.shape[1:]), np.uint8)])
        answers = self.session.run({self._input: self._prepare(crops)}, list(columns))
        return [
            check_columns(self.session, name, answer[:n], (n, k))
            for (name, k), answer in zip(columns.items(), answers, strict=True)
        ]

    def _prepare(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bring crops into the network's range and axes, as the card and the file say."""
        x: NDArray[Any] = crops.astype(np.float32)
        if len(self._shape) == 4 and x.ndim == 3:
            channels = self._shape[3 if self._channels_last else 1]
            x = np.repeat(x[..., None], channels or 1, axis=3)
        if self.card.mean != (0.0,) or self.card.std != (1.0,):
            x = (x - np.asarray(self.card.mean, np.float32)) / np.asarray(self.card.std, np.float32)
        if x.ndim == 4 and not self._channels_last:
            x = x.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(x, dtype=np.float32)


def check_crops(crops: NDArray[np.uint8], shape: tuple[int, ...], name: str = "crops") -> None:
    """Refuse crops, or windows of them, of another kind or shape (n, *shape)."""
    if crops.dtype != np.uint8 or crops.shape[1:] != shape:
        wanted = ", ".join(map(str, shape))
        raise bad_argument(
            name, allowed=f"uint8 of shape (n, {wanted})", given=f"{crops.dtype} {crops.shape}"
        )


def check_output(session: Session, head: Head) -> None:
    """Refuse a file without the output that its card names."""
    if head.output not in session.output_names:
        names = ", ".join(session.output_names)
        raise ModelError(
            f"{session.path} has no output {head.output!r}, which its card names; it has {names}."
        )


def check_columns(
    session: Session, output: str, answer: NDArray[Any], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return an answer of the shape (n, k) that the card's labels need; refuse any other."""
    if answer.shape != shape:
        raise ModelError(
            f"{session.path}: the output {output!r} has shape {answer.shape} for {shape[0]} crops; "
            f"the card needs {shape}."
        )
    return answer.astype(np.float32, copy=False)


def check_finite(session: Session, output: str, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scores that are all numbers; refuse others."""
    if not np.isfinite(scores).all():
        raise ModelError(f"{session.path}: the output {output!r} holds values that are no numbers.")
    return scores


def ask(session: Session, batch: NDArray[np.float32], head: Head) -> NDArray[np.float32]:
    """Return a head's scores (n, k) of one batch given to a file's only input."""
    answer = session.run({session.input_names[0]: batch}, [head.output])[0]
    columns = check_columns(session, head.output, answer, (len(batch), len(head.label_set)))
    return check_finite(session, head.output, columns)


def calibrated(scores: NDArray[np.float32], head: Head) -> NDArray[np.float32]:
    """Turn a head's output of shape (n, k) into calibrated probabilities, rows that sum to one.

    Where other frequencies of emotions are expected than those learned from, they count.
    """
    wide = scores.astype(np.float64)
    if head.meaning == "probabilities":
        wide = np.log(np.maximum(wide, SMALLEST))
    wide = wide / head.temperature
    if head.expected:
        learned, expected = np.array(head.frequency), np.maximum(head.expected, SMALLEST)
        wide += np.where(learned > 0, np.log(expected / np.maximum(learned, SMALLEST)), 0.0)
    return softmax(wide).astype(np.float32)


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    """Turn logits of shape (n, k) into rows that sum to one."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]  # numpy's stub says Any


def _single_input(session: Session) -> tuple[str, tuple[int | None, ...]]:
    if len(session.input_names) != 1:
        names = ", ".join(session.input_names)
        raise ModelError(
            f"{session.path} takes {len(session.input_names)} inputs ({names}); expected one, the crops."
        )
    name = session.input_names[0]
    return name, session.input_shapes[name]


def _is_channels_last(shape: tuple[int | None, ...], size: int, path: str | Path) -> bool:
    """Tell the order of a file's axes, or say that its input does not take the card's crops."""
    side = (None, size)
    if len(shape) == 3 and shape[1] in side and shape[2] in side:
        return False
    if len(shape) == 4 and shape[1] in (1, 3, None) and shape[2] in side and shape[3] in side:
        return False
    if len(shape) == 4 and shape[3] in (1, 3) and shape[1] in side and shape[2] in side:
        return True
    given = ", ".join("n" if length is None else str(length) for length in shape)
    raise ModelError(
        f"{path} takes an input of shape ({given}); its card's crops of {size} x {size} pixels need "
        f"(n, {size}, {size}), (n, channels, {size}, {size}) or (n, {size}, {size}, channels)."
    )
