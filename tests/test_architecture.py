"""The order of the house: who may import whom, which third-party packages where, and what an import costs."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import mien

ROOT = Path(mien.__file__).parent


@dataclass(frozen=True)
class Room:
    """A module, the third-party packages it imports when loaded, and those it imports inside functions."""

    module: str
    eager: str = ""
    lazy: str = ""


LAYERS = [
    Room("_version"),
    Room("errors"),
    Room("labels", "numpy"),
    Room("catalog"),
    Room("runtime", "numpy", "onnxruntime"),
    Room("sources.frame", "numpy"),
    Room("sources.ahead"),
    Room("sources.headers"),
    Room("sources.pixels", "numpy", "PIL"),
    Room("sources.images", "numpy", "cv2"),
    Room("sources.decode", "numpy", "av"),
    Room("sources.video", "", "av"),
    Room("sources.feeds", "numpy", "cv2"),
    Room("sources.camera"),
    Room("sources", "numpy"),
    Room("sources.labelled", "numpy"),
    Room("sources.tables", "numpy", "pandas"),
    Room("sources.fer2013", "numpy"),
    Room("sources.lazy", "numpy"),
    Room("sources.rows", "numpy"),
    Room("sources.folders"),
    Room("sources.named"),
    Room("sources.lists", "numpy"),
    Room("sources.sequences"),
    Room("sources.tabular", "numpy"),
    Room("sources.datasets"),
    Room("sources.grouped", "numpy"),
    Room("sources.merging", "numpy"),
    Room("sources.splits", "numpy"),
    Room("faces"),
    Room("faces.faces", "numpy"),
    Room("faces.align", "numpy", "cv2"),
    Room("faces.landmarks", "numpy", "cv2"),
    Room("faces.confirm", "numpy"),
    Room("faces.detect", "numpy", "cv2"),
    Room("faces.appearance", "numpy", "cv2"),
    Room("faces.track", "numpy", "scipy"),
    Room("faces.follow", "numpy"),
    Room("models.expectation", "numpy"),
    Room("models.network", "numpy"),
    Room("models.temporal", "numpy"),
    Room("models.smoothing", "numpy"),
    Room("models.windows", "numpy"),
    Room("models.denoise", "numpy"),
    Room("models.features", "numpy sklearn"),
    Room("models.classic", "numpy"),
    Room("models"),
    Room("readings", "numpy", "pandas pyarrow"),
    Room("story.salience", "numpy"),
    Room("story.baseline", "numpy"),
    Room("story.rules"),
    Room("story.windows"),
    Room("story.engine"),
    Room("story.reader"),
    Room("story"),
    Room("watcher", "numpy"),
    Room("analyzer"),
    Room("outputs"),
    Room("outputs.community"),
    Room("outputs.journal"),
    Room("outputs.files", "", "pyarrow"),
    Room("outputs.palette"),
    Room("outputs.layout", "numpy"),
    Room("outputs.drawing", "numpy", "cv2"),
    Room("outputs.overlay", "numpy", "cv2"),
    Room("outputs.sound", "", "av"),
    Room("outputs.video", "numpy", "av cv2"),
    Room("outputs.plots", "numpy", "matplotlib"),
    Room("outputs.trust", "numpy", "matplotlib"),
    Room("outputs.readback", "numpy", "pandas pyarrow"),
    Room("outputs.summary", "numpy", "pandas"),
    Room("outputs.timeline", "numpy", "matplotlib pandas"),
    Room("outputs.report_style"),
    Room("outputs.report", "numpy", "cv2 matplotlib PIL"),
    Room("outputs.film_report", "numpy", "pandas"),
    Room("outputs.batching", "numpy"),
    Room("outputs.server.limits"),
    Room("outputs.server.metrics"),
    Room("outputs.server.guard", "", "starlette"),
    Room("outputs.server.forms", "", "python_multipart"),
    Room("outputs.server.answers"),
    Room("outputs.server.schemas", "pydantic"),
    Room("outputs.server.pictures", "numpy", "starlette"),
    Room("outputs.server.service"),
    Room("outputs.server.watching", "", "starlette"),
    Room("outputs.server.app", "fastapi starlette"),
    Room("outputs.server.running", "", "fastapi"),
    Room("outputs.server", "", "fastapi"),
    Room("outputs.hub", "numpy", "cv2"),
    Room("outputs.live_routes", "", "fastapi starlette"),
    Room("outputs.lane"),
    Room("outputs.decisions"),
    Room("outputs.faceosc", "numpy"),
    Room("outputs.osc"),
    Room("outputs.lsl"),
    Room("outputs.fanout"),
    Room("live"),
    Room("testing", "numpy"),
    Room("training.architectures"),
    Room("training.augmentation"),
    Room("training.recipe"),
    Room("training.geometry", "numpy"),
    Room("training.surround", "numpy"),
    Room("training.crops", "numpy"),
    Room("training.similar", "numpy", "cv2"),
    Room("training.copies", "numpy"),
    Room("training.measures", "numpy", "cv2"),
    Room("training.findings", "numpy"),
    Room("training.audit", "numpy"),
    Room("training.audit_charts", "numpy", "matplotlib"),
    Room("training.audit_page", "numpy", "cv2"),
    Room("training.data", "numpy torch", "scipy"),
    Room("training.effects", "torch kornia"),
    Room("training.augment", "torch kornia"),
    Room("training.preview", "numpy torch"),
    Room("training.layers", "torch"),
    Room("training.stills", "torch"),
    Room("training.identity", "numpy torch"),
    Room("training.sequences", "torch"),
    Room("training.networks", "torch"),
    Room("training.cards", "numpy"),
    Room("training.runs", "torch lightning"),
    Room("training.teachers", "numpy torch"),
    Room("training.sharpness", "torch"),
    Room("training.module", "numpy torch lightning"),
    Room("training.quantise", "numpy onnx onnxruntime"),
    Room("training.base", "numpy onnx torch"),
    Room("training.fit", "numpy torch lightning"),
    Room("training.material", "numpy", "cv2 av"),
    Room("training.lens", "numpy cv2"),
    Room("training.clutter", "numpy cv2"),
    Room("training.hiding", "numpy cv2"),
    Room("training.scenes", "numpy cv2"),
    Room("training.facepoint", "torch"),
    Room("training.mistakes", "cv2 numpy torch"),
    Room("training.detector", "numpy torch lightning cv2"),
    Room("training.metrics", "numpy", "scipy"),
    Room("training.votes", "numpy"),
    Room("training.abstention", "numpy"),
    Room("training.groups", "numpy"),
    Room("training.resampling", "numpy"),
    Room("training.fairness_report"),
    Room("training.fairness", "numpy"),
    Room("training.fairness_page", "numpy", "matplotlib"),
    Room("training.reports", "numpy"),
    Room("training.evaluate", "numpy"),
    Room("training.mirrored", "numpy"),
    Room("training.disturb", "numpy", "cv2"),
    Room("training.covers", "numpy"),
    Room("training.conditions", "numpy"),
    Room("training.robustness", "numpy"),
    Room("training.matrix"),
    Room("training.timing", "numpy", "threadpoolctl"),
    Room("training.courses", "numpy"),
    Room("training.trials", "numpy"),
    Room("training.compare_page", "numpy", "matplotlib"),
    Room("training.compare", "numpy"),
    Room("training.evaluate_detector", "numpy", "cv2"),
    Room("training.classic", "numpy tomli_w"),
    Room("training.heritage"),
    Room("training.export", "numpy torch onnx tomli_w"),
    Room("training.run", "numpy torch"),
    Room("training.combine", "numpy onnx tomli_w"),
    Room("training.run_detector", "numpy torch", "cv2"),
    Room("training.landmarks", "cv2 lightning numpy torch"),
    Room("training.candidates", "numpy cv2"),
    Room("training.confirm", "lightning numpy torch", "sklearn"),
    Room("training.run_confirm", "numpy torch"),
    Room("training.estimator", "numpy sklearn"),
    Room("training"),
    Room("cli.show", "rich"),
    Room("cli.options", "typer"),
    Room("cli.film", "rich typer"),
    Room("cli.analyze", "typer"),
    Room("cli.report", "typer"),
    Room("cli.demo", "typer", "matplotlib"),
    Room("cli.models", "typer"),
    Room("cli.audit", "typer"),
    Room("cli.scores", "typer"),
    Room("cli.corpora", "typer", "numpy"),
    Room("cli.evaluate", "typer"),
    Room("cli.fairness", "typer"),
    Room("cli.compare", "typer"),
    Room("cli.portrait", "", "matplotlib numpy"),
    Room("cli.augment", "typer", "numpy"),
    Room("cli.detector", "rich typer"),
    Room("cli.landmarks", "typer"),
    Room("cli.confirm", "typer"),
    Room("cli.serve", "typer"),
    Room("cli.live", "typer"),
    Room("cli.train", "typer", "numpy"),
    Room("cli.combine", "typer"),
    Room("cli", "typer"),
    Room("__init__"),
    Room("__main__"),
]
"""From the bottom up: a module imports only modules above it in this list, and only its own packages."""

LONGEST = 450
"""Lines of the longest module."""

POSITION = {room.module: i for i, room in enumerate(LAYERS)}
HEAVY = {
    "cv2",
    "onnxruntime",
    "pandas",
    "matplotlib",
    "av",
    "torch",
    "typer",
    "rich",
    "scipy",
    "PIL",
    "pyarrow",
    "sklearn",
    "skimage",
    "skops",
    "fastapi",
    "uvicorn",
    "pythonosc",
    "pylsl",
}


@dataclass(frozen=True)
class Import:
    """One import statement's target: where, what, and whether loading the module runs it."""

    line: int
    target: str
    when: str  # "loaded", "called" or "typed"


def modules() -> dict[str, Path]:
    """Return every module of the package by its name within it; packages by the name of their folder."""
    names = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return names


def imports(code: str, known: set[str]) -> list[Import]:
    """List what a module imports; names imported from a package count as its module where they are one."""
    found: list[Import] = []

    def visit(node: ast.AST, when: str) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(node.lineno, alias.name, when) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports are absolute"
            base = str(node.module)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append(
                    Import(node.lineno, inner if inner.removeprefix("mien.") in known else base, when)
                )
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for child in ast.iter_child_nodes(node):
                visit(child, "typed" if when == "typed" else "called")
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, "typed")
            for child in node.orelse:
                visit(child, when)
        else:
            for child in ast.iter_child_nodes(node):
                visit(child, when)

    visit(ast.parse(code), "loaded")
    return found


def trespasses(module: str, code: str) -> list[str]:
    """Say what a module imports that its place in the house does not allow."""
    room = LAYERS[POSITION[module]]
    eager, lazy = set(room.eager.split()), set(room.lazy.split())
    complaints = []
    for one in imports(code, set(POSITION)):
        package = one.target.partition(".")[0]
        if package == "mien":
            target = one.target.removeprefix("mien.") if one.target != "mien" else "__init__"
            complaints += _inside(module, target, one)
        elif package not in sys.stdlib_module_names:
            allowed = eager if one.when == "loaded" else eager | lazy
            if package not in allowed:
                how = "when loaded" if one.when == "loaded" else "inside a function"
                complaints.append(f"{module}:{one.line} may not import {package} {how}")
    return complaints


def _inside(module: str, target: str, one: Import) -> list[str]:
    if target not in POSITION:
        return [f"{module}:{one.line} imports {one.target}, which has no place in the list"]
    if POSITION[target] >= POSITION[module] and not (module == "cli" and target.startswith("cli.")):
        return [f"{module}:{one.line} may not import {target}, which is not above it"]
    in_training = target.split(".")[0] == "training"
    if (
        in_training
        and not module.startswith("training")
        and not (module.startswith("cli") and one.when in ("called", "typed"))
    ):
        return [f"{module}:{one.line} may not import {target}: only commands do, inside their bodies"]
    return []


@pytest.mark.parametrize("module", modules())
def test_a_module_is_read_in_one_sitting(module):
    lines = len(modules()[module].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, "split it by meaning"


def test_every_module_has_its_place():
    assert set(modules()) == set(POSITION), "add new modules to LAYERS, where the architecture puts them"


@pytest.mark.parametrize("module", [room.module for room in LAYERS])
def test_imports_point_upwards(module):
    assert trespasses(module, modules()[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("room", LAYERS, ids=lambda room: room.module)
def test_nothing_is_allowed_that_is_not_used(room):
    found = imports(modules()[room.module].read_text(encoding="utf-8"), set(POSITION))
    packages = {one.target.partition(".")[0] for one in found}
    optional = {"PIL", "pyarrow"}  # reached through errors.require, or typed only
    assert set(f"{room.eager} {room.lazy}".split()) - packages <= optional


@pytest.mark.parametrize(
    ("module", "code", "complaint"),
    [
        ("labels", "from mien.catalog import ModelCard", "not above it"),
        ("errors", "import numpy", "numpy when loaded"),
        ("runtime", "import onnxruntime", "onnxruntime when loaded"),
        ("runtime", "def f():\n    import torch", "torch inside a function"),
        ("analyzer", "def f():\n    from mien.training.evaluate import Report", "not above it"),
        ("__init__", "def f():\n    from mien.training.evaluate import Report", "only commands do"),
        ("testing", "if True:\n    import mien", "not above it"),
        ("cli.evaluate", "from mien.training.evaluate import Report", "inside their bodies"),
        ("sources", "from mien.sources import labelled", "not above it"),
        ("readings", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", "torch"),
        ("runtime", "def f():\n    import onnxruntime", None),
        ("cli.evaluate", "def f():\n    from mien.training import evaluate", None),
    ],
)
def test_trespasses_are_seen(module, code, complaint):
    found = trespasses(module, code)
    assert len(found) == (complaint is not None)
    assert all(complaint in sentence for sentence in found)


def fresh(code: str) -> set[str]:
    """Run code in a clean process; return the packages it loaded."""
    tail = "; import json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT.parent), *filter(None, sys.path)])}
    result = subprocess.run(
        [sys.executable, "-c", code + tail], capture_output=True, text=True, check=True, env=environment
    )
    return set(json.loads(result.stdout))


@pytest.mark.parametrize(
    "code",
    [
        "import mien",
        "import mien; [getattr(mien, name) for name in mien.__all__]",
        "import mien.testing; import mien.outputs.overlay; import mien.outputs.plots",
    ],
)
def test_an_import_brings_numpy_and_nothing_heavy(code):
    assert not fresh(code) & HEAVY


def test_the_command_line_starts_light():
    assert fresh("import mien.cli") & HEAVY <= {"typer", "rich"}


def test_public_names_are_sorted_and_complete():
    assert mien.__all__ == sorted(mien.__all__)
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert {*typed, "__version__"} == set(mien.__all__) == set(dir(mien))
    for name in mien.__all__:
        assert getattr(mien, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        mien.analyse  # noqa: B018  # reading it is the test
