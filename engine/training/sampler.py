"""Which sample is seen when: a pure function of the seed and the epoch, split evenly over the ranks.

An epoch is split into optimizer steps, a step into ``gradient_accumulation`` micro-batches, or more where memory is
short, and a micro-batch into one share per rank. Every split is as even as possible, so no step is tiny. The samples of
a step do not depend on how it is split: 8 x 1 and 2 x 4 images, one rank and two make the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sightsmith.engine.data.augmentations import Seed

T = TypeVar("T")
Item = tuple[int, int]
"""A sample's index in the training set, and the :class:`Seed` of its augmentation."""


@dataclass(frozen=True)
class MicroBatch:
    """One forward and backward pass of one rank: the items that it loads, and how many of them count.

    A rank whose share is empty loads an item that does not count, so that all ranks stay in step.
    """

    items: tuple[Item, ...]
    count: int


@dataclass(frozen=True)
class OptimizerStep:
    """One optimizer step: this rank's micro-batches, and the number of images of all ranks together."""

    micro_batches: tuple[MicroBatch, ...]
    total: int


class EpochSampler:
    """A batch sampler of one rank for ``torch.utils.data.DataLoader``; yields lists of :data:`Item`.

    With ``weights``, one per sample, each epoch is sampled with replacement in proportion to them. Call :meth:`start`
    before each epoch; it skips the first ``skip`` steps when an epoch is continued. ``epochs`` are those of the whole
    training, for the progress of the seeds; 0 if there is no end.
    """

    def __init__(self, size: int, batch_size: int, gradient_accumulation: int = 1, *, seed: int = 0, rank: int = 0,
                 world: int = 1, weights: Sequence[float] | None = None, epochs: int = 0) -> None:
        self.size, self.batch_size, self.gradient_accumulation = size, batch_size, gradient_accumulation
        self.seed, self.rank, self.world, self.epochs = seed, rank, world, epochs
        self._weights = None if weights is None else np.asarray(weights, float) / np.sum(weights)
        self.steps: list[OptimizerStep] = []

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.size / (self.batch_size * self.gradient_accumulation))

    def start(self, epoch: int, skip: int = 0, micro_batch: int | None = None) -> list[OptimizerStep]:
        """The steps of ``epoch`` (from 0) that remain, in micro-batches of at most ``micro_batch`` images (None:
        ``batch_size``) on all ranks together."""
        random = np.random.default_rng([self.seed, epoch])
        order = (random.permutation(self.size) if self._weights is None
                 else random.choice(self.size, self.size, p=self._weights))
        progress = epoch / self.epochs if self.epochs else 0.0
        seeds = [Seed.at(value, progress, self.epochs) for value in random.integers(2**63, size=self.size).tolist()]
        items: list[Item] = list(zip(order.tolist(), seeds, strict=True))
        largest = min(micro_batch or self.batch_size, self.batch_size)
        self.steps = [self._step(part, largest) for part in _even(items, self.steps_per_epoch)][skip:]
        return self.steps

    def _step(self, items: list[Item], largest: int) -> OptimizerStep:
        count = math.ceil(len(items) / largest)
        return OptimizerStep(tuple(self._share(part) for part in _even(items, count)), len(items))

    def _share(self, items: list[Item]) -> MicroBatch:
        mine = _even(items, self.world)[self.rank]
        return MicroBatch(tuple(mine or items[:1]), len(mine))

    def __iter__(self) -> Iterator[list[Item]]:
        return iter([list(part.items) for step in self.steps for part in step.micro_batches])

    def __len__(self) -> int:
        return sum(len(step.micro_batches) for step in self.steps)


class EvaluationSampler:
    """A batch sampler of one rank for evaluation and prediction: the indices of its samples, in order.

    Whole batches are distributed over the ranks, so that batches are the same for any number of ranks.
    """

    def __init__(self, size: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        indices = list(range(size))
        self._whole = [indices[start:start + batch_size] for start in range(0, size, batch_size)][rank::world]
        self.batches = self._whole
        self.size = sum(map(len, self._whole))

    def start(self, micro_batch: int, done: int = 0) -> None:
        """Skip the first ``done`` samples, and split batches of more than ``micro_batch`` as evenly as possible."""
        self.batches = []
        for batch in self._whole:
            left, done = batch[done:], max(done - len(batch), 0)
            if left:
                self.batches += _even(left, math.ceil(len(left) / micro_batch))

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _even(items: list[T], parts: int) -> list[list[T]]:
    """``items`` in ``parts`` consecutive pieces whose sizes differ by at most one."""
    quotient, rest = divmod(len(items), parts)
    cuts = [index * quotient + min(index, rest) for index in range(parts + 1)]
    return [items[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]
