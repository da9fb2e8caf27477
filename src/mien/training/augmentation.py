"""How far altered copies may differ from their pictures: strengths, shares and presets. No torch."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from mien.errors import bad_argument, unknown_name

Range = tuple[float, float]


@dataclass(frozen=True)
class Augmentation:
    """What is done to pictures before they are learned from.

    A field named like a transformation is the share of the pictures it is done to, from 0 to 1; the
    fields that begin with its name say how strongly. Turn, scale and shift are done to every picture, by
    amounts that are small most of the time. Ranges are drawn from evenly, those of factors evenly in
    their logarithm. The defaults are what the shipped network has learned with.

    Parameters
    ----------
    mirror : float
    turn_deg : float
        Standard deviation of the in-plane turn, degrees.
    scale : float
        Standard deviation of the natural logarithm of the scale.
    shift : float
        Standard deviation of the shift, in sides of the crop.
    crop : float
        A part of the crop, as large as the crop again.
    crop_area : tuple of float
        Smallest and largest share of the area that is kept.
    cover : float
        Something before the face: a mask, a hand, glasses, hair.
    cover_reach : tuple of float
        How far it reaches into the crop, in sides.
    cover_strip : tuple of float
        Width of those that are strips, half of them, in sides; behind these the face goes on.
    cover_value : tuple of float
        Brightness, 0 to 255.
    light : float
        Light from one side, as a ramp in any direction.
    light_strength : float
        Largest logarithm of the ratio between the middle and the edge.
    hard_light : float
        Light from one side beyond whose terminator line the face lies in shadow, in any direction.
    hard_light_shadow : tuple of float
        What remains of the light in the shadow, 0 to 1.
    hard_light_edge : tuple of float
        Width of the passage from light to shadow, in sides of the crop.
    light_above : float
        Light from above, or more rarely from below, as a steep ramp.
    light_above_strength : tuple of float
        Logarithm of the ratio between the middle and the edge.
    shadows : float
        One to four soft spots of shadow anywhere, as sockets, hair and the brims of hats throw them.
    shadows_depth : tuple of float
        Share of the light that is missing in the middle of each, 0 to 1.
    shadows_radius : tuple of float
        Standard deviation of each, in sides of the crop.
    gamma : float
    gamma_range : tuple of float
        The exponent; below 1 is brighter.
    brightness : float
    brightness_factor : tuple of float
    contrast : float
    contrast_factor : tuple of float
        About the picture's mean.
    dark : float
        A dark room: little light, and the noise that a camera then has.
    dark_gain : tuple of float
        What remains of the light, 0 to 1.
    dark_noise : tuple of float
        The noise then, as a multiple of that of the photons.
    blur : float
    blur_sigma_px : tuple of float
        Standard deviation, pixels of the crop.
    coarse : float
        Low resolution: reduced and enlarged again.
    coarse_factor : tuple of float
        By how much, from 1.
    noise : float
    noise_deviation : tuple of float
        Of 1, the largest value.
    jpeg : float
    jpeg_quality : tuple of float
        0 to 100.
    erasing : float
        A rectangle made grey.
    erasing_area : tuple of float
        Its share of the crop's area.

    Raises
    ------
    ArgumentError
        If a share is not from 0 to 1, or a range is upside down.
    """

    mirror: float = 0.5
    turn_deg: float = 9.0
    scale: float = 0.09
    shift: float = 0.04
    crop: float = 0.0
    crop_area: Range = (0.6, 1.0)
    cover: float = 0.0
    cover_reach: Range = (0.2, 0.6)
    cover_strip: Range = (0.1, 0.35)
    cover_value: Range = (15.0, 235.0)
    light: float = 0.4
    light_strength: float = 1.0
    hard_light: float = 0.0
    hard_light_shadow: Range = (0.15, 0.6)
    hard_light_edge: Range = (0.02, 0.3)
    light_above: float = 0.0
    light_above_strength: Range = (0.5, 1.3)
    shadows: float = 0.0
    shadows_depth: Range = (0.2, 0.7)
    shadows_radius: Range = (0.04, 0.2)
    gamma: float = 0.4
    gamma_range: Range = (0.5, 1.8)
    brightness: float = 0.0
    brightness_factor: Range = (0.5, 1.6)
    contrast: float = 0.0
    contrast_factor: Range = (0.4, 1.7)
    dark: float = 0.0
    dark_gain: Range = (0.12, 0.5)
    dark_noise: Range = (0.7, 1.5)
    blur: float = 0.2
    blur_sigma_px: Range = (0.4, 1.6)
    coarse: float = 0.0
    coarse_factor: Range = (1.3, 3.0)
    noise: float = 0.2
    noise_deviation: Range = (0.03, 0.03)
    jpeg: float = 0.0
    jpeg_quality: Range = (5.0, 50.0)
    erasing: float = 0.5
    erasing_area: Range = (0.02, 0.2)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                if len(value) != 2 or not 0 <= value[0] <= value[1]:
                    raise bad_argument(
                        field.name, allowed="the smallest and the largest, from 0", given=value
                    )
            elif not value >= 0 or (field.name in SHARES and value > 1):
                allowed = "a share from 0 to 1" if field.name in SHARES else "a number from 0"
                raise bad_argument(field.name, allowed=allowed, given=value)

    @classmethod
    def preset(cls, name: str = "default") -> Augmentation:
        """Return the settings of a name of :data:`PRESETS`.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        if name not in PRESETS:
            raise unknown_name("preset of the augmentation", name, PRESETS)
        return PRESETS[name]

    @classmethod
    def parse(cls, text: str) -> Augmentation:
        """Return the settings of a preset, with changes of one's own.

        Parameters
        ----------
        text : str
            A name of :data:`PRESETS`, and after it, each behind a comma, fields of this class with a number
            or, for ranges, two: ``any-light,cover=0.2,hard_light_shadow=0.05..0.5``.

        Raises
        ------
        UnknownNameError
            If there is no such preset or field.
        ArgumentError
            If a value is none that the field takes.
        """
        name, *changes = (part.strip() for part in text.split(","))
        changed: dict[str, Any] = dict(_parse_change(one) for one in changes)
        return replace(cls.preset(name), **changed)

    def only(self, name: str) -> Augmentation:
        """Return settings under which one transformation is done to every picture, and nothing else.

        Parameters
        ----------
        name : str
            A name of :data:`TRANSFORMATIONS`. Where these settings leave it out it is done as strongly as
            by default.

        Raises
        ------
        UnknownNameError
            If there is no such transformation.
        """
        if name not in TRANSFORMATIONS:
            raise unknown_name("transformation", name, TRANSFORMATIONS)
        switch, *strengths = TRANSFORMATIONS[name]
        wanted = {field: getattr(self, field) for field in strengths}
        wanted[switch] = 1.0 if switch in SHARES else getattr(self, switch) or getattr(Augmentation(), switch)
        return replace(PRESETS["none"], **wanted)

    def uses(self, name: str) -> bool:
        """Return whether a transformation of :data:`TRANSFORMATIONS` is ever done."""
        return bool(getattr(self, TRANSFORMATIONS[name][0]))


def _parse_change(text: str) -> tuple[str, float | Range]:
    """Read ``NAME=NUMBER`` or ``NAME=LOW..HIGH``."""
    name, _, value = text.partition("=")
    known = {field.name: field.default for field in fields(Augmentation)}
    if name not in known:
        raise unknown_name("field of the augmentation", name, known)
    try:
        numbers = [float(part) for part in value.split("..")]
    except ValueError:
        numbers = []
    if isinstance(known[name], tuple) and len(numbers) == 2:
        return name, (numbers[0], numbers[1])
    if isinstance(known[name], float) and len(numbers) == 1:
        return name, numbers[0]
    allowed = "a number" if isinstance(known[name], float) else "two numbers, as in 0.1..0.5"
    raise bad_argument(name, allowed=allowed, given=value)


TRANSFORMATIONS = {
    "mirror": ("mirror",),
    "turn": ("turn_deg",),
    "scale": ("scale",),
    "shift": ("shift",),
    "crop": ("crop", "crop_area"),
    "cover": ("cover", "cover_reach", "cover_strip", "cover_value"),
    "light": ("light", "light_strength"),
    "hard-light": ("hard_light", "hard_light_shadow", "hard_light_edge"),
    "light-above": ("light_above", "light_above_strength"),
    "shadows": ("shadows", "shadows_depth", "shadows_radius"),
    "gamma": ("gamma", "gamma_range"),
    "brightness": ("brightness", "brightness_factor"),
    "contrast": ("contrast", "contrast_factor"),
    "dark": ("dark", "dark_gain", "dark_noise"),
    "blur": ("blur", "blur_sigma_px"),
    "coarse": ("coarse", "coarse_factor"),
    "noise": ("noise", "noise_deviation"),
    "jpeg": ("jpeg", "jpeg_quality"),
    "erasing": ("erasing", "erasing_area"),
}
"""Every transformation in the order it is done, with the field that switches it and those that shape it."""

SHARES = {switch for switch, *_ in TRANSFORMATIONS.values()} - {"turn_deg", "scale", "shift"}
"""The fields of :class:`Augmentation` that are shares of the pictures."""

PRESETS = {
    "none": Augmentation(
        mirror=0, turn_deg=0, scale=0, shift=0, light=0, gamma=0, blur=0, noise=0, erasing=0
    ),
    "light": Augmentation(
        turn_deg=5, scale=0.05, shift=0.02, light=0.2, light_strength=0.6, gamma=0.2,
        gamma_range=(0.7, 1.4), blur=0.1, noise=0.1, erasing=0.2, erasing_area=(0.02, 0.1),
    ),
    "default": Augmentation(),
    "strong": Augmentation(
        turn_deg=14, scale=0.13, shift=0.06, crop=0.3, cover=0.1, hard_light=0.15, light_above=0.15,
        shadows=0.15, gamma=0.5, gamma_range=(0.4, 2.2), brightness=0.2, contrast=0.2, dark=0.1, blur=0.3,
        blur_sigma_px=(0.4, 2.0), coarse=0.2, noise=0.3, noise_deviation=(0.02, 0.08), jpeg=0.1, erasing=0.6,
        erasing_area=(0.02, 0.3),
    ),
    "any-light": Augmentation(
        hard_light=0.2, light_above=0.2, shadows=0.2, gamma_range=(0.45, 2.0), brightness=0.08,
        brightness_factor=(0.5, 2.4), contrast=0.05, dark=0.1, dark_gain=(0.08, 0.5), dark_noise=(0.6, 1.8),
        blur_sigma_px=(0.4, 1.8), coarse=0.08, noise_deviation=(0.02, 0.1), jpeg=0.06,
    ),
    "dark-room": Augmentation(hard_light=0.3, light_above=0.2, dark=0.5, contrast=0.2),
}  # fmt: skip
"""Settings by name. "any-light" turns and covers as by default, and is strong in light and camera alone;
"dark-room" is for places with one lamp, or hardly any light."""
