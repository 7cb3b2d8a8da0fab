"""Optimizers, the learning-rate schedule, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sightsmith.core.contracts.schema import HyperConfig


def build_optimizer(model: nn.Module, hyper: HyperConfig, backbone: Sequence[nn.Module] = ()) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW over the trainable parameters. Weights of one dimension (biases and
    normalization) do not decay. All of a step in one kernel: on the CPU many times faster than one by one.

    A group's ``factor`` is its part of the learning rate: in the modules of ``backbone`` ``hyper.backbone_lr_scale``,
    times ``hyper.layer_decay`` for each of its layers from the parameter to the last one.
    """
    layers = backbone_layers(backbone)
    factors = {parameter: hyper.backbone_lr_scale * hyper.layer_decay ** (len(layers) - place)
               for place, layer in enumerate(layers, 1) for parameter in layer}
    kinds: dict[tuple[float, bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            # The backbone apart: hyper.freeze_epochs starts it later, and a fused SGD starts a group at once.
            kind = (factors.get(parameter, 1.0), parameter not in factors, parameter.ndim > 1)
            kinds.setdefault(kind, []).append(parameter)
    # The full learning rate first, because that is the one shown.
    groups = [{"params": kinds[factor, head, decays], "factor": factor, "lr": factor * hyper.learning_rate,
               "weight_decay": hyper.weight_decay if decays else 0.0}
              for factor, head, decays in sorted(kinds, reverse=True)]
    if hyper.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=hyper.learning_rate, momentum=hyper.momentum, fused=True)
    algorithm = torch.optim.Adam if hyper.optimizer == "adam" else torch.optim.AdamW
    return algorithm(groups, lr=hyper.learning_rate, betas=(hyper.momentum, 0.999), fused=True)


def backbone_layers(backbone: Sequence[nn.Module]) -> list[list[nn.Parameter]]:
    """The parameters of each layer of ``backbone``, from the input on: a layer is a module in it, a child where it is
    one module alone. Parameters of no layer, such as position embeddings, belong to the first."""
    modules = list(backbone)
    while len(modules) == 1 and any(True for child in modules[0].children() for _ in child.parameters()):
        modules = list(modules[0].children())
    layers = [found for module in modules if (found := list(module.parameters()))]
    known = {parameter for layer in layers for parameter in layer}
    others = [parameter for module in backbone for parameter in module.parameters() if parameter not in known]
    return [[*others, *layers[0]], *layers[1:]] if layers else []


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


def learning_rate(hyper: HyperConfig, step: int, steps_per_epoch: int, plateaus: int = 0) -> float:
    """The learning rate of optimizer step ``step`` of the run, counted from 0, after ``plateaus`` of the validation."""
    epoch = step / steps_per_epoch
    if epoch < hyper.warmup_epochs:
        return hyper.learning_rate * (step + 1) / math.ceil(hyper.warmup_epochs * steps_per_epoch)
    if hyper.schedule == "step":
        return hyper.learning_rate * hyper.lr_gamma ** (int(epoch) // hyper.lr_step_size)
    if hyper.schedule == "plateau":
        return hyper.learning_rate * hyper.lr_gamma ** plateaus
    if hyper.schedule == "cosine":
        length = max(hyper.epochs - hyper.warmup_epochs, 1e-9)
        done = min((epoch - hyper.warmup_epochs) / length, 1.0)
        return hyper.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return hyper.learning_rate


def is_plateau(hyper: HyperConfig, idle: int) -> bool:
    """Whether the learning rate of schedule=plateau decays after ``idle`` epochs without improvement."""
    return hyper.schedule == "plateau" and idle > 0 and idle % hyper.lr_step_size == 0


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value * group["factor"]


def freeze(modules: Iterable[nn.Module]) -> None:
    """Stop ``modules`` from learning and gathering statistics. Repeat after each ``train()`` of their model."""
    for module in modules:
        module.requires_grad_(False).eval()


class MovingAverage(AveragedModel):
    """An exponential moving average of the weights and buffers of ``model``; counts in its buffers are copied.

    The decay of update ``n`` is at most ``(1 + n) / (10 + n)``, as in TensorFlow's ExponentialMovingAverage: otherwise
    the average of a short run would stay close to its start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self._decay = decay
        # Found once: on the CPU, walking through the modules in each update took longer than averaging.
        self._pairs: dict[tuple[torch.dtype, torch.device], tuple[list[Tensor], list[Tensor]]] = {}
        for average, value in zip(_tensors(self.module), _tensors(model), strict=True):
            averages, values = self._pairs.setdefault((value.dtype, value.device), ([], []))
            averages.append(average)
            values.append(value)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Average the current values of ``model``, the one that this was made of."""
        done = int(self.n_averaged)  # on the CPU: no synchronization
        decay = min(self._decay, (1 + done) / (10 + done))
        for (dtype, _), (averages, values) in self._pairs.items():
            if done and dtype.is_floating_point:
                torch._foreach_lerp_(averages, values, 1 - decay)
            else:
                torch._foreach_copy_(averages, values)
        self.n_averaged += 1


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
