"""The one place that joins the stages: a frame in, its readings out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from functools import lru_cache
from pathlib import Path
from typing import Any

from mien.errors import bad_argument
from mien.faces.detect import Detector, load_detector
from mien.faces.track import Tracker
from mien.labels import LabelSet, restrict
from mien.models import Model, load_model
from mien.models.smoothing import Smoother
from mien.readings import Readings
from mien.sources import open_source
from mien.sources.frame import Frame, Source
from mien.watcher import Watcher


class Analyzer:
    """Finds faces and reads their displayed expressions.

    Parameters
    ----------
    detector : str, path or Detector
        Name of a detector, its ONNX file, or an object that finds faces.
    model : str, path or Model
        Name of an expression model, its ONNX file, or an object that scores crops.
    emotions : sequence of str, optional
        Only these emotions, by name or alias ("calm"), two or more; probabilities are renormalised over
        them. By default all that the model knows.
    labels : str, optional
        For a model with several label sets, which to use ("ferplus8", "ekman7").
    unsure : float
        A face whose most probable emotion is below this is called "unsure", 0 to 1.
    min_face : float, optional
        Height in pixels of the smallest face wanted.
    threads : int, optional
        Processor threads each network may use; by default as many as there are cores.

    Raises
    ------
    UnknownNameError
        If a name is not known; the message has the nearest match.
    ModelError
        If a file is not a model for its task.
    ArgumentError
        If another value is not allowed.

    Examples
    --------
    >>> import numpy as np
    >>> len(Analyzer().analyze(np.zeros((120, 160, 3), np.uint8)))
    0
    """

    def __init__(
        self,
        detector: str | Path | Detector = "default",
        model: str | Path | Model = "default",
        *,
        emotions: Sequence[str] | None = None,
        labels: str | None = None,
        unsure: float = 0.0,
        min_face: float | None = None,
        threads: int | None = None,
    ) -> None:
        if not 0 <= unsure <= 1:
            raise bad_argument("unsure", allowed="a number from 0 to 1", given=unsure)
        if min_face is not None and not min_face > 0:
            raise bad_argument("min_face", allowed="a positive number of pixels", given=min_face)
        if labels is not None and not isinstance(model, str | Path):
            raise bad_argument("labels", allowed="given with the name or file of a model", given=labels)
        self.model = (
            load_model(model, labels=labels, threads=threads) if isinstance(model, str | Path) else model
        )
        self.detector = (
            load_detector(detector, threads=threads) if isinstance(detector, str | Path) else detector
        )
        self.labels: LabelSet = self.model.labels if emotions is None else self.model.labels.subset(emotions)
        self.unsure = unsure
        self.min_face = min_face

    def __repr__(self) -> str:
        names = f"detector={self.detector.name!r}, model={self.model.name!r}"
        return f"Analyzer({names}, emotions={list(self.labels)})"

    def analyze(self, picture: Any) -> Readings:
        """Read one picture.

        Parameters
        ----------
        picture : Frame, path, bytes, ndarray of shape (H, W), (H, W, 3) or (H, W, 4), or PIL.Image.Image
            RGB; see :func:`mien.open_source`.

        Returns
        -------
        Readings
            Of as many faces as were found, perhaps none; the surest first.

        Raises
        ------
        SourceError
            If it cannot be read.
        ArgumentError
            If it is a folder, pattern or list of several pictures.
        """
        frame = picture if isinstance(picture, Frame) else _only_frame(picture)
        faces = self.detector.detect(frame.image, min_face=self.min_face)
        crops = self.model.crop.cut(frame.image, faces.landmarks_xy)
        probability = self.model.predict_proba(crops)
        if self.labels is not self.model.labels:
            probability = restrict(probability, self.model.labels, self.labels)
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
        )

    def watch(self, *, smoother: Smoother | None = None) -> Watcher:
        """Return a reader of moving pictures: it remembers who is who, and smooths over time.

        Parameters
        ----------
        smoother : Smoother, optional
            By default one with its default values.

        Returns
        -------
        Watcher
            For the frames of one source; a new one for each source.
        """
        return Watcher(
            self.detector,
            self.model,
            self.labels,
            tracker=Tracker(),
            smoother=smoother or Smoother(),
            unsure=self.unsure,
            min_face=self.min_face,
        )

    def stream(self, source: Any) -> Iterator[Readings]:
        """Read frame after frame, with constant memory.

        Parameters
        ----------
        source : Source, or anything :func:`mien.open_source` takes
            An opened source is read on; anything else is opened and closed here.

        Yields
        ------
        Readings
            One for each frame, in order, also where there is no face.
        """
        if isinstance(source, Source):
            yield from map(self.analyze, source)
            return
        with open_source(source) as frames:
            yield from map(self.analyze, frames)


def analyze(picture: Any, **options: Any) -> Readings:
    """Read one picture with the default models.

    Parameters
    ----------
    picture
        See :meth:`Analyzer.analyze`.
    **options
        The keyword parameters of :class:`Analyzer`. Loaded models are kept for the next call with the
        same options.

    Returns
    -------
    Readings

    Examples
    --------
    >>> import numpy as np
    >>> analyze(np.zeros((60, 80, 3), np.uint8)).emotion
    []
    """
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    return _kept_analyzer(**plain).analyze(picture)


@lru_cache(maxsize=4)
def _kept_analyzer(**options: Any) -> Analyzer:
    return Analyzer(**options)


def _only_frame(picture: Any) -> Frame:
    with open_source(picture) as frames:
        count = len(frames) if isinstance(frames, Sized) else None
        if count != 1:
            raise bad_argument(
                "picture",
                allowed="one picture; for several use Analyzer().stream(open_source(...))",
                given=picture if count is None else f"{count} pictures",
            )
        return next(iter(frames))
