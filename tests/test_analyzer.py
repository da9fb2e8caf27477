"""Joining the stages: subsets, empties, sources of one and of many pictures."""

import numpy as np
import pytest
from PIL import Image

import mien
import mien.analyzer
from mien.analyzer import Analyzer
from mien.errors import ArgumentError, SourceNotFoundError, UnknownNameError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.frame import Frame
from mien.testing import CollectingSink, FixedDetector, SyntheticSource, TableModel, make_faces

TABLE = np.random.default_rng(0).dirichlet(np.ones(8), 3).astype(np.float32)
PICTURE = np.zeros((240, 320, 3), np.uint8)


def analyzer(faces=2, **options):
    return Analyzer(FixedDetector(make_faces(faces)), TableModel(TABLE), **options)


@pytest.mark.parametrize("faces", [0, 1, 3])
def test_as_many_readings_as_faces(faces):
    readings = analyzer(faces).analyze(PICTURE)
    assert len(readings) == faces
    np.testing.assert_allclose(readings.probability, TABLE[:faces], atol=1e-6)
    assert readings.labels == FERPLUS8
    assert readings.model == "table"
    assert readings.size_px == (320, 240)


def test_a_subset_is_renormalised_in_the_order_asked():
    readings = analyzer(3, emotions=["calm", "Angry", "fear"]).analyze(PICTURE)
    assert readings.labels.names == ("neutral", "anger", "fear")
    columns = TABLE[:, [FERPLUS8.index(name) for name in readings.labels]]
    np.testing.assert_allclose(readings.probability, columns / columns.sum(1, keepdims=True), atol=1e-6)


def test_an_unknown_emotion_says_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'happiness'"):
        analyzer(emotions=["hapiness", "fear"])


def test_unsure_faces_say_so():
    assert set(analyzer(3, unsure=1.0).analyze(PICTURE).emotion) == {"unsure"}
    assert "unsure" not in analyzer(3).analyze(PICTURE).emotion


@pytest.mark.parametrize("option", [{"unsure": 1.5}, {"unsure": -0.1}, {"min_face": 0}, {"labels": "ekman7"}])
def test_wrong_options_are_refused(option):
    with pytest.raises(ArgumentError, match=next(iter(option))):
        analyzer(**option)


def test_a_frame_keeps_its_place_in_time():
    readings = analyzer().analyze(Frame(PICTURE, index=7, time_s=0.25, source="film"))
    assert (readings.index, readings.time_s, readings.source) == (7, 0.25, "film")


@pytest.mark.parametrize("make", [lambda p: p, lambda p: Image.fromarray(p), lambda p: p[..., 0]])
def test_pictures_in_memory(make):
    assert len(analyzer().analyze(make(PICTURE))) == 2


def test_files_and_bytes(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PICTURE).save(path)
    assert len(analyzer().analyze(path)) == len(analyzer().analyze(path.read_bytes())) == 2
    assert analyzer().analyze(str(path)).source == str(path)


def test_several_pictures_need_stream(tmp_path):
    for name in "ab":
        Image.fromarray(PICTURE).save(tmp_path / f"{name}.png")
    with pytest.raises(ArgumentError, match="stream"):
        analyzer().analyze(tmp_path)
    assert [r.source.rsplit("/", 1)[1] for r in analyzer().stream(tmp_path)] == ["a.png", "b.png"]


def test_a_missing_file_says_so():
    with pytest.raises(SourceNotFoundError, match=r"nowhere\.jpg"):
        analyzer().analyze("nowhere.jpg")


def test_stream_of_a_source_keeps_every_frame():
    with SyntheticSource(5, rate_hz=10) as frames, CollectingSink() as sink:
        for readings in analyzer(0).stream(frames):
            sink.write(readings)
    assert [r.index for r in sink.written] == [0, 1, 2, 3, 4]
    assert all(len(r) == 0 for r in sink.written)


# with the shipped models


@pytest.fixture(scope="module")
def hopper():
    from matplotlib.cbook import get_sample_data

    return get_sample_data("grace_hopper.jpg", asfileobj=False)


def test_the_shipped_models_read_a_portrait(hopper):
    readings = mien.analyze(hopper)
    left, top, right, bottom = readings.faces.box_xyxy[0]
    assert 150 < left < 230 < 290 < right < 380  # the face of the 512 x 600 picture
    assert 60 < top < 160 < 250 < bottom < 350
    right_eye, left_eye, nose, mouth_right, mouth_left = readings.faces.landmarks_xy[0]
    assert right_eye[0] < left_eye[0], "the subject's right eye is on the picture's left"
    assert right_eye[1] < nose[1] < mouth_right[1]
    assert mouth_right[0] < mouth_left[0]
    assert readings.emotion[0] in ("happiness", "neutral")
    np.testing.assert_allclose(readings.probability.sum(1), 1, atol=1e-5)


def test_a_portrait_holds_one_face(hopper):
    assert len(mien.analyze(hopper)) == 1


def test_a_mirrored_portrait_holds_one_face(hopper):
    from mien.sources.images import read_image

    assert len(mien.analyze(np.ascontiguousarray(read_image(hopper)[:, ::-1]))) == 1


def test_the_shipped_models_read_a_smile():
    from skimage.data import astronaut

    readings = mien.analyze(astronaut())
    assert readings.emotion[:1] == ["happiness"]
    assert readings.confidence[0] > 0.7


def test_both_label_sets_ship(hopper):
    assert mien.analyze(hopper, labels="ekman7").labels == EKMAN7
    assert mien.analyze(hopper, emotions=["anger", "fear", "calm"]).labels.names == (
        "anger",
        "fear",
        "neutral",
    )


def test_left_stays_left_when_the_picture_is_mirrored(hopper):
    from mien.sources.images import read_image

    image = read_image(hopper)
    plain, mirrored = mien.analyze(image), mien.analyze(np.ascontiguousarray(image[:, ::-1]))
    flipped = mirrored.faces.landmarks_xy[0] * (-1, 1) + (image.shape[1], 0)
    np.testing.assert_allclose(flipped[[1, 0, 2, 4, 3]], plain.faces.landmarks_xy[0], atol=6)
    np.testing.assert_allclose(mirrored.probability[:1], plain.probability[:1], atol=0.25)


def test_coloured_light_does_not_matter(hopper):
    from mien.sources.images import read_image

    image = read_image(hopper)
    red = image * np.array([1, 0.25, 0.25])
    plain, lit = mien.analyze(image).faces[0], mien.analyze(red.astype(np.uint8)).faces[0]
    np.testing.assert_allclose(lit.box_xyxy, plain.box_xyxy, atol=8)
    np.testing.assert_allclose(lit.landmarks_xy, plain.landmarks_xy, atol=8)


def test_models_are_kept_for_the_next_call_with_the_same_options(monkeypatch):
    made = []

    class Counting(Analyzer):
        def __init__(self, **options):
            made.append(options)
            super().__init__(detector=FixedDetector(make_faces(1)), **options)

    monkeypatch.setattr(mien.analyzer, "Analyzer", Counting)
    mien.analyzer._kept_analyzer.cache_clear()
    for emotions in (["anger", "fear"], ("anger", "fear"), np.array(["anger", "fear"])):
        assert len(mien.analyze(PICTURE, emotions=emotions)) == 1
    for expect in ({"neutral": 0.2, "fear": 0.3}, {"fear": 0.3, "neutral": 0.2}):
        mien.analyze(PICTURE, expect=expect)
    mien.analyze(PICTURE, expect={"neutral": 0.3, "fear": 0.2})
    assert len(made) == 3
    mien.analyzer._kept_analyzer.cache_clear()
