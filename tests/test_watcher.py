"""Moving pictures: tracks and smoothing in the readings, following, sequences, going on from a state."""

import json

import numpy as np
import pytest

from mien.analyzer import Analyzer
from mien.errors import ArgumentError
from mien.faces.faces import Faces
from mien.faces.track import Tracker
from mien.labels import FERPLUS8
from mien.models.denoise import Denoiser
from mien.models.smoothing import Smoother
from mien.sources.frame import Frame
from mien.testing import FixedDetector, ScriptedDetector, SyntheticSource, TableModel, make_faces

SIZE = (320, 240)
TABLE = np.random.default_rng(0).dirichlet(np.ones(8), 3).astype(np.float32)


class Moving(TableModel):
    """A sequence model whose answer tells the mean grey of the oldest and of the newest crop."""

    frames = 3

    def __init__(self):
        super().__init__(TABLE)

    def predict_windows(self, windows):
        answer = np.zeros((len(windows), 8), np.float32)
        answer[:, 0] = windows[:, 0].mean(axis=(1, 2)) / 510
        answer[:, 1] = windows[:, -1].mean(axis=(1, 2)) / 510
        answer[:, 2] = 1 - answer.sum(axis=1)
        return answer


def film(count, *, rate_hz=30.0, still=True):
    picture = np.random.default_rng(3).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    for i in range(count):
        image = picture if still else np.full_like(picture, 10 * i)
        yield Frame(image, i, i / rate_hz, "film")


def same(a, b):
    assert a.rows() == b.rows() and a.displayed == b.displayed
    for field in ("probability", "smoothed"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    for field in ("box_xyxy", "landmarks_xy", "score", "track_id"):
        np.testing.assert_array_equal(getattr(a.faces, field), getattr(b.faces, field))


@pytest.mark.parametrize("faces", [0, 1, 3])
def test_readings_have_tracks_and_smoothed_values(faces):
    watcher = Analyzer(FixedDetector(make_faces(faces)), TableModel(TABLE)).watch()
    for frame in film(5):
        readings = watcher.read(frame)
        assert len(readings) == faces and readings.is_moving
        assert readings.faces.track_id.tolist() == list(range(faces))
        assert (readings.index, readings.time_s, readings.source) == (frame.index, frame.time_s, "film")
        np.testing.assert_allclose(readings.smoothed, TABLE[:faces], atol=1e-6)
    assert {"track", "displayed", "smooth_anger"} <= set(readings.columns())


def test_raw_values_stay_beside_smoothed_ones():
    rows = np.eye(8, dtype=np.float32)

    class Alternating(TableModel):
        turn = 0

        def predict_proba(self, crops):
            self.turn += 1
            return rows[[self.turn % 2] * len(crops)]

    watcher = Analyzer(FixedDetector(make_faces(1)), Alternating(TABLE)).watch(
        smoother=Smoother(1.0), denoiser=Denoiser(0)
    )
    answers = [watcher.read(frame) for frame in film(20)]
    assert len({r.emotion[0] for r in answers}) == 2
    assert len({r.displayed[0] for r in answers}) == 1
    assert all(r.smoothed.max() < r.probability.max() for r in answers[1:])


def test_what_is_smoothed_has_less_noise_where_there_is_much():
    class Spread(TableModel):
        """A model that tells how much the pixels of a crop differ."""

        def predict_proba(self, crops):
            spread = crops.std(axis=(1, 2)) / 255
            return np.stack([spread, *[(1 - spread) / 7] * 7], axis=1).astype(np.float32)

    random = np.random.default_rng(0)
    plain = np.full((SIZE[1], SIZE[0], 3), 120.0) + np.linspace(-60, 60, SIZE[0])[:, None]
    analyzer = Analyzer(FixedDetector(make_faces(1, SIZE)), Spread(TABLE))
    for noise in (0, 60):
        watchers = [analyzer.watch(smoother=Smoother(0), denoiser=Denoiser(t)) for t in (0, 0.3)]
        for i in range(6):
            image = np.clip(plain + random.normal(0, noise, plain.shape), 0, 255).astype(np.uint8)
            as_it_is, denoised = (watcher.read(Frame(image, i, i / 30, "film")) for watcher in watchers)
        np.testing.assert_array_equal(denoised.probability, as_it_is.probability)
        np.testing.assert_array_equal(as_it_is.smoothed, as_it_is.probability)
        less = as_it_is.smoothed[0, 0] - denoised.smoothed[0, 0]
        assert less > 0.02 if noise else less == 0


def test_subsets_and_unsure_hold_for_what_is_displayed():
    analyzer = Analyzer(
        FixedDetector(make_faces(2)), TableModel(TABLE), emotions=["calm", "fear"], unsure=1.0
    )
    readings = analyzer.watch().read(next(film(1)))
    assert readings.labels.names == ("neutral", "fear")
    assert readings.displayed == ("unsure", "unsure")


def test_a_frame_without_a_time_is_refused():
    with pytest.raises(ArgumentError, match="moving pictures, with time_s"):
        Analyzer(FixedDetector(make_faces(1)), TableModel(TABLE)).watch().read(
            Frame(np.zeros((9, 9, 3), np.uint8))
        )


def test_a_time_that_goes_back_is_taken_as_the_same_moment():
    watcher = Analyzer(FixedDetector(make_faces(1)), TableModel(TABLE)).watch()
    times = [
        watcher.read(Frame(f.image, f.index, t)).time_s for f, t in zip(film(3), (1.0, 0.5, 1.1), strict=True)
    ]
    assert times == [1.0, 0.5, 1.1]


def test_a_person_who_comes_back_keeps_number_and_memory():
    one = make_faces(1)
    detector = ScriptedDetector([one, one, one, Faces.empty(), Faces.empty(), one])
    watcher = Analyzer(detector, TableModel(TABLE)).watch()
    answers = [watcher.read(frame).faces.track_id.tolist() for frame in film(6)]
    assert answers == [[0], [0], [0], [], [], [0]]


@pytest.mark.parametrize("rate_hz", [0.15, 1, 2, 3])
def test_few_frames_a_second_are_one_person_and_smoothed(rate_hz):
    rows = np.eye(8, dtype=np.float32)

    class Changing(TableModel):
        turn = 0

        def predict_proba(self, crops):
            self.turn += 1
            return rows[[self.turn % 2] * len(crops)]

    watcher = Analyzer(FixedDetector(make_faces(1)), Changing(TABLE)).watch(
        smoother=Smoother(10.0, margin=1.0), denoiser=Denoiser(0)
    )
    answers = [watcher.read(frame) for frame in film(8, rate_hz=rate_hz)]
    assert [r.faces.track_id.tolist() for r in answers] == [[0]] * 8
    assert len({r.displayed for r in answers}) == 1
    share = -np.expm1(-1 / rate_hz / 10)
    assert answers[1].smoothed[0, 0] == pytest.approx(share, abs=1e-5)
    assert all(r.smoothed.max() < 1 for r in answers[1:])


@pytest.mark.parametrize("rate_hz", [1, 2, 3])
def test_few_frames_a_second_keep_people_side_by_side_apart(rate_hz):
    watcher = Analyzer(FixedDetector(make_faces(2)), TableModel(TABLE)).watch()
    answers = [watcher.read(frame) for frame in film(8, rate_hz=rate_hz)]
    assert [r.faces.track_id.tolist() for r in answers] == [[0, 1]] * 8
    for r in answers:
        np.testing.assert_allclose(r.smoothed, TABLE[:2], atol=1e-6)


@pytest.mark.parametrize(("away", "number"), [(2, 0), (3, 1), (6, 1)])
def test_at_a_frame_a_second_who_comes_later_is_new(away, number):
    one = make_faces(1)
    watcher = Analyzer(
        ScriptedDetector([one] * 4 + [Faces.empty()] * away + [one] * 3), TableModel(TABLE)
    ).watch()
    answers = [watcher.read(frame).faces.track_id.tolist() for frame in film(7 + away, rate_hz=1)]
    assert answers == [[0]] * 4 + [[]] * away + [[number]] * 3


def test_sequence_models_get_each_person_s_last_crops():
    watcher = Analyzer(FixedDetector(make_faces(2)), Moving()).watch()
    answers = [watcher.read(frame).probability[:, :2] * 51 for frame in film(5, still=False)]
    np.testing.assert_allclose([a[0] for a in answers], [[0, 0], [0, 1], [0, 2], [1, 3], [2, 4]], atol=1e-4)
    np.testing.assert_array_equal([a[0] for a in answers], [a[1] for a in answers])
    slow = Analyzer(FixedDetector(make_faces(1)), Moving()).watch(rate_hz=5)
    last = [slow.read(frame).probability[0, :2] * 51 for frame in film(13, still=False)][-1]
    assert last[0] <= 12 - 7, "two crops before the present one are a fifth of a second apart"


def test_sequence_models_get_the_last_crops_of_slow_films_too():
    watcher = Analyzer(FixedDetector(make_faces(1)), Moving()).watch()
    answers = [watcher.read(frame).probability[0, :2] * 51 for frame in film(5, rate_hz=0.5, still=False)]
    np.testing.assert_allclose(answers, [[0, 0], [0, 1], [0, 2], [1, 3], [2, 4]], atol=1e-4)


def test_a_sequence_model_that_learned_in_steps_gets_crops_as_far_apart():
    every, second = Moving(), Moving()
    second.step = 2
    fast, slow = (
        Analyzer(FixedDetector(make_faces(1)), model).watch(rate_hz=30) for model in (every, second)
    )
    frames = list(film(13, still=False))
    near, far = ([watcher.read(f).probability[0, :2] * 51 for f in frames][-1] for watcher in (fast, slow))
    np.testing.assert_allclose(near[1] - near[0], 2, atol=1e-3)
    np.testing.assert_allclose(far[1] - far[0], 4, atol=1e-3)


@pytest.mark.parametrize("rate_hz", [0.15, 2, 30])
@pytest.mark.parametrize("model", [TableModel(TABLE), Moving()])
def test_going_on_from_a_state_is_identical(model, rate_hz):
    analyzer = Analyzer(FixedDetector(make_faces(2)), model)
    one, two = analyzer.watch(), analyzer.watch()
    frames = list(film(20, rate_hz=rate_hz, still=False))
    for frame in frames[:9]:
        one.read(frame)
    two.restore(json.loads(json.dumps(one.state())))
    for frame in frames[9:]:
        same(one.read(frame), two.read(frame))
    assert one.state() == two.state()


@pytest.mark.parametrize(
    "state", [{}, {"version": 99}, {"version": 1}, {"version": 1, "time_s": 0.0, "tracker": {}}]
)
def test_a_state_that_is_none_is_refused(state):
    with pytest.raises(ArgumentError, match="state"):
        Analyzer(FixedDetector(make_faces(1)), TableModel(TABLE)).watch().restore(state)


@pytest.mark.parametrize("option", [{"detect_every_s": -1}, {"rate_hz": 0}])
def test_wrong_options_are_refused(option):
    with pytest.raises(ArgumentError, match=next(iter(option))):
        Analyzer(FixedDetector(make_faces(1)), Moving()).watch(**option)


def test_stream_tracks_moving_pictures_and_reads_stills_each_for_itself():
    analyzer = Analyzer(FixedDetector(make_faces(1)), TableModel(TABLE))
    with SyntheticSource(4, SIZE, rate_hz=30) as frames:
        answers = list(analyzer.stream(frames, tracker=Tracker(forget_s=1)))
    assert [r.index for r in answers] == [0, 1, 2, 3] and all(r.is_moving for r in answers)
    with SyntheticSource(2, SIZE) as frames:
        assert not any(r.is_moving for r in analyzer.stream(frames))


# with the shipped models


@pytest.fixture(scope="module")
def portrait_film():
    """A portrait that drifts and turns a little, 640 x 480."""
    import cv2
    from skimage.data import astronaut

    def frame(i):
        angle, scale = 4 * np.sin(i / 9), 0.9 + 0.05 * np.sin(i / 15)
        matrix = cv2.getRotationMatrix2D((220, 120), angle, scale) + [[0, 0, 90 + 1.5 * i], [0, 0, 60]]
        return cv2.warpAffine(astronaut(), matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)

    return [Frame(frame(i), i, i / 30, "film") for i in range(30)]


@pytest.mark.parametrize("rate_hz", [1, 2, 3])
def test_a_portrait_read_rarely_is_one_person(portrait_film, rate_hz):
    watcher = Analyzer().watch()
    for i in range(6):
        readings = watcher.read(Frame(portrait_film[0].image, i, i / rate_hz, "film"))
        assert readings.faces.track_id.tolist() == [0] and readings.displayed == ("happiness",)


def test_following_agrees_with_detecting(portrait_film):
    analyzer = Analyzer()
    followed, detected = analyzer.watch(detect_every_s=0.5), analyzer.watch(detect_every_s=0)
    for frame in portrait_film:
        a, b = followed.read(frame), detected.read(frame)
        assert a.faces.track_id.tolist()[:1] == b.faces.track_id.tolist()[:1] == [0]
        eyes = np.linalg.norm(b.faces.landmarks_xy[0, 0] - b.faces.landmarks_xy[0, 1])
        assert np.linalg.norm(a.faces.landmarks_xy[0] - b.faces.landmarks_xy[0], axis=1).mean() < 0.12 * eyes
        assert np.abs(a.faces.box_xyxy[0] - b.faces.box_xyxy[0]).max() < 0.5 * eyes
        assert a.displayed[0] == b.displayed[0] == "happiness"
    assert detected.detections == 30 and followed.detections <= 12


def test_a_state_in_the_middle_of_following(portrait_film):
    analyzer = Analyzer(emotions=FERPLUS8.names)
    one, two = analyzer.watch(), analyzer.watch()
    for frame in portrait_film[:13]:
        one.read(frame)
    two.restore(json.loads(json.dumps(one.state())))
    for frame in portrait_film[13:]:
        same(one.read(frame), two.read(frame))


def test_a_face_that_vanishes_has_no_row(portrait_film):
    watcher = Analyzer().watch(detect_every_s=10)
    for frame in portrait_film[:10]:
        assert len(watcher.read(frame)) >= 1
    nothing = np.full((480, 640, 3), 128, np.uint8)
    assert len(watcher.read(Frame(nothing, 10, 10 / 30))) == 0
