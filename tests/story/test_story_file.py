"""Story files: what they say, and complaints with line, key and nearest match."""

import re
from pathlib import Path

import pytest

from mien.errors import ArgumentError, SourceNotFoundError, StoryError
from mien.story import read_story

GOOD = """\
title = "Street"
start = "street"
face = "salient"
baseline_s = 5

[[scene]]
name = "street"
cue = "A"
clip = "clips/street.mp4"
at_least_s = 4

  [[scene.rule]]
  if = "fear over 0.4 for 2 s"
  to = "chaos"

  [[scene.rule]]
  after_s = 20
  cue = "C"
  to = "peace"

[[scene]]
name = "chaos"

  [[scene.rule]]
  if = "no face for 10 s"
  to = "street"

[[scene]]
name = "peace"
"""


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "story.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def test_a_story_file(write):
    story = read_story(write(GOOD))
    assert list(story.scenes) == ["street", "chaos", "peace"]
    street = story.scenes["street"]
    assert (street.entry_cue, street.at_least_s, story.baseline_s, story.title) == ("A", 4, 5, "Street")
    assert str(street.rules[0]) == "fear over 0.4 for 2 s" and street.rules[0].to == "chaos"
    assert street.rules[1].after_s == 20 and street.rules[1].cue == "C"
    assert read_story(write(GOOD), baseline_s=0).baseline_s == 0
    with pytest.raises(StoryError, match=r"there is no clip .*street\.mp4"):
        story.clips()
    clip = story.folder / "clips" / "street.mp4"
    clip.parent.mkdir()
    clip.touch()
    assert story.clips() == {"clips/street.mp4": clip}


def test_rules_alone_and_own_emotions(write):
    story = read_story(
        write('emotions = ["tense", "calm"]\n[[rule]]\nif = "tense over 0.5"\ncue = "B"\nstay = true\n')
    )
    assert story.scenes["story"].rules[0].stay


@pytest.mark.parametrize(
    ("old", "new", "line", "complaint"),
    [
        (
            'title = "Street"',
            'titel = "Street"',
            1,
            "'titel' is not a known key of a story. Did you mean 'title'",
        ),
        ('start = "street"', 'start = "stret"', 2, "'stret' is not a known scene. Did you mean 'street'"),
        ('"salient"', '"salint"', 3, "Did you mean 'salient'"),
        ("baseline_s = 5", 'baseline_s = "5"', 4, "'baseline_s' must be a number; given '5'"),
        ("baseline_s = 5", "baseline_s = -5", 4, "0 to 600 seconds"),
        ("at_least_s = 4", "at_least_s = -4", 10, "'at_least_s' must be 0 or more"),
        ("clips/street.mp4", "../street.mp4", 9, "in the folder of the story"),
        ("clips/street.mp4", "/street.mp4", 9, "in the folder of the story"),
        ("fear over", "feer over", 13, "'feer' is not a known emotion. Did you mean 'fear'"),
        ('to = "chaos"', 'to = "choas"', 14, "'choas' is not a known scene. Did you mean 'chaos'"),
        ("after_s = 20", "after = 20", 17, "'after' is not a known key of a rule. Did you mean 'after_s'"),
        ("after_s = 20", "after_s = true", 17, "'after_s' must be a number; given True"),
        ("after_s = 20", "after_s = nan", 16, "positive number of seconds"),
        ("after_s = 20", "after_s = " + "9" * 400, 17, "'after_s' is too large a number"),
        ("after_s = 20", "after_s = -" + "9" * 400, 17, "'after_s' is too large a number"),
        ('cue = "C"', "cue = 0x" + "f" * 9000, 18, "'cue' is too large a number"),
        ("  after_s = 20\n", "", 16, "needs a condition"),
        ('name = "chaos"', 'name = "street"', 22, "two scenes named 'street'"),
        ('name = "chaos"\n', "", 21, "a scene needs a 'name'"),
        ('if = "no face for 10 s"', 'iff = "no face for 10 s"', 25, "Did you mean 'if'"),
        ('to = "street"', 'to = "street"\n  stay = true', 24, "either stays or leads"),
        ('name = "peace"', 'name = "peace"\nrule = "x"', 30, "written [[rule]]"),
    ],
)
def test_mistakes_are_named_by_line(write, old, new, line, complaint):
    path = write(GOOD.replace(old, new))
    with pytest.raises(StoryError) as caught:
        read_story(path)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = \n", "is no TOML: Invalid value"),
        (b"\xff\xfe", "UTF-8"),
        ("baseline_s = " + "9" * 9000, "is no story: a number in it has too many digits"),
        ("", "this one has neither"),
        (GOOD + '[[rule]]\ncue = "x"\nafter_s = 1\n', "this one has both"),
        ("scene = [1]\n", r"line 1: a scene must be a table"),
        ("rule = [{after_s = 1}]\n", "line 1: a rule needs a cue"),
        ("emotions = [1]\n[[rule]]\n", "list of names"),
        ("a = " + "[" * 5000, "is no TOML"),
        ("# " + "x" * (1 << 20), "larger than"),
    ],
)
def test_files_that_are_no_story(write, text, complaint):
    with pytest.raises(StoryError, match=complaint):
        read_story(write(text))


def test_no_file(tmp_path):
    with pytest.raises(SourceNotFoundError, match="no such story file"):
        read_story(tmp_path / "none.toml")
    with pytest.raises(StoryError, match="cannot be read"):
        read_story(tmp_path)
    with pytest.raises(StoryError, match="cannot be read"):
        read_story("a\0b")


def test_a_wrong_baseline_from_outside_is_its_own_mistake(write):
    with pytest.raises(ArgumentError, match=r"^baseline_s must be"):
        read_story(write(GOOD), baseline_s=-1)


def test_the_stories_of_the_documentation_can_be_read(write):
    page = Path(__file__).parents[2] / "docs" / "live-outputs.md"
    if not page.is_file():
        pytest.skip("the documentation is not beside the tests")
    stories = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(stories) == 2
    assert [list(read_story(write(text)).scenes) for text in stories] == [["story"], ["street", "charge"]]
