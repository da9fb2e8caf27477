"""The models there are: their cards, and where their files stand.

A card says everything needed to use the weights correctly. It is a TOML file beside the file of weights of
the same name (ONNX, or skops for classic models); models that ship have their golden tensors (``NAME.npz``)
there too.
"""

from __future__ import annotations

import hashlib
import tomllib
import warnings
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from mien.errors import ArgumentError, ModelError, bad_argument, unknown_name
from mien.labels import LabelSet, get_label_set

T = TypeVar("T")

TASKS = ("expression", "detection", "landmarks", "confirmation")

FORMATS = ("onnx", "skops")
"""Kinds of files of weights; each is the suffix too."""

DEFAULTS = {
    "expression": "resnet.ferplus",
    "detection": "facepoint.scenes",
    "landmarks": "points70.faces",
    "confirmation": "confirm.scenes",
}
"""What the name "default" means, by task."""

RETIRED: dict[str, str] = {}
"""Names that were given up, and the names that replace them."""

WEIGHTS = Path(__file__).parent / "weights"
"""The models that ship with the package."""

_registered: dict[str, Path] = {}  # name to card, of what register_model added


@dataclass(frozen=True)
class Head:
    """One output of a model.

    Parameters
    ----------
    labels : str
        Key of its label set, or its emotions joined with "+", in the order of its columns.
    output : str
        Name of the output: of the ONNX file, or of the estimator.
    meaning : {"logits", "probabilities"}
    temperature : float
        What logits are divided by, so that the probabilities are calibrated.
    frequency : tuple of float
        Share of each emotion in what was learned from, 0 to 1; empty where that is not known, or where
        emotions were balanced.
    expected : tuple of float
        Shares of a place with other ones; see :mod:`mien.models.expectation`. Empty, as on every card, for
        those of the training data.
    """

    labels: str
    output: str
    meaning: str = "logits"
    temperature: float = 1.0
    frequency: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        get_label_set(self.labels)
        if self.meaning not in ("logits", "probabilities"):
            raise bad_argument("meaning", allowed="'logits' or 'probabilities'", given=self.meaning)
        if not self.temperature > 0:
            raise bad_argument("temperature", allowed="a number above 0", given=self.temperature)
        for field in ("frequency", "expected"):
            shares = getattr(self, field)
            if shares and (len(shares) != len(self.label_set) or not _are_shares(shares)):
                raise bad_argument(field, allowed="a share of 1 for each emotion, or nothing", given=shares)

    @property
    def label_set(self) -> LabelSet:
        """The emotions of its columns."""
        return get_label_set(self.labels)


@dataclass(frozen=True)
class TrainingData:
    """A data set a model learned from, its terms, and how many pictures served what."""

    name: str
    terms: str
    use: str
    images: int


@dataclass(frozen=True)
class Metric:
    """A measured number with its 95 % interval, how it came about, and the command that repeats it."""

    name: str
    value: float
    low: float
    high: float
    n: int
    data: str
    rule: str
    command: str


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Everything needed to use a model's weights correctly, and to judge whether to.

    Parameters
    ----------
    name : str
        ``architecture.tag``; the tag says what it was trained on.
    task : {"expression", "detection", "landmarks", "confirmation"}
    summary : str
        One line.
    licence : str
        Of the weights, as an SPDX identifier where there is one.
    size_px : int
        Side of the square input in pixels; 0 where any size will do.
    colour : {"grey", "rgb"}
        What the input shows.
    mean, std : tuple of float
        Subtracted from the pixels (0 to 255), and what they are then divided by; one number, or one for
        each channel.
    template, margin
        How faces are cut for an expression model; see :mod:`mien.faces.align`.
    heads : tuple of Head
        The outputs of an expression model; the first is used where none is asked for.
    format : {"onnx", "skops"}
        Of the file of weights.
    frames : int
        Crops a model of sequences looks at, oldest first; 1 for a model of stills.
    step : int
        Of a film's pictures, every which it looks at.
    base : str
        Another model that this one is built on, by name or by a file beside it; empty for none. Of a
        detector: the network that finds the landmarks of its faces more exactly.
    confirm : str
        Of a detector: the network that looks again at what it found, named like `base`; empty for none.
    score_threshold : float
        From which score on a detection counts, 0 to 1; of a network that confirms, from which score of the
        detector on it looks again.
    parameters : int
        Number of weights.
    sha256 : str
        Of the file of weights; empty where it is not to be checked.
    size_bytes : int
        Of the file of weights.
    created : str
        Date of the export, ISO 8601.
    versions : tuple of (str, str)
        Packages that made it, with their versions.
    trained_with : str
        The command that trained it.
    training_data : tuple of TrainingData
    metrics : tuple of Metric
    limits : str
        Where it fails, in plain words.
    """

    name: str
    task: str
    summary: str
    licence: str
    size_px: int
    colour: str
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    template: str = ""
    margin: float = 0.0
    heads: tuple[Head, ...] = ()
    format: str = "onnx"
    frames: int = 1
    step: int = 1
    base: str = ""
    confirm: str = ""
    score_threshold: float = 0.0
    parameters: int = 0
    sha256: str = ""
    size_bytes: int = 0
    created: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    trained_with: str = ""
    training_data: tuple[TrainingData, ...] = ()
    metrics: tuple[Metric, ...] = ()
    limits: str = ""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise bad_argument("task", allowed=f"one of {TASKS}", given=self.task)
        if self.colour not in ("grey", "rgb"):
            raise bad_argument("colour", allowed="'grey' or 'rgb'", given=self.colour)
        if self.format not in FORMATS:
            raise bad_argument("format", allowed=f"one of {FORMATS}", given=self.format)
        for field in ("frames", "step"):
            if getattr(self, field) < 1:
                raise bad_argument(field, allowed="a whole number from 1", given=getattr(self, field))
        for field in ("mean", "std"):
            if len(getattr(self, field)) not in (1, 3):
                raise bad_argument(field, allowed="one number, or three", given=getattr(self, field))
        if not all(value > 0 for value in self.std):
            raise bad_argument("std", allowed="numbers above 0", given=self.std)
        if self.task == "expression":
            for field in ("template", "heads", "size_px"):
                if not getattr(self, field):
                    raise bad_argument(
                        field, allowed="given for an expression model", given=getattr(self, field)
                    )

    def head(self, labels: str | None = None) -> Head:
        """Return the output for a label set; the first where none is named.

        Raises
        ------
        UnknownNameError
            If the model has no such output.
        """
        by_key = {head.labels: head for head in self.heads}
        if labels is not None and labels not in by_key:
            raise unknown_name(f"label set of the model {self.name!r}", labels, by_key)
        return self.heads[0] if labels is None else by_key[labels]

    def head_for(self, labels: str, *data: str) -> Head:
        """Return the head to ask about named data sets: of their labels if measured on one, else the first.

        A head answers as those who labelled the data it learned from.
        """
        known = any(f"{one.data} ".startswith(f"{name} ") for one in self.metrics for name in data)
        own = [head for head in self.heads if known and head.labels == labels]
        return (own or self.heads)[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the card as it is written: plain strings, numbers, lists and tables."""
        heads = [{name: value for name, value in asdict(head).items() if value != ()} for head in self.heads]
        return {**asdict(self), "heads": heads, "versions": dict(self.versions)}


def load_card(path: str | Path) -> ModelCard:
    """Read a model's card.

    Parameters
    ----------
    path : path
        The TOML file.

    Raises
    ------
    ModelError
        If it is missing, no TOML, or has missing, unknown or wrong fields; the message names them.
    """
    file = Path(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{file}: the card cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} is no TOML file: {error}.") from error
    versions = table.get("versions", {})
    if not isinstance(versions, dict):
        raise ModelError(f"{file}: the field 'versions' must be a table of package names to versions.")
    table["versions"] = [list(pair) for pair in versions.items()]
    card = _build(ModelCard, table, str(file))
    if card.name != file.stem:
        raise ModelError(f"{file}: the card's name is {card.name!r}; it must be the file's, {file.stem!r}.")
    return card


def list_models(task: str | None = None) -> list[ModelCard]:
    """Return the cards of every model there is by name: shipped, and registered.

    Parameters
    ----------
    task : {"expression", "detection", "landmarks", "confirmation"}, optional
        Only the models of one task.
    """
    if task is not None and task not in TASKS:
        raise unknown_name("task", task, TASKS)
    cards = [load_card(path) for _, path in sorted(_known().items())]
    return [card for card in cards if task in (None, card.task)]


def find_model(name_or_file: str | Path, task: str) -> tuple[ModelCard, Path]:
    """Find a model by its name or its file, and check that the file is what the card says.

    Parameters
    ----------
    name_or_file : str or path
        A name that :func:`list_models` shows, "default", or a file of weights with its card (the same
        name, ending in .toml) beside it.
    task : {"expression", "detection", "landmarks", "confirmation"}
        What it is wanted for.

    Returns
    -------
    card : ModelCard
    path : Path
        The file of weights.

    Raises
    ------
    UnknownNameError
        If no model has this name.
    ModelError
        If a file is missing, is not the one of its card, or the model is for another task.
    """
    if task not in TASKS:
        raise unknown_name("task", task, TASKS)
    path = _card_path(name_or_file, task)
    card = load_card(path)
    file = path.with_name(f"{card.name}.{card.format}")
    if not file.is_file():
        raise ModelError(f"{file} does not exist; the card {path.name} describes it.")
    if card.task != task:
        raise ModelError(f"{file} is a model for {card.task}; one for {task} is wanted.")
    if card.sha256 and file_sha256(file) != card.sha256:
        raise ModelError(
            f"{file} is not the file its card describes: the SHA-256 differs. Restore it, or reinstall."
        )
    return card, file


def find_base(base: str, path: Path) -> str | Path:
    """Return the model that another one is built on, for :func:`find_model`: a name, or a file beside it.

    Parameters
    ----------
    base : str
        As its card names it (`base` or `confirm`).
    path : Path
        The file of weights beside which it lies.
    """
    return path.with_name(base) if base.endswith(tuple(f".{kind}" for kind in FORMATS)) else base


def register_model(folder_or_toml: str | Path) -> list[ModelCard]:
    """Make models known by name until the program ends.

    Parameters
    ----------
    folder_or_toml : path
        A card, or a folder of cards; the files of weights stand beside them.

    Returns
    -------
    list of ModelCard
        What was registered.

    Raises
    ------
    ArgumentError
        If a name is taken by another file.
    ModelError
        If there is no card, or one that cannot be read.
    """
    given = Path(folder_or_toml)
    paths = sorted(given.glob("*.toml")) if given.is_dir() else [given]
    if not paths:
        raise ModelError(f"{given} holds no card: expected NAME.toml beside the file of weights.")
    cards = [load_card(path) for path in paths]
    for path, card in zip(paths, cards, strict=True):
        if _known().get(card.name, path).resolve() != path.resolve():
            raise bad_argument("name", allowed="one that no other model has", given=card.name)
    _registered.update({card.name: path for path, card in zip(paths, cards, strict=True)})
    return cards


def _are_shares(shares: tuple[float, ...]) -> bool:
    return all(0 <= share <= 1 for share in shares) and abs(sum(shares) - 1) < 1e-3


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _known() -> dict[str, Path]:
    return {**{path.stem: path for path in WEIGHTS.glob("*.toml")}, **_registered}


def _card_path(name_or_file: str | Path, task: str) -> Path:
    text = str(name_or_file)
    if (
        isinstance(name_or_file, Path)
        or text.endswith((".toml", *(f".{kind}" for kind in FORMATS)))
        or "/" in text
        or "\\" in text
    ):
        file = Path(name_or_file)
        if not file.is_file():
            raise ModelError(
                f"{file} does not exist, or is no file; expected a model with its card beside it."
            )
        card = file.with_suffix(".toml")
        if not card.is_file():
            raise ModelError(
                f"{file} has no card: expected {card.name} beside it, saying how the model is used."
            )
        return card
    name = DEFAULTS[task] if text == "default" else text
    if name in RETIRED:
        warnings.warn(f"The model {name!r} is now called {RETIRED[name]!r}.", FutureWarning, stacklevel=4)
        name = RETIRED[name]
    known = _known()
    if name not in known:
        raise unknown_name("model", name, [*known, "default"])
    return known[name]


def _build(cls: type[T], table: object, where: str) -> T:
    """Make a dataclass from a table, checking every field; `where` begins the message."""
    wanted = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]  # always a dataclass
    if not isinstance(table, dict):
        raise ModelError(f"{where}: expected a table with {', '.join(wanted)}.")
    missing = [name for name, field in wanted.items() if name not in table and field.default is MISSING]
    unknown = sorted(set(table) - set(wanted))
    if missing or unknown:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"has the unknown {', '.join(unknown)}"] if unknown else []
        raise ModelError(f"{where} {' and '.join(parts)}; a card's fields are {', '.join(wanted)}.")
    kinds = get_type_hints(cls)
    values = {name: _value(kinds[name], value, f"{where}: {name}") for name, value in table.items()}
    try:
        return cls(**values)
    except ArgumentError as error:
        raise ModelError(f"{where}: {error}") from error


def _value(kind: Any, value: object, where: str) -> Any:
    """Return a field's value as its declared type, or say that it is not."""
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ModelError(f"{where} must be a list; given {value!r}.")
        inner = get_args(kind)
        each = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_value(k, v, where) for k, v in zip(each, value, strict=True))
    if is_dataclass(kind):
        return _build(kind, value, where)  # type: ignore[arg-type]  # a dataclass, not an instance of one
    accepted = (int, float) if kind is float else (kind,)
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise ModelError(f"{where} must be {'a number' if kind is not str else 'text'}; given {value!r}.")
    return kind(value)
