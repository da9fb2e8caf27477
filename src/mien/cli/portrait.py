"""A portrait that every installation has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def sample_portrait() -> NDArray[np.uint8]:
    """Return a portrait in the public domain that every installation has: Grace Hopper, from matplotlib."""
    from matplotlib.cbook import get_sample_data

    from mien.sources.images import read_image

    return read_image(get_sample_data("grace_hopper.jpg", asfileobj=False))
