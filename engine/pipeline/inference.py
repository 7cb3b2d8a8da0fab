"""A trained model on images: batches, and results for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import DataLoader

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.results import Model, SampleResult
from sightsmith.core.contracts.task import Task
from sightsmith.engine.pipeline.console import tracked


def batches(task: Task, samples: Sequence[Sample]) -> DataLoader[dict[str, Any]]:
    """Batches of ``samples`` in their order, prepared as in validation."""
    task = copy(task)
    task.config = replace(task.config, trainer=replace(task.config.trainer, cache=False))  # each image is read once
    return DataLoader(task.dataset(samples, training=False), task.config.hyper.batch_size, collate_fn=task.collate)


def evaluate_samples(task: Task, model: Model, samples: Sequence[Sample]) -> list[SampleResult]:
    """The result of the evaluation step for each of ``samples``; ``model`` is in eval mode."""
    with torch.no_grad():
        return [result for batch in tracked(batches(task, samples), "evaluating")
                for result in task.evaluation_step(model, batch)]
