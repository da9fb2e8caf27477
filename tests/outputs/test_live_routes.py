"""The live page as it is served: its files, what it may load, and the WebSocket of the server's camera."""

import re
import threading
import time

import cv2
import numpy as np
import pytest
from lives import REDDISH, a_site, publish

from mien.outputs.hub import LiveHub
from mien.outputs.live_routes import IN_FLIGHT, PAGE_FILES, page_file

pytest.importorskip("fastapi")
exceptions = pytest.importorskip("websockets.exceptions")

BEYOND = f'{{"type": "ping", "at": {"9" * 400}}}'
"""A whole number that no float holds."""


def gone(hub):
    """Wait until the server has noticed that everyone went."""
    until = time.monotonic() + 5
    while hub.viewers and time.monotonic() < until:
        time.sleep(0.01)
    assert hub.viewers == 0


@pytest.fixture
def hub():
    return LiveHub(source="camera 0", emotions=("fear", "happiness"), model="table", records=("log.csv",))


@pytest.fixture
def client(hub):
    with a_site(hub) as client:
        yield client


def test_every_file_of_the_page_is_served(client):
    for name, kind in PAGE_FILES.items():
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind
        assert answer.content == page_file(name)
    assert client.get("/").content == page_file("index.html")


@pytest.mark.parametrize("name", ["hub.py", "../hub.py", "..%2fhub.py", "%2e%2e/hub.py", "nothing.js", ""])
def test_nothing_else_is(client, name):
    assert client.get(f"/page/{name}").status_code == 404


def test_the_page_asks_nobody_else_for_anything(client):
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert not re.search(r"https?:|unsafe|\*", policy)
    for name in PAGE_FILES:
        text = page_file(name).decode()
        outside = set(re.findall(r"https?://[\w.]+", text)) - {"http://www.w3.org"}  # the name of SVG
        assert not outside, name
        assert "@import" not in text
    page = page_file("index.html").decode()
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", page)  # its own policy forbids those
    known = {f"page/{name}" for name in PAGE_FILES}
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', page)) <= known


def test_the_page_says_that_expressions_are_read(client):
    assert "expressions are being read" in client.get("/").text


def test_info(client, hub):
    info = client.get("/v1/live/info").json()
    assert info["camera"] is True and info["run"] == hub.run
    assert (info["source"], info["model"], info["records"]) == ("camera 0", "table", ["log.csv"])
    assert info["colours"]["fear"].startswith("#")


def test_without_a_camera_the_page_has_the_browsers():
    with a_site() as client:
        assert client.get("/v1/live/info").json()["camera"] is False
        with client.connect("/v1/live") as socket:
            assert "no camera" in socket.json()["error"]
            with pytest.raises(exceptions.ConnectionClosed):
                socket.json()


def test_readings_come_with_their_pictures(client, hub):
    with client.connect("/v1/live?video=1") as socket:
        assert socket.json()["run"] == hub.run
        assert socket.json() == {"type": "status", "state": "starting", "message": ""}
        publish(hub, ["fear"], 7)
        messages = [socket.json() for _ in range(2)]
        assert messages[0] == {"type": "status", "state": "running", "message": ""}
        assert (messages[1]["type"], messages[1]["frame"]) == ("readings", 7)
        assert messages[1]["faces"][0]["displayed"] == "fear"
        picture = cv2.imdecode(np.frombuffer(socket.data(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(picture.reshape(-1, 3).mean(0) - REDDISH).max() < 4


def test_a_program_gets_the_readings_alone(client, hub):
    with client.connect("/v1/live") as socket:
        assert [socket.json()["type"] for _ in range(2)] == ["hello", "status"]
        for i in range(20):  # it need not say that it saw them
            publish(hub, ["fear"], i)
            message = socket.json()
            message = socket.json() if message["type"] == "status" else message
            assert message["frame"] == i


def test_a_slow_viewer_misses_pictures(client, hub):
    with client.connect("/v1/live?video=1") as socket:
        assert [socket.json()["type"] for _ in range(2)] == ["hello", "status"]
        publish(hub, ["fear"], 0)
        assert socket.json()["state"] == "running"
        for i in range(IN_FLIGHT):
            if i:
                publish(hub, ["fear"], i)
            assert socket.json()["frame"] == i
            socket.data()
        for i in range(IN_FLIGHT, 30):
            publish(hub, ["fear"], i)
        hub.tell({"type": "notice", "message": "events still come"})
        assert socket.json()["message"] == "events still come"
        socket.send('{"type": "seen"}')
        assert socket.json()["frame"] == 29  # the newest, not the next
        socket.data()


def test_decisions_are_told(client, hub):
    decision = {"type": "decision", "time_s": 3.5, "cue": "B", "track": 0, "reason": "fear"}
    hub.tell(decision)
    with client.connect("/v1/live") as socket:
        messages = [socket.json() for _ in range(3)]
        assert messages[2] == {**decision, "number": 1}


def test_a_ping_is_answered_with_the_time(client):
    with client.connect("/v1/live") as socket:
        socket.json(), socket.json()
        socket.send({"type": "ping", "at": 12.5})
        pong = socket.json()
        assert (pong["type"], pong["at"]) == ("pong", 12.5)
        assert pong["unix_s"] > 1.7e9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "null",
        '{"type": 3}',
        '{"type": "ping", "at": NaN}',
        BEYOND,
        "[" * 900,
        "x" * 5000,
    ],
)
def test_messages_that_make_no_sense_are_answered(client, text):
    with client.connect("/v1/live") as socket:
        socket.json(), socket.json()
        socket.send(text)
        assert "makes no sense" in socket.json()["error"]
        socket.send({"type": "ping", "at": 1})
        assert socket.json()["type"] == "pong"


def test_who_only_talks_nonsense_is_let_go(client, hub):
    with client.connect("/v1/live") as socket:
        answers = []

        def talk():
            for _ in range(100):
                socket.send(b"\x00\xff")
                answers.append(socket.json())

        with pytest.raises(exceptions.ConnectionClosed) as end:
            talk()
        assert end.value.rcvd.code == 1008
        assert len(answers) < 30


def test_a_viewer_that_goes_is_forgotten(client, hub):
    for _ in range(5):
        with client.connect("/v1/live?video=1") as socket:
            socket.json()
            assert hub.viewers >= 1
        publish(hub, ["fear"])
    gone(hub)


def test_the_page_is_open_and_what_it_shows_is_not(hub):
    with a_site(hub, token="not-to-be-guessed") as client:
        assert client.get("/").status_code == 200
        assert client.get("/page/live.js").status_code == 200
        assert client.get("/v1/live/info").status_code == 401
        assert client.get("/v1/live/info?token=not-to-be-guessed").status_code == 200
        with client.connect("/v1/live?token=not-to-be-guessed") as socket:
            assert socket.json()["type"] == "hello"
        with pytest.raises(exceptions.InvalidStatus, match="401"), client.connect("/v1/live"):
            pass


def test_pages_of_strangers_may_not_look(client):
    with (
        pytest.raises(exceptions.InvalidStatus, match="403"),
        client.connect("/v1/live", Origin="https://example.org"),
    ):
        pass


def test_clips_of_a_story(tmp_path, hub):
    film = tmp_path / "scenes" / "door.mp4"
    film.parent.mkdir()
    film.write_bytes(b"a film")
    with a_site(hub, clips={"scenes/door.mp4": film}) as client:
        assert client.get("/v1/live/info").json()["clips"] == ["scenes/door.mp4"]
        with client.connect("/v1/live") as socket:  # a page that comes back learns from this alone
            assert socket.json()["clips"] == ["scenes/door.mp4"]
        answer = client.get("/v1/live/clips/scenes/door.mp4")
        assert (answer.content, answer.headers["content-type"]) == (b"a film", "video/mp4")
        part = client.get("/v1/live/clips/scenes/door.mp4", Range="bytes=2-5")
        assert (part.status_code, part.content) == (206, b"film")  # browsers jump in films this way
        assert client.get("/v1/live/clips/scenes/other.mp4").status_code == 404


def test_metrics_tell_of_the_run(client, hub):
    publish(hub, ["fear"])
    text = client.get("/metrics").text
    assert "mien_live_frames 1" in text


def test_publishing_goes_on_while_viewers_come_and_go(client, hub):
    stop = threading.Event()

    def film():
        i = 0
        while not stop.is_set():
            publish(hub, ["fear"], i)
            i += 1
            time.sleep(0.002)

    thread = threading.Thread(target=film)
    thread.start()
    try:
        for _ in range(5):
            with client.connect("/v1/live") as socket:
                frames = [socket.json().get("frame") for _ in range(10)]
                seen = [frame for frame in frames if frame is not None]
                assert seen == sorted(set(seen))
    finally:
        stop.set()
        thread.join()
