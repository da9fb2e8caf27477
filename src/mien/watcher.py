"""Moving pictures: frame after frame of one source, with memory of who is who and of what they showed."""

from __future__ import annotations

from mien.faces.detect import Detector
from mien.faces.track import Tracker
from mien.labels import LabelSet, restrict
from mien.models import Model
from mien.models.smoothing import Smoother
from mien.readings import UNSURE, Readings
from mien.sources.frame import Frame


class Watcher:
    """Reads the frames of one source in their order; made by :meth:`mien.Analyzer.watch`.

    Parameters
    ----------
    detector : Detector
    model : Model
    labels : LabelSet
        The model's, or a subset.
    tracker : Tracker
    smoother : Smoother
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
        unsure: float = 0.0,
        min_face: float | None = None,
    ) -> None:
        self.detector = detector
        self.model = model
        self.labels = labels
        self.tracker = tracker
        self.smoother = smoother
        self.unsure = unsure
        self.min_face = min_face

    def read(self, frame: Frame) -> Readings:
        """Read the next frame.

        Parameters
        ----------
        frame : Frame
            With a time, not before that of the last.

        Returns
        -------
        Readings
            With tracks and smoothed probabilities; the raw ones stay in `probability`.
        """
        time_s = frame.time_s or 0.0
        found = self.detector.detect(frame.image, min_face=self.min_face)
        faces = self.tracker.update(found, time_s, frame.image)
        crops = self.model.crop.cut(frame.image, faces.landmarks_xy)
        probability = self.model.predict_proba(crops)
        if self.labels is not self.model.labels:
            probability = restrict(probability, self.model.labels, self.labels)
        smoothed, shown = self.smoother.update(faces.track_id, probability, time_s)
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
