"""What a half-trained detector takes for faces though there are none: shown to it more often after."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mien.faces.detect import suppress
from mien.training.facepoint import FacePoint, decode, places
from mien.training.material import Grey, Mistake

SCALES = (0.6, 1.0, 1.6)
"""Sizes at which a background is looked at, relative to its own."""

LOOK_FLOOR = 0.1
"""Score from which an answer on a background counts as a mistake."""


@torch.no_grad()
def find_mistakes(network: FacePoint, backgrounds: Sequence[Grey]) -> tuple[Mistake, ...]:
    """Look for faces where there are none.

    Parameters
    ----------
    network : FacePoint
    backgrounds : sequence of ndarray of shape (H, W), uint8
        Grey pictures without a face.

    Returns
    -------
    tuple of Mistake
        By background; one for each place that scored :data:`LOOK_FLOOR` or more.
    """
    training = network.training
    network.eval()
    found = [
        Mistake(index, scale, (float(box[[0, 2]].mean() / scale), float(box[[1, 3]].mean() / scale)), score)
        for index, background in enumerate(backgrounds)
        for scale in SCALES
        for box, score in _answers(network, background, scale)
    ]
    network.train(training)
    return tuple(found)


def _answers(network: FacePoint, picture: Grey, scale: float) -> list[tuple[NDArray[np.float32], float]]:
    """Return the boxes, in pixels of the scaled picture, and scores of what is taken for faces."""
    shown = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    down, right = -shown.shape[0] % 32, -shown.shape[1] % 32
    shown = cv2.copyMakeBorder(shown, 0, down, 0, right, cv2.BORDER_CONSTANT)
    score, box, _ = network(torch.from_numpy(shown)[None].float())
    sure = score[0].sigmoid()
    centres, strides = places(*shown.shape)
    chosen = sure >= LOOK_FLOOR
    boxes = decode(box[:, chosen], centres[chosen], strides[chosen])[0].numpy()
    scores = sure[chosen].numpy()
    return [(boxes[i], float(scores[i])) for i in suppress(boxes, scores, 0.4)]
