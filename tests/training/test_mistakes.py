"""What a detector takes for faces on backgrounds is found where it lies, and shown more often afterwards."""

import numpy as np
import pytest
import torch

from mien.training.facepoint import places
from mien.training.material import Material, Mistake, Photo, Portraits
from mien.training.mistakes import find_mistakes
from mien.training.scenes import Composer


class BrightIsAFace(torch.nn.Module):
    """Answers that a face of one stride is wherever the picture is bright."""

    def forward(self, pictures):
        centres, _ = places(*pictures.shape[1:])
        x, y = centres.long().T
        score = torch.where(pictures[:, y, x] > 200, 5.0, -9.0)
        return score, torch.zeros(*score.shape, 4), torch.zeros(*score.shape, 10)


def test_mistakes_lie_where_the_background_looks_like_a_face():
    spot = np.zeros((96, 128), np.uint8)
    spot[40:72, 80:112] = 255
    mistakes = find_mistakes(BrightIsAFace(), [np.zeros((64, 64), np.uint8), spot])
    assert {m.background for m in mistakes} == {1}
    assert {m.scale for m in mistakes} == {0.6, 1.0, 1.6}
    for m in mistakes:
        assert 75 <= m.centre_xy[0] <= 117
        assert 35 <= m.centre_xy[1] <= 77
        assert m.score == pytest.approx(0.9933, abs=1e-3)


def test_a_network_that_is_never_wrong_gives_none_and_stays_in_training():
    network = BrightIsAFace().train()
    assert find_mistakes(network, [np.zeros((50, 70), np.uint8)]) == ()
    assert network.training


def test_mistakes_are_laid_so_that_they_are_seen():
    ground = np.zeros((200, 200), np.uint8)
    ground[150:156, 40:46] = 255
    single = Portraits(np.zeros((1, 160, 160), np.uint8), np.zeros((1, 70, 2), np.float32))
    nothing = np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32)
    photo = Photo(np.zeros((60, 60), np.uint8), *nothing, "photo")
    material = Material(
        portraits={"faces_wild": single, "fer2013": single},
        photos={"clips": [photo]},
        backgrounds=[np.zeros((60, 60), np.uint8), ground],
        mistakes=(Mistake(1, 1.0, (43.0, 153.0), 0.5),),
    )
    composer = Composer(material, 96, seed=0)
    seen = 0
    for _ in range(40):
        scene = composer._blank()
        composer._lay_background(scene, (0, 0, 96, 96))
        seen += scene.picture.max() > 100
    assert 12 <= seen <= 28
