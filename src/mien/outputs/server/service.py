"""The readers behind the server: a few threads that decode and find faces, and one network they share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from mien.analyzer import Analyzer
from mien.outputs.batching import Batcher, SharedModel
from mien.outputs.server.guard import Refusal
from mien.outputs.server.limits import Limits
from mien.outputs.server.metrics import Metrics
from mien.outputs.server.pictures import decode
from mien.readings import Readings
from mien.sources.frame import Frame
from mien.watcher import Watcher

T = TypeVar("T")

_MEMORY = 0.9
"""How much the mean duration of a reading keeps of its past."""


class Service:
    """Reads pictures and frames for many at once; made for one event loop.

    Parameters
    ----------
    analyzer : Analyzer
        Its detector is asked by several threads at once, its model by one.
    limits : Limits
    metrics : Metrics
    """

    def __init__(self, analyzer: Analyzer, limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self.metrics = metrics
        self.inside = 0
        self.watchers = 0
        self._mean_s = 0.0
        self._batcher = Batcher(analyzer.model.predict_proba, on_batch=self._count_run)
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="mien-reading")
        own = None if analyzer.labels is analyzer.model.labels else tuple(analyzer.labels)
        self.analyzer = Analyzer(
            analyzer.detector,
            SharedModel(analyzer.model, self._batcher),
            emotions=own,
            unsure=analyzer.unsure,
            min_face=analyzer.min_face,
        )

    def close(self) -> None:
        """Finish what was begun, and end the threads."""
        self._pool.shutdown(cancel_futures=True)
        self._batcher.close()

    def analyzer_for(self, emotions: Sequence[str] | None, unsure: float | None) -> Analyzer:
        """Return an analyzer with the options of one client, over the same networks.

        Raises
        ------
        ArgumentError
            If an option is not allowed.
        """
        own = self.analyzer
        if emotions is None and unsure is None:
            return own
        by_default = None if own.labels is own.model.labels else tuple(own.labels)
        return Analyzer(
            own.detector,
            own.model,
            emotions=by_default if emotions is None else emotions,
            unsure=own.unsure if unsure is None else unsure,
            min_face=own.min_face,
        )

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take one of the places for pictures.

        Raises
        ------
        Refusal
            503 if there is none.
        """
        if self.inside >= self.limits.waiting:
            wait_s = self.inside * self._mean_s / self.limits.workers
            sentence = "The server is busy: too many pictures wait. Ask again a little later."
            raise Refusal(503, sentence, retry_after_s=wait_s, reason="busy")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def read_picture(self, data: bytes, analyzer: Analyzer) -> Readings:
        """Read a picture; call it with a :meth:`place`.

        Raises
        ------
        Refusal
            If it is no picture, or takes too long.
        """
        started = time.monotonic()
        readings = await self._run(
            lambda: analyzer.analyze(Frame(decode(data, self.limits), source="picture"))
        )
        self._mean_s = _MEMORY * self._mean_s + (1 - _MEMORY) * (time.monotonic() - started)
        self.metrics.count("mien_pictures_total")
        self.metrics.count("mien_faces_total", len(readings))
        self.metrics.observe("mien_picture_seconds", time.monotonic() - started)
        return readings

    async def read_frame(
        self, data: bytes, watcher: Watcher, *, index: int, time_s: float, captured_s: float
    ) -> Readings:
        """Read the next frame of a camera.

        Parameters
        ----------
        data : bytes
            A picture file.
        watcher : Watcher
            The camera's own; it is not given another frame before the answer, and none after a refusal for
            "slow", for it is still at work.
        index : int
            Number of the frame.
        time_s : float
            Seconds since the first frame.
        captured_s : float
            When it came, seconds of :func:`time.monotonic`.

        Raises
        ------
        Refusal
            If it is no picture, or takes too long.
        """

        def read() -> Readings:
            image = decode(data, self.limits)
            return watcher.read(
                Frame(image, index=index, time_s=time_s, source="camera", captured_s=captured_s)
            )

        readings = await self._run(read)
        self.metrics.count("mien_frames_total")
        self.metrics.count("mien_faces_total", len(readings))
        self.metrics.observe("mien_frame_seconds", time.monotonic() - captured_s)
        return readings

    async def _run(self, task: Callable[[], T]) -> T:
        """Run a task in one of the threads; what takes too long keeps its place until it ends."""
        future = self._pool.submit(task)
        try:
            async with asyncio.timeout(self.limits.reading_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            self._keep_place(future)
            sentence = f"The picture took longer than {self.limits.reading_s:g} s to read."
            raise Refusal(503, sentence, retry_after_s=self.limits.reading_s, reason="slow") from error

    def _keep_place(self, future: Future[T]) -> None:
        loop = asyncio.get_running_loop()

        def leave(_: Future[T]) -> None:
            loop.call_soon_threadsafe(self._leave)

        self.inside += 1
        future.add_done_callback(leave)

    def _leave(self) -> None:
        self.inside -= 1

    def _count_run(self, questions: int, crops: int) -> None:
        self.metrics.count("mien_runs_total")
        self.metrics.count("mien_runs_questions_total", questions)
        self.metrics.count("mien_runs_crops_total", crops)
