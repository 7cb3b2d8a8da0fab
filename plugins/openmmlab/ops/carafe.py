"""CARAFE (Wang et al., 2019, https://arxiv.org/abs/1905.02188): upsampling whose kernel is predicted at each pixel.

Features are (N, C, H, W), masks (N, groups * kernel**2, scale H, scale W), outputs (N, C, scale H, scale W). An output
pixel weighs the ``kernel`` x ``kernel`` neighbourhood of its source pixel, zeros outside the image, by its mask.
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
    result = features.new_zeros(*weights.shape[1:], padded.shape[-1])
    # One multiplication a tap: no neighbourhood is ever copied out.
    for window, weight in zip(_windows(padded, kernel_size), weights, strict=True):
        result.addcmul_(window[..., None, :], weight[..., None])
    output.copy_(result.unflatten(4, (scale_factor, -1)).permute(0, 1, 6, 2, 4, 3, 5).reshape(output.shape))


def carafe_naive_backward(grad_output: Tensor, features: Tensor, masks: Tensor, grad_input: Tensor,
                          grad_masks: Tensor, *, kernel_size: int, group_size: int, scale_factor: int) -> None:
    """The gradients for features and masks."""
    grad, features, masks = promote(grad_output, features, masks)
    padded, weights = _padded(features, kernel_size, group_size), _weights(masks, group_size, scale_factor)
    grad = _split(grad, group_size, scale_factor).permute(0, 1, 3, 5, 4, 6, 2).flatten(4, 5).contiguous()
    grad_padded, grad_weights = torch.zeros_like(padded), torch.empty_like(weights)
    for window, grad_window, weight, grad_weight in zip(
            _windows(padded, kernel_size), _windows(grad_padded, kernel_size), weights, grad_weights, strict=True):
        grad_weight.copy_((grad @ window[..., None])[..., 0])
        grad_window += (weight[..., None, :] @ grad)[..., 0, :]
    border, (height, width) = kernel_size // 2, features.shape[2:]
    grad_features = grad_padded[:, :, border:border + height, border:border + width]
    grad_input.copy_(grad_features.permute(0, 1, 4, 2, 3).reshape(features.shape))
    grad_masks.copy_(grad_weights.unflatten(5, (scale_factor, -1)).permute(1, 2, 0, 3, 5, 4, 6).reshape(masks.shape))


def carafe_forward(features: Tensor, masks: Tensor, rfeatures: Tensor, routput: Tensor, rmasks: Tensor,
                   output: Tensor, **settings: int) -> None:
    """As ``carafe_naive_forward``. ``rfeatures`` keeps the features for the gradient."""
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, **settings)


def carafe_backward(grad_output: Tensor, rfeatures: Tensor, masks: Tensor, rgrad_output: Tensor,
                    rgrad_input_hs: Tensor, rgrad_input: Tensor, rgrad_masks: Tensor, grad_input: Tensor,
                    grad_masks: Tensor, **settings: Any) -> None:
    """As ``carafe_naive_backward``."""
    carafe_naive_backward(grad_output, rfeatures, masks, grad_input, grad_masks, **settings)


def _padded(features: Tensor, kernel_size: int, groups: int) -> Tensor:
    """(N, groups, H + kernel - 1, W + kernel - 1, C / groups)"""
    padded = F.pad(features, [kernel_size // 2] * 4)
    return padded.unflatten(1, (groups, -1)).permute(0, 1, 3, 4, 2).contiguous()


def _weights(masks: Tensor, groups: int, scale: int) -> Tensor:
    """(kernel**2, N, groups, H, W, scale**2)"""
    return _split(masks, groups, scale).permute(2, 0, 1, 3, 5, 4, 6).flatten(5).contiguous()


def _split(upsampled: Tensor, groups: int, scale: int) -> Tensor:
    """(N, groups, channels of a group, H, scale, W, scale)"""
    return upsampled.unflatten(3, (-1, scale)).unflatten(2, (-1, scale)).unflatten(1, (groups, -1))


def _windows(padded: Tensor, kernel_size: int) -> Iterator[Tensor]:
    """For each tap of the kernel, row by row, what it sees: a view (N, groups, H, W, C / groups)."""
    height, width = (side - kernel_size + 1 for side in padded.shape[2:4])
    for row, column in product(range(kernel_size), repeat=2):
        yield padded[:, :, row:row + height, column:column + width]


OPERATORS = (carafe_naive_forward, carafe_naive_backward, carafe_forward, carafe_backward)
