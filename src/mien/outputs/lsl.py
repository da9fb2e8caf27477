"""Readings as a stream of the Lab Streaming Layer, beside EEG and eye tracking, with the time of capture."""

from __future__ import annotations

import math
import socket
import time
from types import TracebackType
from typing import Any, Self

from mien.errors import OutputError, bad_argument, require
from mien.faces.faces import NO_TRACK
from mien.labels import LabelSet
from mien.readings import Readings
from mien.story import Decision, Salience

NAME, KIND, MARKERS = "mien", "Expression", "Markers"
"""The usual name of the stream, its type, and the type of the stream of decisions."""

MOST_FACES = 32
"""Most faces of one stream."""

HOLD_S = 1.0
"""How long the place of a face that went out of sight is kept for it."""

_PLACE = {"track": "", "score": "", "box_x": "px", "box_y": "px", "box_width": "px", "box_height": "px"}


class LslSink:
    """A stream of float32 at irregular rate, a sample for each frame, made with the first readings.

    The channels, each with label, unit and type in the stream's description: "faces" (how many there are),
    then for each of the `faces` places "track", "score", the box, each emotion's probability and
    "smooth_<emotion>". With one place its face is the salient one: the largest, with which the stream
    stays. With several, the labels begin with "face0_", and a track keeps its place, also while it is out
    of sight for up to :data:`HOLD_S`. A place without a face is NaN, with track -1. A sample's time is that
    of the frame's capture, on the LSL clock.

    A story's decisions go out as text markers in a second stream, "NAME decisions".

    Parameters
    ----------
    name : str
        Name of the stream.
    faces : int
        How many faces have channels, 1 to 32.

    Raises
    ------
    ArgumentError
        If a value is not allowed.
    MissingExtraError
        If pylsl is not installed.
    OutputError
        If pylsl finds no liblsl.
    """

    def __init__(self, name: str = NAME, *, faces: int = 1) -> None:
        if not name:
            raise bad_argument("name", allowed="the name of the stream", given=name)
        if not 1 <= faces <= MOST_FACES:
            raise bad_argument("faces", allowed=f"a number from 1 to {MOST_FACES}", given=faces)
        try:
            self._lsl: Any = require("pylsl", purpose="An LSL stream", extra="lsl")
        except (RuntimeError, OSError) as error:  # pylsl is there, the library that it speaks to is not
            raise OutputError(f"the LSL stream cannot be opened: {error}".splitlines()[0]) from error
        self.name = name
        self.faces = faces
        self._outlet: Any = None
        self._markers: Any = None
        self._reset()

    def _reset(self) -> None:
        self._labels: LabelSet | None = None
        self._salience = Salience()
        self._places: list[int | None] = [None] * self.faces
        self._seen_s = [0.0] * self.faces

    def __enter__(self) -> Self:
        lsl = self._lsl
        source = f"mien-{socket.gethostname()}-{self.name}"
        info = lsl.StreamInfo(
            f"{self.name} decisions", MARKERS, 1, lsl.IRREGULAR_RATE, lsl.cf_string, f"{source}-decisions"
        )
        self._markers = lsl.StreamOutlet(info)
        self._source = source
        self._reset()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._outlet = self._markers = None  # pylsl closes a stream when nothing refers to it

    def write(self, readings: Readings) -> None:
        """Send one sample.

        Raises
        ------
        OutputError
            If the emotions are not those of the first readings, or the stream is closed.
        """
        self._check_open()
        if self._labels is None:
            self._outlet = self._lsl.StreamOutlet(self._described(readings.labels))
            self._labels = readings.labels
        elif readings.labels != self._labels:
            raise OutputError(
                f"lsl://{self.name}: the channels are fixed by the first readings, of the emotions "
                f"{', '.join(self._labels)}; given {', '.join(readings.labels)}."
            )
        row = [float(len(readings))]
        for face in self._faces(readings):
            row += self._values(readings, face)
        age_s = 0.0 if readings.captured_s is None else time.monotonic() - readings.captured_s
        self._outlet.push_sample(row, self._lsl.local_clock() - age_s)

    def decide(self, decision: Decision) -> None:
        """Send a decision as a marker: its cue.

        Raises
        ------
        OutputError
            If the stream is closed.
        """
        self._check_open()
        self._markers.push_sample([decision.cue])

    def _check_open(self) -> None:
        if self._markers is None:
            raise OutputError(f"lsl://{self.name} is not open: write inside a 'with' block.")

    def channels(self, labels: LabelSet) -> list[tuple[str, str, str]]:
        """Return label, unit and type of each channel."""
        face = [(name, unit, "position" if unit else "number") for name, unit in _PLACE.items()]
        face += [(name, "probability", "expression") for name in labels]
        face += [(f"smooth_{name}", "probability", "expression") for name in labels]
        prefixes = [""] if self.faces == 1 else [f"face{i}_" for i in range(self.faces)]
        return [("faces", "", "number")] + [(p + name, *rest) for p in prefixes for name, *rest in face]  # type: ignore[misc]  # three each

    def _described(self, labels: LabelSet) -> Any:
        lsl = self._lsl
        channels = self.channels(labels)
        info = lsl.StreamInfo(
            self.name, KIND, len(channels), lsl.IRREGULAR_RATE, lsl.cf_float32, self._source
        )
        described = info.desc().append_child("channels")
        for label, unit, kind in channels:
            channel = described.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
            channel.append_child_value("type", kind)
        info.desc().append_child_value("manufacturer", "mien")
        info.desc().append_child_value("meaning", "displayed expression, not what a person feels")
        return info

    def _faces(self, readings: Readings) -> list[int | None]:
        """Return which face stands in each place."""
        if self.faces == 1:
            return [self._salience.choose(readings)]
        tracks, time_s = readings.faces.track_id.tolist(), readings.time_s
        for place, track in enumerate(self._places):
            held = time_s is not None and 0 <= time_s - self._seen_s[place] <= HOLD_S
            if track not in tracks and not held:
                self._places[place] = None
        waiting = [i for i, track in enumerate(tracks) if track not in self._places]
        chosen: list[int | None] = []
        for place, track in enumerate(self._places):
            if track is None:
                face = waiting.pop(0) if waiting else None
            else:
                face = tracks.index(track) if track in tracks else None
            if face is not None:
                self._places[place] = None if tracks[face] == NO_TRACK else tracks[face]
                self._seen_s[place] = time_s or 0.0
            chosen.append(face)
        return chosen

    def _values(self, readings: Readings, face: int | None) -> list[float]:
        k = len(readings.labels)
        if face is None:
            return [float(NO_TRACK)] + [math.nan] * (len(_PLACE) - 1 + 2 * k)
        left, top, right, bottom = readings.faces.box_xyxy[face].tolist()
        smooth = readings.probability if readings.smoothed is None else readings.smoothed
        return [
            float(readings.faces.track_id[face]),
            float(readings.faces.score[face]),
            *(left, top, right - left, bottom - top),
            *readings.probability[face].tolist(),
            *smooth[face].tolist(),
        ]
