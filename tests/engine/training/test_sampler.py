"""The order of samples: complete, even, the same however it is cut."""

from __future__ import annotations

import pytest

from sightsmith.engine.training.sampler import EpochSampler, EvaluationSampler


def real_items(update):
    return [item for part in update.micro_batches for item in part.items[:part.count]]


@pytest.mark.parametrize(("size", "batch", "gradient_accumulation"), [(1, 8, 1), (7, 8, 1), (33, 32, 1), (100, 8, 4),
                                                                      (64, 2, 4)])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_sample_is_seen_once_on_all_ranks_together(size, batch, gradient_accumulation, world):
    ranks = [EpochSampler(size, batch, gradient_accumulation, seed=3, rank=rank, world=world) for rank in range(world)]
    plans = [rank.start(5) for rank in ranks]
    seen = sorted(index for plan in plans for update in plan for index, _ in real_items(update))
    assert seen == list(range(size))
    for updates in zip(*plans, strict=True):
        assert len({len(update.micro_batches) for update in updates}) == 1, "ranks would fall out of step"
        assert sum(len(real_items(update)) for update in updates) == updates[0].total
        assert all(part.items for update in updates for part in update.micro_batches)


def test_no_update_is_tiny():
    sizes = [update.total for update in EpochSampler(33, 32).start(0)]
    assert sorted(sizes) == [16, 17]


def test_updates_do_not_depend_on_accumulation_or_ranks():
    whole = EpochSampler(50, 8, 1, seed=1).start(2)
    cut = EpochSampler(50, 2, 4, seed=1).start(2)
    assert [real_items(update) for update in whole] == [real_items(update) for update in cut]
    halves = [EpochSampler(50, 8, 1, seed=1, rank=rank, world=2).start(2) for rank in range(2)]
    joined = [real_items(first) + real_items(second) for first, second in zip(*halves, strict=True)]
    assert [real_items(update) for update in whole] == joined


def test_epochs_and_seeds_differ_and_repeat():
    first, again = EpochSampler(40, 8, seed=1), EpochSampler(40, 8, seed=1)
    assert first.start(0) == again.start(0)
    assert first.start(0) != first.start(1)
    assert first.start(0) != EpochSampler(40, 8, seed=2).start(0)


def test_skip_goes_on_where_an_epoch_was_left():
    sampler = EpochSampler(40, 8, seed=1)
    assert sampler.start(3)[2:] == sampler.start(3, skip=2)
    assert len(list(sampler)) == 3


def test_weights_draw_rare_samples_more_often():
    sampler = EpochSampler(1000, 10, weights=[9.0] * 100 + [1.0] * 900)
    drawn = [index for update in sampler.start(0) for index, _ in real_items(update)]
    assert 400 < sum(index < 100 for index in drawn) < 600


def test_validation_batches_are_the_same_on_any_number_of_ranks():
    alone = list(EvaluationSampler(23, 5))
    shared = [batch for rank in range(2) for batch in EvaluationSampler(23, 5, rank, 2)]
    assert sorted(shared) == alone
