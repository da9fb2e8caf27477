"""Errors: one tree, and one voice."""

import pytest

from mien import errors


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (errors.ArgumentError, ValueError),
        (errors.UnknownNameError, ValueError),
        (errors.SourceNotFoundError, FileNotFoundError),
        (errors.ImageError, errors.SourceError),
        (errors.DatasetError, errors.SourceError),
        (errors.ModelError, errors.MienError),
        (errors.OutputError, errors.MienError),
        (errors.StoryError, ValueError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_tree(kind, also):
    assert issubclass(kind, errors.MienError) and issubclass(kind, also)


def test_the_drawing_shows_every_error():
    kinds = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, errors.MienError)]
    for kind in kinds:
        assert kind.__name__ in errors.__doc__


def test_bad_argument_says_parameter_allowed_and_given():
    error = errors.bad_argument("unsure", allowed="a number from 0 to 1", given=2.5)
    assert str(error) == "unsure must be a number from 0 to 1; given 2.5."


def test_long_values_are_shortened():
    assert len(str(errors.bad_argument("x", allowed="short", given="y" * 5000))) < 130


@pytest.mark.parametrize(
    ("given", "known", "message"),
    [
        (
            "reznet",
            ["resnet", "vgg"],
            "'reznet' is not a known model. Did you mean 'resnet'? Known: resnet, vgg.",
        ),
        ("cpu", ["CPU", "CUDA"], "'cpu' is not a known model. Did you mean 'CPU'? Known: CPU, CUDA."),
        ("x", ["resnet"], "'x' is not a known model. Known: resnet."),
        ("x", [], "'x' is not a known model. Known: none."),
    ],
)
def test_unknown_name(given, known, message):
    assert str(errors.unknown_name("model", given, known)) == message


def test_require():
    assert errors.require("json", purpose="nothing", extra="none").loads("1") == 1
    with pytest.raises(
        errors.MissingExtraError, match=r"Drawing needs the package 'no_such'.*pip install 'mien\[x\]'"
    ):
        errors.require("no_such.part", purpose="Drawing", extra="x")
