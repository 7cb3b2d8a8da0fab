"""Optimizers, the learning-rate schedule, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sightsmith.core.contracts.schema import HyperConfig


def build_optimizer(model: nn.Module, hyper: HyperConfig, backbone: Sequence[nn.Module] = ()) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW over the trainable parameters. Weights of one dimension (biases and
    normalization) do not decay. All of a step in one kernel: on the CPU many times faster than one by one.

    A group's ``factor`` is its part of the learning rate: ``hyper.backbone_lr_scale`` for the modules of ``backbone``.
    """
    slow = {parameter for module in backbone for parameter in module.parameters()}
    kinds: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            factor = hyper.backbone_lr_scale if parameter in slow else 1.0
            kinds.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    # The full learning rate first, because that is the one shown.
    groups = [{"params": kinds[factor, decays], "factor": factor, "lr": factor * hyper.learning_rate,
               "weight_decay": hyper.weight_decay if decays else 0.0}
              for factor, decays in sorted(kinds, reverse=True)]
    if hyper.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=hyper.learning_rate, momentum=hyper.momentum, fused=True)
    kind = torch.optim.Adam if hyper.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=hyper.learning_rate, betas=(hyper.momentum, 0.999), fused=True)


def load_state(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Load the state of ``saved``, an optimizer of the same kind, but keep this optimizer's own settings.

    The state gets the memory layout of its parameters: fused kernels walk both as they lie in memory, without checking
    that the layouts agree.
    """
    own = [{name: value for name, value in group.items() if name not in ("params", "lr")}
           for group in optimizer.param_groups]
    optimizer.load_state_dict(saved)
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        group.update(settings)
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def learning_rate(hyper: HyperConfig, step: int, steps_per_epoch: int) -> float:
    """The learning rate of optimizer step ``step`` of the run, counted from 0."""
    epoch = step / steps_per_epoch
    if epoch < hyper.warmup_epochs:
        return hyper.learning_rate * (step + 1) / math.ceil(hyper.warmup_epochs * steps_per_epoch)
    if hyper.schedule == "step":
        return hyper.learning_rate * hyper.lr_gamma ** (int(epoch) // hyper.lr_step_size)
    if hyper.schedule == "cosine":
        length = max(hyper.epochs - hyper.warmup_epochs, 1e-9)
        done = min((epoch - hyper.warmup_epochs) / length, 1.0)
        return hyper.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return hyper.learning_rate


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value * group["factor"]


def freeze(modules: Iterable[nn.Module]) -> None:
    """Stop ``modules`` from learning and gathering statistics. Repeat after each ``train()`` of their model."""
    for module in modules:
        module.requires_grad_(False).eval()


def build_ema(model: nn.Module, decay: float) -> AveragedModel | None:
    """An exponential moving average of weights and buffers; None if ``decay`` is 0."""
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
