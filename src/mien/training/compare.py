"""Architectures by data sets by emotions by seeds: each trained, and tested on every data set.

What is done is kept: a comparison that was stopped goes on, and one that is asked for more only does what
is new. A cell that fails is reported, and the rest goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien._version import __version__
from mien.catalog import FORMATS, ModelCard, find_model
from mien.errors import MienError, bad_argument
from mien.faces.detect import Detector
from mien.labels import LabelScheme
from mien.models import Model, load_model
from mien.outputs.files import make_folder, write_file
from mien.sources.labelled import LabelledImages
from mien.training.architectures import get_architecture
from mien.training.compare_page import compare_page
from mien.training.courses import Course, divide, fingerprint, named
from mien.training.crops import cut_corpus
from mien.training.evaluate import ask, onto
from mien.training.matrix import distinct, shared_scheme
from mien.training.recipe import Recipe, recipe_for
from mien.training.reports import score
from mien.training.timing import MANY, milliseconds_per_answer
from mien.training.trials import (
    About,
    Comparison,
    Failure,
    Outcome,
    Score,
    Trial,
    read_trial,
    table,
    write_trial,
)

ON_A_NETWORK = "cnn-svm"
"""The architecture that looks at another network's embedding: here at one that was trained on the same."""

ALWAYS = (MienError, ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""What may go wrong in a cell without ending the comparison."""

Progress = Callable[[int, int, str], None]


class Train(Protocol):
    """What trains a model; :func:`mien.training.run.train_model` does."""

    def __call__(
        self,
        corpus: LabelledImages,
        recipe: Recipe,
        *,
        run: str | Path,
        out: str | Path,
        name: str,
        detector: Detector | None = ...,
        command: str = ...,
        cache: str | Path | None = ...,
    ) -> ModelCard:
        """Write ``NAME`` with its card into `out`; see :func:`mien.training.run.train_model`."""
        ...


@dataclass(frozen=True, eq=False)
class Grid:
    """What is compared.

    Parameters
    ----------
    architectures : sequence of str
    corpora : sequence of LabelledImages
        Each is learned from and tested on; see :func:`mien.training.courses.divide`.
    schemes : sequence of LabelScheme or None
        Emotions to learn; None for each corpus's own.
    seeds : sequence of int
    epochs : int, optional
        For the networks; by default as many as each architecture's recipe says.
    base : str
        The network whose embedding "cnn-svm" looks at, where the grid has none that was trained on the
        same pictures.
    limit : int, optional
        About so many training pictures of each corpus, for a short look.
    changes : mapping of str to value
        Further fields of all recipes.
    """

    architectures: Sequence[str]
    corpora: Sequence[LabelledImages]
    schemes: Sequence[LabelScheme | None] = (None,)
    seeds: Sequence[int] = (0,)
    epochs: int | None = None
    base: str = ""
    limit: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("architectures", "corpora", "schemes", "seeds"):
            if not getattr(self, name):
                raise bad_argument(name, allowed="one or more", given=getattr(self, name))
        for arch in self.architectures:
            get_architecture(arch)
        if self.limit is not None and self.limit < 2:
            raise bad_argument("limit", allowed="2 or more", given=self.limit)


@dataclass(frozen=True, eq=False)
class _Cell:
    arch: str
    course: Course
    scheme: LabelScheme | None
    seed: int

    @property
    def family(self) -> str:
        return get_architecture(self.arch).family

    @property
    def place(self) -> tuple[str, str, int]:
        """What its architectures share."""
        return self.course.corpus.name, str(self.scheme or ""), self.seed

    def __str__(self) -> str:
        data, scheme, seed = self.place
        return f"{self.arch} on {data}{f' ({scheme})' if scheme else ''}, seed {seed}"


def compare(
    grid: Grid,
    *,
    out: str | Path,
    train: Train,
    detector: Detector | None = None,
    cache: str | Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Comparison:
    """Train what is not trained yet, test everything on everything, and write the results.

    Parameters
    ----------
    grid : Grid
    out : path
        Folder for ``compare.csv``, ``compare.html``, the models (``models/``), their runs (``runs/``) and
        the results of each cell (``cells/NAME.json``).
    train : callable
        :func:`mien.training.run.train_model`, or one like it.
    detector : Detector, optional
        Aligns the pictures, in training and in tests. Where it finds no face, and without it, a picture is
        taken as a face framed like the template.
    cache : path, optional
        Folder in which crops are kept.
    command : str
        What was typed.
    progress : callable, optional
        Called with the number of cells done, of all, and what is done now.

    Returns
    -------
    Comparison
    """
    folder = Path(out)
    for name in ("cells", "models", "runs"):
        make_folder(folder / name)
    names = distinct(corpus.name for corpus in grid.corpora)
    courses = [named(divide(one), name) for one, name in zip(grid.corpora, names, strict=True)]
    work = _Work(grid, courses, folder, train, detector, cache, command)
    cells, left_out = _plan(grid, courses)
    trials, failures = [], []
    for done, cell in enumerate(cells):
        if progress is not None:
            progress(done, len(cells), str(cell))
        try:
            trials.append(work.do(cell))
        except ALWAYS as error:
            failures.append(_failure(cell, error))
    if progress is not None:
        progress(len(cells), len(cells), "measuring how long an answer takes")
    timed = tuple(work.timed(trial) for trial in trials)
    comparison = Comparison(
        timed,
        tuple(failures),
        tuple(left_out),
        tuple(map(_about, courses)),
        command,
        _conditions(grid, detector),
    )
    write_file(folder / "compare.csv", table(timed, failures).encode())
    compare_page(comparison).write(folder / "compare.html")
    return comparison


def _plan(grid: Grid, courses: Sequence[Course]) -> tuple[list[_Cell], list[str]]:
    """List the cells, networks first, and say what is left out and why."""
    order = sorted(grid.architectures, key=lambda arch: arch == ON_A_NETWORK)
    cells, left_out = [], []
    for arch in dict.fromkeys(order):
        for course in courses:
            if get_architecture(arch).family == "sequence" and not course.has_sequences:
                name = course.corpus.name
                left_out.append(
                    f"{arch} is not trained on {name}: it learns from sequences, {name} has none."
                )
                continue
            cells += [_Cell(arch, course, scheme, seed) for scheme in grid.schemes for seed in grid.seeds]
    return cells, left_out


class _Work:
    """What all cells share, and which networks are there for others to be built on."""

    def __init__(
        self,
        grid: Grid,
        courses: Sequence[Course],
        folder: Path,
        train: Train,
        detector: Detector | None,
        cache: str | Path | None,
        command: str,
    ) -> None:
        self.grid, self.courses, self.folder = grid, courses, folder
        self.train, self.detector, self.cache, self.command = train, detector, cache, command
        self.networks: dict[tuple[str, str, int], Path] = {}

    def do(self, cell: _Cell) -> Trial:
        """Train and test one cell, as far as that is not done."""
        sequences = cell.family == "sequence"
        lesson, said = cell.course.lesson(cell.scheme, sequences=sequences, limit=self.grid.limit)
        recipe = self._recipe(cell)
        name = _name(cell, recipe, said)
        kept = self.folder / "cells" / f"{name}.json"
        trial = read_trial(kept) if kept.is_file() else self._trained(cell, lesson, recipe, name)
        file = self.folder / trial.file
        tested = tuple(self._tested(trial, file, cell, course) for course in self.courses)
        trial = replace(trial, data=cell.course.corpus.name, tested=tested)
        write_trial(kept, trial)
        if cell.family == "still":
            self.networks.setdefault(cell.place, file)
        return trial

    def _recipe(self, cell: _Cell) -> Recipe:
        classic = cell.family == "classic"
        changes = {**self.grid.changes, "seed": cell.seed, "epochs": None if classic else self.grid.epochs}
        if not get_architecture(cell.arch).backbone:
            changes.pop("pretrained", None)
        recipe = recipe_for(cell.arch, **changes)
        if cell.arch != ON_A_NETWORK:
            return recipe
        return replace(recipe, base=str(self.networks.get(cell.place, self.grid.base)))

    def _trained(self, cell: _Cell, lesson: LabelledImages, recipe: Recipe, name: str) -> Trial:
        run = self.folder / "runs" / name
        resumed = run.is_dir()
        start = time.perf_counter()
        card = self.train(
            lesson,
            recipe,
            run=run,
            out=self.folder / "models",
            name=name,
            detector=self.detector,
            command=self.command,
            cache=self.cache,
        )
        seconds = time.perf_counter() - start
        file = Path("models") / f"{card.name}.{card.format}"
        parameters, size_bytes = _size(self.folder / file, cell.arch)
        return Trial(
            cell=name,
            arch=cell.arch,
            family=cell.family,
            data=cell.course.corpus.name,
            scheme=str(cell.scheme or ""),
            seed=cell.seed,
            images=int((lesson.label >= 0).sum()),
            epochs=0 if cell.family == "classic" else recipe.epochs,
            seconds=seconds,
            resumed=resumed,
            file=file.as_posix(),
            base=_plain_name(recipe.base or card.base),
            parameters=parameters,
            size_bytes=size_bytes,
        )

    def _tested(self, trial: Trial, file: Path, cell: _Cell, course: Course) -> Outcome:
        """Return what is known already, or test now."""
        exam = course.exam()
        leaked = course.leaked(cell.course)
        aligned = getattr(self.detector, "sha256", None) or repr(self.detector)
        said = fingerprint(exam, course.key[course.test]) + leaked.tobytes().hex() + aligned
        key = hashlib.sha256(said.encode()).hexdigest()
        for one in trial.tested:
            if one.key == key:
                return replace(one, data=course.corpus.name)
        model = load_model(file)
        try:
            clean, raw = self._scores(model, exam, leaked, cell.scheme)
        except MienError as error:
            return Outcome(course.corpus.name, key, int(leaked.sum()), None, None, str(error))
        return Outcome(course.corpus.name, key, raw.n - clean.n, clean, raw)

    def _scores(
        self, model: Model, exam: LabelledImages, leaked: NDArray[np.bool_], scheme: LabelScheme | None
    ) -> tuple[Score, Score]:
        chosen = shared_scheme(model.labels, exam.labels) if scheme is None else scheme
        known = exam if chosen is None else exam.relabel(chosen)
        answers = ask(model, known, self.detector, framed=True, cache=self.cache)
        classes = onto(answers.probability, model.labels, known.labels, chosen)
        fresh = ~leaked[answers.row]
        if not fresh.any():
            raise bad_argument("data", allowed="pictures that do not stand in training", given=exam.name)

        def scored(rows: NDArray[np.bool_]) -> Score:
            label = known.label[answers.row][rows]
            return Score.from_report(
                score(exam.name, known.labels, label, classes[rows], answers.found[rows])
            )

        return scored(fresh), scored(np.ones(len(fresh), bool))

    def timed(self, trial: Trial) -> Trial:
        """Measure how long an answer takes, in this run, where the model is still there."""
        file = self.folder / trial.file
        if not file.is_file():
            return replace(trial, one_ms=float("nan"), batch_ms=float("nan"))
        model = load_model(file, threads=1)
        exam = next(course for course in self.courses if course.corpus.name == trial.data).exam()
        crops = cut_corpus(exam.select(np.arange(min(MANY, len(exam)))).images, model.crop, None).crops
        one, batch = milliseconds_per_answer(model, crops)
        measured = replace(trial, one_ms=one, batch_ms=batch)
        write_trial(self.folder / "cells" / f"{trial.cell}.json", measured)
        return measured


def _name(cell: _Cell, recipe: Recipe, lesson: str) -> str:
    """Return a name that only the same recipe on the same pictures and labels has: ``architecture.tag``."""
    decides = {
        **asdict(recipe),
        "base": _plain_name(recipe.base),
        "lesson": lesson,
        "scheme": str(cell.scheme),
    }
    said = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:8]
    scheme = "-".join(cell.scheme.labels) if cell.scheme is not None else "all"
    words = [cell.course.corpus.name, scheme[:40], f"seed{cell.seed}", said]
    tag = "-".join(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words)
    return f"{re.sub('[^A-Za-z0-9_-]+', '-', cell.arch)}.{tag}"


def _plain_name(model: str) -> str:
    """Return the name of a model given by its name or its file."""
    return re.sub(rf"\.({'|'.join(FORMATS)})$", "", Path(model).name)


def _size(file: Path, arch: str) -> tuple[int, int]:
    """Return the weights and the bytes of a model, those of the network it is built on included."""
    card, _ = find_model(file, "expression")
    parameters, size_bytes = card.parameters, file.stat().st_size
    if card.base:
        beside = file.with_name(card.base)
        task = "expression" if arch == ON_A_NETWORK else "landmarks"
        base, path = find_model(beside if beside.is_file() else card.base, task)
        parameters, size_bytes = parameters + base.parameters, size_bytes + path.stat().st_size
    return parameters, size_bytes


def _failure(cell: _Cell, error: BaseException) -> Failure:
    words = str(error) if isinstance(error, MienError) else f"{type(error).__name__}: {error}"
    data, scheme, seed = cell.place
    return Failure(arch=cell.arch, data=data, scheme=scheme, seed=seed, error=words)


def _about(course: Course) -> About:
    label = course.corpus.label
    return About(
        name=course.corpus.name,
        images=len(course.corpus),
        train=int((label[course.train] >= 0).sum()),
        test=int((label[course.test] >= 0).sum()),
        leaked=int(course.leaked(course)[label[course.test] >= 0].sum()),
        division=course.rule,
        labels=course.corpus.labels.names,
        rule=course.corpus.rule,
        terms=course.corpus.terms,
    )


def _conditions(grid: Grid, detector: Detector | None) -> tuple[str, ...]:
    """Say under what the numbers came about."""
    found = "Pictures are taken as faces framed like the model's template; no detector was asked."
    if detector is not None:
        found = (
            f"Faces are found by {detector.name} and aligned, in training and in tests; where it finds none, "
            "the picture is taken as a face framed like the template. Detection is not what is compared."
        )
    said = [found]
    if grid.limit is not None:
        said.append(f"A short look: about {grid.limit:,} training pictures of each data set at most.")
    if grid.epochs is not None:
        said.append(
            f"The networks were trained for {grid.epochs} epochs at most; their recipes may say more."
        )
    if grid.changes:
        said.append(
            "Changed in all recipes: " + ", ".join(f"{k} = {v}" for k, v in grid.changes.items()) + "."
        )
    machine = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} processor cores"
    return (*said, f"Measured on {machine}, with mien {__version__}.")
