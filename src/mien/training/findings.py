"""What an audit finds in one corpus besides copies: labels, faces, light, votes, subjects across splits."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.sources.labelled import LabelledImages
from mien.training.measures import Measures, Pose, Spread

UNLABELLED = "no label"
"""How pictures without a label are counted among the emotions."""


@dataclass(frozen=True)
class FaceFindings:
    """What a detector found in m of a corpus's pictures.

    Parameters
    ----------
    detector : str
    rows : ndarray of shape (m,), int64
        Pictures that were looked at.
    found : ndarray of shape (m,), bool
        In which of them there is a face.
    pose : Pose
        Of the m pictures; NaN where there is none.
    """

    detector: str
    rows: NDArray[np.int64]
    found: NDArray[np.bool_]
    pose: Pose

    @property
    def missing(self) -> NDArray[np.int64]:
        """Rows in which no face was found."""
        return self.rows[~self.found]

    def to_dict(self, source: NDArray[np.str_]) -> dict[str, Any]:
        """Return it for JSON; pictures by their names."""
        turns = {"yaw_deg_estimated": self.pose.yaw_deg, "roll_deg_estimated": self.pose.roll_deg}
        return {
            "detector": self.detector,
            "looked_at": len(self.rows),
            "found": int(self.found.sum()),
            "missing": source[self.missing].tolist(),
            **{name: Spread.of(values).to_dict() for name, values in turns.items()},
            "eye_distance_px": Spread.of(self.pose.eyes_px).to_dict(),
        }


@dataclass(frozen=True)
class VoteFindings:
    """How far the voters agree, over the n pictures that have votes.

    Parameters
    ----------
    n, without : int
        Pictures with any votes, and those without.
    voters : float or None
        Mean number of votes a picture.
    winner_share : Spread
        Share of the votes that the emotion with most of them has.
    mean_winner_share : float or None
    entropy_bits : float or None
        Mean entropy of the votes of a picture; 0 where all agree.
    undecided : int
        Pictures in which no emotion has more than half of the votes.
    by_emotion : dict of str to float
        Mean share of the winner, for each emotion that wins.
    """

    n: int
    without: int
    voters: float | None
    winner_share: Spread
    mean_winner_share: float | None
    entropy_bits: float | None
    undecided: int
    by_emotion: dict[str, float]


@dataclass(frozen=True)
class BelongingFindings:
    """How pictures that belong together, to one person or one sequence, are spread over the splits.

    Parameters
    ----------
    kind : {"subject", "sequence"}
    count : int
        Different ones.
    pictures : int
        Pictures for which it is known.
    by_split : dict of str to int
        Different ones in each split.
    crossing : tuple of str
        Those that stand in more than one split.
    crossing_pictures : int
        Their pictures.
    """

    kind: str
    count: int
    pictures: int
    by_split: dict[str, int]
    crossing: tuple[str, ...]
    crossing_pictures: int


@dataclass(frozen=True)
class Finding:
    """One line of a summary.

    Parameters
    ----------
    what : str
    n : int
    of : int or None
        Of how many; None where there is no such number.
    """

    what: str
    n: int
    of: int | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", int(self.n))


@dataclass(frozen=True)
class CorpusFindings:
    """What was found in one corpus of n pictures.

    Parameters
    ----------
    name : str
        Of the corpus; numbered where two have the same.
    n, unlabelled : int
        Pictures, and those without a label.
    rule, terms : str
        How labels were derived, and on which terms the pictures may be used.
    balance : dict of str to dict of str to int
        Pictures of each emotion in each split, and those without a label; see :func:`count_labels`.
    sizes : dict of str to int
        Pictures of each width and height, the most frequent first.
    not_square, coloured : int
        Pictures that are not square, and that are not grey.
    side_px : Spread
        Smaller side.
    blank : ndarray of int64
        Rows of pictures that show (almost) nothing.
    light : dict of str to Spread
        For each of :data:`mien.training.measures.LIGHT`.
    measures : Measures
    faces : FaceFindings or None
        None where no detector was asked.
    votes : VoteFindings or None
        None where there are no votes.
    belonging : tuple of BelongingFindings
        For subjects and sequences, where these are known.
    """

    name: str
    n: int
    unlabelled: int
    rule: str
    terms: str
    balance: dict[str, dict[str, int]]
    sizes: dict[str, int]
    not_square: int
    coloured: int
    side_px: Spread
    blank: NDArray[np.int64]
    light: dict[str, Spread]
    measures: Measures
    faces: FaceFindings | None
    votes: VoteFindings | None
    belonging: tuple[BelongingFindings, ...]

    def summary(self, suffix: str = "") -> list[Finding]:
        """Return what is most worth knowing of this corpus; `suffix` is added to each line's words."""
        lines = [Finding("pictures without a label", self.unlabelled, self.n)]
        if self.faces is not None:
            lines.append(Finding("pictures without a face", len(self.faces.missing), len(self.faces.rows)))
        lines.append(Finding("blank pictures", len(self.blank), self.n))
        if self.votes is not None:
            lines.append(Finding("pictures without a majority of votes", self.votes.undecided, self.votes.n))
        lines += [
            Finding(f"{one.kind}s in more than one split", len(one.crossing), one.count)
            for one in self.belonging
        ]
        return [Finding(line.what + suffix, line.n, line.of) for line in lines]

    def to_dict(self, source: NDArray[np.str_]) -> dict[str, Any]:
        """Return it as plain strings, numbers, lists and dicts, for JSON.

        Parameters
        ----------
        source : ndarray of shape (n,), str
            What each picture is called.
        """
        plain = ("name", "n", "unlabelled", "rule", "terms", "balance", "sizes", "not_square", "coloured")
        return {
            **{name: getattr(self, name) for name in plain},
            "side_px": self.side_px.to_dict(),
            "blank": source[self.blank].tolist(),
            "light": {name: spread.to_dict() for name, spread in self.light.items()},
            "faces": None if self.faces is None else self.faces.to_dict(source),
            "votes": None if self.votes is None else asdict(self.votes),
            "belonging": [asdict(one) for one in self.belonging],
        }


def count_labels(corpus: LabelledImages) -> dict[str, dict[str, int]]:
    """Count the pictures of each emotion in each split; those of none under :data:`UNLABELLED`."""
    table = {}
    for split in dict.fromkeys(corpus.split.tolist()):
        count = Counter(corpus.label[corpus.split == split].tolist())
        table[split] = {name: count[i] for i, name in enumerate(corpus.labels.names)}
        if count[-1]:
            table[split][UNLABELLED] = count[-1]
    return table


def find_votes(votes: NDArray[np.float32], names: tuple[str, ...]) -> VoteFindings:
    """Say how far the voters of n pictures agree.

    Parameters
    ----------
    votes : ndarray of shape (n, k), float32
        Votes for each emotion.
    names : tuple of str
        The k emotions.
    """
    total = votes.sum(axis=1)
    part = votes[total > 0] / total[total > 0, None]
    share, winner = part.max(axis=1), part.argmax(axis=1)
    logs = np.log2(part, out=np.zeros_like(part), where=part > 0)
    bits = -(part * logs).sum(axis=1)
    n = len(part)
    return VoteFindings(
        n=n,
        without=len(votes) - n,
        voters=float(total[total > 0].mean()) if n else None,
        winner_share=Spread.of(share),
        mean_winner_share=float(share.mean()) if n else None,
        entropy_bits=float(bits.mean()) if n else None,
        undecided=int((share <= 0.5).sum()),
        by_emotion={
            name: float(share[winner == i].mean()) for i, name in enumerate(names) if (winner == i).any()
        },
    )


def find_belonging(corpus: LabelledImages) -> tuple[BelongingFindings, ...]:
    """Say how subjects and sequences are spread over the splits, for what the corpus knows of them."""
    found = []
    for kind, column in (("subject", corpus.subject), ("sequence", corpus.sequence)):
        if column is None or not (column != "").any():
            continue
        known = column != ""
        pairs = {
            (who, split)
            for who, split in zip(column[known].tolist(), corpus.split[known].tolist(), strict=True)
        }
        splits_of = Counter(who for who, _ in pairs)
        crossing = tuple(sorted(who for who, count in splits_of.items() if count > 1))
        found.append(
            BelongingFindings(
                kind=kind,
                count=len(splits_of),
                pictures=int(known.sum()),
                by_split=dict(Counter(split for _, split in sorted(pairs))),
                crossing=crossing,
                crossing_pictures=int(np.isin(column, crossing).sum()) if crossing else 0,
            )
        )
    return tuple(found)
