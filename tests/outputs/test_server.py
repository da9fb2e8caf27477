"""The server as clients meet it: over real sockets, with stages that need no weights."""

import json
import socket
import struct
import tempfile
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from calling import FORM_TYPE, WaitingDetector, call, fake_analyzer, form, picture
from fastapi import APIRouter
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from mien.analyzer import Analyzer
from mien.errors import ArgumentError, ServerError
from mien.outputs.server import Limits, Mount, Server, create_app
from mien.outputs.server.schemas import PictureAnswer
from mien.testing import make_faces

FREE = Limits(requests_per_s=float("inf"))
TOKEN = "a-token-that-is-long"
PAGE = APIRouter()


def reading_threads():
    return sum(thread.name.startswith("mien-") for thread in threading.enumerate())


@pytest.fixture(scope="module")
def shared():
    """Return a function that returns the port of a server with these options, started once for all tests."""
    ports = {}
    with ExitStack() as servers:

        def start(**options):
            options.setdefault("limits", FREE)
            key = repr(sorted(options.items()))
            if key not in ports:
                app = create_app(fake_analyzer(), **options)
                ports[key] = servers.enter_context(Server(app, port=0)).port
            return ports[key]

        yield start
    assert reading_threads() == 0


@pytest.fixture
def serve():
    """Return a function that starts a server for one test and returns its port."""
    before = reading_threads()
    with ExitStack() as servers:

        def start(analyzer=None, **options):
            options.setdefault("limits", FREE)
            start.app = app = create_app(analyzer or fake_analyzer(), **options)
            return servers.enter_context(Server(app, port=0)).port

        yield start
    assert reading_threads() == before


@pytest.fixture
def waiting():
    """A detector that waits to be let on, and is at the end of the test."""
    detector = WaitingDetector(make_faces(1, (64, 48)))
    yield detector
    detector.go.set()


def watch(port, query="", **options):
    return connect(f"ws://127.0.0.1:{port}/v1/watch{query}", open_timeout=20, **options)


def told(connection, kind):
    message = json.loads(connection.recv(timeout=20))
    assert message["type"] == kind, message
    return message


def metric(port, name, **headers):
    lines = call(port, "GET", "/metrics", **headers).body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "text/plain", None, "form"])
def test_a_picture_is_read_however_it_is_sent(shared, suffix, kind):
    data = picture(suffix)
    body = form(data) if kind == "form" else data
    headers = {"Content_Type": FORM_TYPE if kind == "form" else kind} if kind else {}
    answer = call(shared(), "POST", "/v1/analyze", body, **headers)
    assert answer.status == 200, answer
    found = PictureAnswer.model_validate(answer.json, strict=False)
    assert set(answer.json) == set(PictureAnswer.model_fields)
    assert (found.width, found.height, found.model) == (64, 48, "table")
    assert [face.emotion for face in found.faces] == ["anger", "contempt"]
    assert set(answer.json["faces"][0]) == set(type(found.faces[0]).model_fields)


def test_the_answer_is_the_analyzers_own(serve):
    from skimage.data import astronaut

    analyzer = Analyzer(threads=1)
    data = cv2.imencode(".png", cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))[1].tobytes()
    (face,) = call(serve(analyzer), "POST", "/v1/analyze", data).json["faces"]
    (direct,) = analyzer.analyze(astronaut()).to_dicts()
    assert face["emotion"] == direct["emotion"] == "happiness"
    assert face["box_xyxy"] == pytest.approx(direct["box_xyxy"], abs=0.02)
    assert face["probability"] == pytest.approx(direct["probability"], abs=1e-4)


def test_a_picture_without_a_face_is_an_answer(serve):
    answer = call(serve(fake_analyzer(0)), "POST", "/v1/analyze", picture())
    assert (answer.status, answer.json["faces"]) == (200, [])


def test_options_are_of_one_request(shared):
    port = shared()
    chosen = call(port, "POST", "/v1/analyze?emotions=anger,%20calm&unsure=0.99", picture()).json["faces"]
    assert [face["emotion"] for face in chosen] == ["unsure", "unsure"]
    assert [set(face["probability"]) for face in chosen] == [{"anger", "neutral"}] * 2
    after = call(port, "POST", "/v1/analyze", picture()).json["faces"]
    assert [len(face["probability"]) for face in after] == [8, 8]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("emotions=angr,calm", "Did you mean 'angry'?"),
        ("emotions=anger", "emotions"),
        ("emotions=", "emotion"),
        ("unsure=2", "unsure"),
        ("unsure=much", "unsure: input should be a valid number"),
    ],
)
def test_wrong_options(shared, query, words):
    answer = call(shared(), "POST", f"/v1/analyze?{query}", picture())
    assert answer.status == 400
    assert words in answer.error


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png():
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"", None, 422, "it is empty"),
        (b"this is text", None, 415, "but text"),
        (b"<html></html>", "image/jpeg", 415, "a web page"),
        (picture(".bmp"), None, 415, "is a BMP; send a JPEG, PNG or WebP"),
        (picture(".tiff"), None, 415, "is a TIFF"),
        (picture()[:300], None, 422, "truncated"),
        (huge_png(), None, 413, "60000 x 60000 pixels"),
        (bytes(2_000_001), None, 413, "larger than 2 MB"),
        (form(picture(), file="", name="text"), FORM_TYPE, 422, "has no file"),
        (form(picture()), "multipart/form-data", 422, "The form cannot be read"),
        (form(picture())[:40], FORM_TYPE, 422, "has no file"),
        (form(picture())[:200], FORM_TYPE, 422, "it is cut off"),
        (form(b"x")[:-20] * 20, FORM_TYPE, 422, "The form cannot be read"),
        (b"no form", FORM_TYPE, 422, "The form cannot be read"),
        (form(b"x", file="x" * 5000), FORM_TYPE, 422, "The form cannot be read"),
        (form(b"x", file="")[:-16] * 17, FORM_TYPE, 422, "The form cannot be read"),
        (form(picture()) * 2, FORM_TYPE, 200, None),
        (form(b"nothing"), FORM_TYPE, 415, "but text"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(shared, body, kind, status, words):
    port = shared(limits=Limits(upload_bytes=2_000_000))
    answer = call(port, "POST", "/v1/analyze", body, **({"Content_Type": kind} if kind else {}))
    assert answer.status == status, answer
    assert words is None or words in answer.error
    assert call(port, "POST", "/v1/analyze", picture()).status == 200


def test_text_in_a_png_is_not_unpacked(shared, capfd):
    data, text = picture(".png"), zlib.compress(bytes(7_900_000), 9)
    parts = [
        chunk(b"zTXt", b"a%d\0\0" % i + text) + chunk(b"iTXt", b"b\0\1\0\0\0" + text) for i in range(400)
    ]
    parts.append(chunk(b"iCCP", b"c\0\0" + text))
    bomb = data[:33] + b"".join(parts) + data[33:]
    answer = call(shared(), "POST", "/v1/analyze", bomb)  # unpacked, they keep a processor for a minute
    assert answer.status == 200
    assert "libpng" not in capfd.readouterr().err
    assert call(shared(), "POST", "/v1/analyze", bomb[:-20]).status == 422


def test_a_png_is_turned_as_its_exif_says(shared):
    data = picture(".png")
    exif = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    turned = call(shared(), "POST", "/v1/analyze", data[:33] + chunk(b"eXIf", exif) + data[33:]).json
    assert (turned["width"], turned["height"]) == (48, 64)


def test_a_jpeg_of_countless_scans_is_refused(shared):
    image = np.full((48, 64, 3), 90, np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert call(shared(), "POST", "/v1/analyze", data).status == 200
    last = data[data.rindex(b"\xff\xda") : -2]
    answer = call(shared(), "POST", "/v1/analyze", data[:-2] + last * 500 + data[-2:])
    assert answer.status == 422
    assert "scans; a JPEG may have 64" in answer.error


def test_an_upload_without_a_length_is_cut_off_at_the_limit(serve):
    port = serve(limits=Limits(upload_bytes=10_000))
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    with connection:
        head = "POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode() + (b"1000\r\n" + bytes(4096) + b"\r\n") * 3)
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_picture_that_never_arrives_is_not_waited_for(serve):
    port = serve(limits=Limits(upload_s=0.05))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"POST /v1/analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nabc")
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
    assert metric(port, "mien_pictures_inside") == 0


def test_nothing_that_is_sent_is_written_to_disk(serve, monkeypatch, tmp_path):
    def refuse(*_):
        raise AssertionError("a picture goes to disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    monkeypatch.chdir(tmp_path)
    data = picture(".png", (1200, 1000), seed=1)
    data = data[:8] + data[8:] + bytes(1_500_000)  # what follows the end of a PNG is ignored
    port = serve()
    assert call(port, "POST", "/v1/analyze", form(data), Content_Type=FORM_TYPE).status == 200
    assert list(tmp_path.iterdir()) == []


def test_a_full_server_says_so_and_stays_healthy(serve, waiting):
    port = serve(fake_analyzer(detector=waiting), limits=Limits(waiting=2, workers=1))
    with ThreadPoolExecutor(2) as pool:
        inside = [pool.submit(call, port, "POST", "/v1/analyze", picture()) for _ in range(2)]
        assert waiting.asked.acquire(timeout=20)
        until = time.monotonic() + 20
        while metric(port, "mien_pictures_inside") < 2 and time.monotonic() < until:
            time.sleep(0.005)
        refused = call(port, "POST", "/v1/analyze", picture())
        assert refused.status == 503
        assert "busy" in refused.error
        assert int(refused.headers["retry-after"]) >= 1
        assert call(port, "GET", "/health").json["status"] == "ok"
        waiting.go.set()
        assert [future.result().status for future in inside] == [200, 200]
    assert call(port, "POST", "/v1/analyze", picture()).status == 200


def test_a_picture_that_takes_too_long_keeps_its_place_until_it_is_done(serve, waiting):
    port = serve(fake_analyzer(detector=waiting), limits=Limits(waiting=1, reading_s=0.05))
    slow = call(port, "POST", "/v1/analyze", picture())
    assert slow.status == 503
    assert "took longer than 0.05 s" in slow.error
    assert "busy" in call(port, "POST", "/v1/analyze", picture()).error
    waiting.go.set()
    until = time.monotonic() + 20
    while metric(port, "mien_pictures_inside") and time.monotonic() < until:
        time.sleep(0.005)
    assert metric(port, "mien_pictures_inside") == 0


def test_pictures_that_come_together_share_runs(serve):
    entered, go, runs = threading.Event(), threading.Event(), []
    analyzer = fake_analyzer()
    score = analyzer.model.predict_proba

    def wait(crops):
        runs.append(len(crops))
        entered.set()
        assert go.wait(40)
        return score(crops)

    analyzer.model.predict_proba = wait
    port = serve(analyzer, limits=Limits(workers=4, requests_per_s=float("inf")))
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(call, port, "POST", "/v1/analyze", picture()) for _ in range(4)]
        assert entered.wait(20)
        questions, until = serve.app.state.service._batcher._questions, time.monotonic() + 20
        while runs[0] // 2 + questions.qsize() < 4 and time.monotonic() < until:
            time.sleep(0.005)
        go.set()
        assert {answer.result().status for answer in answers} == {200}
    assert len(runs) <= 2 and sum(runs) == 8
    assert metric(port, "mien_runs_questions_total") == 4
    assert metric(port, "mien_runs_crops_total") == 8
    assert metric(port, "mien_runs_total") == len(runs)


def test_one_client_may_not_ask_without_end(serve):
    port = serve(limits=Limits(requests_per_s=0.01, burst=3))
    answers = [call(port, "GET", "/health") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert "Too many requests" in answers[3].error
    assert 90 <= int(answers[3].headers["retry-after"]) <= 100


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/models", {}, 401),
        ("/v1/models", {"Authorization": "Bearer another token"}, 401),
        ("/v1/models", {"Authorization": f"Basic {TOKEN}"}, 401),
        ("/v1/models", {"Authorization": f"Bearer {TOKEN}"}, 200),
        ("/v1/models?token=a-token-that-is-long", {}, 200),
        ("/v1/models?token=a-token-that-is-lon", {}, 401),
        ("/v1/models?token=%ff", {"Authorization": "Bearer \xe9"}, 401),
        ("/metrics", {}, 401),
        ("/nothing", {}, 401),
        ("/health", {}, 200),
        ("/health/", {}, 401),
        ("/page/live.js", {}, 404),
        ("/page", {}, 401),
    ],
)
def test_a_token_is_asked_for(shared, path, headers, status):
    live = Mount(PAGE, open_paths=("/", "/page/"))
    answer = call(shared(token=TOKEN, live=live), "GET", path, **headers)
    assert answer.status == status
    if status == 401:
        assert "Authorization: Bearer TOKEN" in answer.error
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("host", "options", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("localhost:{port}", {}, 200),
        ("[::1]:{port}", {}, 200),
        ("LocalHost", {}, 200),
        ("evil.example", {}, 421),
        ("127.0.0.1.evil.example", {}, 421),
        ("localhost@evil.example", {}, 421),
        ("[::1", {}, 421),
        ("", {}, 400),
        ("lab.example", {"hosts": ["Lab.example"]}, 200),
        ("127.0.0.1", {"hosts": ["lab.example"]}, 200),
        ("evil.example", {"hosts": ["lab.example"]}, 421),
        ("evil.example", {"token": TOKEN}, 200),
        ("evil.example", {"token": TOKEN, "hosts": ["lab.example"]}, 421),
    ],
)
def test_it_goes_by_its_own_names_only(shared, host, options, status):
    port = shared(**options)
    answer = call(port, "GET", "/health", Host=host.format(port=port))
    assert answer.status == status, answer
    assert status == 200 or answer.error


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://127.0.0.1:{port}", True),
        ("https://app.example", True),
        ("http://127.0.0.1:1", False),
        ("https://app.example.evil", False),
        ("https://evil.example", False),
        ("file://127.0.0.1:{port}", False),
        ("null", False),
        ("http://[", False),
    ],
)
def test_pages_of_strangers_may_not_ask(shared, origin, allowed):
    port = shared(origins=["https://App.example/"])
    origin = origin.format(port=port)
    answer = call(port, "POST", "/v1/analyze", picture(), Origin=origin)
    assert answer.status == (200 if allowed else 403)
    shared = answer.headers.get("access-control-allow-origin")
    assert shared == (origin if origin == "https://app.example" else None)
    if allowed:
        with watch(port, origin=origin) as connection:
            told(connection, "hello")
        return
    with pytest.raises(InvalidStatus) as refused, watch(port, origin=origin):
        pass
    assert refused.value.response.status_code == 403
    assert "may not use" in json.loads(refused.value.response.body)["error"]


def test_an_allowed_page_may_send_the_token(shared):
    port = shared(origins=["https://app.example"], token=TOKEN)
    asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}
    answer = call(port, "OPTIONS", "/v1/analyze", Origin="https://app.example", **asked)
    assert answer.status == 200
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert call(port, "OPTIONS", "/v1/analyze", Origin="https://evil.example", **asked).status == 400


@pytest.mark.parametrize("path", ["/health", "/nothing", "/v1/models"])
def test_every_answer_says_what_a_browser_may_do_with_it(shared, path):
    headers = call(shared(), "GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in headers


def test_a_mounted_page_keeps_its_own_headers(serve):
    from fastapi.responses import PlainTextResponse

    router = APIRouter()
    policy = {"Content-Security-Policy": "default-src 'self'"}
    router.add_api_route("/", lambda: PlainTextResponse("the page", headers=policy))
    port = serve(live=Mount(router, ("/",), lambda: {"mien_live_rate_hz": 29.97}))
    answer = call(port, "GET", "/")
    assert (answer.body, answer.headers["content-security-policy"]) == (b"the page", "default-src 'self'")
    assert metric(port, "mien_live_rate_hz") == 29.97


def test_it_describes_itself_and_loads_no_pages_from_elsewhere(shared):
    port = shared()
    described = call(port, "GET", "/openapi.json").json
    assert set(described["paths"]) == {"/v1/analyze", "/v1/models", "/health", "/metrics"}
    post = described["paths"]["/v1/analyze"]["post"]
    assert set(post["requestBody"]["content"]) == {
        "image/jpeg", "image/png", "image/webp", "multipart/form-data",
    }  # fmt: skip
    assert {"200", "400", "401", "408", "413", "415", "422", "429", "503"} == set(post["responses"])
    assert [option["name"] for option in post["parameters"]] == ["emotions", "unsure"]
    assert call(port, "GET", "/docs").status == call(port, "GET", "/redoc").status == 404


def test_what_is_not_there_is_said(shared):
    port = shared()
    assert "There is nothing at '/v1/analyse'" in call(port, "POST", "/v1/analyse", picture()).error
    answer = call(port, "GET", "/v1/analyze")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.error


def test_models_say_what_they_are(serve):
    answer = call(serve(), "GET", "/v1/models").json
    assert [model["name"] for model in answer["models"]] == ["table", "fixed"]
    assert len(answer["emotions"]) == len(answer["known_emotions"]) == 8
    real = call(serve(Analyzer(emotions=["anger", "calm"], threads=1)), "GET", "/v1/models").json
    assert real["emotions"] == ["anger", "neutral"]
    assert [model["licence"] for model in real["models"]] == ["Apache-2.0"] * 2
    assert all(model["limits"] for model in real["models"])


def test_what_is_counted(serve):
    port = serve()
    for body in (picture(), picture(), b"text"):
        call(port, "POST", "/v1/analyze", body)
    for number in range(5):
        call(port, "GET", f"/nothing/{number}")
    text = call(port, "GET", "/metrics")
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = set(text.body.decode().splitlines())
    assert lines >= {
        'mien_requests_total{path="/v1/analyze",status="200"} 2',
        'mien_requests_total{path="/v1/analyze",status="415"} 1',
        'mien_requests_total{path="other",status="404"} 5',
        'mien_refused_total{reason="picture"} 1',
        "mien_pictures_total 2",
        "mien_faces_total 4",
        "mien_picture_seconds_count 2",
        "# TYPE mien_picture_seconds histogram",
    }


def test_a_mistake_of_the_server_ends_one_request_only(serve, waiting, caplog):
    waiting.failure = RuntimeError("the detector broke")
    waiting.go.set()
    port = serve(fake_analyzer(detector=waiting))
    answer = call(port, "POST", "/v1/analyze", picture())
    assert answer.status == 500
    assert answer.error == "The server made a mistake; its log says which."
    assert "the detector broke" in caplog.text
    with watch(port) as connection:
        told(connection, "hello")
        connection.send(picture())
        assert "made a mistake" in told(connection, "error")["error"]
        waiting.failure = None
        connection.send(picture())
        assert told(connection, "readings")["frame"] == 1
    assert call(port, "POST", "/v1/analyze", picture()).status == 200


def test_a_camera_is_watched(shared):
    with watch(shared()) as connection:
        hello = told(connection, "hello")
        assert (hello["model"], len(hello["emotions"])) == ("table", 8)
        for number in range(3):
            connection.send(picture(".webp" if number else ".jpg"))
            answer = told(connection, "readings")
            assert (answer["frame"], answer["dropped"]) == (number, 0)
            assert (answer["width"], answer["height"]) == (64, 48)
            assert answer["latency_s"] > 0
        assert [face["displayed"] for face in answer["faces"]] == ["anger", "contempt"]
        assert len({face["track"] for face in answer["faces"]}) == 2
        assert answer["time_s"] > 0


def test_each_camera_has_a_watcher_of_its_own(shared):
    port = shared()
    for _ in range(2):
        with watch(port) as connection:
            told(connection, "hello")
            connection.send(picture())
            assert [face["track"] for face in told(connection, "readings")["faces"]] == [0, 1]


def test_the_newest_frame_wins(serve, waiting):
    port = serve(fake_analyzer(detector=waiting))
    with watch(port) as connection:
        told(connection, "hello")
        connection.send(picture())
        assert waiting.asked.acquire(timeout=20)
        for _ in range(4):
            connection.send(picture())
        connection.send('{"type": "ping"}')
        told(connection, "pong")  # all four have come
        waiting.go.set()
        assert told(connection, "readings")["frame"] == 0
        last = told(connection, "readings")
        assert (last["frame"], last["dropped"]) == (4, 3)
    assert metric(port, "mien_frames_dropped_total") == 3


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "no JSON"),
        ("hello", "no JSON"),
        ("[" * 4000, "JSON"),
        ("x" * 5000, "4096 characters"),
        ("[1]", "must be an object"),
        ('{"type": ["options"]}', "must be an object"),
        ('{"type": "options", "emotions": "anger"}', "list of names"),
        ('{"type": "options", "emotions": [1]}', "list of names"),
        ('{"type": "options", "emotions": ["angr", "calm"]}', "Did you mean 'angry'?"),
        ('{"type": "options", "unsure": true}', "unsure must be"),
        ('{"type": "options", "unsure": NaN}', "unsure must be"),
        (b"", "empty"),
        (b"noise", "no picture"),
        (b"\xff\xd8\xff" + bytes(50), "picture"),
        (bytes(3001), "larger than 0.003 MB"),
    ],
)
def test_malformed_messages_are_answered_and_forgotten(shared, message, words):
    port = shared(limits=Limits(upload_bytes=3000))
    with watch(port) as connection:
        told(connection, "hello")
        connection.send(message)
        complaint = told(connection, "error")
        assert words in complaint["error"]
        assert ("frame" in complaint) == isinstance(message, bytes)
        connection.send(picture())
        assert len(told(connection, "readings")["faces"]) == 2


def test_a_message_far_too_large_closes_one_connection_only(shared):
    port = shared(limits=Limits(upload_bytes=3000))
    with watch(port) as connection:
        told(connection, "hello")
        connection.send(bytes(100_000))
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=20)
    assert connection.protocol.close_code == 1009
    assert call(port, "GET", "/health").status == 200


def test_options_of_a_camera_begin_anew(shared):
    with watch(shared()) as connection:
        told(connection, "hello")
        connection.send('{"type": "options", "emotions": ["anger", "calm"], "unsure": 0.99}')
        assert told(connection, "options") == {
            "type": "options",
            "emotions": ["anger", "neutral"],
            "unsure": 0.99,
        }
        connection.send(picture())
        faces = told(connection, "readings")["faces"]
        assert [face["displayed"] for face in faces] == ["unsure", "unsure"]


def test_a_camera_that_is_silent_is_let_go(serve):
    with watch(serve(limits=Limits(idle_s=0.05))) as connection:
        told(connection, "hello")
        assert "Nothing came for 0.05 s" in told(connection, "error")["error"]
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=20)


def test_a_camera_that_goes_leaves_nothing_behind(serve, waiting):
    port = serve(fake_analyzer(detector=waiting), limits=Limits(watchers=1))
    with watch(port) as connection:
        told(connection, "hello")
        connection.send(picture())
        assert waiting.asked.acquire(timeout=20)
        with pytest.raises(InvalidStatus) as refused, watch(port):
            pass
        assert refused.value.response.status_code == 503
        assert "too many cameras" in json.loads(refused.value.response.body)["error"]
    until = time.monotonic() + 20
    while metric(port, "mien_watchers") and time.monotonic() < until:
        time.sleep(0.005)
    waiting.go.set()
    with watch(port) as connection:
        told(connection, "hello")


@pytest.mark.parametrize(
    ("query", "status"), [("", 401), ("?token=no", 401), ("?token=a%2Dtoken-that-is-long", None)]
)
def test_a_camera_needs_the_token(shared, query, status):
    port = shared(token=TOKEN)
    if status is None:
        with watch(port, query) as connection:
            told(connection, "hello")
        with watch(port, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as connection:
            told(connection, "hello")
        return
    with pytest.raises(InvalidStatus) as refused, watch(port, query):
        pass
    assert refused.value.response.status_code == status


def test_a_camera_asks_by_the_servers_name(shared):
    port = shared()
    address = socket.create_connection(("127.0.0.1", port))
    with pytest.raises(InvalidStatus) as refused, connect("ws://evil.example/v1/watch", sock=address):
        pass
    assert refused.value.response.status_code == 421


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {port} of 127.0.0.1 is taken"):
            Server(create_app(fake_analyzer()), port=port)


@pytest.mark.parametrize(
    ("host", "port", "token", "error", "words"),
    [
        ("0.0.0.0", 0, None, ArgumentError, "given with a token"),
        ("192.0.2.1", 0, None, ArgumentError, "given with a token"),
        ("127.0.0.1", 0, "short", ArgumentError, "8 characters or more"),
        ("127.0.0.1", 0, "abc+defgh", ArgumentError, "of a to z, A to Z, 0 to 9"),
        ("127.0.0.1", 70_000, None, ArgumentError, "port must be"),
        ("192.0.2.1", 0, TOKEN, ServerError, "is no address of this machine"),
        ("not a name", 0, TOKEN, ServerError, "is no address of this machine"),
    ],
)
def test_where_it_does_not_listen(host, port, token, error, words):
    with pytest.raises(error, match=words):
        Server(create_app(fake_analyzer(), token=token), host, port)


def test_a_port_is_free_again_at_once(serve):
    app = create_app(fake_analyzer())
    with Server(app, port=0) as first:
        assert call(first.port, "GET", "/health").status == 200
    with Server(create_app(fake_analyzer()), port=first.port) as second:
        assert call(second.port, "GET", "/health").status == 200


@pytest.mark.parametrize("limit", ["upload_bytes", "pixels", "requests_per_s", "workers", "idle_s"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_positive(limit, value):
    with pytest.raises(ArgumentError, match=f"limits.{limit} must be"):
        Limits(**{limit: value})


def test_a_camera_gets_the_numbers_the_analyzer_gets(shared):
    from mien.sources.frame import Frame

    data = picture(".png")
    watcher = fake_analyzer().watch()
    image = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), 1), cv2.COLOR_BGR2RGB)
    direct = watcher.read(Frame(image, time_s=0.0)).to_dicts()
    with watch(shared()) as connection:
        told(connection, "hello")
        connection.send(data)
        faces = told(connection, "readings")["faces"]
    wanted = ("probability", "smoothed", "box_xyxy", "displayed", "track")
    assert [[face[name] for name in wanted] for face in faces] == [
        [face[name] for name in wanted] for face in direct
    ]
