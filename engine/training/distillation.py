"""Distillation: a loss that keeps a network's features close to those of a frozen one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sightsmith.core.contracts.results import Model
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.errors import UserError


class Distillation:
    """Compares the backbone features of ``student`` and ``teacher``, two networks of ``task``, on the same images.

    The student's features are recorded while it computes its own losses, so only the teacher needs an extra pass.
    """

    def __init__(self, task: Task, student: Model, teacher: Model, weight: float) -> None:
        self._task, self._weight = task, weight
        self._teacher = teacher.eval().requires_grad_(False)
        self._student_output, self._teacher_output = (_Output(task.backbone(model)[-1]) for model in (student, teacher))

    def losses(self, inputs: Tensor) -> dict[str, Tensor]:
        """The loss for the images (N, C, H, W) that the student has just seen: the squared distance of the features,
        divided by the squared norm of the teacher's, averaged over the backbone's outputs.

        Distillation of features: FitNets, Romero et al., arXiv 1412.6550. Raises UserError if the backbone has other
        features in training.
        """
        with torch.no_grad():
            self._task.run_backbone(self._teacher, inputs)
        student, teacher = list(_tensors(self._student_output.value)), list(_tensors(self._teacher_output.value))
        if [value.shape[1:] for value in student] != [value.shape[1:] for value in teacher]:
            raise UserError(f"base_run.distillation: the backbone of {self._task.network.name} has other features in "
                            "training than in use", hint="omit base_run.distillation")
        distances = [(ours.float() - theirs.float()).square().sum() / theirs.float().square().expand_as(ours).sum()
                     for ours, theirs in zip(student, teacher, strict=True)]
        return {"loss_distillation": self._weight * torch.stack(distances).mean()}


class _Output:
    """Records the last output of a module."""

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
