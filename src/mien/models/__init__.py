"""From crops of faces to scores. :func:`load_model` loads whatever a card describes."""

from __future__ import annotations

from pathlib import Path

from mien.catalog import find_model
from mien.models.classic import ClassicModel
from mien.models.expectation import Expectation, expecting
from mien.models.network import Model, NetworkModel
from mien.models.temporal import SequenceModel

__all__ = ["Model", "load_model"]


def load_model(
    name_or_file: str | Path = "default",
    *,
    labels: str | None = None,
    expect: Expectation | None = None,
    threads: int | None = None,
) -> Model:
    """Load an expression model.

    Parameters
    ----------
    name_or_file : str or path
        A name that :func:`mien.catalog.list_models` shows, "default", or a file of weights with its card
        beside it.
    labels : str, optional
        Which of its label sets to answer in ("ferplus8", "ekman7"); by default the first of its card.
    expect : str or mapping of str to float, optional
        How frequent emotions are where it is used: "even", or shares ("neutral=0.5,fear=0.1", or a mapping);
        what is left over goes to the others. By default as in its training data. The model's name says it.
    threads : int, optional
        Processor threads one run may use; by default as many as the machine has cores.

    Raises
    ------
    UnknownNameError
        If there is no such model, or it has no such label set, or an expected emotion is none of it.
    ModelError
        If its files are missing, damaged or not what the card says, or if something is expected and the
        card does not say how frequent emotions were.
    ArgumentError
        If what is expected are no shares.
    """
    card, path = find_model(name_or_file, "expression")
    kind = ClassicModel if card.format == "skops" else SequenceModel if card.frames > 1 else NetworkModel
    model = kind(card, path, labels=labels, threads=threads)
    if expect is not None:
        model.head, words = expecting(model.head, expect, model.name)
        model.name = f"{model.name} {words}"
    return model
