"""``mien evaluate``: votes, abstention, the chart of both, surrounded pictures, mirroring, mean recall."""

import json

import numpy as np
import pytest
from PIL import Image

from mien.sources.images import read_image

COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip


@pytest.fixture
def faces(tmp_path, portrait):
    """A folder per emotion: one face cut closely, and noise."""
    random = np.random.default_rng(0)
    for emotion in ("happy", "calm"):
        (tmp_path / "set" / emotion).mkdir(parents=True)
        noise = random.integers(0, 256, (48, 48), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "set" / emotion / "noise.png")
    Image.fromarray(portrait[60:170, 165:275]).save(tmp_path / "set" / "happy" / "face.png")
    return tmp_path / "set"


@pytest.fixture
def voted(tmp_path):
    """A FER2013 csv of noise with FER+ votes: six pictures of which the last two are undecided."""
    random = np.random.default_rng(1)
    lines, votes = ["emotion,pixels,Usage"], [",".join(("Usage", "Image name", *COLUMNS))]
    for i in range(6):
        pixels = " ".join(map(str, random.integers(0, 256, 48 * 48)))
        usage = "Training" if i == 0 else "PublicTest"
        lines.append(f"{i % 7},{pixels},{usage}")
        counts = [10, 0, 0] if i < 4 else [5, 5, 0]
        votes.append(",".join(map(str, [usage, f"{i}.png", *counts, *[0] * 7])))
    (tmp_path / "fer.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "votes.csv").write_text("\n".join(votes) + "\n")
    return ["evaluate", tmp_path / "fer.csv", "--ferplus", tmp_path / "votes.csv", "--framed"]


def test_votes_abstention_and_their_chart(run, voted, tmp_path):
    result = run(*voted, "--split", "PublicTest", "--unsure", 0.3, "--json", tmp_path / "n.json", "--plot",
                 tmp_path / "both.png")  # fmt: skip
    assert result.code == 0, result.err
    written = json.loads((tmp_path / "n.json").read_text())["all"]
    assert (written["n"], written["votes"]["n"], written["all_votes"]["n"]) == (3, 3, 5)
    assert [one["confidence"] for one in written["abstention"]["at_threshold"]] == [0.3]
    for words in ("divergence D(votes || model)", "correlation (Spearman)", "also undecided"):
        assert words in result.out
    for words in ("area of errors", "the surest 70 %", "--unsure 0.3"):
        assert words in result.out
    assert read_image(tmp_path / "both.png").shape[1] > 1000


def test_without_votes_nothing_is_said_of_them(run, faces):
    assert "votes" not in run("evaluate", faces, "--framed").out


def test_a_surrounded_face_is_found_and_noise_is_missed(run, faces, tmp_path):
    words = ["evaluate", faces, "--detect", "--surround", 0.5, "--recall-over", "happy,calm,anger"]
    result = run(*words, "--json", tmp_path / "n.json")
    assert result.code == 0, result.err
    written = json.loads((tmp_path / "n.json").read_text())
    assert written["surround"] == {"share": 0.5, "fill": "plain"}
    assert (written["all"]["n"], written["all"]["missed"]) == (3, 2)
    assert written["all"]["mean_recall"]["emotions"] == ["happiness", "neutral"]
    assert "Surrounded: 50% of its sides" in result.out and "accuracy of faces found" in result.out
    assert "no picture of anger" in result.out


def test_mirroring_is_said_to_be_that(run, faces, tmp_path):
    result = run("evaluate", faces, "--framed", "--mirrored", "--json", tmp_path / "n.json")
    assert result.code == 0, result.err
    assert "twice the work" in result.out
    written = json.loads((tmp_path / "n.json").read_text())
    assert written["mirrored"] is True and written["model"].endswith("with test-time mirroring")


def test_several_sets(run, faces, tmp_path):
    words = ["evaluate", faces, f"folder:{faces}", "--detect", "--surround", 0.5, "--mirrored"]
    result = run(*words, "--recall-over", "happiness,neutral", "--json", tmp_path / "n.json")
    assert result.code == 0, result.err
    assert "mean recall" in result.out and result.out.count("twice the work") == 2
    places = json.loads((tmp_path / "n.json").read_text())["places"]
    assert all(place["evaluation"]["surround"]["share"] == 0.5 for place in places)


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["--surround", 0.5], "give --detect too", 2),
        (["--detect", "--surround", 0.5, "--robustness"], "exclude each other", 2),
        (["--detect", "--surround", -1], "surround must be over 0", 1),
        (["--detect", "--surround", 0.5, "--fill", "pink"], "fill must be one of plain, repeat, black", 1),
        (["--recall-over", "hapiness"], "Did you mean 'happiness'", 1),
        (["--recall-over", " , "], "--recall-over must be emotions", 1),
        (["--unsure", 3], "--unsure", 2),
        (["--plot", "a.doc"], "a name that ends in .png", 1),
        (["--plot", "a.png", "--model", "default", "--model", "default"], "one model on one data set", 2),
    ],
)
def test_what_cannot_be_done(run, faces, words, says, code):
    result = run("evaluate", faces, *words)
    assert result.code == code
    assert says in " ".join(result.err.replace("│", " ").split())
