"""The settings of altered copies: presets by name, one transformation at a time, and refused nonsense."""

import dataclasses

import pytest

from mien.errors import ArgumentError, UnknownNameError
from mien.training.augmentation import PRESETS, SHARES, TRANSFORMATIONS, Augmentation


def test_the_default_is_what_the_shipped_network_learned_with():
    settings = Augmentation.preset("default")
    assert settings == Augmentation() == Augmentation.preset()
    assert (settings.mirror, settings.turn_deg, settings.scale, settings.shift) == (0.5, 9.0, 0.09, 0.04)
    assert (settings.light, settings.light_strength) == (0.4, 1.0)
    assert (settings.gamma, settings.gamma_range, settings.blur, settings.blur_sigma_px) == (
        0.4,
        (0.5, 1.8),
        0.2,
        (0.4, 1.6),
    )
    assert (settings.noise, settings.noise_deviation, settings.erasing, settings.erasing_area) == (
        0.2,
        (0.03, 0.03),
        0.5,
        (0.02, 0.2),
    )
    added = (
        "crop",
        "cover",
        "hard_light",
        "light_above",
        "shadows",
        "brightness",
        "contrast",
        "dark",
        "coarse",
        "jpeg",
    )
    assert not any(getattr(settings, name) for name in added)


def test_presets():
    assert list(PRESETS) == ["none", "light", "default", "strong", "any-light", "dark-room"]
    assert not any(PRESETS["none"].uses(name) for name in TRANSFORMATIONS)
    assert all(PRESETS["strong"].uses(name) for name in TRANSFORMATIONS)
    assert PRESETS["dark-room"].dark > 0.3
    with pytest.raises(UnknownNameError, match="Did you mean 'strong'"):
        Augmentation.preset("stron")


def test_every_field_belongs_to_one_transformation():
    named = [field for line in TRANSFORMATIONS.values() for field in line]
    assert sorted(named) == sorted(field.name for field in dataclasses.fields(Augmentation))


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_one_alone_is_as_strong_as_in_the_settings(name):
    switch, *strengths = TRANSFORMATIONS[name]
    strong = Augmentation.preset("strong").only(name)
    assert all(getattr(strong, field) == getattr(PRESETS["strong"], field) for field in strengths)
    assert getattr(strong, switch) == (1.0 if switch in SHARES else getattr(PRESETS["strong"], switch))
    assert PRESETS["none"].only(name).uses(name)


def test_an_unknown_transformation_says_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'hard-light'"):
        Augmentation().only("hardlight")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mirror", 1.1),
        ("erasing", -0.1),
        ("turn_deg", -1.0),
        ("gamma_range", (2.0, 1.0)),
        ("crop_area", (-1.0, 1.0)),
        ("dark_gain", (0.1,)),
        ("light_strength", float("nan")),
    ],
)
def test_nonsense_is_refused(field, value):
    with pytest.raises(ArgumentError, match=field):
        Augmentation(**{field: value})


def test_a_preset_with_changes():
    assert Augmentation.parse("strong") == PRESETS["strong"]
    changed = Augmentation.parse("any-light, cover=0.25,hard_light_shadow=0.05..0.5,turn_deg=12")
    assert (changed.cover, changed.hard_light_shadow, changed.turn_deg) == (0.25, (0.05, 0.5), 12.0)
    assert changed.jpeg == PRESETS["any-light"].jpeg > 0


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("any-lihgt,cover=0.2", UnknownNameError, "Did you mean 'any-light'"),
        ("default,covr=0.2", UnknownNameError, "Did you mean 'cover'"),
        ("default,cover", ArgumentError, "a number"),
        ("default,cover=often", ArgumentError, "a number"),
        ("default,cover=1.2", ArgumentError, "from 0 to 1"),
        ("default,cover=0.1..0.2", ArgumentError, "a number"),
        ("default,cover_reach=0.3", ArgumentError, "two numbers, as in 0.1..0.5"),
        ("default,cover_reach=0.5..0.3", ArgumentError, "smallest"),
        ("default,", UnknownNameError, "field of the augmentation"),
    ],
)
def test_changes_that_cannot_be_made_are_refused(text, error, says):
    with pytest.raises(error, match=says):
        Augmentation.parse(text)
