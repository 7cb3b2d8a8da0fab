"""Which sample is seen when: a pure function of the seed and the epoch, split evenly over the ranks.

An epoch is cut into updates, an update into ``gradient_accumulation`` forward passes, a pass into one share a
rank. Every cut is as even as possible, so no update is tiny, and the samples of an update are the same
however it is cut: 8 x 1 and 2 x 4 images, one rank and two see the same updates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Item = tuple[int, int]
"""A sample's place in the training set and the seed of its augmentation."""


@dataclass(frozen=True)
class MicroBatch:
    """One forward pass of one rank: what it loads, and how many of these count.

    A rank whose share is empty loads a sample that does not count, so that all ranks stay in step.
    """

    items: tuple[Item, ...]
    count: int


@dataclass(frozen=True)
class OptimizerStep:
    """One optimizer step: this rank's passes, and the images of all ranks and passes together."""

    micro_batches: tuple[MicroBatch, ...]
    total: int


class EpochSampler:
    """A batch sampler of one rank for ``torch.utils.data.DataLoader``; yields lists of :data:`Item`.

    ``weights`` (one a sample) draws each epoch with replacement in proportion to them. Call
    :meth:`start` before each epoch; ``skip`` updates are left out where an epoch is continued.
    """

    def __init__(self, size: int, batch_size: int, gradient_accumulation: int = 1, *, seed: int = 0, rank: int = 0,
                 world: int = 1, weights: Sequence[float] | None = None) -> None:
        self.size, self.batch_size, self.gradient_accumulation = size, batch_size, gradient_accumulation
        self.seed, self.rank, self.world = seed, rank, world
        self._weights = None if weights is None else np.asarray(weights, float) / np.sum(weights)
        self.updates: list[OptimizerStep] = []

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.size / (self.batch_size * self.gradient_accumulation))

    def start(self, epoch: int, skip: int = 0) -> list[OptimizerStep]:
        """The updates of ``epoch`` (from 0) that are still to be done."""
        random = np.random.default_rng([self.seed, epoch])
        order = (random.permutation(self.size) if self._weights is None
                 else random.choice(self.size, self.size, p=self._weights))
        seeds = random.integers(2**63, size=self.size)
        items = list(zip(order.tolist(), seeds.tolist(), strict=True))
        self.updates = [self._update(part) for part in _even(items, self.steps_per_epoch)][skip:]
        return self.updates

    def _update(self, items: list[Item]) -> OptimizerStep:
        passes = math.ceil(len(items) / self.batch_size)
        return OptimizerStep(tuple(self._share(part) for part in _even(items, passes)), len(items))

    def _share(self, items: list[Item]) -> MicroBatch:
        mine = _even(items, self.world)[self.rank]
        return MicroBatch(tuple(mine or items[:1]), len(mine))

    def __iter__(self) -> Iterator[list[Item]]:
        return iter([list(part.items) for update in self.updates for part in update.micro_batches])

    def __len__(self) -> int:
        return sum(len(update.micro_batches) for update in self.updates)


def validation_batches(size: int, batch_size: int, rank: int = 0, world: int = 1) -> list[list[int]]:
    """Whole batches dealt out to the ranks: a sample meets the same neighbours on any number of ranks."""
    batches = [list(range(start, min(start + batch_size, size))) for start in range(0, size, batch_size)]
    return batches[rank::world]


def _even(items: list[Item], parts: int) -> list[list[Item]]:
    """``items`` in ``parts`` consecutive pieces whose sizes differ by at most one."""
    quotient, rest = divmod(len(items), parts)
    cuts = [index * quotient + min(index, rest) for index in range(parts + 1)]
    return [items[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]
