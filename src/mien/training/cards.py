"""What every written model shares: what its card says, and files that are whole or not there."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien._version import __version__
from mien.catalog import ModelCard, TrainingData, file_sha256
from mien.faces.align import CropSpec
from mien.sources.labelled import LabelledImages

LIMITS = (
    "It knows faces as they are in its training data, labelled by how others read them: other cameras, "
    "light, ages and angles are read worse, and emotions that are rare in the data are often missed. So are "
    "profiles, faces under 24 pixels and heavy shadow. It says what a face shows, not what a person feels."
)
"""What holds for whatever is trained on pictures that others labelled."""


def complete_card(card: ModelCard, file: Path, *, parameters: int, packages: Iterable[str]) -> ModelCard:
    """Return the card with what is only known once the file of weights stands.

    Parameters
    ----------
    card : ModelCard
    file : Path
        The file of weights, wherever it is now.
    parameters : int
        Number of weights.
    packages : iterable of str
        Distributions that made it, whose versions are noted beside mien's.
    """
    return replace(
        card,
        sha256=file_sha256(file),
        size_bytes=file.stat().st_size,
        parameters=parameters,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        versions=(("mien", __version__), *((name, metadata.version(name)) for name in packages)),
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file in the same folder; move it to its place if all went well, else remove it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def training_data(corpus: LabelledImages, images: int) -> TrainingData:
    """Return what a card says of a corpus that was learned from.

    Parameters
    ----------
    corpus : LabelledImages
    images : int
        How many of its pictures were.
    """
    use = "pictures and labels" if corpus.votes is None else "pictures and votes"
    terms = corpus.terms or "as whoever gave the pictures says"
    return TrainingData(corpus.name, terms, use, images)


def noise_crops(spec: CropSpec, n: int) -> NDArray[np.uint8]:
    """Return crops that show nothing, for golden tensors that may be shared: smooth noise, seeded.

    Parameters
    ----------
    spec : CropSpec
    n : int

    Returns
    -------
    ndarray of shape (n, S, S) or (n, S, S, 3), uint8
    """
    random = np.random.default_rng(0)
    planes = 3 if spec.colour == "rgb" else 1
    coarse = random.normal(128, 50, (n, 6, 6, planes)).clip(0, 255).astype(np.uint8)
    crops = [spec.cut_framed(one if planes == 3 else one[..., 0]) for one in coarse]
    return np.stack(crops)
