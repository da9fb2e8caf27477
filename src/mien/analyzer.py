"""The one place that joins the stages: a frame in, its readings out."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from mien.errors import bad_argument
from mien.faces.detect import Detector, load_detector
from mien.faces.follow import Follower
from mien.faces.track import Tracker
from mien.labels import LabelSet, restrict
from mien.models import Model, load_model
from mien.models.denoise import Denoiser
from mien.models.expectation import Expectation
from mien.models.smoothing import Smoother
from mien.models.windows import RATE_HZ, Windows
from mien.readings import Readings
from mien.sources import open_source
from mien.sources.ahead import read_ahead
from mien.sources.frame import Frame, Source
from mien.watcher import Watcher

DETECT_EVERY_S = 0.25
"""How often the detector looks at moving pictures although every face can be followed, seconds: what that
costs and saves stands in docs/tracking.md."""


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
    expect : str or mapping of str to float, optional
        How frequent emotions are where the pictures come from, where that differs from the model's training
        data: "even", or shares; see :func:`mien.load_model`.
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
        expect: Expectation | None = None,
        unsure: float = 0.0,
        min_face: float | None = None,
        threads: int | None = None,
    ) -> None:
        if not 0 <= unsure <= 1:
            raise bad_argument("unsure", allowed="a number from 0 to 1", given=unsure)
        if min_face is not None and not min_face > 0:
            raise bad_argument("min_face", allowed="a positive number of pixels", given=min_face)
        for name, value in (("labels", labels), ("expect", expect)):
            if value is not None and not isinstance(model, str | Path):
                raise bad_argument(name, allowed="given with the name or file of a model", given=value)
        self.model = (
            load_model(model, labels=labels, expect=expect, threads=threads)
            if isinstance(model, str | Path)
            else model
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

    def watch(
        self,
        *,
        detect_every_s: float = DETECT_EVERY_S,
        smoother: Smoother | None = None,
        denoiser: Denoiser | None = None,
        tracker: Tracker | None = None,
        rate_hz: float = RATE_HZ,
    ) -> Watcher:
        """Return a reader of moving pictures: it remembers who is who, and smooths over time.

        Parameters
        ----------
        detect_every_s : float
            The detector looks at least every so many seconds, and whenever a face cannot be followed
            surely; 0 for every frame, as always with a detector that has no network of landmarks.
        smoother : Smoother, optional
            By default one with its default values.
        denoiser : Denoiser, optional
            The same. ``Denoiser(0)`` takes crops as they are.
        tracker : Tracker, optional
            The same.
        rate_hz : float
            For a sequence model: the crops a second of the films it learned from.

        Returns
        -------
        Watcher
            For the frames of one source; a new one for each source.

        Raises
        ------
        ArgumentError
            If a value is out of its range.
        """
        if not detect_every_s >= 0:
            raise bad_argument("detect_every_s", allowed="0 or more seconds", given=detect_every_s)
        landmarks = getattr(self.detector, "landmarks", None)
        frames, step = getattr(self.model, "frames", 1), getattr(self.model, "step", 1)
        return Watcher(
            self.detector,
            self.model,
            self.labels,
            tracker=tracker or Tracker(),
            smoother=smoother or Smoother(),
            denoiser=denoiser or Denoiser(),
            follower=Follower(landmarks, detect_every_s) if landmarks and detect_every_s else None,
            windows=Windows(frames, rate_hz=rate_hz, step=step) if frames > 1 else None,
            unsure=self.unsure,
            min_face=self.min_face,
        )

    def stream(self, source: Any, **options: Any) -> Iterator[Readings]:
        """Read frame after frame, with constant memory.

        Frames with a time are of moving pictures: their faces are tracked (:meth:`watch`), and the next
        ones are decoded meanwhile. Others are read each for itself.

        Parameters
        ----------
        source : Source, or anything :func:`mien.open_source` takes
            An opened source is read on; anything else is opened and closed here.
        **options
            Of :meth:`watch`.

        Yields
        ------
        Readings
            One for each frame, in order, also where there is no face.
        """
        if not isinstance(source, Source):
            with open_source(source) as frames:
                yield from self.stream(frames, **options)
            return
        watcher = self.watch(**options)
        with read_ahead(source) as coming:
            for frame in coming:
                yield self.analyze(frame) if frame.time_s is None else watcher.read(frame)


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
    wanted = _Options(_frozen(options), options)
    try:
        hash(wanted)
    except TypeError:  # an option of the user's own making that cannot be told from others
        return Analyzer(**options).analyze(picture)
    return _kept_analyzer(wanted).analyze(picture)


@dataclass(frozen=True)
class _Options:
    """Options that are equal where all values are."""

    frozen: Hashable
    given: dict[str, Any] = field(compare=False)


def _frozen(value: Any) -> Any:
    """Return what equals another value's where both mean the same."""
    if isinstance(value, Mapping):
        return tuple((name, _frozen(value[name])) for name in sorted(value))
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(value) if isinstance(value, (list, tuple)) else value


@lru_cache(maxsize=4)
def _kept_analyzer(options: _Options) -> Analyzer:
    return Analyzer(**options.given)


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
