"""Distillation: a loss that holds a network's features near those of a frozen one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sightsmith.core.contracts.results import Model
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import UserError


class Distillation:
    """Compares what the backbones of ``student`` and ``teacher``, two networks of ``task``, make of the same images.

    The features are taken while the student computes its own losses, so only the teacher costs a pass.
    """

    def __init__(self, task: Task, student: Model, teacher: Model, weight: float) -> None:
        self._task, self._weight = task, weight
        self._teacher = teacher.eval().requires_grad_(False)
        self._learnt, self._taught = (_Output(task.backbone(model)[-1]) for model in (student, teacher))

    def losses(self, inputs: Tensor) -> dict[str, Tensor]:
        """Of the images (N, C, H, W) that the student has just seen: the squared distance of the features over the
        squared length of the teacher's, the mean over the backbone's outputs.

        Features as what is kept of a network: FitNets, Romero et al., arXiv 1412.6550. Raises UserError where
        the backbone's features are others in training.
        """
        with torch.no_grad():
            self._task.run_backbone(self._teacher, inputs)
        learnt, taught = list(_tensors(self._learnt.value)), list(_tensors(self._taught.value))
        if [value.shape[1:] for value in learnt] != [value.shape[1:] for value in taught]:
            raise UserError(f"base_run.distillation: the backbone of {self._task.network.name} has other features in "
                            "training than in use", hint="leave base_run.distillation out")
        distances = [(ours.float() - theirs.float()).square().sum() / theirs.float().square().expand_as(ours).sum()
                     for ours, theirs in zip(learnt, taught, strict=True)]
        return {"loss_distillation": self._weight * torch.stack(distances).mean()}


class _Output:
    """Keeps what a module gave last."""

    def __init__(self, module: nn.Module) -> None:
        self.value: Any = None
        module.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        self.value = output


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
