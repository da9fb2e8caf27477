"""The last crops of each person, for models that look at how a face moves."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.track import STEPS

RATE_HZ = 25.0
"""Pictures a second, if nothing else is known: most films of faces have 24 to 30 frames a second."""

Crops = NDArray[np.uint8]


class Windows:
    """Keeps the last crops of each track, at about the rate a sequence model learned from.

    Parameters
    ----------
    frames : int
        Length of a window, the present crop included.
    rate_hz : float
        Pictures a second of the films it learned from. Of faster films frames are left out; slower ones give
        what they have.
    step : int
        Of those pictures, counted back from the present one, every which is in a window.
    forget_s : float
        A person who was not seen for so long starts anew, with a face that did not move. Where frames are far
        apart, :data:`mien.faces.track.STEPS` steps from frame to frame if that is longer.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    """

    def __init__(
        self, frames: int, *, rate_hz: float = RATE_HZ, step: int = 1, forget_s: float = 1.0
    ) -> None:
        for name, value in {"frames": frames, "step": step}.items():
            if value < 1:
                raise bad_argument(name, allowed="a whole number from 1", given=value)
        if not rate_hz > 0:
            raise bad_argument("rate_hz", allowed="a positive number of pictures a second", given=rate_hz)
        if not forget_s > 0:
            raise bad_argument("forget_s", allowed="a positive number of seconds", given=forget_s)
        self.frames = frames
        self.rate_hz = rate_hz
        self.step = step
        self.forget_s = forget_s
        self._kept: dict[int, list[tuple[float, Crops]]] = {}
        self._seen_s: dict[int, float] = {}

    def update(
        self,
        track_id: Sequence[int] | NDArray[np.int64],
        crops: Crops,
        time_s: float,
        *,
        step_s: float = 0.0,
    ) -> Crops:
        """Take the crops of one frame.

        Parameters
        ----------
        track_id : sequence of n int
        crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
        time_s : float
            Seconds; not before that of the last call.
        step_s : float
            How far apart frames are, seconds (:attr:`mien.faces.track.Tracker.step_s`).

        Returns
        -------
        ndarray of shape (n, t, S, S) or (n, t, S, S, 3), uint8
            Of each face `frames` crops, oldest first and the present one last. What is not known yet is
            the first crop that is, as of a face that did not move.
        """
        left_s = max(self.forget_s, STEPS * step_s)
        for track in [t for t, seen_s in self._seen_s.items() if time_s - seen_s > left_s]:
            del self._kept[track], self._seen_s[track]
        windows = np.empty((len(crops), self.frames, *crops.shape[1:]), np.uint8)
        past = (self.frames - 1) * self.step
        for window, track, crop in zip(windows, map(int, track_id), crops, strict=True):
            kept = self._kept.setdefault(track, [])
            self._seen_s[track] = time_s
            line = [*(old for _, old in kept), crop]
            window[:] = np.stack([line[max(0, len(line) - 1 - i)] for i in range(past, -1, -self.step)])
            # Half a step of a film of 30 a second is forgiven, so that 25 a second does not become 15.
            if not kept or time_s - kept[-1][0] >= 1 / self.rate_hz - 1 / 60:
                kept.append((time_s, crop.copy()))
                del kept[: max(0, len(kept) - past)]
        return windows

    def state(self) -> dict[str, Any]:
        """Return all that is remembered, as plain values for JSON."""
        return {
            str(track): {
                "seen_s": self._seen_s[track],
                "crops": [[time_s, list(crop.shape), as_text(crop)] for time_s, crop in kept],
            }
            for track, kept in self._kept.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._seen_s = {int(track): float(one["seen_s"]) for track, one in state.items()}
        self._kept = {
            int(track): [(float(time_s), from_text(text, shape)) for time_s, shape, text in one["crops"]]
            for track, one in state.items()
        }


def as_text(array: NDArray[Any]) -> str:
    """Return an array's bytes as text, for JSON; :func:`from_text` takes it back."""
    return base64.b64encode(array.tobytes()).decode("ascii")


def from_text(text: str, shape: Sequence[int], dtype: type[np.generic] = np.uint8) -> NDArray[Any]:
    """Return the array that :func:`as_text` was given; it can be read, not written."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)
