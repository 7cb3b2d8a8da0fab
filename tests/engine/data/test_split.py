"""The split: stratified, by group, deterministic."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sightsmith.core.contracts.dataset import Sample
from sightsmith.engine.data.split import folds, split


def sample(number, *labels, group=None, side=None):
    return Sample(Path(f"{number}.png"), f"{number:06d}.png", labels, group=group, split=side)


def counts(part):
    return Counter(label for item in part for label in item.labels)


@pytest.mark.parametrize("percentage", [1, 10, 20, 50, 80, 99])
@pytest.mark.parametrize("sizes", [{"a": 100, "b": 50, "c": 5}, {"a": 3, "b": 3}, {"a": 1000, "b": 2}])
def test_each_class_has_its_share(percentage, sizes):
    samples = [sample(1000 * place + number, name) for place, (name, size) in enumerate(sizes.items())
               for number in range(size)]
    train, validation = split(samples, percentage, seed=0)
    assert sorted(item.key for item in train + validation) == [item.key for item in samples]
    for name, size in sizes.items():
        assert abs(counts(validation)[name] - size * percentage / 100) <= 1
        assert 0 < counts(validation)[name] < size


def test_it_depends_on_the_seed_and_not_on_the_order():
    samples = [sample(number, "ab"[number % 2]) for number in range(60)]
    first = split(samples, 20, seed=1)
    backwards = split(samples[::-1], 20, seed=1)
    assert {item.key for item in first[1]} == {item.key for item in backwards[1]}
    assert {item.key for item in first[1]} != {item.key for item in split(samples, 20, seed=2)[1]}


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together(seed):
    samples = [sample(number, "ab"[(number // 7) % 2], group=f"study {number // 7}") for number in range(140)]
    train, validation = split(samples, 25, seed)
    assert not {item.group for item in train} & {item.group for item in validation}
    assert 25 <= len(validation) <= 45
    assert abs(counts(validation)["a"] - counts(validation)["b"]) <= 7


def test_two_large_groups_are_one_on_each_side():
    samples = [sample(number, "a", group=f"study {number // 10}") for number in range(20)]
    train, validation = split(samples, 20, seed=0)
    assert len(train) == len(validation) == 10


def test_multi_label_with_negatives():
    samples = []
    for number in range(300):
        labels = [name for name, every in (("x", 2), ("y", 5), ("z", 30)) if number % every == 0]
        samples.append(sample(number, *labels))
    train, validation = split(samples, 20, seed=0)
    for name, total in counts(samples).items():
        assert abs(counts(validation)[name] - 0.2 * total) <= max(2, 0.05 * total), name
    negatives = sum(not item.labels for item in samples)
    assert abs(sum(not item.labels for item in validation) - 0.2 * negatives) <= 0.05 * negatives
    assert abs(len(validation) - 60) <= 10


def test_a_given_split_is_kept():
    samples = [sample(number, "a", side="validation" if number > 5 else "train") for number in range(10)]
    train, validation = split(samples, 50, seed=0)
    assert len(train) == 6
    assert len(validation) == 4


def test_nothing_and_large_sets():
    assert split([], 20, 0) == ((), ())
    many = [sample(number, f"class {number % 50}", group=f"g{number // 3}") for number in range(30_000)]
    train, validation = split(many, 20, seed=0)
    assert abs(len(validation) - 6000) < 300


def assert_each_once(parts, samples):
    assert sorted(item.key for part in parts for item in part) == sorted(item.key for item in samples)
    assert all(parts)


@pytest.mark.parametrize("count", [2, 3, 5, 10])
@pytest.mark.parametrize("sizes", [{"a": 100, "b": 50, "c": 5}, {"a": 13, "b": 7}, {"a": 1000, "b": 2}])
def test_folds_have_each_class_in_its_share(count, sizes):
    samples = [sample(1000 * place + number, name) for place, (name, size) in enumerate(sizes.items())
               for number in range(size)]
    parts = folds(samples, count, seed=0)
    assert_each_once(parts, samples)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for name, size in sizes.items():
        assert {counts(part)[name] for part in parts} <= {size // count, -(-size // count)}


@pytest.mark.parametrize("seed", range(5))
def test_folds_keep_groups_together(seed):
    samples = [sample(number, "ab"[(number // 7) % 2], group=f"study {number // 7}") for number in range(140)]
    parts = folds(samples, 5, seed)
    assert_each_once(parts, samples)
    assert [len({item.group for item in part}) for part in parts] == [4] * 5
    assert all(counts(part) == {"a": 14, "b": 14} for part in parts)
    assert parts == folds(samples, 5, seed)
    assert parts != folds(samples, 5, seed + 1)


def test_folds_weigh_the_classes_within_groups():
    """Patients of as many images each, of which some have one, and some have many of class a."""
    samples = [sample(10 * patient + number, "a" if number < many else "b", group=f"{patient}")
               for patient, many in enumerate([6, 0, 5, 1, 3, 3, 6, 0] * 3) for number in range(6)]
    parts = folds(samples, 4, seed=0)
    assert all(counts(part) == {"a": 18, "b": 18} for part in parts)


def test_folds_of_multi_label_with_negatives():
    samples = [sample(number, *(name for name, every in (("x", 2), ("y", 5), ("z", 30)) if number % every == 0))
               for number in range(300)]
    parts = folds(samples, 5, seed=0)
    assert_each_once(parts, samples)
    for name, total in counts(samples).items():
        assert all(abs(counts(part)[name] - total / 5) <= max(1, 0.05 * total) for part in parts), name
    negatives = sum(not item.labels for item in samples)
    assert all(abs(sum(not item.labels for item in part) - negatives / 5) <= 0.05 * negatives for part in parts)
    assert all(abs(len(part) - 60) <= 3 for part in parts)


def test_no_fold_is_empty():
    uneven = [sample(number, "ab"[number % 2], *("c" * (number == 0)), group=f"{number // 6}" if number < 12 else None)
              for number in range(14)]
    assert_each_once(folds(uneven, 4, seed=0), uneven)
    assert_each_once(folds(uneven[:2] + uneven[12:], 3, seed=0), uneven[:2] + uneven[12:])
