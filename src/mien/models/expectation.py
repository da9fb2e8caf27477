"""How often each emotion is expected, where a place differs from the training data.

A network learns from its data also how common each emotion is there, and is the slower to name what was
rare. Where other emotions are to be expected, its calibrated probabilities are multiplied by how much more or
less common each of them is, and renormalised (Saerens et al. 2002, Neural Computation 14, 21-41).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mien.catalog import Head
from mien.errors import ModelError, bad_argument, unknown_name
from mien.labels import ALIASES, LabelSet

EVEN = "even"
"""Every emotion as often as every other."""

Expectation = str | Mapping[str, float]

ALLOWED = "'even', or shares of emotions that sum to 1 at most (neutral=0.5,fear=0.1)"


def expecting(head: Head, expect: Expectation, model: str) -> tuple[Head, str]:
    """Return the output of a model for a place where emotions are as frequent as said.

    Parameters
    ----------
    head : Head
        As the card has it.
    expect : str or mapping of str to float
        "even"; or the share of each emotion, 0 to 1, as a mapping or as text ("neutral=0.5,fear=0.1"). What
        is left over goes to the emotions that are not named, in proportion to the training data.
    model : str
        Its name, for messages.

    Returns
    -------
    head : Head
        With what is expected.
    words : str
        The same in words, for the name of the model in tables.

    Raises
    ------
    ArgumentError
        If shares are not from 0 to 1, or sum to something else than they can.
    UnknownNameError
        If the model does not know an emotion.
    ModelError
        If the card does not say how frequent emotions were in the training data.
    """
    if not head.frequency:
        raise ModelError(
            f"The card of {model!r} does not say how often each emotion stood in its training data, so that "
            "no other frequency can be expected; models that this version of mien trains unbalanced do."
        )
    labels = head.label_set
    if isinstance(expect, str) and expect.strip().lower() == EVEN:
        return replace(head, expected=(1 / len(labels),) * len(labels)), f"expecting {EVEN}"
    given = _shares(_pairs(expect) if isinstance(expect, str) else expect, labels, model)
    total = sum(given.values())
    frequency = dict(zip(labels, head.frequency, strict=True))
    others = sum(share for name, share in frequency.items() if name not in given)
    if total > 1 + 1e-6 or (total < 1 - 1e-6 and not others):
        raise bad_argument("expect", allowed=ALLOWED, given=expect)
    left = max(0.0, 1 - total) / others if others else 0.0
    expected = tuple(given.get(name, left * frequency[name]) for name in labels)
    return replace(head, expected=expected), "expecting " + ",".join(f"{n}={s:g}" for n, s in given.items())


def _pairs(text: str) -> dict[str, float]:
    """Read NAME=SHARE pairs with commas between."""
    shares = {}
    for pair in text.split(","):
        name, _, share = pair.partition("=")
        if name in shares:
            raise bad_argument("expect", allowed="each emotion once", given=text)
        try:
            shares[name] = float(share)
        except ValueError:
            raise bad_argument("expect", allowed=ALLOWED, given=text) from None
    return shares


def _shares(given: Mapping[str, float], labels: LabelSet, model: str) -> dict[str, float]:
    """Return shares by the names of the model's emotions."""
    shares: dict[str, float] = {}
    for word, share in given.items():
        name = word.strip().lower()
        name = name if name in labels else ALIASES.get(name, name)
        if name not in labels:
            raise unknown_name(f"emotion of the model {model!r}", word.strip(), list(labels))
        if name in shares or not 0 <= share <= 1 or not np.isfinite(share):
            raise bad_argument("expect", allowed=ALLOWED, given=dict(given))
        shares[name] = float(share)
    if not shares:
        raise bad_argument("expect", allowed=ALLOWED, given=dict(given))
    return shares
