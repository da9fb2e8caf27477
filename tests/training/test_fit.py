"""A run learns, goes on where it stopped, and keeps what is set aside out of what is learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning import Callback

from mien.errors import ArgumentError, SourceNotFoundError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.labelled import LabelledImages, duplicate_groups
from mien.training.data import Geometry
from mien.training.fit import Recipe, fit, open_run, prepare

QUICK = Recipe(epochs=1, batch=32, average=0.5, held_out=0.2, learning_rate=0.05, dropout=0.0)


def stripes(n, seed=0):
    """Pictures of level stripes (happiness) and upright stripes (sadness), with noise."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n)
    wave = 60 * np.sin(np.arange(48) * 0.9)
    pictures = np.where(kind[:, None, None] == 1, wave[None, None, :], wave[None, :, None])
    pictures = (pictures + 128 + rng.normal(0, 10, (n, 48, 48))).clip(0, 255).astype(np.uint8)
    return pictures, np.where(kind == 1, EKMAN7.index("sadness"), EKMAN7.index("happiness"))


def corpus(pictures, label, labels=EKMAN7, votes=None, split="Training"):
    n = len(pictures)
    return LabelledImages(
        "stripes", labels, pictures, label, np.full(n, split), np.arange(n).astype(str), votes
    )


def voted(pictures, label):
    votes = np.zeros((len(label), 8), np.float32)
    votes[np.arange(len(label)), [FERPLUS8.index(EKMAN7.names[i]) for i in label]] = 9
    return corpus(pictures, votes.argmax(1), FERPLUS8, votes)


def geometry(n):
    return Geometry(
        np.zeros(n, bool),
        np.zeros((n, 5, 2), np.float32),
        np.full((n, 2), 0.5, np.float32),
        ("aLeft", "aRight"),
    )


def test_prepare_makes_a_head_for_everything_there_is_to_learn():
    pictures, label = stripes(40)
    plain = prepare(corpus(pictures, label), None, None, QUICK)
    full = prepare(corpus(pictures, label), voted(pictures, label), geometry(40), QUICK)
    assert plain.heads == {"ekman7": 7}
    assert full.heads == {"ekman7": 7, "ferplus8": 8, "blendshapes": 2}
    assert full.mirrored == [1, 0]
    np.testing.assert_allclose(full.columns["ferplus8"].sum(1), 1)


def test_prepare_keeps_identical_pictures_on_one_side():
    pictures, label = stripes(60)
    pictures[30:] = pictures[:30]
    data = prepare(corpus(pictures, label), None, None, QUICK)
    groups = duplicate_groups(pictures)
    assert not set(groups[data.held_out]) & set(groups[~data.held_out])


def test_prepare_takes_nothing_but_training():
    pictures, label = stripes(12)
    with pytest.raises(ArgumentError, match="Training"):
        prepare(corpus(pictures, label, split="PublicTest"), None, None, QUICK)


class StopAfter(Callback):
    """Ends a run early, as a cut of power would, after its checkpoint is written."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch > self.epoch:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Checkpoint directory")  # it is not empty: that is the point
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")  # inside Lightning
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:DeprecationWarning")
def test_a_run_learns_and_resumes(tmp_path):
    recipe = replace(QUICK, epochs=6)
    pictures, label = stripes(320)
    data = prepare(corpus(pictures, label), voted(pictures, label), geometry(320), recipe)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(data, recipe, tmp_path, [StopAfter(1)])
    stopped = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert stopped["epoch"] == 1
    module = fit(data, recipe, tmp_path)
    finished = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert finished["epoch"] == 5
    assert finished["global_step"] == 3 * stopped["global_step"], "the second run went on from the first"
    again = fit(data, recipe, tmp_path)  # a finished run is only read
    for one, other in zip(module.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    fresh, truth = stripes(100, seed=9)
    with torch.no_grad():
        scores = module.network.eval()(torch.from_numpy(fresh[:, 2:-2, 2:-2]).float())
    assert (scores["ekman7"].argmax(1).numpy() == truth).mean() > 0.9
    assert (scores["ferplus8"].argmax(1).numpy() == voted(fresh, truth).label).mean() > 0.9


def test_a_folder_with_another_recipe_is_refused(tmp_path):
    assert open_run(tmp_path / "run", QUICK) is None
    assert open_run(tmp_path / "run", QUICK) is None
    with pytest.raises(ArgumentError, match=r"epochs, seed differs"):
        open_run(tmp_path / "run", replace(QUICK, epochs=9, seed=1))


def test_a_base_that_is_no_run_is_refused(tmp_path):
    pictures, label = stripes(40)
    recipe = replace(QUICK, base=str(tmp_path / "nothing"))
    with pytest.raises(SourceNotFoundError, match="nothing"):
        fit(prepare(corpus(pictures, label), None, None, recipe), recipe, tmp_path / "run")
