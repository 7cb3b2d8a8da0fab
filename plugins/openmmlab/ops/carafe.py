"""CARAFE (Wang et al., 2019, https://arxiv.org/abs/1905.02188): upsampling whose kernel is predicted at each pixel.

Features are (N, C, H, W), masks (N, groups * kernel**2, scale H, scale W), outputs (N, C, scale H, scale W). An output
pixel weighs the ``kernel`` x ``kernel`` neighbourhood of the pixel it stands on, zeros outside the image, by its mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sightsmith.plugins.openmmlab.ops.compute import promote


def carafe_naive_forward(features: Tensor, masks: Tensor, output: Tensor, *, kernel_size: int, group_size: int,
                         scale_factor: int) -> None:
    """Upsample ``features`` by ``scale_factor``; ``group_size`` is the number of groups."""
    features, masks = promote(features, masks)
    padded, weights = _padded(features, kernel_size, group_size), _weights(masks, group_size, scale_factor)
    batch, groups, channels = padded.shape[:3]
    result = features.new_zeros(batch, groups, channels, *weights.shape[3:])
    # One multiplication a tap: no neighbourhood is ever copied out.
    for window, weight in zip(_windows(padded, kernel_size), weights.unbind(2), strict=True):
        result.addcmul_(window, weight[:, :, None])
    output.copy_(result.view_as(output))


def carafe_naive_backward(grad_output: Tensor, features: Tensor, masks: Tensor, grad_input: Tensor,
                          grad_masks: Tensor, *, kernel_size: int, group_size: int, scale_factor: int) -> None:
    """The gradients for features and masks."""
    grad, features, masks = promote(grad_output, features, masks)
    padded, weights = _padded(features, kernel_size, group_size), _weights(masks, group_size, scale_factor)
    grad = grad.reshape(*padded.shape[:3], *weights.shape[3:])
    grad_padded = torch.zeros_like(padded)
    grad_weights = []
    for window, grad_window, weight in zip(_windows(padded, kernel_size), _windows(grad_padded, kernel_size),
                                           weights.unbind(2), strict=True):
        grad_weights.append((grad * window).sum(2))
        grad_window += (grad * weight[:, :, None]).sum((4, 6), keepdim=True)
    border = kernel_size // 2
    height, width = features.shape[2:]
    grad_input.copy_(grad_padded[..., border:border + height, border:border + width].reshape(features.shape))
    grad_masks.copy_(torch.stack(grad_weights, dim=2).view_as(grad_masks))


def carafe_forward(features: Tensor, masks: Tensor, rfeatures: Tensor, routput: Tensor, rmasks: Tensor,
                   output: Tensor, **settings: int) -> None:
    """As ``carafe_naive_forward``. ``rfeatures`` is all that the gradient is given of the features."""
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, **settings)


def carafe_backward(grad_output: Tensor, rfeatures: Tensor, masks: Tensor, rgrad_output: Tensor,
                    rgrad_input_hs: Tensor, rgrad_input: Tensor, rgrad_masks: Tensor, grad_input: Tensor,
                    grad_masks: Tensor, **settings: Any) -> None:
    """As ``carafe_naive_backward``."""
    carafe_naive_backward(grad_output, rfeatures, masks, grad_input, grad_masks, **settings)


def _padded(features: Tensor, kernel_size: int, groups: int) -> Tensor:
    """(N, groups, C / groups, H + kernel - 1, W + kernel - 1)"""
    return F.pad(features, [kernel_size // 2] * 4).unflatten(1, (groups, -1))


def _weights(masks: Tensor, groups: int, scale: int) -> Tensor:
    """(N, groups, kernel**2, H, scale, W, scale)"""
    return masks.unflatten(3, (-1, scale)).unflatten(2, (-1, scale)).unflatten(1, (groups, -1))


def _windows(padded: Tensor, kernel_size: int) -> Iterator[Tensor]:
    """For each tap of the kernel, row by row, what it sees: a view (N, groups, C / groups, H, 1, W, 1)."""
    height, width = (side - kernel_size + 1 for side in padded.shape[-2:])
    for row, column in product(range(kernel_size), repeat=2):
        yield padded[..., row:row + height, None, column:column + width, None]


OPERATORS = (carafe_naive_forward, carafe_naive_backward, carafe_forward, carafe_backward)
