"""From labelled pictures to tensors: alignments or crops, targets, and what is set aside."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.errors import ArgumentError
from mien.labels import EKMAN7, FERPLUS8
from mien.sources.labelled import LabelledImages, duplicate_groups
from mien.training.augment import cut
from mien.training.data import BatchRows, Samples, hold_out, labelled_rows, loader, prepare
from mien.training.geometry import Geometry
from mien.training.recipe import Recipe, recipe_for

RECIPE = Recipe(held_out=0.25)


def corpus(n, *, labels=EKMAN7, votes=None, side=48, **columns):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (n, side, side), dtype=np.uint8)
    label = random.integers(0, len(labels), n)
    return LabelledImages(
        "made up", labels, pictures, label, np.full(n, "", "U8"), np.arange(n).astype(str), votes, **columns
    )


def voted(n):
    votes = np.random.default_rng(1).integers(0, 4, (n, 8)).astype(np.float32)
    votes[0] = 0
    return replace(corpus(n), labels=FERPLUS8, votes=votes, label=np.where(votes.any(1), votes.argmax(1), -1))


def geometry(n):
    return Geometry(
        np.zeros(n, bool),
        np.zeros((n, 5, 2), np.float32),
        np.full((n, 2), 0.5, np.float32),
        ("aLeft", "aRight"),
    )


def test_prepare_makes_a_head_for_everything_there_is_to_learn():
    plain = prepare([corpus(40)], RECIPE)
    full = prepare([voted(40), corpus(40)], RECIPE, geometry=geometry(40))
    assert plain.heads == {"ekman7": 7} and len(plain) == 40
    assert full.heads == {"ferplus8": 8, "ekman7": 7, "blendshapes": 2}
    assert full.mirrored == [1, 0]
    np.testing.assert_allclose(full.targets["ferplus8"].sum(1)[1:], 1, rtol=1e-6)
    assert full.targets["ekman7_weight"][0] == 0, "where nobody saw a face there is no label either"
    assert (full.targets["ekman7_weight"][1:] == 1).all()


def test_prepare_keeps_identical_pictures_on_one_side():
    one = corpus(60)
    one.images[30:] = one.images[:30]
    data = prepare([one], RECIPE)
    groups = duplicate_groups(one.images)
    assert not set(groups[data.held_out]) & set(groups[~data.held_out])


def test_persons_and_sequences_are_not_torn_apart():
    who = np.array(["a", "b", "c", "d"]).repeat(10)
    clip = np.array([f"{i}" for i in range(20)]).repeat(2)
    clip[20] = clip[0]  # a clip that shows a and c ties the two together
    position = np.arange(40)
    data = prepare([corpus(40, subject=who, sequence=clip, position=position)], RECIPE)
    held = set(who[data.held_out])
    assert held and not held & set(who[~data.held_out])
    assert ("a" in held) == ("c" in held)


def test_large_pictures_become_crops_with_surroundings_that_are_cut_like_in_inference():
    from mien.faces.align import CropSpec

    one = corpus(3, side=160)
    yy, xx = np.mgrid[:160, :160]
    one.images[:] = (127 + 100 * np.sin(xx / 20) * np.cos(yy / 25)).astype(np.uint8)
    recipe = recipe_for("resnet", held_out=0.4)
    one.images[1] = one.images[1][::-1]
    data = prepare([one], recipe)
    crops = cut(data.pictures["picture"], data.pictures["aligned"], recipe.size)
    wanted = CropSpec(recipe.template, recipe.margin, recipe.size).cut_framed(one.images[0])
    assert data.pictures["picture"].shape[1] > recipe.size
    assert abs(crops[0].numpy() - wanted.astype(float)).mean() < 3


def test_colour_is_kept_where_the_architecture_wants_it():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 80, 80, 3), dtype=np.uint8)
    one = replace(corpus(4), images=pictures)
    data = prepare([one], recipe_for("resnet50", held_out=0.3, pretrained=""))
    assert data.pictures["picture"].shape[-1] == 3
    assert cut(data.pictures["picture"], data.pictures["aligned"], 96).shape == (4, 96, 96, 3)


def test_samples_of_sequences_are_windows():
    clip = np.array(["a"] * 6 + ["b"] * 6)
    one = corpus(12, sequence=clip, position=np.arange(12))
    one.label[[0, 1, 2, 6, 7, 8]] = -1
    data = prepare([one], recipe_for("gru", frames=4, hop=1, held_out=0.5))
    assert data.rows.shape == (6, 4)
    assert data.rows[0].tolist() == [0, 1, 2, 3] and data.targets["ekman7"][0] == one.label[3]
    batch = Samples(data, torch.arange(6))[[0, 5]]
    assert batch["picture"].shape == (2, 4, 48, 48) and batch["aligned"].shape == (2, 4, 2, 3)
    np.testing.assert_array_equal(batch["picture"][1, -1], one.images[11])
    assert cut(batch["picture"], batch["aligned"], 48).shape == (2, 4, 48, 48)


def test_a_corpus_without_sequences_is_no_food_for_sequence_networks():
    with pytest.raises(ArgumentError, match="sequences"):
        prepare([corpus(4)], recipe_for("gru"))


def test_only_what_has_a_label_is_learned_from():
    one = corpus(6)
    one.label[:] = [0, -1, 2, -1, -1, 1]
    assert labelled_rows(one).tolist() == [0, 2, 5]
    clip = np.array(["a", "a", "b", "b", "", ""])
    sequenced = replace(one, sequence=clip, position=np.arange(6))
    sequenced.label[:] = [0, -1, -1, -1, -1, 1]
    assert labelled_rows(sequenced, sequences=True).tolist() == [0, 1, 5]
    assert labelled_rows(sequenced).tolist() == [0, 5], "what a still shows is all that a still network has"


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_hold_out_keeps_groups_together(share):
    groups = np.random.default_rng(0).integers(0, 400, 1000)
    held = hold_out(groups, share, seed=1)
    assert not set(groups[held]) & set(groups[~held])
    assert abs(held.mean() - share) < 0.05
    assert (held == hold_out(groups, share, seed=1)).all()
    assert (held != hold_out(groups, share, seed=2)).any()


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_hold_out_of_nothing_is_refused(share):
    with pytest.raises(ArgumentError, match="share"):
        hold_out(np.arange(5), share, seed=0)


@pytest.mark.parametrize(
    ("rows", "size", "shuffle", "batches"), [(10, 4, True, 2), (10, 4, False, 3), (3, 8, True, 1)]
)
def test_batches_cover_the_rows(rows, size, shuffle, batches):
    sampler = BatchRows(rows, size, shuffle=shuffle)
    seen = [row for batch in sampler for row in batch]
    assert len(sampler) == len(list(sampler)) == batches
    assert len(seen) == len(set(seen))
    if not shuffle:
        assert seen == list(range(rows))


def test_every_epoch_has_its_own_order_and_every_seed():
    def order(seed, epoch):
        sampler = BatchRows(20, 4, shuffle=True, seed=seed)
        sampler.set_epoch(epoch)
        return [row for batch in sampler for row in batch]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


@pytest.mark.parametrize(("size", "shares"), [(8, [4, 4]), (7, [4, 3]), (8, [3, 3, 2]), (40, [12, 12])])
def test_processes_share_every_batch(size, shares):
    world = len(shares)
    parts = [list(BatchRows(24, size, shuffle=True, seed=1, rank=rank, world=world)) for rank in range(world)]
    whole = list(BatchRows(24, size, shuffle=True, seed=1))
    for batch, *shared in zip(whole, *parts, strict=True):
        assert [len(part) for part in shared] == shares
        assert sorted(row for part in shared for row in part) == sorted(batch)


def test_processes_share_what_is_not_shuffled():
    samplers = [BatchRows(9, 4, shuffle=False, rank=rank, world=2) for rank in (0, 1)]
    assert [list(sampler) for sampler in samplers] == [[[0, 2], [4, 6], [8]], [[1, 3], [5, 7]]]
    assert [len(sampler) for sampler in samplers] == [3, 2]


@pytest.mark.parametrize(("rows", "size"), [(20, 2), (2, 20)])
def test_a_batch_has_a_row_for_each_process(rows, size):
    with pytest.raises(ArgumentError, match="batch must be a row for each process, 3 or more; given 2"):
        BatchRows(rows, size, shuffle=True, world=3)


def test_rows_are_drawn_by_their_weight():
    weight = torch.tensor([0.0, 1.0, 0.0, 1.0]).double()
    drawn = [row for batch in BatchRows(4, 2, shuffle=True, weight=weight) for row in batch]
    assert set(drawn) <= {1, 3} and len(drawn) == 4


def test_a_loader_gives_the_chosen_samples():
    data = prepare([corpus(40)], RECIPE)
    batches = list(loader(data, data.held_out, 4, shuffle=False))
    seen = torch.cat([batch["picture"] for batch in batches]).numpy()
    np.testing.assert_array_equal(seen, data.pictures["picture"].numpy()[data.held_out])


def test_a_label_counts_where_there_are_no_votes():
    one = voted(6)
    one.votes[3] = 0
    one.label[:] = [-1, 0, 1, 2, 3, 4]
    data = prepare([one], replace(RECIPE, held_out=0.5))
    assert (
        data.targets["ferplus8"][3].tolist() == np.eye(8)[2].tolist()
        and data.targets["ferplus8_weight"][3] == 1
    )
    assert data.targets["ferplus8_weight"][0] == 0
    assert len(labelled_rows(one)) == 5
