"""Moving pictures: frame after frame of one source, with memory of who is who and of what they showed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ArgumentError, bad_argument
from mien.faces.detect import Detector
from mien.faces.faces import Faces
from mien.faces.follow import Follower, believed
from mien.faces.track import Tracker
from mien.labels import LabelSet, restrict
from mien.models import Model
from mien.models.denoise import Denoiser
from mien.models.smoothing import Smoother
from mien.models.windows import Windows
from mien.readings import UNSURE, Readings
from mien.sources.frame import Frame

STATE = 2
"""Version of what :meth:`Watcher.state` returns."""


class Watcher:
    """Reads the frames of one source in their order; made by :meth:`mien.Analyzer.watch`.

    Parameters
    ----------
    detector : Detector
    model : Model
        A sequence model is given each person's last crops.
    labels : LabelSet
        The model's, or a subset.
    tracker : Tracker
    smoother : Smoother
    denoiser : Denoiser
        Not asked where the model is one of sequences.
    follower : Follower, optional
        Follows faces between detections; without one the detector looks at every frame.
    windows : Windows, optional
        For a sequence model.
    unsure : float
        A face whose best probability is below this is "unsure".
    min_face : float, optional
        Height in pixels of the smallest face wanted.
    """

    def __init__(
        self,
        detector: Detector,
        model: Model,
        labels: LabelSet,
        *,
        tracker: Tracker,
        smoother: Smoother,
        denoiser: Denoiser,
        follower: Follower | None = None,
        windows: Windows | None = None,
        unsure: float = 0.0,
        min_face: float | None = None,
    ) -> None:
        self.detector = detector
        self.model = model
        self.labels = labels
        self.tracker = tracker
        self.smoother = smoother
        self.denoiser = denoiser
        self.follower = follower
        self.windows = windows
        self.unsure = unsure
        self.min_face = min_face
        self.detections = 0
        self._time_s: float | None = None

    def read(self, frame: Frame) -> Readings:
        """Read the next frame.

        Parameters
        ----------
        frame : Frame
            With a time. One whose time is before that of the last (some files have such) is taken as of the
            same moment; it keeps its own time in the answer.

        Returns
        -------
        Readings
            With tracks and smoothed probabilities, in the order of the tracks; the raw ones, of this frame
            alone, stay in `probability`. What is smoothed are those of crops with less noise, where there
            is much. Between detections `faces.score` is that of the last one.

        Raises
        ------
        ArgumentError
            If the frame has no time.
        """
        if frame.time_s is None:
            raise bad_argument("frame", allowed="one of moving pictures, with time_s", given=frame.source)
        time_s = frame.time_s if self._time_s is None else max(frame.time_s, self._time_s)
        self._time_s = time_s
        faces = self._find(frame.image, time_s)
        probability, calmer = self._score(frame.image, faces, time_s)
        smoothed, shown = self.smoother.update(faces.track_id, calmer, time_s, step_s=self.tracker.step_s)
        sure = smoothed.max(axis=1, initial=0) >= self.unsure
        names = tuple(self.labels.names[i] if known else UNSURE for i, known in zip(shown, sure, strict=True))
        return Readings(
            faces=faces,
            labels=self.labels,
            probability=probability,
            model=self.model.name,
            source=frame.source,
            index=frame.index,
            time_s=frame.time_s,
            size_px=frame.size_px,
            unsure=self.unsure,
            smoothed=smoothed,
            displayed=names,
            captured_s=frame.captured_s,
        )

    def state(self) -> dict[str, Any]:
        """Return all that is remembered of the frames so far.

        Returns
        -------
        dict
            Of plain values, that JSON takes and gives back unchanged. It holds coarse pictures of the faces
            (12 x 12 px grey; the last crops where the model is one of sequences, and their mean where there
            is much noise).
        """
        return {
            "version": STATE,
            "time_s": self._time_s,
            "tracker": self.tracker.state(),
            "smoother": self.smoother.state(),
            "denoiser": self.denoiser.state(),
            "windows": None if self.windows is None else self.windows.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where another watcher with the same options was: the readings will be the very same.

        Parameters
        ----------
        state : dict
            What :meth:`state` returned.

        Raises
        ------
        ArgumentError
            If it is nothing of that kind.
        """
        version = state.get("version")
        if version != STATE:
            raise bad_argument(
                "state", allowed=f"of version {STATE}, as Watcher.state() returns it", given=version
            )
        try:
            time_s = state["time_s"]
            self._time_s = None if time_s is None else float(time_s)
            self.tracker.restore(state["tracker"])
            self.smoother.restore(state["smoother"])
            self.denoiser.restore(state["denoiser"])
            if self.windows is not None:
                self.windows.restore(state["windows"] or {})
        except (KeyError, TypeError, ValueError) as error:
            raise ArgumentError(f"state is damaged: {error!r}. Start anew, without it.") from error

    def _find(self, image: NDArray[np.uint8], time_s: float) -> Faces:
        """Follow the faces of the last frame; detect where that does not do."""
        tracker, follower = self.tracker, self.follower
        steps = []
        if follower is not None:
            steps = follower.follow(tracker.in_sight, time_s, image)
            if not follower.needs_detection(tracker.tracks, steps, time_s):
                return tracker.carry([step.track for step in steps], time_s, image)
        self.detections += 1
        found = self.detector.detect(image, min_face=self.min_face)
        kept = believed(steps, time_s, found.box_xyxy, tracker.sure)
        return tracker.update(found, time_s, image, followed=kept)

    def _score(
        self, image: NDArray[np.uint8], faces: Faces, time_s: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the probabilities of this frame's crops, and of these with less noise."""
        cut = partial(self.model.crop.cut, image)
        crops = cut(faces.landmarks_xy)
        if self.windows is not None:
            windows = self.windows.update(faces.track_id, crops, time_s, step_s=self.tracker.step_s)
            raw = self.model.predict_windows(windows)  # type: ignore[attr-defined]  # windows are for models that have it
            return (self._wanted(raw),) * 2
        raw = calmer = self._wanted(self.model.predict_proba(crops))
        denoised, changed = self.denoiser.update(faces.track_id, crops, faces.landmarks_xy, time_s, cut=cut)
        if changed.any():
            calmer = raw.copy()
            calmer[changed] = self._wanted(self.model.predict_proba(denoised[changed]))
        return raw, calmer

    def _wanted(self, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of the labels that are asked for."""
        if self.labels is self.model.labels:
            return probability
        return restrict(probability, self.model.labels, self.labels)
