"""Features say the same of a crop alone and among others, and what they are meant to say."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from mien.errors import ArgumentError, ModelError
from mien.faces.align import transform
from mien.faces.landmarks import PARTS, load_landmarks
from mien.models import load_model
from mien.models.features import (
    ANGLES,
    DISTANCES,
    EmbeddingFeatures,
    EvenScale,
    GeometryFeatures,
    HogFeatures,
    LbpFeatures,
    geometry,
    hog,
    lbp,
)

SIZE = 20
WIDTH = {hog: 2 * 2 * 36, lbp: 36 * 59}


def noise(n, size=SIZE, planes=(), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, *planes), dtype=np.uint8)


def waves(upright, size=48):
    line = 128 + 100 * np.sin(np.arange(size) * 0.9)
    picture = np.tile(line, (size, 1))
    return (picture if upright else picture.T).astype(np.uint8)[None]


def face(n=1, seed=0):
    """Landmarks in a crop of 48 px whose eyes lie level, 16 px apart."""
    xy = np.random.default_rng(seed).uniform(10, 38, (n, 70, 2))
    for name, x in (("eye_right", 16), ("eye_left", 32)):
        eye = xy[:, PARTS[name]]
        xy[:, PARTS[name]] += np.array([x, 20]) - eye.mean(axis=1, keepdims=True)
    return xy


@pytest.mark.parametrize("function", WIDTH)
@pytest.mark.parametrize("planes", [(), (3,)])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_row_for_every_crop(function, planes, n):
    rows = function(noise(n, planes=planes))
    assert rows.shape == (n, WIDTH[function]) and rows.dtype == np.float32
    assert n == 0 or (0 <= rows.min() < rows.max() <= 1)


@pytest.mark.parametrize("function", [*WIDTH, geometry])
def test_a_crop_alone_and_among_others_gets_exactly_the_same(function):
    many = noise(9) if function is not geometry else face(9)
    np.testing.assert_array_equal(function(many), np.concatenate([function(one[None]) for one in many]))


@pytest.mark.parametrize("function", WIDTH)
def test_a_crop_without_colours_is_a_grey_one(function):
    grey = noise(3)
    np.testing.assert_array_equal(function(np.repeat(grey[..., None], 3, axis=3)), function(grey))


@pytest.mark.parametrize(("upright", "bin"), [(True, 0), (False, 4)])
def test_gradients_stand_across_the_stripes(upright, bin):
    orientation = hog(waves(upright)).reshape(-1, 9).sum(axis=0)
    assert orientation.argmax() == bin and orientation[bin] > 0.9 * orientation.sum()


def test_gradients_do_not_mind_contrast():
    low = (64 + waves(True) // 2).astype(np.uint8)
    np.testing.assert_allclose(hog(low), hog(waves(True)), atol=0.02)


def test_patterns_are_shares_of_each_cell():
    np.testing.assert_allclose((lbp(noise(2), cells=3) ** 2).reshape(2, 9, 59).sum(axis=2), 1, atol=1e-5)
    flat = lbp(np.full((1, SIZE, SIZE), 77, np.uint8), cells=3).reshape(9, 59)
    assert (flat.max(axis=1) == 1).all() and len(set(flat.argmax(axis=1))) == 1


def test_patterns_do_not_mind_how_bright_it_is():
    crops = noise(2) // 2
    np.testing.assert_array_equal(lbp(crops), lbp(crops + 100))


def test_patterns_are_told_apart_by_place():
    crops = noise(1, 32)
    changed = crops.copy()
    changed[0, :6, :6] = 0
    differs = (lbp(crops, cells=2) != lbp(changed, cells=2)).reshape(4, 59).any(axis=1)
    assert differs.tolist() == [True, False, False, False]


def test_more_neighbours_make_more_patterns():
    assert lbp(noise(1), cells=2, neighbours=12, radius=2).shape == (1, 4 * (12 * 11 + 3))


@pytest.mark.parametrize(
    ("function", "crops", "options", "message"),
    [
        (hog, noise(1), {"cell": 11}, "cell must be at most 10"),
        (hog, noise(1), {"cell": 0}, "cell must be a whole number"),
        (hog, noise(1), {"block": 1.5}, "block must be a whole number"),
        (hog, noise(1), {"orientations": True}, "orientations must be"),
        (lbp, noise(1), {"cells": 19}, "cells must be at most 18"),
        (lbp, noise(1), {"radius": 0}, "radius must be"),
        (hog, noise(1)[0], {}, "crops must be uint8"),
        (hog, noise(1).astype(np.float32), {}, "crops must be uint8"),
        (lbp, noise(1)[:, :, :10], {}, "crops must be uint8"),
        (lbp, noise(1, planes=(4,)), {}, "crops must be uint8"),
        (lbp, np.zeros((2, 0, 0), np.uint8), {}, "crops must be uint8"),
    ],
)
def test_what_is_no_crop_is_refused(function, crops, options, message):
    with pytest.raises(ArgumentError, match=message):
        function(crops, **options)


# Geometry


def column(names):
    table = [*DISTANCES, *ANGLES]
    return 140 + table.index(names)


def test_every_named_part_is_there_and_used():
    used = {name for names in (*DISTANCES, *ANGLES) for name in names}
    assert used == set(PARTS) and all(0 <= i < 70 for points in PARTS.values() for i in points)
    assert geometry(face(3)).shape == (3, 140 + len(DISTANCES) + len(ANGLES))
    assert geometry(np.empty((0, 70, 2))).shape == (0, 140 + len(DISTANCES) + len(ANGLES))


def test_place_size_and_turn_do_not_matter():
    xy = face(4)
    turn = np.array([[[0.6, -1.1, 40.0], [1.1, 0.6, -9.0]]])
    np.testing.assert_allclose(geometry(transform(xy, np.repeat(turn, 4, 0))), geometry(xy), atol=1e-4)


def test_the_eyes_are_the_measure():
    placed = geometry(face())[0, :140].reshape(70, 2)
    np.testing.assert_allclose(placed[list(PARTS["eye_right"])].mean(axis=0), [-0.5, 0], atol=1e-6)
    np.testing.assert_allclose(placed[list(PARTS["eye_left"])].mean(axis=0), [0.5, 0], atol=1e-6)


def test_distances_are_in_distances_of_the_eyes():
    xy = face()
    xy[0, 48], xy[0, 54] = (12, 36), (36, 36)
    assert geometry(xy)[0, column(("mouth_right", "mouth_left"))] == pytest.approx(24 / 16)


def test_angles_are_in_radians():
    xy = face()
    xy[0, 48], xy[0, 54], xy[0, 51] = (20, 30), (28, 30), (24, 26)
    assert geometry(xy)[0, column(("mouth_right", "lip_upper_edge", "mouth_left"))] == pytest.approx(
        np.pi / 2
    )


def test_right_is_the_subject_s():
    """In the picture of an upright face, the subject's right eye, brow and iris lie to the left."""
    xy = face()
    raised = xy.copy()
    raised[0, 17:22, 1] -= 3
    differs = ~np.isclose(geometry(xy)[0, 140:], geometry(raised)[0, 140:])
    names = {name for i in np.flatnonzero(differs) for name in [*DISTANCES, *ANGLES][i]}
    assert {"brow_right_outer", "brow_right_middle", "brow_right_inner"} <= names
    assert not {"brow_left_outer", "brow_left_middle"} & names
    assert xy[0, PARTS["eye_right"]].mean(axis=0)[0] < xy[0, PARTS["eye_left"]].mean(axis=0)[0]
    assert PARTS["iris_right"] == (68,)


def test_eyes_in_one_place_still_give_numbers():
    assert np.isfinite(geometry(np.full((2, 70, 2), 5.0))).all()


@pytest.mark.parametrize("shape", [(70, 2), (1, 68, 2), (1, 70, 3)])
def test_other_numbers_of_points_are_refused(shape):
    with pytest.raises(ArgumentError, match=r"landmarks_xy must be of shape \(n, 70, 2\)"):
        geometry(np.zeros(shape))


# Networks


@pytest.fixture(scope="module")
def landmarker(write_landmarker, tmp_path_factory):
    return write_landmarker(tmp_path_factory.mktemp("landmarker"))


@pytest.fixture(scope="module")
def embedder(write_embedder, tmp_path_factory):
    return write_embedder(tmp_path_factory.mktemp("embedder"))


@pytest.mark.parametrize("planes", [(), (3,)])
@pytest.mark.parametrize("n", [0, 1, 5, 300])
def test_landmarks_in_pixels_of_the_crop(landmarker, n, planes):
    points = load_landmarks(landmarker, threads=1).predict(noise(n, planes=planes))
    assert points.shape == (n, 70, 2) and points.dtype == np.float32
    assert n == 0 or (points.min() > SIZE * 0.1 and points.max() < SIZE * 0.9)


def test_landmarks_of_a_larger_crop_are_the_same_points(landmarker):
    model = load_landmarks(landmarker, threads=1)
    small = noise(2)
    large = small.repeat(3, axis=1).repeat(3, axis=2)
    np.testing.assert_allclose(model.predict(large), 3 * model.predict(small), rtol=1e-5)
    assert model.predict(noise(1, 11)).shape == (1, 70, 2)


def test_landmarks_follow_what_the_crop_shows(landmarker):
    points = load_landmarks(landmarker, threads=1).predict(noise(2))
    assert np.abs(points[0] - points[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"outputs": ("scores",)}, "no network of landmarks"), ({"points": 136}, r"shape \(1, 136\) must be")],
)
def test_a_network_of_something_else(write_landmarker, tmp_path, fields, message):
    path = write_landmarker(tmp_path, **fields)
    with pytest.raises(ModelError, match=message):
        load_landmarks(path, threads=1).predict(noise(1))


def test_a_model_for_another_task(embedder, landmarker):
    with pytest.raises(ModelError, match="is a model for expression; one for landmarks is wanted"):
        load_landmarks(embedder)
    assert "points70.toy" in repr(load_landmarks(landmarker))


def test_transformers_by_networks(landmarker, embedder):
    crops = noise(4)
    wanted = geometry(load_landmarks(landmarker, threads=1).predict(crops))
    np.testing.assert_array_equal(GeometryFeatures(landmarker, threads=1).fit_transform(crops), wanted)
    wanted = load_model(embedder, threads=1).embed(crops)
    np.testing.assert_array_equal(EmbeddingFeatures(str(embedder), threads=1).fit_transform(crops), wanted)


def test_without_an_embedding(write_embedder, tmp_path):
    path = write_embedder(tmp_path, outputs=("ekman7",))
    with pytest.raises(ModelError, match="has no output 'embedding'"):
        EmbeddingFeatures(path).fit(noise(1))


def test_another_network_of_the_same_name_is_noticed(write_embedder, tmp_path):
    fitted = EmbeddingFeatures(write_embedder(tmp_path), threads=1).fit(noise(2))
    before = fitted.transform(noise(3))
    kept = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(kept.transform(noise(3)), before)
    write_embedder(tmp_path, seed=1)
    with pytest.raises(ModelError, match="on which the classifier was trained"):
        copy.deepcopy(fitted).transform(noise(3))
    assert np.abs(fitted.fit(noise(2)).transform(noise(3)) - before).max() > 0.01


# Transformers


@pytest.mark.parametrize(
    ("transformer", "same"),
    [
        (HogFeatures(cell=5, orientations=6), lambda x: hog(x, cell=5, orientations=6)),
        (LbpFeatures(cells=3, radius=2), lambda x: lbp(x, cells=3, radius=2)),
    ],
)
def test_transformers_are_the_functions(transformer, same):
    crops = noise(3)
    np.testing.assert_array_equal(transformer.transform(crops), same(crops))
    np.testing.assert_array_equal(clone(transformer).fit_transform(crops), same(crops))
    assert clone(transformer).fit(crops).n_features_out_ == same(crops).shape[1]


@pytest.mark.parametrize(
    "transformer",
    [HogFeatures(3, 1, 4), LbpFeatures(2, 4, 2), GeometryFeatures("a.onnx", 2), EmbeddingFeatures("b", 1)],
)
def test_the_constructor_only_stores(transformer):
    params = transformer.get_params()
    assert vars(transformer) == params and vars(clone(transformer)) == params
    name = next(iter(params))
    assert clone(transformer).set_params(**{name: 9}).get_params()[name] == 9


def test_one_scale_for_all_features():
    rows = np.random.default_rng(0).normal(0, [1, 10, 0], (500, 3)).astype(np.float32)
    scaled = EvenScale().fit_transform(rows)
    assert scaled.var(axis=0).mean() == pytest.approx(1, rel=1e-4) and scaled.dtype == np.float64
    np.testing.assert_allclose(scaled / scaled.max(), rows / rows.max(), rtol=1e-5)
    np.testing.assert_array_equal(EvenScale().fit_transform(rows * 0), rows * 0)
