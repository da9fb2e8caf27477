"""What a comparison of groups says: numbers with their N and intervals, as values that JSON can hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

RATE, SCORE = "detection rate", "detection score"
"""The first two measures; the others are the mean probabilities of the emotions."""

TOLERANCE = 0.02
"""How far below the rate of all pictures the detection rate of a group may be before it is named."""

LEVEL = 0.05
"""A difference counts as more than chance where its corrected p is below this."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; all NaN where there is nothing to count."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Return it for JSON; None for NaN."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class GroupMeasures:
    """What was measured on one group.

    Parameters
    ----------
    value : str
        The group; empty where it is not known.
    n, people, found : int
        Pictures, people on them (0 where they are not known), and pictures in which a face was found.
    rate : Estimate
        Share of the pictures in which a face was found (Wilson 1927).
    against_mean : Estimate
        That rate less the rate of all pictures (Newcombe 1998, of the group and all the others).
    score : Estimate
        Mean score of the detector over the faces found (bootstrap).
    emotions : dict of str to Estimate
        Mean probability of each emotion over the faces found (bootstrap).
    """

    value: str
    n: int
    people: int
    found: int
    rate: Estimate
    against_mean: Estimate
    score: Estimate
    emotions: dict[str, Estimate]


@dataclass(frozen=True)
class Difference:
    """Two groups apart in one measure.

    Parameters
    ----------
    measure : str
        :data:`RATE`, :data:`SCORE` or an emotion.
    higher, lower : str
        The two groups.
    difference : Estimate
        Of the higher less the lower. The interval holds for all pairs of groups of the column at once.
    p : float
        How often shuffled groups are as far apart somewhere, in any pair, measure or column; 0 to 1.
    """

    measure: str
    higher: str
    lower: str
    difference: Estimate
    p: float


@dataclass(frozen=True)
class ColumnComparison:
    """The groups of one column.

    Parameters
    ----------
    column : str
    by_people : bool
        Whether people were drawn and shuffled instead of pictures.
    groups : tuple of GroupMeasures
        In the order of their names.
    differences : tuple of Difference
        Of all pairs of groups with :data:`mien.training.groups.SMALLEST` pictures or more; by measure, the
        largest first.
    """

    column: str
    by_people: bool
    groups: tuple[GroupMeasures, ...]
    differences: tuple[Difference, ...]

    @property
    def largest(self) -> tuple[Difference, ...]:
        """The largest difference of each measure."""
        first: dict[str, Difference] = {}
        for one in self.differences:
            first.setdefault(one.measure, one)
        return tuple(first.values())

    def below(self, tolerance: float) -> tuple[GroupMeasures, ...]:
        """Return the groups whose detection rate is more than `tolerance` below that of all pictures."""
        return tuple(group for group in self.groups if group.against_mean.value < -tolerance)


@dataclass(frozen=True)
class FairnessReport:
    """How alike groups are found and read, on n pictures.

    Parameters
    ----------
    data, detector, model : str
        What was looked at, and with what.
    n, found : int
        Pictures, and those in which a face was found.
    rate, score : Estimate
        Detection rate, and mean score of the faces found, of all pictures.
    emotions : dict of str to float
        Mean probability of each emotion over all faces found.
    columns : tuple of ColumnComparison
    comparisons : int
        Pairs of groups times measures, over all columns: what the p are corrected for.
    shuffles, seed : int
    surround : dict of str to float or str, optional
        What was put around every picture.
    """

    data: str
    detector: str
    model: str
    n: int
    found: int
    rate: Estimate
    score: Estimate
    emotions: dict[str, float]
    columns: tuple[ColumnComparison, ...]
    comparisons: int
    shuffles: int
    seed: int
    surround: dict[str, float | str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain strings, numbers, lists and dicts, for JSON; None for NaN."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and value != value else value
