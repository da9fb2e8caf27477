"""Values over the last seconds: the mean a clause of a rule asks for, and whether enough was seen for it."""

from __future__ import annotations

from collections import deque

from mien.story.rules import Clause

SEEN = 0.8
"""Share of a window in which the face must have been seen for its mean to count."""

MARGIN = 0.05
"""How far a mean must fall back behind its level before a rule that stays may apply again; half the way to 0
or 1 where that is less."""

_TINY_S = 1e-6


class Window:
    """The mean of a clause's value over the clause's last seconds, weighted by time.

    Parameters
    ----------
    clause : Clause
    start_s : float
        When it opens: what was shown before does not count.
    """

    def __init__(self, clause: Clause, start_s: float) -> None:
        self.clause = clause
        self.start_s = start_s
        self._now_s = start_s
        self._samples: deque[tuple[float, float, float]] = deque()  # until when, for how long, which value
        self._sum = 0.0
        self._seen_s = 0.0

    def add(self, time_s: float, step_s: float, value: float | None) -> None:
        """Take the value of one frame, which stands for the `step_s` before it; None where not known."""
        self._now_s = time_s
        if value is not None and step_s > 0:
            self._samples.append((time_s, step_s, value))
            self._sum += step_s * value
            self._seen_s += step_s
        while self._samples and self._samples[0][0] <= time_s - self.clause.seconds + _TINY_S:
            _, gone_s, old = self._samples.popleft()
            self._sum -= gone_s * old
            self._seen_s -= gone_s
        if not self._samples:  # so that what rounding leaves does not gather over days
            self._sum = self._seen_s = 0.0

    @property
    def mean(self) -> float | None:
        """The mean, or None when the face was seen too little, or the window is not full yet."""
        full = self._now_s - self.start_s >= self.clause.seconds - _TINY_S
        if not full or self._seen_s < SEEN * self.clause.seconds - _TINY_S:
            return None
        return self._sum / self._seen_s

    @property
    def so_far(self) -> float | None:
        """The mean of what the window holds, also before it is full; None where it holds nothing."""
        return self._sum / self._seen_s if self._samples else None

    @property
    def holds(self) -> bool:
        """Whether the clause is true."""
        mean = self.mean
        return mean is not None and (mean - self.clause.level) * self._side > 0

    @property
    def fell_back(self) -> bool:
        """Whether the clause is false by the margin, so that its truth would be news again."""
        mean, level = self.mean, self.clause.level
        margin = min(MARGIN, level / 2, (1 - level) / 2)
        return mean is not None and (mean - level) * self._side < -margin

    @property
    def _side(self) -> int:
        return 1 if self.clause.over else -1
