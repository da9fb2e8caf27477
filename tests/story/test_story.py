"""Stories: what is shown over seconds decides, and says why."""

import numpy as np
import pytest
from scripted import play, shown

from mien.errors import ArgumentError, StoryError
from mien.labels import EKMAN7
from mien.story import Rule, Scene, Story, parse_condition, rule
from mien.testing import make_readings

AFRAID, CALM = (1, {"fear": 0.7}), (1, {})
IF_ELSE = [rule("fear over 0.4 for 2 s", cue="B"), rule(after_s=20, cue="C")]


def cues(decisions):
    return [(round(d.time_s, 2), d.cue) for d in decisions]


def test_the_one_of_the_brief_decides_by_fear_or_by_time():
    afraid = play(Story(IF_ELSE), (3, CALM), (30, AFRAID))
    assert [cue for _, cue in cues(afraid)] == ["story", "B"]
    assert 4 < afraid[1].time_s <= 5.1  # the mean of the last two seconds passes 0.4 after 1.15 s of fear
    assert afraid[1].track == 1 and afraid[1].ends and afraid[1].to is None
    assert afraid[1].reason.startswith("face 1 displayed fear at 0.4")
    assert afraid[1].reason.endswith("on average over 2 s, over 0.4")
    calm = play(Story(IF_ELSE), (40, CALM))
    assert cues(calm) == [(0.0, "story"), (20.0, "C")]
    assert calm[1].reason == "20.0 s of the scene 'story' have passed"


def test_a_flash_of_fear_decides_nothing_and_full_fear_takes_its_time():
    flashes = [(0.4, (1, {"fear": 1.0})), (1.6, CALM)] * 9
    assert cues(play(Story(IF_ELSE), *flashes)) == [(0.0, "story")]
    assert cues(play(Story(IF_ELSE), (9, AFRAID))) == [(0.0, "story"), (2.0, "B")]


@pytest.mark.parametrize("rate_hz", [5.0, 12.5, 29.97, 60.0])
def test_frame_rate_does_not_matter(rate_hz):
    decisions = play(Story(IF_ELSE), (3, CALM), (5, AFRAID), rate_hz=rate_hz)
    assert decisions[1].cue == "B"
    assert decisions[1].time_s == pytest.approx(4.15, abs=1 / rate_hz + 0.02)


def test_a_stopped_camera_counts_as_nothing_seen():
    story = Story([rule("fear over 0.4 for 2 s", cue="B")])
    story.update(shown(0.0, AFRAID))
    assert story.update(shown(60.0, AFRAID)) == []
    assert story.update(shown(60.5, AFRAID)) == []


def test_short_absence_is_forgiven_and_long_is_not():
    often = [(0.9, AFRAID), (0.1,)] * 4
    assert len(play(Story(IF_ELSE), *often)) == 2
    rarely = [(0.5, AFRAID), (0.5,)] * 8
    assert len(play(Story(IF_ELSE), *rarely)) == 1


def test_another_person_begins_anew():
    halves = [(1.2, AFRAID), (1.2, (2, {"fear": 0.7}))] * 3
    assert len(play(Story([IF_ELSE[0]]), *halves)) == 1
    decisions = play(Story([IF_ELSE[0]]), (1.5, AFRAID), (5, (2, {"fear": 0.7})))
    assert decisions[1].track == 2
    assert decisions[1].time_s == pytest.approx(3.5 + 1.0, abs=1.05)


def test_a_cue_that_stays_comes_again_only_after_falling_back():
    story = Story([rule("fear over 0.4 for 1 s", cue="sting", stay=True)])
    wobble = [
        (0.52, (1, {"fear": 0.44})),
        (0.52, (1, {"fear": 0.38})),
    ] * 8  # around the level, within the margin
    decisions = play(story, (2, AFRAID), *wobble, (3, CALM), (3, AFRAID))
    assert [d.cue for d in decisions[1:]] == ["sting", "sting"]
    assert not decisions[1].ends and decisions[2].time_s > 13


def test_a_cue_of_time_that_stays_comes_once():
    decisions = play(Story([rule(after_s=2, cue="tick", stay=True)]), (9, CALM))
    assert cues(decisions) == [(0.0, "story"), (2.0, "tick")]


def test_an_absence_is_told_once_also_when_another_person_ends_it():
    story = Story([rule("no face for 5 s", cue="empty", stay=True)])
    decisions = play(story, (2, CALM), (12.5,), (4, (2, {})), (6,))
    assert [cue for _, cue in cues(decisions)] == ["story", "empty", "empty"]
    assert decisions[2].time_s > 18.5 + 4


def test_a_rule_on_emotions_and_a_face_applies_to_each_person_anew():
    rules = [
        rule("fear over 0.4 for 1 s and face for 1 s", cue="fear", stay=True),
        rule("face for 1 s", cue="face", stay=True),
        rule(after_s=2, cue="tick", stay=True),
    ]
    decisions = play(Story(rules), (3, AFRAID), (4, (2, {"fear": 0.7})))
    assert [d.cue for d in decisions] == ["story", "fear", "face", "tick", "fear"]


@pytest.mark.parametrize("condition", ["no face for 1 s", "no face"])
def test_nobody_is_there_only_when_there_is_no_face_at_all(condition):
    near, far = (1, {}, 200), (2, {}, 80)
    story = Story([rule(condition, cue="empty", stay=True)])
    assert cues(play(story, (3, near, far), (6, far))) == [(0.0, "story")]
    assert [d.cue for d in play(story, (3,), start_s=9)] == ["empty"]


def test_a_face_is_there_while_the_salient_one_is_waited_for():
    decisions = play(
        Story([rule("face for 4 s", cue="full")]), (3.5, (1, {}, 200), (2, {}, 80)), (1, (2, {}))
    )
    assert [(d.cue, d.track, d.reason) for d in decisions[1:]] == [("full", None, "there was a face for 4 s")]


BRANCHING = [
    Scene("wait", (rule("face for 1 s", to="street"),)),
    Scene(
        "street",
        (rule("anger + fear over 50% for 2 s", to="chaos"), rule(after_s=8, to="peace")),
        cue="GO",
        at_least_s=4,
        clip="street.mp4",
    ),
    Scene("chaos", (rule("no face for 3 s", to="wait"),)),
    Scene("peace"),
]


def test_scenes_follow_one_another():
    story = Story(BRANCHING, title="t")
    tense = (4, {"fear": 0.3, "anger": 0.4})
    decisions = play(story, (2,), (8, tense), (5,), (14, CALM))
    assert [(d.scene, d.to, d.cue) for d in decisions] == [
        ("", "wait", "wait"),
        ("wait", "street", "GO"),
        ("street", "chaos", "chaos"),
        ("chaos", "wait", "wait"),
        ("wait", "street", "GO"),
        ("street", "peace", "peace"),
    ]
    times = [d.time_s for d in decisions]
    assert times[1] == pytest.approx(2.88, abs=0.1)  # seen from the gap before the first frame on
    assert times[2] == pytest.approx(times[1] + 4, abs=0.05)  # true after 2 s, but the scene runs 4
    assert "displayed anger + fear at 0.70" in decisions[2].reason
    assert decisions[1].clip == "street.mp4"
    assert decisions[3].track is None and decisions[3].reason == "there was no face for 3 s"
    assert decisions[-1].ends and story.scene == "peace"
    assert play(story, (60, tense), start_s=60) == []


def test_each_face_goes_its_own_way():
    story = Story([rule("happiness over 0.5 for 1 s", cue="smiled")], face="each")
    one, other = (1, {"happiness": 0.9}), (2, {})
    decisions = play(story, (2, one, other), (2, one, (2, {"happiness": 0.8})))
    assert [(d.cue, d.track) for d in decisions] == [("story", 1), ("story", 2), ("smiled", 1), ("smiled", 2)]
    play(story, (120,), start_s=10)
    assert story.progress() == {"ways": []}


def test_decisions_of_each_face_say_whose_they_are():
    rules = [
        rule("face for 1 s", cue="came", stay=True),
        rule("no face for 5 s", cue="left", stay=True),
        rule(after_s=10, cue="late", stay=True),
    ]
    decisions = play(Story(rules, face="each"), (2, CALM, (2, {})), (9, (2, {})))
    ones = [(d.cue, d.track, d.reason) for d in decisions if d.track == 1]
    assert ones == [
        ("story", 1, "the story begins for face 1"),
        ("came", 1, "face 1 was there for 1 s"),
        ("left", 1, "face 1 was not there for 5 s"),
        ("late", 1, "10.0 s of the scene 'story' have passed for face 1"),
    ]
    assert [(d.cue, d.track) for d in decisions if d.track != 1] == [("story", 2), ("came", 2), ("late", 2)]


@pytest.mark.parametrize(
    ("scenes", "time_s"),
    [
        ([rule("no face for 40 s", cue="late")], 40),
        ([rule("face for 20 s", cue="x"), rule(after_s=60, cue="late")], 60),
        ([Scene("a", (rule("no face for 9 s", to="b"),)), Scene("b", (rule(after_s=60, cue="late"),))], 70),
        ([Scene("a", (rule("no face for 2 s", cue="late"),), at_least_s=50)], 50),
    ],
)
@pytest.mark.parametrize("rate_hz", [7.3, 25])
def test_who_left_is_remembered_for_as_long_as_the_rules_need(scenes, time_s, rate_hz):
    story = Story(scenes, face="each")
    decisions = play(story, (0.2, CALM), (time_s + 1,), rate_hz=rate_hz)
    assert [(d.cue, d.track) for d in decisions][-1] == ("late", 1)
    assert decisions[-1].time_s == pytest.approx(time_s, abs=5.5)
    play(story, (60,), start_s=time_s + 1)
    assert story.progress() == {"ways": []}


def test_the_story_stays_with_its_viewer():
    near, passer_by = (1, {"fear": 0.8}, 100), (2, {"fear": 0.0}, 110)
    decisions = play(Story(IF_ELSE), (1, near), (4, near, passer_by))
    assert decisions[1].track == 1
    decisions = play(Story(IF_ELSE), (1, near), (25, near, (2, {}, 200)))
    assert decisions[1].cue == "C"


def test_rest_is_learned_before_anything_is_decided():
    scowling, angrier = (1, {"anger": 0.5}), (1, {"anger": 0.9})
    rules = [rule("anger over 0.4 for 2 s", cue="angry")]
    assert play(Story(rules), (12, scowling))[1].time_s == pytest.approx(2.0)
    decisions = play(Story(rules, baseline_s=5), (12, scowling), (4, angrier))
    assert len(decisions) == 2
    assert decisions[1].time_s == pytest.approx(13, abs=0.1)
    assert "relative to its rest" in decisions[1].reason


def test_it_is_deterministic_and_a_film_that_begins_again_begins_the_story_again():
    story = Story(IF_ELSE)
    first = play(story, (3, CALM), (9, AFRAID))
    assert play(story, (3, CALM), (9, AFRAID)) == first


def test_progress_says_how_far_each_rule_is():
    story = Story(IF_ELSE)
    assert story.progress()["scene"] == "story"
    play(story, (1, AFRAID))
    first, second = story.progress()["rules"]
    assert first["clauses"][0]["clause"] == "fear over 0.4 for 2 s"
    assert first["clauses"][0]["mean"] == pytest.approx(0.7, abs=1e-3) and not first["clauses"][0]["holds"]
    assert second["after_s"] == 20 and second["passed_s"] == pytest.approx(0.96)
    import json

    json.dumps(story.progress())


def test_memory_is_bounded():
    story = Story([rule("fear over 0.9 for 2 s", cue="x", stay=True)], face="each", baseline_s=1)
    for i in range(3000):
        story.update(shown(i / 25, (i // 50, {"fear": 0.5})))
    assert len(story.progress()["ways"]) <= 30 / 2 + 2
    assert all(len(w._samples) <= 52 for way in story._ways.values() for row in way.windows for w in row)


def test_a_decision_is_plain():
    decision = play(Story(BRANCHING), (2, CALM))[1]
    assert decision.to_dict() == {
        "type": "decision",
        "time_s": 1.0,
        "cue": "GO",
        "track": 1,
        "reason": "there was a face for 1 s",
        "scene": "wait",
        "to": "street",
        "clip": "street.mp4",
        "ends": False,
    }


def test_readings_that_do_not_fit_are_refused():
    with pytest.raises(ArgumentError, match="with a time"):
        Story(IF_ELSE).update(make_readings(["fear"]))
    story = Story([rule("contempt over 0.4 for 2 s", cue="B")])
    with pytest.raises(StoryError, match=r"contempt over 0\.4.*not a known emotion of the model.*disgust"):
        story.update(shown(0.0, (1, {"fear": 0.9}), labels=EKMAN7))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Story([]), "neither, or both"),
        (lambda: Story([Scene("a"), Scene("a")]), "two scenes named 'a'"),
        (lambda: Story([Scene("street", (rule(after_s=1, to="streeet"),))]), "Did you mean 'street'"),
        (lambda: Story([Scene("a")], start="b"), "start: 'b' is not a known scene"),
        (lambda: Story([Scene("a")], face="biggest"), "face must be one of salient, each"),
        (lambda: Story([Scene("a")], baseline_s=-1), "baseline_s must be 0 to 600"),
        (lambda: rule("fear over 0.4"), "needs a cue"),
        (lambda: rule(cue="B"), "needs a condition"),
        (lambda: rule("fear over 0.4", to="a", stay=True), "either stays or leads"),
        (lambda: Rule(None, "x", None, float("nan")), "positive number"),
        (lambda: Story([Scene("a", clip="no.mp4")]).clips(), "scene 'a': there is no clip no.mp4"),
    ],
)
def test_wrong_stories_are_refused(make, complaint):
    with pytest.raises((StoryError, ArgumentError), match=complaint):
        make()


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("fear over 0.4 for 2 s", "fear over 0.4 for 2 s"),
        ("Scared above 40 % for 2 seconds", "fear over 0.4 for 2 s"),
        ("calm under .3", "neutral under 0.3 for 1 s"),
        (
            "anger+fear over 0.5 for 1.5s AND face for 2 min",
            "anger + fear over 0.5 for 1.5 s and face for 120 s",
        ),
        ("no  face for 10 s", "no face for 10 s"),
    ],
)
def test_conditions_in_words(text, means):
    assert str(parse_condition(text)) == means
    assert str(parse_condition(means)) == means


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("feer over 0.4 for 2 s", "Did you mean 'fear'"),
        ("fear ovr 0.4 for 2 s", "Did you mean 'over'"),
        ("fear over 0.4 for 2 sconds", "Did you mean 'seconds'"),
        ("fear over 4 for 2 s", "below 1"),
        ("fear over 0 for 2 s", "over 0 and below 1"),
        ("fear over 0.4 for 0 s", "window must be over 0"),
        ("fear over 0.4 for 2000 s", "up to 600 s"),
        ("fear for 2 s", "has no level"),
        ("face over 0.4 for 2 s", "has no level"),
        ("", "cannot be understood"),
        ("fear > 0.4", "cannot be understood"),
        ("fear over 0.4 for 2 s or anger over 0.4", "cannot be understood"),
    ],
)
def test_words_that_are_no_condition(text, complaint):
    with pytest.raises(StoryError, match=complaint):
        parse_condition(text)


def test_under_and_several_clauses():
    story = Story([rule("neutral under 0.5 for 1 s and face for 1 s", cue="x")])
    assert len(play(story, (3, CALM))) == 1
    assert play(story, (3, (1, {"sadness": 0.8})), start_s=4)[0].reason.count(" and ") == 1
    assert np.isclose(story.progress()["rules"][0]["clauses"][0]["mean"], 0.2, atol=0.35)
