"""The example: its story can be followed to every scene, and its clips can be drawn."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scripted import shown

from mien.story import read_story

FOLDER = Path(__file__).parents[2] / "examples" / "riot"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the examples are not beside the tests")

AFRAID, CALM = {"fear": 0.8}, {}


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_clips", FOLDER / "make_clips.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["make_clips"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_clips"]


def way(*parts):
    """Return the scenes that a viewer goes through who shows these for so many seconds each."""
    story, scenes, index = read_story(FOLDER / "story.toml"), [], 0
    for seconds, emotions in parts:
        for _ in range(round(seconds * 10)):
            people = [] if emotions is None else [(1, emotions)]
            scenes += [decision.to for decision in story.update(shown(index / 10, *people))]
            index += 1
    return scenes


@pytest.mark.parametrize(
    ("parts", "scenes"),
    [
        ([(25, None)], ["waiting", "waiting", "waiting"]),
        ([(8, CALM), (4, AFRAID)], ["waiting", "street", "charge"]),
        ([(8, CALM), (25, AFRAID)], ["waiting", "street", "charge", "fallen", "waiting", "street"]),
        ([(8, CALM), (3, AFRAID), (12, CALM)], ["waiting", "street", "charge", "passage"]),
        ([(14, CALM)], ["waiting", "street", "passage"]),
        ([(6, CALM), (20, {"happiness": 0.6})], ["waiting", "street", "standoff"]),
        ([(6, CALM), (26, {"happiness": 0.6})], ["waiting", "street", "standoff", "passage"]),
        ([(6, CALM), (16, {"happiness": 0.6}), (3, AFRAID)], ["waiting", "street", "standoff", "charge"]),
        ([(4, CALM), (9, None)], ["waiting", "street", "waiting"]),
    ],
)
def test_every_way_through_the_film(parts, scenes):
    assert way(*parts) == scenes


def test_every_scene_has_a_clip_that_lasts_until_it_is_left(maker):
    story = read_story(FOLDER / "story.toml")
    for scene in story.scenes.values():
        length_s, _ = maker.CLIPS[Path(scene.clip).stem]
        assert length_s >= max(rule.after_s for rule in scene.rules)


def test_pictures_are_drawn(maker):
    for name, (length_s, look) in maker.CLIPS.items():
        picture = maker.frame(look(length_s / 3), length_s / 3)
        assert picture.shape == (360, 640, 3) and picture.dtype == np.uint8, name
        assert picture.std() > 5, name
    assert maker.frame(maker.Look(dark=1.0), 1.0).max() < 5


@pytest.mark.slow
def test_a_clip_plays_with_sound(maker, tmp_path):
    import av

    maker.write_clip(tmp_path / "x.mp4", 1.0, maker.CLIPS["charge"][1])
    assert [p.name for p in tmp_path.iterdir()] == ["x.mp4"]
    with av.open(str(tmp_path / "x.mp4")) as file:
        assert file.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert len(list(file.decode(video=0))) == 15
    with av.open(str(tmp_path / "x.mp4")) as file:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    assert 0.9 < len(heard) / 32000 < 1.2 and np.abs(heard).max() > 0.01
