"""The one face a single viewer's story, a FaceOSC receiver or a one-person stream is about."""

from __future__ import annotations

import numpy as np

from mien.errors import bad_argument
from mien.readings import Readings


class Salience:
    """Chooses the largest face, and stays with it.

    Parameters
    ----------
    larger : float
        Another face takes its place only when its box covers so many times its area, above 1.
    hold_s : float
        A face that went out of sight is waited for so long before another is chosen.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    """

    def __init__(self, *, larger: float = 1.5, hold_s: float = 1.0) -> None:
        if not larger > 1:
            raise bad_argument("larger", allowed="a number above 1", given=larger)
        if not hold_s >= 0:
            raise bad_argument("hold_s", allowed="0 or more seconds", given=hold_s)
        self.larger = larger
        self.hold_s = hold_s
        self._track: int | None = None
        self._seen_s = 0.0

    def choose(self, readings: Readings) -> int | None:
        """Return the position of the salient face of a frame, or None where it is not to be seen.

        Parameters
        ----------
        readings : Readings
            Frame after frame; without a time the largest face is chosen.
        """
        time_s = readings.time_s
        tracks = readings.faces.track_id.tolist()
        if time_s is None or (self._track not in tracks and not 0 <= time_s - self._seen_s <= self.hold_s):
            self._track = None
        if not len(readings) or (self._track is not None and self._track not in tracks):
            return None
        sides = np.diff(readings.faces.box_xyxy.reshape(-1, 2, 2).astype(np.float64), axis=1)[:, 0]
        area = sides.prod(axis=1)
        best = int(area.argmax())
        if self._track is not None:
            kept = tracks.index(self._track)
            best = best if area[best] > self.larger * area[kept] else kept
        if time_s is not None:
            self._track, self._seen_s = tracks[best], time_s
        return best
