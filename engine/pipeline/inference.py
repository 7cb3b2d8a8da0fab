"""Trained models on images: batches, predictions and results for evaluation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.results import Model, RawPrediction, SampleResult
from sightsmith.core.contracts.schema import AugmentConfig
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.console import tracked
from sightsmith.engine.training.memory import each_batch, halved
from sightsmith.engine.training.sampler import EvaluationSampler

T = TypeVar("T")
log = logging.getLogger("sightsmith")

UNCHANGED: tuple[int, ...] = ()
"""The view of an image that is flipped along no axis."""


@dataclass(frozen=True)
class Predictor:
    """``models`` of one task, all in eval mode and on the same device. Each predicts the image as it is, or all of its
    flipped ``views`` (axes, -1: left to right, -2: upside down); what they predict is fused."""

    task: Task
    models: tuple[Model, ...]
    views: tuple[tuple[int, ...], ...] = (UNCHANGED,)

    def predict(self, batch: dict[str, Any]) -> list[RawPrediction]:
        """The prediction for each sample of ``batch``, without gradients."""
        with torch.no_grad():
            if self._alone:
                return self.task.predict(self.models[0], batch)
            each = [self.task.predict(model, self.task.flipped(batch, view))
                    for model in self.models for view in self.views]
        return [self.task.fuse(parts) for parts in zip(*each, strict=True)]

    def evaluate(self, samples: Sequence[Sample]) -> list[SampleResult]:
        """The evaluation result of each of ``samples``."""
        return list(tracked(infer(self.task, samples, self._evaluation_step), "evaluating", len(samples)))

    def _evaluation_step(self, batch: dict[str, Any]) -> list[SampleResult]:
        if self._alone:
            return self.task.evaluation_step(self.models[0], batch)
        return self.task.assess(self.predict(batch), batch)

    @property
    def _alone(self) -> bool:
        return len(self.models) == len(self.views) == 1

    def to(self, device: torch.device) -> Predictor:
        """The same, with its models moved to ``device``."""
        for model in self.models:
            model.to(device)
        return self

    def with_flips(self) -> Predictor:
        """The same with test-time augmentation: every view that the training showed by flips. Raises UserError if
        there is none, or if the task cannot combine predictions."""
        ensure_fusible(self.task, "tta=true")
        views = flips(self.task.config.augment)
        if len(views) == 1:
            raise UserError("tta=true: the run was trained with augment.horizontal_flip=false, because sides differ, "
                            "so there is no mirrored view to predict", hint="leave tta out")
        return replace(self, views=views)


def flips(augment: AugmentConfig) -> tuple[tuple[int, ...], ...]:
    """The axes of each flipped view that ``augment`` shows in training too, the unchanged one first."""
    mirrored, turned = augment.horizontal_flip, augment.rotate90
    wanted = ((UNCHANGED, True), ((-1,), mirrored), ((-2,), mirrored and turned), ((-2, -1), turned))
    return tuple(axes for axes, shown in wanted if shown)


def ensure_fusible(task: Task, wish: str) -> None:
    """Raises UserError unless ``task`` can combine predictions, as ``wish`` needs."""
    if type(task).fuse is Task.fuse:
        raise UserError(f"{wish}: the task {task.config.task.name} cannot combine several predictions for an image",
                        hint=f"leave {wish.partition('=')[0]} out")


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
