"""OSC: what arrives at a real socket, taken apart again."""

import socket
import time
from dataclasses import replace

import numpy as np
import pytest
from scripted import shown

from mien.errors import ArgumentError, OutputError
from mien.faces.align import template_points
from mien.faces.faces import Faces
from mien.labels import FERPLUS8
from mien.outputs import faceosc
from mien.outputs.osc import OscSink
from mien.story import Decision
from mien.testing import make_faces, make_readings

osc_packet = pytest.importorskip("pythonosc.osc_packet")
osc_bundle = pytest.importorskip("pythonosc.osc_bundle")


@pytest.fixture
def receiver():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        yield listening


def sink(receiver, **options):
    return OscSink("127.0.0.1", receiver.getsockname()[1], **options)


def received(receiver):
    """Return the next bundle: its addresses with their values, and its time."""
    data = receiver.recv(65536)
    assert len(data) <= 8192
    bundle = osc_bundle.OscBundle(data)
    return [(m.address, tuple(m.params)) for m in bundle], bundle.timestamp


def test_a_bundle_for_each_frame(receiver):
    captured_s = time.monotonic() - 0.25
    smooth = np.full((2, 8), 0.1, np.float32)
    smooth[:, 0] = 0.3
    readings = replace(
        shown(1.5, (3, {"fear": 0.6}), (5, {}), captured_s=captured_s),
        smoothed=smooth,
        displayed=("fear", "anger"),
    )
    with sink(receiver) as osc:
        before = time.time()
        osc.write(readings)
    messages, stamp = received(receiver)
    values = dict(messages)
    assert [v for a, v in messages if a == "/mien/appear"] == [(3,), (5,)]
    assert values["/mien/frame"] == (38, 1.5) and values["/mien/size"] == (640, 480)
    assert values["/mien/faces"] == (2,) and values["/mien/salient"] == (3,)
    assert 0.25 <= values["/mien/latency"][0] < 5
    assert before - 5 <= stamp <= time.time() - 0.25 + 0.01  # when it was captured, not when it was sent
    left, top, right, bottom = readings.faces.box_xyxy[0].tolist()
    assert values["/mien/face/3/box"] == pytest.approx((left, top, right - left, bottom - top))
    assert values["/mien/face/3/score"] == pytest.approx((0.9,))
    assert values["/mien/face/3/displayed"] == ("fear",) and values["/mien/face/5/displayed"] == ("anger",)
    assert values["/mien/face/3/confidence"] == pytest.approx((0.3,))
    for i, name in enumerate(FERPLUS8):
        assert values[f"/mien/face/5/emotion/{name}"] == pytest.approx((float(smooth[1, i]),))


def test_raw_probabilities_and_the_time_tag_of_now(receiver):
    readings = replace(
        shown(0.0, (3, {"fear": 0.6})), smoothed=np.full((1, 8), 0.125, np.float32), displayed=("anger",)
    )
    with sink(receiver, values="raw", immediately=True) as osc:
        osc.write(readings)
    data = receiver.recv(65536)
    assert data[8:16] == bytes(7) + b"\x01"
    values = {m.message.address: m.message.params for m in osc_packet.OscPacket(data).messages}
    assert values["/mien/face/3/emotion/fear"] == pytest.approx([0.6])
    assert values["/mien/face/3/displayed"] == ["fear"]
    assert "/mien/latency" not in values


def comings(receiver):
    return [
        (a.rpartition("/")[2], v[0]) for a, v in received(receiver)[0] if a in ("/mien/appear", "/mien/leave")
    ]


def test_faces_appear_and_leave(receiver):
    with sink(receiver) as osc:
        seen = []
        for time_s, tracks in [
            (0, []),
            (0.1, [1]),
            (0.2, [1, 2]),
            (0.9, [2]),
            (1.15, [1]),
            (3.0, []),
            (3.1, []),
        ]:
            osc.write(shown(time_s, *[(track, {}) for track in tracks]))
            seen.append(comings(receiver))
    assert seen == [[], [("appear", 1)], [("appear", 2)], [], [], [("leave", 1), ("leave", 2)], []]


def test_no_face_and_still_pictures_are_frames_too(receiver):
    with sink(receiver) as osc:
        osc.write(make_readings([]))
        values = dict(received(receiver)[0])
        assert values["/mien/faces"] == (0,) and values["/mien/salient"] == (-1,)
        osc.write(make_readings(["fear", "anger"]))
        values = dict(received(receiver)[0])
        assert values["/mien/face/1/displayed"] == ("anger",)


def test_a_crowd_goes_out_in_several_bundles_of_one_time(receiver):
    with sink(receiver) as osc:
        osc.write(shown(1.0, *[(track, {}) for track in range(60)]))
    everything, stamps = {}, set()
    while len([a for a in everything if a.endswith("/emotion/surprise")]) < 60:
        messages, stamp = received(receiver)
        everything |= dict(messages)
        stamps.add(stamp)
    assert len(stamps) == 1 and everything["/mien/faces"] == (60,)


def test_decisions_are_events(receiver):
    with sink(receiver) as osc:
        osc.decide(Decision(2.0, "cue B/1", 7, "face 7 displayed fear", "street", "chaos"))
        messages, _ = received(receiver)
        assert messages == [
            ("/mien/decision", ("cue B/1", 7, "face 7 displayed fear", "chaos")),
            ("/mien/cue/cue_B_1", (7,)),
        ]
        osc.decide(Decision(2.0, "", None, "nul \0 inside"))
        assert received(receiver)[0] == [("/mien/decision", ("", -1, "nul  inside", ""))]


def test_nobody_listening_costs_nothing():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with OscSink("127.0.0.1", port) as osc:
        for _ in range(50):
            osc.write(make_readings(["fear"]))


def test_what_cannot_be_sent_is_said(monkeypatch, receiver):
    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    osc = OscSink("no-such-host", 9000)
    with pytest.raises(OutputError, match="not open"):
        osc.write(make_readings([]))
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        OutputError, match=r"osc://no-such-host:9000 cannot be sent to: Name or service not known"
    ):
        osc.__enter__()
    monkeypatch.undo()
    with sink(receiver) as working:
        working._address = ("255.255.255.255", 0)
        with pytest.raises(OutputError, match="cannot be sent to"):
            working.write(make_readings([]))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"host": ""}, "host"),
        ({"port": 0}, "port"),
        ({"port": 70000}, "port"),
        ({"profile": "face"}, "profile must be one of mien, faceosc"),
        ({"values": "x"}, "values must be one of"),
    ],
)
def test_wrong_options(options, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        OscSink(**options)


# The profile of FaceOSC


def turned(pitch=0.0, yaw=0.0, roll=0.0, apart=80.0, centre=(300, 200)):
    """Project the five landmarks of a usual head, turned, as a camera far away sees them."""
    head = np.empty((5, 3))
    head[:, :2] = template_points("fer2013-mean", 0.0, 1) / 0.3576
    head[:, 2] = np.negative(faceosc.DEPTHS)
    head -= head.mean(axis=0)
    (cx, sx), (cy, sy), (cz, sz) = ((np.cos(a), np.sin(a)) for a in (pitch, yaw, roll))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return (head @ (about_z @ about_y @ about_x).T)[:, :2] * apart + centre


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.3, 0, 0), (0, 0.5, 0), (0, 0, -0.4), (0.2, -0.3, 0.5)])
def test_the_turn_of_a_head(turn):
    scale, found = faceosc.pose(turned(*turn))
    assert scale == pytest.approx(80, rel=1e-3)
    assert found == pytest.approx(turn, abs=1e-3)


def test_the_signs_are_as_documented():
    down, left, right = turned(pitch=0.4), turned(yaw=0.4), turned(roll=0.4)
    straight = turned()
    assert down[2, 1] - down[:2, 1].mean() > straight[2, 1] - straight[:2, 1].mean()  # the nose is lower
    assert left[2, 0] < straight[2, 0]
    assert right[1, 1] > right[0, 1]


def faceosc_values(receiver, readings):
    with sink(receiver, profile="faceosc") as osc:
        osc.write(readings)
    return dict(received(receiver)[0])


def test_faceosc_of_five_landmarks_says_what_is_known(receiver):
    readings = make_readings(["fear"])
    readings = replace(
        readings,
        faces=Faces(readings.faces.box_xyxy, readings.faces.score, turned(yaw=0.2)[None].astype(np.float32)),
    )
    values = faceosc_values(receiver, readings)
    assert set(values) == {
        "/found",
        "/pose/position",
        "/pose/scale",
        "/pose/orientation",
        "/gesture/mouth/width",
    }
    assert values["/found"] == (1,)
    assert values["/pose/position"] == pytest.approx((300, 200), abs=1)
    assert values["/pose/scale"] == pytest.approx((80 / 17.5,), rel=1e-3)
    assert values["/pose/orientation"] == pytest.approx((0, 0.2, 0), abs=1e-3)
    assert 13 < values["/gesture/mouth/width"][0] < 15  # what patches for FaceOSC expect of a mouth at rest


def test_faceosc_of_seventy_landmarks_says_everything(receiver):
    points = np.random.default_rng(0).uniform(100, 300, (70, 2))
    five = turned()
    points[[68, 69, 30, 48, 54]] = five
    unit = 80 / 17.5
    points[62], points[66] = (300, 230), (300, 230 + 4 * unit)
    points[[37, 38]], points[[40, 41]] = (200, 150), (200, 150 + 2.5 * unit)
    points[[43, 44]], points[[46, 47]] = (400, 150), (400, 150 + 3 * unit)
    faces = Faces(np.array([[50, 50, 350, 350]]), np.array([0.9]), points[None])
    readings = replace(make_readings(["fear"]), faces=faces)
    values = faceosc_values(receiver, readings)
    assert values["/gesture/mouth/height"] == pytest.approx((4,), rel=1e-3)
    assert values["/gesture/eye/left"] == pytest.approx((2.5,), rel=1e-3)
    assert values["/gesture/eye/right"] == pytest.approx((3,), rel=1e-3)
    jaw = np.linalg.norm(points[33] - points[8]) / unit
    assert values["/gesture/jaw"] == pytest.approx((jaw,), rel=1e-3)
    assert set(values) >= {
        f"/gesture/{n}" for n in ("eyebrow/left", "eyebrow/right", "nostrils", "mouth/width")
    }
    assert len(values["/raw"]) == 132 and values["/raw"][:2] == pytest.approx(points[0], rel=1e-5)


def test_faceosc_is_about_one_face(receiver):
    assert faceosc_values(receiver, make_readings([])) == {"/found": (0,)}
    small_and_large = shown(0.0, (1, {}, 40), (2, {}, 90))
    values = faceosc_values(receiver, small_and_large)
    assert values["/pose/position"] == pytest.approx(
        small_and_large.faces.landmarks_xy[1].mean(axis=0).tolist(), rel=1e-4
    )
    others = make_faces(1)
    strange = replace(
        make_readings(["fear"]), faces=Faces(others.box_xyxy, others.score, np.zeros((1, 9, 2), np.float32))
    )
    assert faceosc_values(receiver, strange) == {"/found": (1,)}
    flat = replace(
        make_readings(["fear"]), faces=Faces(others.box_xyxy, others.score, np.zeros((1, 5, 2), np.float32))
    )
    assert "/gesture/mouth/width" not in faceosc_values(receiver, flat)
