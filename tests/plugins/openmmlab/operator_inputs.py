"""What operators are tried on."""

from __future__ import annotations

import torch
import torch.nn.functional as F

# stride, padding, dilation as (rows, columns), groups, deform groups
SETTINGS = [((1, 1), (1, 1), (1, 1), 1, 1), ((2, 1), (0, 2), (1, 2), 2, 2), ((1, 2), (2, 1), (2, 1), 1, 4)]


def tensors(setting, kernel=(3, 2), size=(5, 6), batch=2, channels=4, out=2):
    stride, padding, dilation, groups, deform_groups = setting
    input = torch.randn(batch, channels, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(out, channels // groups, *kernel, dtype=torch.float64, requires_grad=True)
    shape = F.conv2d(input, weight, None, stride, padding, dilation, groups).shape[2:]
    taps = deform_groups * kernel[0] * kernel[1]
    offset = torch.randn(batch, 2 * taps, *shape, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(batch, taps, *shape, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(out, dtype=torch.float64, requires_grad=True)
    return input, offset, mask, weight, bias


def boxes_and_scores(number=60, side=30.0, dtype=torch.float32):
    corner = torch.rand(number, 2, dtype=dtype) * side
    boxes = torch.cat([corner, corner + 1 + torch.rand(number, 2, dtype=dtype) * side / 2], dim=1)
    return boxes, torch.rand(number, dtype=dtype)
