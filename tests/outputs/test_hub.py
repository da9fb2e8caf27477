"""The hub of a live run: newest frame wins, nothing grows, nobody waits."""

import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from film_tables import moving
from lives import REDDISH, a_frame

from mien.outputs.hub import (
    EVENTS_KEPT,
    EVENTS_WAITING,
    PICTURE_WIDTH_PX,
    LiveHub,
    Stopwatch,
    about_mien,
)
from mien.readings import UNSURE
from mien.testing import make_readings


def nothing():
    """Wake nobody."""


def test_the_newest_frame_wins():
    hub = LiveHub()
    with hub.view(nothing) as viewer:
        for i in range(5):
            hub.publish(a_frame(i), moving(["fear"]))
        news = viewer.take()
        assert (news.packet.number, news.packet.frame.index) == (5, 4)
        assert viewer.take().packet is None  # it was seen
        hub.publish(a_frame(5), moving(["fear"]))
        assert viewer.take(picture=False).packet is None
        assert viewer.take().packet.number == 6  # it waited


def test_a_viewer_that_never_looks_keeps_nothing():
    hub = LiveHub()
    with hub.view(nothing) as viewer:
        for i in range(2000):
            hub.tell({"type": "decision", "cue": str(i)})
        events = viewer.take().events
        assert len(events) == EVENTS_WAITING
        assert events[-1]["cue"] == "1999"  # the oldest were dropped


def test_who_comes_later_hears_the_last_events_with_their_numbers():
    hub = LiveHub()
    for i in range(100):
        hub.tell({"type": "decision", "cue": str(i)})
    with hub.view(nothing) as viewer:
        status, *events = viewer.take().events
        assert status == {"type": "status", "state": "starting", "message": ""}
        assert [event["number"] for event in events] == list(range(101 - EVENTS_KEPT, 101))
    assert hub.viewers == 0


def test_everyone_is_woken_by_everything():
    hub, woken = LiveHub(), []
    with hub.view(lambda: woken.append(1)):
        assert len(woken) == 1  # there may be something already
        hub.publish(a_frame(), moving([]))
        hub.tell({"type": "notice", "message": "hello"})
        hub.set_state("waiting", "The camera is gone.")
        assert len(woken) == 5  # the first frame also says that the run is running
    hub.publish(a_frame(1), moving([]))
    assert len(woken) == 5


def test_states_are_told_once():
    hub = LiveHub()
    with hub.view(nothing) as viewer:
        viewer.take()
        for _ in range(3):
            hub.set_state("waiting", "no camera")
        hub.publish(a_frame(), moving([]))
        hub.publish(a_frame(1), moving([]))
        told = [(event["state"], event["message"]) for event in viewer.take().events]
        assert told == [("waiting", "no camera"), ("running", "")]
        assert hub.state == "running"


def test_latency_is_from_capture_to_readings():
    hub = LiveHub()
    captured = time.monotonic() - 0.2
    packet = hub.publish(
        a_frame(captured_s=captured), replace(moving(["fear"]), captured_s=captured), dropped=7
    )
    message = packet.message()
    assert message["latency_ms"] == pytest.approx((packet.ready_s - captured) * 1000, abs=0.1)
    assert message["latency_ms"] >= 200
    assert message["captured_unix_s"] == pytest.approx(time.time() - time.monotonic() + captured, abs=0.5)
    assert message["pace"]["latency_ms"] == pytest.approx(message["latency_ms"], abs=0.2)
    assert (message["pace"]["frames"], message["pace"]["dropped"]) == (1, 7)


def test_a_message_has_what_a_page_draws():
    packet = LiveHub().publish(a_frame(3), moving(["fear", "happiness"]))
    message = packet.message()
    assert (message["type"], message["frame"], message["time_s"]) == ("readings", 3, 0.12)
    assert (message["width"], message["height"]) == (320, 240)
    assert message["latency_ms"] is None and message["captured_unix_s"] is None  # a film, not a camera
    first, second = message["faces"]
    assert (first["displayed"], second["displayed"]) == ("fear", "happiness")
    assert first["smoothed"]["fear"] == pytest.approx(0.8)
    assert len(first["box_xyxy"]) == 4
    assert LiveHub().publish(a_frame(), moving([])).message()["faces"] == []


@pytest.mark.parametrize(
    ("size_px", "sent"),
    [((320, 240), (320, 240)), ((1920, 1080), (PICTURE_WIDTH_PX, 540)), ((4000, 2), (960, 1))],
)
def test_pictures_are_sent_in_their_colours_and_not_too_large(size_px, sent):
    packet = LiveHub().publish(a_frame(size_px=size_px), moving([]))
    picture = cv2.imdecode(np.frombuffer(packet.jpeg(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert picture.shape[1::-1] == sent
    assert np.abs(picture.reshape(-1, 3).mean(0) - REDDISH).max() < 4  # RGB, not BGR
    assert packet.jpeg() is packet.jpeg()  # encoded once


def test_the_pace_is_that_of_the_last_seconds():
    watch = Stopwatch(window_s=2.0)
    for i in range(100):
        watch.add(i / 10, i / 10 - 1.0)
    for i in range(100):
        pace = watch.add(10 + i / 20, 10 + i / 20 - 0.030)
    assert pace.rate_hz == pytest.approx(20)
    assert pace.latency_ms == pytest.approx(30)
    assert pace.frames == 200


def test_the_pace_knows_the_slow_ones_too():
    watch = Stopwatch(window_s=100)
    for i in range(100):
        pace = watch.add(i / 10, i / 10 - (0.5 if i % 10 == 0 else 0.02))
    assert pace.latency_ms == pytest.approx(20)
    assert pace.slow_ms == pytest.approx(500)


def test_a_source_without_a_clock_has_no_latency():
    pace = Stopwatch().add(1.0, None)
    assert (pace.rate_hz, pace.latency_ms, pace.slow_ms) == (0.0, None, None)


def test_every_emotion_has_a_colour():
    about = about_mien()
    assert set(make_readings([]).labels) | {UNSURE} == set(about["colours"])
    assert about["camera"] is False
    named = LiveHub(source="camera 0", records=("log.csv",)).about()
    assert (named["camera"], named["source"], named["records"]) == (True, "camera 0", ["log.csv"])


def test_many_threads_at_once():
    hub, seen, done = LiveHub(), [[] for _ in range(4)], threading.Event()

    def look(mine):
        with hub.view(nothing) as viewer:
            while not done.wait(0.001):
                packet = viewer.take().packet
                if packet is not None:
                    mine.append(packet.number)

    threads = [threading.Thread(target=look, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    for i in range(200):
        hub.publish(a_frame(i), moving([]))
        hub.tell({"type": "notice", "message": ""})
        time.sleep(0.001)
    done.set()
    for thread in threads:
        thread.join()
    assert all(mine and mine == sorted(set(mine)) for mine in seen)
    assert hub.viewers == 0
