"""A trained model on images: batches, and results for evaluation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.results import Model, SampleResult
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.console import tracked
from sightsmith.engine.training.memory import each_batch, halved
from sightsmith.engine.training.sampler import EvaluationSampler

T = TypeVar("T")
log = logging.getLogger("sightsmith")


def batches(task: Task, samples: Sequence[Sample]) -> DataLoader[dict[str, Any]]:
    """Batches of ``samples`` in their order, prepared as in validation."""
    task = copy(task)
    task.config = replace(task.config, trainer=replace(task.config.trainer, cache=False))  # each image is read once
    return DataLoader(task.dataset(samples, training=False), collate_fn=task.collate,
                      batch_sampler=EvaluationSampler(len(samples), task.config.hyper.batch_size))


def infer(task: Task, samples: Sequence[Sample], step: Callable[[dict[str, Any]], list[T]]) -> Iterator[T]:
    """What ``step`` returns for each of ``samples``, given batches of them; in smaller batches where memory runs out.

    Raises ResourceError if it does not suffice for one sample."""
    size = task.config.hyper.batch_size

    def shrink() -> None:
        nonlocal size
        size = halved(min(size, len(samples)), task.network.name)
        log.warning("out of memory: going on with %d images per forward pass", size)

    def without_gradients(batch: dict[str, Any]) -> list[T]:
        with torch.no_grad():
            return step(batch)

    for found in each_batch(batches(task, samples), without_gradients, lambda: size, shrink):
        yield from found


def evaluate_samples(task: Task, model: Model, samples: Sequence[Sample]) -> list[SampleResult]:
    """The result of the evaluation step for each of ``samples``; ``model`` is in eval mode."""
    results = infer(task, samples, partial(task.evaluation_step, model))
    return list(tracked(results, "evaluating", len(samples)))
