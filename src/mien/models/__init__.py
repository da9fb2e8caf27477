"""From crops of faces to scores. :func:`load_model` loads whatever a card describes."""

from __future__ import annotations

from pathlib import Path

from mien.catalog import find_model
from mien.models.classic import ClassicModel
from mien.models.network import Model, NetworkModel
from mien.models.temporal import SequenceModel

__all__ = ["Model", "load_model"]


def load_model(
    name_or_file: str | Path = "default", *, labels: str | None = None, threads: int | None = None
) -> Model:
    """Load an expression model.

    Parameters
    ----------
    name_or_file : str or path
        A name that :func:`mien.catalog.list_models` shows, "default", or a file of weights with its card
        beside it.
    labels : str, optional
        Which of its label sets to answer in ("ferplus8", "ekman7"); by default the first of its card.
    threads : int, optional
        Processor threads one run may use; by default as many as the machine has cores.

    Raises
    ------
    UnknownNameError
        If there is no such model, or it has no such label set.
    ModelError
        If its files are missing, damaged or not what the card says.
    """
    card, path = find_model(name_or_file, "expression")
    kind = ClassicModel if card.format == "skops" else SequenceModel if card.frames > 1 else NetworkModel
    return kind(card, path, labels=labels, threads=threads)
