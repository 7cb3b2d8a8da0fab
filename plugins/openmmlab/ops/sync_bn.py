"""The steps of mmcv's SyncBatchNorm between which it exchanges statistics over the ranks.

Activations are (N, C, S); statistics, weights and their gradients are (C,) float32.
"""

from __future__ import annotations

from torch import Tensor


def sync_bn_forward_mean(input: Tensor, mean: Tensor) -> None:
    """The mean of each channel on this rank."""
    mean.copy_(input.float().mean((0, 2)))


def sync_bn_forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """The mean square of what differs from ``mean``."""
    var.copy_((input.float() - mean[:, None]).square().mean((0, 2)))


def sync_bn_forward_output(input: Tensor, mean: Tensor, var: Tensor, weight: Tensor, bias: Tensor,
                           running_mean: Tensor, running_var: Tensor, norm: Tensor, std: Tensor, output: Tensor, *,
                           eps: float, momentum: Tensor, group_size: int) -> None:
    """Normalize, and move the running statistics by ``momentum``; the running variance is the unbiased one."""
    std.copy_((var + eps).sqrt())
    norm.copy_((input.float() - mean[:, None]) / std[:, None])
    output.copy_(norm * weight[:, None] + bias[:, None])
    count = input.numel() // len(mean) * group_size
    running_mean.lerp_(mean, momentum)
    running_var.lerp_(var * count / max(count - 1, 1), momentum)


def sync_bn_backward_param(grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor) -> None:
    """The gradients of this rank for weight and bias."""
    grad_weight.copy_((grad_output * norm).sum((0, 2)))
    grad_bias.copy_(grad_output.float().sum((0, 2)))


def sync_bn_backward_data(grad_output: Tensor, weight: Tensor, grad_weight: Tensor, grad_bias: Tensor, norm: Tensor,
                          std: Tensor, grad_input: Tensor) -> None:
    """The gradient for the activations, given those for weight and bias as means over the ranks."""
    count = grad_output.numel() // len(weight)
    common = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    grad_input.copy_((grad_output - common) * (weight / std)[:, None])


OPERATORS = (sync_bn_forward_mean, sync_bn_forward_var, sync_bn_forward_output,
             sync_bn_backward_param, sync_bn_backward_data)
