"""Deformable convolution (Dai et al., 2017, https://arxiv.org/abs/1703.06211), and the modulated one (Zhu et al.,
2018, https://arxiv.org/abs/1811.11168), whose mask weighs each sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchvision
from torch import Tensor
from torch.nn import functional

from sightsmith.plugins.openmmlab.ops.compute import gradients, promote


def deform_conv_forward(input: Tensor, weight: Tensor, offset: Tensor, output: Tensor, columns: Tensor, ones: Tensor,
                        **settings: Any) -> None:
    """Convolve ``input`` at the positions shifted by ``offset``.

    Args:
        input: (N, C, H, W).
        weight: (C_out, C / groups, kH, kW).
        offset: (N, 2 * deform_groups * kH * kW, H_out, W_out), pairs of ``y, x`` in pixels, for each deform group and
            element of the kernel.
        output: (N, C_out, H_out, W_out).
        columns, ones: scratch of the compiled operator; see ``deform_conv_backward_input``.
    """
    input, weight, offset = promote(input, weight, offset)
    output.copy_(_convolution(settings)(input, offset, weight))


def deform_conv_backward_input(input: Tensor, offset: Tensor, grad_output: Tensor, grad_input: Tensor,
                               grad_offset: Tensor, weight: Tensor, columns: Tensor, **settings: Any) -> None:
    """The gradients for ``input`` and ``offset``.

    torchvision computes the weight's with them; it is left in ``columns``, where ``deform_conv_backward_parameters``
    of the same backward pass finds it.
    """
    inputs = promote(input, offset, weight)
    results = gradients(_convolution(settings), inputs, grad_output)
    columns.resize_(weight.shape)
    for target, grad in zip((grad_input, grad_offset, columns), results, strict=True):
        target.copy_(grad)


def deform_conv_backward_parameters(input: Tensor, offset: Tensor, grad_output: Tensor, grad_weight: Tensor,
                                    columns: Tensor, ones: Tensor, *, scale: float, **settings: Any) -> None:
    """``scale`` times the gradient for the weight."""
    if columns.numel():
        grad_weight.copy_(columns * scale)
        columns.resize_(0)
        return
    # The gradient for the weight does not depend on its value.
    input, offset, weight = promote(input, offset, grad_weight)
    (grad,) = gradients(lambda weight: _convolution(settings)(input, offset, weight), [weight], grad_output)
    grad_weight.copy_(grad * scale)


def modulated_deform_conv_forward(input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor,
                                  mask: Tensor, output: Tensor, columns: Tensor, *, with_bias: bool,
                                  **settings: int) -> None:
    """As ``deform_conv_forward``, with a mask (N, deform_groups * kH * kW, H_out, W_out) and a bias (C_out,).

    Offsets and masks may be larger than the output; then their first elements in memory are taken. The compiled
    operator does not check their height and width, and DyHead's published weights have learned what it reads.
    """
    input, weight, bias, offset, mask = promote(input, weight, bias, offset, mask)
    convolution = _modulated_convolution(settings, output.shape[2:])
    output.copy_(convolution(input, offset, mask, weight, *([bias] if with_bias else [])))


def modulated_deform_conv_backward(input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor,
                                   mask: Tensor, columns: Tensor, grad_input: Tensor, grad_weight: Tensor,
                                   grad_bias: Tensor, grad_offset: Tensor, grad_mask: Tensor, grad_output: Tensor, *,
                                   with_bias: bool, **settings: int) -> None:
    """The gradients for all inputs."""
    inputs = promote(input, offset, mask, weight, *([bias] if with_bias else []))
    targets = [grad_input, grad_offset, grad_mask, grad_weight, *([grad_bias] if with_bias else [])]
    results = gradients(_modulated_convolution(settings, grad_output.shape[2:]), inputs, grad_output)
    for target, grad in zip(targets, results, strict=True):
        target.copy_(grad)


def _convolution(settings: dict[str, int]) -> Callable[..., Tensor]:
    stride, padding, dilation = ((settings[f"{name}H"], settings[f"{name}W"]) for name in ("d", "pad", "dilation"))

    def convolution(input: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
        return _deform_conv2d(input, offset, weight, None, stride, padding, dilation)

    return convolution


def _modulated_convolution(settings: dict[str, int], size: Sequence[int]) -> Callable[..., Tensor]:
    stride, padding, dilation = (
        (settings[f"{name}_h"], settings[f"{name}_w"]) for name in ("stride", "pad", "dilation"))

    def convolution(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        offset, mask = _first(offset, size), _first(mask, size)
        return _deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask)

    return convolution


def _deform_conv2d(input: Tensor, offset: Tensor, *settings: Any) -> Tensor:
    """torchvision's operator, but NaN offsets give NaN: torchvision would read outside the image's memory."""
    lost = offset.isnan().any(1, keepdim=True)
    result: Tensor = torchvision.ops.deform_conv2d(input, offset.nan_to_num(), *settings)
    return result.masked_fill(lost, math.nan)


def _first(tensor: Tensor, size: Sequence[int]) -> Tensor:
    """The first elements of each (C, H, W), as many as (C, *size) has; all where there are no more."""
    number = tensor.shape[1] * math.prod(size)
    flat = tensor.flatten(1)
    return flat[:, :number].unflatten(1, (-1, *size)) if flat.shape[1] > number else tensor


def sampled_deform_conv2d(input: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int],
                          padding: tuple[int, int], dilation: tuple[int, int], mask: Tensor | None = None) -> Tensor:
    """torchvision's ``deform_conv2d`` from operations that every runtime has: samples of the image, and a product.

    Slower, and needs more memory: all samples are kept.
    """
    number, channels, height, width = (int(side) for side in input.shape)
    out_channels, per_group, rows, columns = (int(side) for side in weight.shape)
    taps = rows * columns
    deform_groups, down, across = int(offset.shape[1]) // (2 * taps), int(offset.shape[2]), int(offset.shape[3])
    y = (torch.arange(down) * stride[0] - padding[0])[:, None] + _taps(rows, dilation[0])[:, None].expand(
        rows, columns).reshape(taps, 1, 1)
    x = (torch.arange(across) * stride[1] - padding[1])[None] + _taps(columns, dilation[1])[None].expand(
        rows, columns).reshape(taps, 1, 1)
    moved = offset.reshape(number * deform_groups, taps, 2, down, across)
    y, x = y.to(offset) + moved[:, :, 0], x.to(offset) + moved[:, :, 1]
    # grid_sample has -1 and 1 at the outer borders of the first and the last pixel.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    samples = functional.grid_sample(input.reshape(number * deform_groups, channels // deform_groups, height, width),
                                     grid.reshape(number * deform_groups, taps * down, across, 2), align_corners=False)
    samples = samples.reshape(number, deform_groups, channels // deform_groups, taps, down, across)
    if mask is not None:
        samples = samples * mask.reshape(number, deform_groups, 1, taps, down, across)
    groups = channels // per_group
    product = weight.reshape(groups, out_channels // groups, per_group * taps) @ samples.reshape(
        number, groups, per_group * taps, down * across)
    result = product.reshape(number, out_channels, down, across)
    return result if bias is None else result + bias.reshape(1, -1, 1, 1)


def _taps(count: int, dilation: int) -> Tensor:
    return torch.arange(count) * dilation


OPERATORS = (deform_conv_forward, deform_conv_backward_input, deform_conv_backward_parameters,
             modulated_deform_conv_forward, modulated_deform_conv_backward)
