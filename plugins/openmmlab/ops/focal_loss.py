"""Focal loss (Lin et al., 2017, https://arxiv.org/abs/1708.02002) on sigmoid and on softmax probabilities.

``target`` is (N,) int64, the class of each row. ``weight`` is (C,), what the class of a row weighs, or empty.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sightsmith.plugins.openmmlab.ops.compute import promote


def sigmoid_focal_loss_forward(input: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float,
                               alpha: float) -> None:
    """``-alpha (1 - p)**gamma log p`` for a row's class, ``-(1 - alpha) p**gamma log(1 - p)`` for all others.

    Args:
        input: (N, C) logits; a target outside 0 .. C - 1 is background, of no class, and weighs 1.
        output: (N, C).
    """
    logits, weight = promote(input, weight)
    p = logits.sigmoid()
    positive = -alpha * (1 - p)**gamma * F.logsigmoid(logits)
    negative = -(1 - alpha) * p**gamma * F.logsigmoid(-logits)
    output.copy_(torch.where(_of_class(target, p), positive, negative) * _row_weight(weight, target, p)[:, None])


def sigmoid_focal_loss_backward(input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, *, gamma: float,
                                alpha: float) -> None:
    """The derivative of each element of the loss by its logit."""
    logits, weight = promote(input, weight)
    p = logits.sigmoid()
    positive = -alpha * (1 - p)**gamma * (1 - p - gamma * p * F.logsigmoid(logits))
    negative = -(1 - alpha) * p**gamma * (gamma * (1 - p) * F.logsigmoid(-logits) - p)
    grad_input.copy_(torch.where(_of_class(target, p), positive, negative) * _row_weight(weight, target, p)[:, None])


def softmax_focal_loss_forward(softmax: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float,
                               alpha: float) -> None:
    """``-alpha (1 - p)**gamma log p`` for the probability of each row's class; 0 where the target is negative.

    Args:
        softmax: (N, C) probabilities.
        output: (N,).
    """
    softmax, weight = promote(softmax, weight)
    p = softmax.gather(1, target.clamp(min=0)[:, None]).squeeze(1)
    loss = -alpha * (1 - p)**gamma * _log(p)
    output.copy_(torch.where(target >= 0, loss * _row_weight(weight, target, p), 0))


def softmax_focal_loss_backward(softmax: Tensor, target: Tensor, weight: Tensor, buff: Tensor, grad_input: Tensor, *,
                                gamma: float, alpha: float) -> None:
    """The gradient of each row's loss for its (C,) logits."""
    softmax, weight = promote(softmax, weight)
    p = softmax.gather(1, target.clamp(min=0)[:, None]).squeeze(1)
    rest = (1 - p).clamp(min=torch.finfo(p.dtype).tiny)  # its power is negative where gamma < 1
    slope = alpha * (gamma * rest**(gamma - 1) * p * _log(p) - (1 - p)**gamma)
    slope = torch.where(target >= 0, slope * _row_weight(weight, target, p), 0)
    grad_input.copy_(slope[:, None] * (_of_class(target, softmax).to(p.dtype) - softmax))


def _of_class(target: Tensor, like: Tensor) -> Tensor:
    """(N, C) bool: the column is the row's class."""
    return target[:, None] == torch.arange(like.shape[1], device=like.device)


def _row_weight(weight: Tensor, target: Tensor, like: Tensor) -> Tensor:
    """(N,) the weight of each row."""
    if not weight.numel():
        return like.new_ones(len(target))
    known = (target >= 0) & (target < len(weight))
    return torch.where(known, weight[target.clamp(0, len(weight) - 1)], 1)


def _log(p: Tensor) -> Tensor:
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()


OPERATORS = (sigmoid_focal_loss_forward, sigmoid_focal_loss_backward,
             softmax_focal_loss_forward, softmax_focal_loss_backward)
