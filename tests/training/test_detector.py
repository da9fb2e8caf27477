"""The detector's training: places agree with inference, faces are assigned, losses vanish on the truth."""

import cv2
import numpy as np
import pytest
import torch

from mien.faces.detect import STRIDES, _places
from mien.training.detector import (
    FACES_A_SCENE,
    DetectorRecipe,
    FacePoint,
    assign,
    collate,
    decode,
    losses,
    places,
    scene_loader,
)
from mien.training.material import Material, Photo, Portraits
from mien.training.scenes import Scene

GRID = places(128, 160)


def batch_of(*faces, sure=True):
    """One scene of 128 x 160 with square faces (middle x, middle y, side)."""
    scene = Scene(np.zeros((128, 160), np.uint8), [], [], [])
    for x, y, side in faces:
        half = side / 2
        points = np.array([[x, y]] * 5) + np.arange(10).reshape(5, 2) * side / 40
        scene.add(np.array([x - half, y - half, x + half, y + half]), points, sure)
    return collate([scene])


def assignment(batch):
    return assign(batch["boxes"], batch["sure"], batch["present"], *GRID)


def test_places_are_those_of_inference():
    centres, strides = GRID
    corner, stride = _places(128, 160, np.arange(len(centres)))
    np.testing.assert_allclose(centres.numpy(), corner + stride / 2)
    np.testing.assert_allclose(strides.numpy(), stride[:, 0])


def test_network_answers_for_every_place():
    network = FacePoint().eval()
    score, box, points = network(torch.rand(2, 128, 160) * 255)
    assert score.shape == (2, len(GRID[0]))
    assert box.shape == (2, len(GRID[0]), 4)
    assert points.shape == (2, len(GRID[0]), 10)
    assert sum(p.numel() for p in network.parameters()) < 245_000


def test_each_grid_is_normalised_by_its_own_statistics():
    torch.manual_seed(0)
    network = FacePoint()
    pictures = torch.rand(16, 160, 160) * torch.rand(16, 1, 1) * 255
    with torch.no_grad():
        for _ in range(60):
            taught = network.train()(pictures)[0]
        used = network.eval()(pictures)[0]
    assert len({norm.running_var.mean().item() for norm in network.norms}) == len(STRIDES)
    for stride in STRIDES:  # what is used is what was taught, on every grid
        here = places(160, 160)[1] == stride
        assert (used - taught)[:, here].abs().mean() < 0.3 * taught[:, here].std()


def test_network_ignores_how_bright_the_light_is():
    network = FacePoint().eval()
    picture = torch.rand(1, 64, 64) * 60 + 60
    with torch.no_grad():
        stem = network.stem[0].weight
        stem -= stem.mean(dim=(1, 2, 3), keepdim=True)  # filters that see differences only
        bright, dim = network(picture * 2)[0], network(picture)[0]
    inner = slice(9, -9)  # zero padding lets the border see the level
    assert (bright - dim)[:, inner].abs().max() < 0.2


@pytest.mark.parametrize(
    ("side", "strides"), [(14, {8}), (34, {8, 16}), (60, {16}), (90, {16, 32}), (120, {32})]
)
def test_faces_are_answered_for_by_the_grids_of_their_size(side, strides):
    taken = assignment(batch_of((80, 64, side))).face[0] >= 0
    assert {int(s) for s in GRID[1][taken]} == strides


def test_every_face_of_any_size_and_place_has_a_place():
    rng = np.random.default_rng(0)
    for side in np.geomspace(8, 120, 40):
        x, y = rng.uniform(10, 118, 2)
        assert (assignment(batch_of((x, y, side))).face >= 0).any()


def test_of_overlapping_faces_the_smaller_answers():
    batch = batch_of((60, 60, 36), (62, 62, 20))
    face = assignment(batch).face[0]
    near = int(((GRID[0] - 62).abs().sum(1) + (GRID[1] != 8) * 1e3).argmin())
    assert batch["boxes"][0, face[near], 2] - batch["boxes"][0, face[near], 0] == 20


def test_nothing_is_asked_inside_a_doubtful_face():
    result = assignment(batch_of((80, 64, 40), sure=False))
    assert (result.face < 0).all()
    inside = ((GRID[0] - torch.tensor([80.0, 64.0])).abs() <= 20).all(1)
    assert not result.asked[0][inside].any()
    assert result.asked[0][~inside].all()


def test_losses_vanish_on_the_truth_and_grow_off_it():
    batch = batch_of((80, 64, 40), (30, 30, 12))
    centres, strides = GRID
    result = assignment(batch)
    rows, columns = torch.nonzero(result.face >= 0, as_tuple=True)
    wanted = batch["boxes"][0, result.face[0, columns]]
    points = batch["landmarks"][0, result.face[0, columns]]
    score = torch.full((1, len(centres)), -12.0)
    score[rows, columns] = 12.0
    box, landmark = torch.zeros(1, len(centres), 4), torch.zeros(1, len(centres), 10)
    stride = strides[columns][:, None]
    box[0, columns, :2] = ((wanted[:, :2] + wanted[:, 2:]) / 2 - centres[columns]) / stride
    box[0, columns, 2:] = torch.log((wanted[:, 2:] - wanted[:, :2]) / stride)
    landmark[0, columns] = ((points - centres[columns][:, None]) / stride[..., None]).flatten(1)
    torch.testing.assert_close(decode(box, centres, strides)[0, columns], wanted, atol=1e-3, rtol=0)
    for name, value in losses(score, box, landmark, batch, result, GRID).items():
        assert value < 1e-4, name
    for name, value in losses(-score, box + 0.5, landmark + 0.5, batch, result, GRID).items():
        assert value > 0.05, name


def test_losses_of_a_scene_without_faces_are_finite():
    batch = batch_of()
    network = FacePoint()
    parts = losses(*network(batch["picture"].float()), batch, assignment(batch), GRID)
    assert all(torch.isfinite(value) for value in parts.values())
    sum(parts.values()).backward()


def test_unknown_landmarks_teach_nothing():
    batch = batch_of((80, 64, 40))
    batch["landmarks"][:] = torch.nan
    parts = losses(*FacePoint()(batch["picture"].float()), batch, assignment(batch), GRID)
    assert parts["points"] == 0


def test_collate_keeps_the_largest_faces():
    batch = batch_of(*[(20, 20, 5 + i) for i in range(FACES_A_SCENE + 7)])
    sides = batch["boxes"][0, :, 2] - batch["boxes"][0, :, 0]
    assert batch["present"].all()
    assert sides.min() == 12


def test_strides_divide_each_other():
    assert all(b % a == 0 for a, b in zip(STRIDES, STRIDES[1:], strict=False))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__`")  # each worker makes its own share
def test_scenes_come_from_other_processes_and_differ_between_epochs():
    grey = np.random.default_rng(0).integers(0, 255, (90, 120)).astype(np.uint8)
    cv2.resize(grey, (500, 500))  # OpenCV now has threads, which a forked process would wait for
    points = np.random.default_rng(1).uniform(10, 40, (1, 70, 2)).astype(np.float32)
    photo = Photo(
        grey, np.array([[20, 20, 60, 70]], np.float32), np.zeros((1, 5, 2), np.float32), np.ones(1), "p"
    )
    material = Material(
        portraits={
            "fer2013": Portraits(np.full((1, 48, 48), 200, np.uint8), points),
            "faces_wild": Portraits(np.full((1, 160, 160), 200, np.uint8), points * 3),
        },
        photos={"clips": [photo]},
        backgrounds=[grey],
    )
    loader = scene_loader(material, DetectorRecipe(size=64, scenes=8, batch=2, workers=1))
    first, second = ([batch["picture"] for batch in loader] for _ in range(2))
    assert len(first) == len(second) == 4
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))
