"""A detector's file answers as its network does, and its card says what was measured and learned from."""

import numpy as np
import pytest
import torch

from mien.catalog import load_card
from mien.faces.detect import PointDetector
from mien.runtime import Session
from mien.training.base import start_from
from mien.training.facepoint import FacePoint
from mien.training.material import Material
from mien.training.run_detector import detector_sources, finish_detector


@pytest.mark.slow
def test_a_detector_file_finds_what_its_network_finds(tmp_path):
    grey = np.random.default_rng(2).integers(0, 256, (64, 96)).astype(np.uint8)
    empty = Material(portraits={}, photos={}, backgrounds=[grey, grey[:50, :70]])
    torch.manual_seed(0)
    network = FacePoint().eval()
    for norm in network.norms:  # equal ones would be stored once
        for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            value.data.uniform_(0.5, 1.5)
    report = finish_detector(
        network,
        empty,
        detector_sources(empty),
        out=tmp_path,
        name="facepoint.test",
        picture=grey,
        command="mien train-detector",
        typical=np.stack([grey[:, :64]] * 8),
    )
    card = load_card(tmp_path / "facepoint.test.toml")
    assert card.score_threshold == pytest.approx(report.score_threshold, abs=1e-4)
    assert [(m.name, m.n, m.data) for m in card.metrics] == [
        ("pictures with a false face", 2, f"backgrounds {how}, set aside")
        for how in ("as they are", "as frames of 640 x 480", "as dark frames of 640 x 480")
    ]
    assert [(d.name, d.images) for d in card.training_data] == [("Caltech-101", 2), ("YuNet-n", 0)]
    assert (tmp_path / "facepoint.test.onnx").stat().st_size < 1_000_000
    session = Session(tmp_path / "facepoint.test.onnx")
    score = session.run({"picture": grey[None].astype(np.float32)}, ["score"])[0]
    with torch.no_grad():
        truth = network(torch.from_numpy(grey[None]).float())[0].sigmoid().numpy()
    assert np.sqrt(np.mean((score - truth) ** 2)) < 0.15 * truth.std()
    fresh = FacePoint()
    start_from(
        fresh, str(tmp_path / "facepoint.test.onnx"), torch.from_numpy(grey[None]).float(), task="detection"
    )
    with torch.no_grad():
        again = fresh.eval()(torch.from_numpy(grey[None]).float())[0].sigmoid().numpy()
    assert np.sqrt(np.mean((again - truth) ** 2)) < 0.15 * truth.std()
    assert len(PointDetector(session, "x", 0.5).detect(grey)) == int((score > 0.5).sum() > 0)
