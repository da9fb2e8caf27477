"""Cards and the catalogue: what is written comes back, what is wrong is named, what ships is complete."""

import shutil

import numpy as np
import pytest

from mien import catalog
from mien.catalog import Head, ModelCard, find_model, list_models, load_card, register_model
from mien.errors import ArgumentError, ModelError, UnknownNameError
from mien.runtime import Session

CARD = """
name = "net.data"
task = "expression"
summary = "A network."
licence = "MIT"
size_px = 48
colour = "grey"
template = "fer2013-mean"
margin = 0
heads = [{labels = "ekman7", output = "scores"}]
metrics = [{name="accuracy", value=0.7, low=0.6, high=0.8, n=90, data="d", rule="r", command="c"}]
[versions]
torch = "2"
"""


@pytest.fixture
def write(tmp_path):
    """Write a card's text, with lines replaced, and an ONNX file that is only looked at for its hash."""

    def _write(text=CARD, file_name="net.data", **changed):
        lines = [line for line in text.splitlines() if line.partition(" =")[0] not in changed]
        lines = [f"{key} = {value}" for key, value in changed.items() if value is not None] + lines
        (tmp_path / f"{file_name}.onnx").write_bytes(b"weights")
        path = tmp_path / f"{file_name}.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return _write


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(catalog, "_registered", {})


def test_a_card_is_read_with_its_types(write):
    card = load_card(write())
    assert (card.name, card.margin, card.versions) == ("net.data", 0.0, (("torch", "2"),))
    assert isinstance(card.margin, float)
    assert card.heads == (Head("ekman7", "scores", "logits", 1.0),)
    assert card.head() is card.head("ekman7") and card.head().label_set.key == "ekman7"
    assert card.metrics[0].n == 90 and card.mean == (0.0,) and card.std == (1.0,)
    assert (card.frames, card.step) == (1, 1), "as on the cards of earlier versions, which do not say it"


def test_a_card_that_is_written_comes_back(toy_card, tmp_path):
    tomli_w = pytest.importorskip("tomli_w")
    path = tmp_path / "toy.seeded.toml"
    path.write_text(tomli_w.dumps(toy_card.to_dict()), encoding="utf-8")
    assert load_card(path) == toy_card


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"licence": None, "colour": None}, "lacks licence, colour"),
        ({"licences": '"MIT"'}, "unknown licences"),
        ({"size_px": '"48"'}, "size_px must be a number"),
        ({"size_px": "48.5"}, "size_px must be a number"),
        ({"size_px": "true"}, "size_px must be a number"),
        ({"summary": "3"}, "summary must be text"),
        ({"task": '"smell"'}, "task must be one of"),
        ({"colour": '"blue"'}, "colour must be 'grey' or 'rgb'"),
        ({"step": "0"}, "step must be a whole number from 1"),
        ({"mean": "[1, 2]"}, "mean must be one number, or three"),
        ({"mean": "1"}, "mean must be a list"),
        ({"std": "[0.0]"}, "std must be numbers above 0"),
        ({"template": None}, "template must be given"),
        ({"heads": None}, "heads must be given"),
        ({"heads": '["ekman7"]'}, "heads: expected a table with labels, output"),
        ({"heads": '[{labels = "ekman7"}]'}, "heads lacks output"),
        ({"heads": '[{labels = "ekman9", output = "x"}]'}, "heads: 'ekman9' is not a known label set"),
        ({"heads": '[{labels = "ekman7", output = "x", meaning = "votes"}]'}, "heads: meaning must be"),
        ({"heads": '[{labels = "ekman7", output = "x", temperature = 0}]'}, "heads: temperature must be"),
        ({"name": '"other.name"'}, "must be the file's, 'net.data'"),
    ],
)
def test_a_wrong_field_is_named(write, changed, message):
    path = write(**changed)
    with pytest.raises(ModelError, match=message) as caught:
        load_card(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["name = ", "versions = 3", "versions = [1]", ""])
def test_what_is_no_card(write, text):
    path = write(text=text)
    with pytest.raises(ModelError, match=r"net\.data\.toml"):
        load_card(path)


def test_a_card_in_another_encoding(tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes('summary = "für"'.encode("latin-1"))
    with pytest.raises(ModelError, match="no TOML"):
        load_card(path)


def test_a_missing_card(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        load_card(tmp_path / "none.toml")


def test_head_names_the_label_sets_there_are(write):
    with pytest.raises(UnknownNameError, match="Known: ekman7"):
        load_card(write()).head("ferplus8")


@pytest.mark.parametrize("suffix", [".onnx", ".toml"])
@pytest.mark.parametrize("kind", [str, None])
def test_find_by_file(write, suffix, kind):
    path = write().with_suffix(suffix)
    card, file = find_model(str(path) if kind else path, "expression")
    assert card.name == "net.data" and file.name == "net.data.onnx" and file.parent == path.parent


def test_find_refuses_a_file_that_is_not_the_card_s(write):
    path = write(sha256=f'"{"0" * 64}"')
    with pytest.raises(ModelError, match="SHA-256 differs"):
        find_model(path, "expression")
    right = catalog.file_sha256(path.with_suffix(".onnx"))
    write(sha256=f'"{right}"')
    assert find_model(path, "expression")[0].sha256 == right


@pytest.mark.parametrize("name", ["folder/none.onnx", "none.onnx"])
def test_find_a_missing_file(name):
    with pytest.raises(ModelError, match=r"none\.onnx does not exist"):
        find_model(name, "expression")


def test_find_without_card_or_without_weights(write):
    path = write()
    path.with_suffix(".onnx").unlink()
    with pytest.raises(ModelError, match=r"net\.data\.onnx does not exist"):
        find_model(path, "expression")
    path = write()
    path.unlink()
    with pytest.raises(ModelError, match=r"has no card: expected net\.data\.toml"):
        find_model(path.with_suffix(".onnx"), "expression")


def test_find_for_another_task(write):
    with pytest.raises(ModelError, match="a model for expression; one for detection is wanted"):
        find_model(write(), "detection")


def test_find_an_unknown_name(write, registry):
    register_model(write())
    with pytest.raises(UnknownNameError, match=r"Did you mean 'net\.data'"):
        find_model("net.date", "expression")


@pytest.mark.parametrize("call", [list_models, lambda task: find_model("default", task)])
def test_unknown_task(call):
    with pytest.raises(UnknownNameError, match="'expression'"):
        call("expresion")


@pytest.mark.parametrize("as_folder", [True, False])
def test_registered_models_are_listed_and_found(write, registry, as_folder):
    path = write()
    before = [card.name for card in list_models()]
    cards = register_model(path.parent if as_folder else path)
    assert [card.name for card in cards] == ["net.data"]
    assert [card.name for card in list_models()] == sorted([*before, "net.data"])
    assert "net.data" not in [card.name for card in list_models("detection")]
    assert find_model("net.data", "expression")[1] == path.with_suffix(".onnx")
    register_model(path)  # again is no error


def test_a_name_cannot_be_taken_twice(write, registry, tmp_path):
    path = write()
    register_model(path)
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(path, other)
    with pytest.raises(ArgumentError, match="name must be one that no other model has"):
        register_model(other)


def test_registering_nothing(tmp_path, registry):
    with pytest.raises(ModelError, match="holds no card"):
        register_model(tmp_path)
    assert not catalog._registered


def test_a_retired_name_works_and_warns(write, registry, monkeypatch):
    register_model(write())
    monkeypatch.setattr(catalog, "RETIRED", {"old.data": "net.data"})
    with pytest.warns(FutureWarning, match="'old.data' is now called 'net.data'"):
        assert find_model("old.data", "expression")[0].name == "net.data"


def test_a_detection_card_needs_no_heads(write):
    card = load_card(write(task='"detection"', heads=None, template=None, size_px="0", score_threshold="0.5"))
    assert card.task == "detection" and card.score_threshold == 0.5


# What ships, one by one; and an export of the same code, so that these tests never run on nothing.

SHIPPED = [card.name for card in list_models()]


@pytest.fixture(params=["toy", *SHIPPED])
def shipped(request):
    """A card with its ONNX file."""
    if request.param == "toy":
        file = request.getfixturevalue("toy_file")
        return load_card(file.with_suffix(".toml")), file
    path = catalog.WEIGHTS / f"{request.param}.onnx"
    return load_card(path.with_suffix(".toml")), path


def test_defaults_and_retired_names_lead_to_models_that_ship():
    if SHIPPED:
        for task, name in catalog.DEFAULTS.items():
            assert name in [card.name for card in list_models(task)]
    assert not set(catalog.RETIRED) & set(SHIPPED) and set(catalog.RETIRED.values()) <= set(SHIPPED)


def test_a_shipped_card_says_everything(shipped):
    card, file = shipped
    assert card.name.count(".") >= 1 and card.sha256 == catalog.file_sha256(file)
    assert card.size_bytes == file.stat().st_size and card.parameters > 0
    for field in ("summary", "licence", "created", "limits", "training_data", "metrics", "versions"):
        assert getattr(card, field), field
    for metric in card.metrics:
        assert metric.low <= metric.value <= metric.high and metric.n > 0 and metric.command
    for data in card.training_data:
        assert data.name and data.terms and data.use


def test_golden_tensors_are_reproduced(shipped):
    _, file = shipped
    with np.load(file.with_suffix(".npz"), allow_pickle=False) as golden:
        session = Session(file, threads=1)
        feeds = {name: golden[name].astype(np.float32) for name in session.input_names}
        assert session.output_names and all(len(value) for value in feeds.values())
        for name, answer in zip(session.output_names, session.run(feeds), strict=True):
            np.testing.assert_allclose(answer, golden[name], atol=1e-3, rtol=1e-4)
            assert np.ptp(answer) > 0.01, "an answer that does not depend on anything"


def test_files_tell_nothing_of_where_they_were_made(shipped):
    graph = pytest.importorskip("onnx").load(shipped[1]).graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        assert not part.metadata_props and not part.doc_string
    assert b"stack_trace" not in shipped[1].read_bytes()


def test_model_card_is_frozen(toy_card):
    with pytest.raises(AttributeError):
        toy_card.name = "other"
    assert ModelCard.__dataclass_params__.frozen
