"""A run learns, goes on where it stopped, and keeps what is set aside out of what is learned."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from lightning import Callback

from mien.errors import ArgumentError, SourceNotFoundError, UnknownNameError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.labelled import LabelledImages
from mien.training.data import prepare
from mien.training.fit import fit
from mien.training.geometry import Geometry
from mien.training.module import ExpressionModule
from mien.training.recipe import Recipe, recipe_for
from mien.training.runs import check_base, open_run

pytestmark = [
    pytest.mark.filterwarnings("ignore:Checkpoint directory"),  # it is not empty: that is the point
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),  # inside Lightning
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:DeprecationWarning"),
]

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


class StopAfter(Callback):
    """Ends a run early, as a cut of power would, after its checkpoint is written."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch > self.epoch:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_run_learns_and_resumes(tmp_path):
    recipe = replace(QUICK, epochs=6)
    pictures, label = stripes(320)
    data = prepare([voted(pictures, label), corpus(pictures, label)], recipe, geometry=geometry(320))
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


def test_a_resumed_run_draws_what_it_would_have_drawn(tmp_path):
    recipe = recipe_for("resnet-tiny", epochs=2, batch=8, held_out=0.2, mixup=0.2, precision="32-true")
    pictures, label = stripes(32)
    data = prepare([corpus(pictures, label)], recipe)
    whole = fit(data, recipe, tmp_path / "whole").state_dict()
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fit(data, recipe, tmp_path / "parts", [StopAfter(0)])
    parts = fit(data, recipe, tmp_path / "parts").state_dict()
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, msg=name)


class Watch(Callback):
    """Notes what the network is shown while it learns, and what it answers."""

    def __init__(self):
        self.shown, self.answers = [], []

    def on_fit_start(self, trainer, module):
        module.network.register_forward_hook(self.note)

    def note(self, network, shown, answer):
        if network.training:
            self.shown.append(shown[0].clone())
            self.answers.append(answer["ekman7"].detach().clone())


def test_a_sharpness_aware_step_answers_twice_to_the_same_copies(tmp_path):
    recipe = recipe_for(
        "resnet-tiny", epochs=1, batch=8, held_out=0.2, mixup=0.2, sharpness=0.1, precision="32-true"
    )
    pictures, label = stripes(32)
    data, watch = prepare([corpus(pictures, label)], recipe), Watch()
    aware = fit(data, recipe, tmp_path / "aware", [watch]).state_dict()
    assert len(watch.shown) == 6, "three steps of two passes"
    for here, there in zip(watch.shown[::2], watch.shown[1::2], strict=True):
        torch.testing.assert_close(here, there)
    for here, there in zip(watch.answers[::2], watch.answers[1::2], strict=True):
        assert (here - there).abs().max() > 1e-4, "the second from other weights"
    assert not torch.equal(watch.shown[0], watch.shown[2])
    plain = fit(data, replace(recipe, sharpness=0.0), tmp_path / "plain").state_dict()
    learning = [name for name, _ in ExpressionModule(recipe, data.heads, []).named_parameters()]
    assert any(not torch.equal(aware[name], plain[name]) for name in learning)


def test_a_folder_with_another_recipe_is_refused(tmp_path):
    assert open_run(tmp_path / "run", QUICK) is None
    changed = replace(QUICK, epochs=9, seed=1)
    assert open_run(tmp_path / "run", changed) is None, "nothing was learned there yet"
    (tmp_path / "run" / "last.ckpt").touch()
    assert open_run(tmp_path / "run", changed) == str(tmp_path / "run" / "last.ckpt")
    with pytest.raises(ArgumentError, match=r"epochs, seed differs"):
        open_run(tmp_path / "run", QUICK)


def test_a_run_does_not_pass_for_one_on_other_data(tmp_path):
    pictures, label = stripes(64)
    data = prepare([corpus(pictures, label)], QUICK)
    first = fit(data, QUICK, tmp_path)
    again = fit(prepare([corpus(pictures, label)], QUICK), QUICK, tmp_path)  # the same data: only read
    assert torch.equal(first.network.heads["ekman7"].weight, again.network.heads["ekman7"].weight)
    for others in (corpus(pictures[:60], label[:60]), corpus(pictures, np.roll(label, 1))):
        with pytest.raises(ArgumentError, match="same pictures and labels"):
            fit(prepare([others], QUICK), QUICK, tmp_path)


def test_the_mean_of_two_runs_is_a_run_too(tmp_path):
    pictures, label = stripes(64)
    data = prepare([corpus(pictures, label)], QUICK)
    fit(data, QUICK, tmp_path / "root")
    ends = []
    for seed in (1, 2):
        fit(data, replace(QUICK, seed=seed, base=str(tmp_path / "root")), tmp_path / f"end{seed}")
        ends.append(str(tmp_path / f"end{seed}"))
    mean = replace(QUICK, epochs=0, base=",".join(ends))
    module = fit(data, mean, tmp_path / "mean")
    weights = [torch.load(f"{end}/last.ckpt", weights_only=True)["state_dict"] for end in ends]
    for name, value in module.named_parameters():
        torch.testing.assert_close(value.data, (weights[0][name] + weights[1][name]) / 2, msg=name)
    statistics = [name for name, _ in module.named_buffers() if name.endswith("running_var")]
    assert any(not torch.equal(module.state_dict()[name], weights[0][name]) for name in statistics)
    again = fit(data, mean, tmp_path / "mean")  # only read
    for one, other in zip(module.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    fit(data, replace(QUICK, base=str(tmp_path / "mean")), tmp_path / "on")
    others = prepare([corpus(pictures, np.roll(label, 1))], QUICK)
    with pytest.raises(ArgumentError, match="base must be runs on the same pictures and labels"):
        fit(others, mean, tmp_path / "other")
    assert not (tmp_path / "other" / "last.ckpt").exists()


def test_nothing_is_learned_of_no_base_or_a_models_file():
    with pytest.raises(ArgumentError, match="epochs"):
        replace(QUICK, epochs=0)
    with pytest.raises(ArgumentError, match="a run's folder, or several, where there are 0 epochs"):
        check_base("resnet.ferplus", replace(QUICK, epochs=0, base="resnet.ferplus"))


def test_a_models_file_may_be_averaged_with_a_run(tmp_path):
    open_run(tmp_path, QUICK)
    check_base("resnet.ferplus", replace(QUICK, epochs=0, base=f"resnet.ferplus,{tmp_path}"))


def test_a_base_must_have_set_the_same_part_aside(tmp_path):
    open_run(tmp_path, QUICK)
    check_base(str(tmp_path), replace(QUICK, seed=1))
    check_base("resnet.ferplus", QUICK)
    for other in (replace(QUICK, split_seed=1), replace(QUICK, held_out=0.3)):
        with pytest.raises(ArgumentError, match="set the same part aside"):
            check_base(str(tmp_path), other)


def test_a_base_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "nothing").mkdir()
    pictures, label = stripes(40)
    recipe = replace(QUICK, base=str(tmp_path / "nothing"))
    with pytest.raises(SourceNotFoundError, match="nothing"):
        fit(prepare([corpus(pictures, label)], recipe), recipe, tmp_path / "run")


def test_what_is_kept_of_the_base_lies_between_it_and_the_run(tmp_path):
    pictures, label = stripes(64)
    data = prepare([corpus(pictures, label)], QUICK)
    first = fit(data, QUICK, tmp_path / "first").network.state_dict()
    onward = replace(QUICK, base=str(tmp_path / "first"), seed=1)
    whole = fit(data, onward, tmp_path / "whole").network.state_dict()
    half = fit(data, replace(onward, keep=0.5), tmp_path / "half").network.state_dict()
    name = "heads.ekman7.weight"
    assert not torch.equal(first[name], whole[name])
    torch.testing.assert_close(half[name], (first[name] + whole[name]) / 2)


def test_a_run_of_an_earlier_version_goes_on(tmp_path):
    plain = asdict(QUICK)
    for field in ("mixup", "frames", "balance"):  # which it did not know
        del plain[field]
    (tmp_path / "recipe.json").write_text(json.dumps(plain))
    (tmp_path / "last.ckpt").touch()
    assert open_run(tmp_path, QUICK, "any data") == str(tmp_path / "last.ckpt")
    with pytest.raises(ArgumentError, match="mixup differs"):
        open_run(tmp_path, replace(QUICK, mixup=0.2))


OPTIONS = [
    {"arch": "cnn", "mixup": 0.2, "balance": "loss", "epochs": 15},
    {"arch": "mini-xception", "balance": "sampling", "patience": 3, "epochs": 20},
    {"arch": "vit", "augment": "strong", "epochs": 8},
]


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=[one["arch"] for one in OPTIONS])
def test_every_option_learns(options, tmp_path):
    changes = {"epochs": 5, "batch": 32, "average": 0.5, "held_out": 0.2, "dropout": 0.0, **options}
    recipe = recipe_for(changes.pop("arch"), **changes)
    pictures, label = stripes(320)
    module = fit(prepare([corpus(pictures, label)], recipe), recipe, tmp_path)
    fresh, truth = stripes(100, seed=9)
    with torch.no_grad():
        scores = module.network(torch.from_numpy(fresh).float()[:, : recipe.size, : recipe.size])
    assert (scores["ekman7"].argmax(1).numpy() == truth).mean() > 0.9
    epochs = torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] + 1
    assert epochs <= recipe.epochs if recipe.patience else epochs == recipe.epochs


def moving(n, seed=0):
    """Sequences of stripes that move up (happiness) or down (sadness); single frames look alike."""
    rng = np.random.default_rng(seed)
    way, start = rng.integers(0, 2, n), rng.uniform(0, 6.28, n)
    shift = start[:, None] + np.where(way, 0.8, -0.8)[:, None] * np.arange(6)
    wave = 128 + 80 * np.sin(np.arange(48) * 0.5 + shift[..., None])
    pictures = np.broadcast_to(wave[..., None], (n, 6, 48, 48)) + rng.normal(0, 5, (n, 6, 48, 48))
    label = np.full((n, 6), -1)
    label[:, -1] = np.where(way, EKMAN7.index("sadness"), EKMAN7.index("happiness"))
    one = corpus(pictures.clip(0, 255).astype(np.uint8).reshape(-1, 48, 48), label.ravel())
    return replace(one, sequence=np.arange(n).repeat(6).astype(str), position=np.tile(np.arange(6), n))


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["gru", "convlstm", "timedelay"])
def test_sequence_networks_learn_what_only_motion_tells(arch, tmp_path):
    settings = {"batch": 16, "average": 0.5, "held_out": 0.1, "augment": "none", "frames": 6}
    settings["epochs"] = 30 if arch == "gru" else 12  # a recurrent unit must first learn to compare
    recipe = recipe_for(arch, **settings, dropout=0.0, whole=0.0)
    module = fit(prepare([moving(240)], recipe), recipe, tmp_path)
    fresh = moving(60, seed=3)
    windows = torch.from_numpy(fresh.images.reshape(-1, 6, 48, 48)).float()
    with torch.no_grad():
        answer = module.network(windows)["ekman7"].argmax(1).numpy()
    assert (answer == fresh.label.reshape(-1, 6)[:, -1]).mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"optimiser": "adam"}, UnknownNameError, "adamw"),
        ({"balance": "all"}, UnknownNameError, "balance"),
        ({"epochs": 0}, ArgumentError, "epochs"),
        ({"dropout": 1.0}, ArgumentError, "dropout"),
        ({"mixup": -1.0}, ArgumentError, "mixup"),
        ({"epoch": 3}, UnknownNameError, "'epochs'"),
        ({"keep": 0.5}, ArgumentError, "without a base"),
        ({"keep": 1.0, "base": "x"}, ArgumentError, "below 1"),
    ],
)
def test_recipes_that_make_no_sense(changes, error, message):
    with pytest.raises(error, match=message):
        recipe_for("resnet", **changes)


def test_recipes_follow_the_architecture_then_the_user():
    assert recipe_for("resnet") == Recipe()
    assert recipe_for("cnn").optimiser == "adamw" and recipe_for("cnn").size == 48
    assert recipe_for("cnn", optimiser="sgd", seed=None).optimiser == "sgd"
    assert recipe_for("gru").frames > 1 and recipe_for("gru", frames=4).frames == 4
    assert recipe_for("resnet", base="x").epochs < recipe_for("resnet").epochs


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from test_fit import QUICK, corpus, stripes
from dataclasses import replace
from mien.training.data import prepare
from mien.training.fit import fit

if __name__ == "__main__":
    recipe = replace(QUICK, epochs={epochs}, batch=16)
    pictures, label = stripes(200)
    fit(prepare([corpus(pictures, label)], recipe), recipe, {folder!r}, devices={devices})
    print("finished")
"""


def script(tmp_path, **values):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT.format(tests=os.path.dirname(__file__), folder=str(tmp_path / "run"), **values))
    return [sys.executable, str(path)]


@pytest.mark.slow
def test_a_killed_run_goes_on_where_its_last_epoch_ended(tmp_path):
    command = script(tmp_path, epochs=15, devices=1)
    checkpoint = tmp_path / "run" / "last.ckpt"
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL, "it was killed while it ran"
    stopped = torch.load(checkpoint, weights_only=True)["epoch"]
    assert stopped < 14
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "finished" in second.stdout and "Restored all states" in second.stderr
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 14


@pytest.mark.slow
def test_two_processes_share_a_batch(tmp_path):
    done = subprocess.run(script(tmp_path, epochs=2, devices=2), capture_output=True, text=True, check=True)
    assert "finished" in done.stdout
    finished = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert finished["epoch"] == 1
    assert finished["global_step"] == 2 * (160 // 16), "as many steps as with one"


def test_more_processes_than_a_batch_has_pictures_are_refused(tmp_path):
    pictures, label = stripes(40)
    recipe = replace(QUICK, batch=2)
    with pytest.raises(ArgumentError, match="devices must be at most one for each of a batch's 2 pictures"):
        fit(prepare([corpus(pictures, label)], recipe), recipe, tmp_path / "run", devices=3)
    assert not (tmp_path / "run").exists()


def test_a_log_for_tensorboard_can_be_read_by_it(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator

    pictures, label = stripes(64)
    recipe = replace(QUICK, arch="mini-xception", size=48, margin=0.0, learning_rate=1e-3)
    fit(prepare([corpus(pictures, label)], recipe), recipe, tmp_path, log="tensorboard")
    events = event_accumulator.EventAccumulator(str(next(tmp_path.rglob("events.out.tfevents.*"))))
    events.Reload()
    assert {"loss", "accuracy"} <= set(events.Tags()["scalars"])
    assert events.Scalars("loss")[0].value > 0


def test_a_log_of_another_kind_is_refused(tmp_path):
    pictures, label = stripes(32)
    with pytest.raises(ArgumentError, match="csv"):
        fit(prepare([corpus(pictures, label)], QUICK), QUICK, tmp_path, log="paper")
