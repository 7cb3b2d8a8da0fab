"""The attention maps of PSANet (Zhao et al., 2018, https://hszhao.github.io/papers/eccv18_psanet.pdf).

At each of the H x W pixels the network predicts a ``h_mask`` x ``w_mask`` map that is centred on it. Laid out over the
image, the maps are a (H * W, H * W) matrix between pixels, zero where a map does not reach.
"""

from __future__ import annotations

import torch
from torch import Tensor

COLLECT = 0  # of `psa_type`: columns are the pixels that a map belongs to; 1, distribute: rows are


def psamask_forward(input: Tensor, output: Tensor, *, psa_type: int, num_: int, h_feature: int, w_feature: int,
                    h_mask: int, w_mask: int, half_h_mask: int, half_w_mask: int) -> None:
    """Lay the maps out.

    Args:
        input: (N, h_mask * w_mask, H, W).
        output: (N, H * W, H, W), zeros.
    """
    seen, inside = _seen((h_feature, w_feature), (h_mask, w_mask), (half_h_mask, half_w_mask), input.device)
    maps = input.flatten(2).masked_fill(~inside, 0)
    matrix = torch.zeros_like(output).flatten(2).scatter_add_(1, seen.expand_as(maps), maps)
    output.copy_((matrix if psa_type == COLLECT else matrix.transpose(1, 2)).reshape(output.shape))


def psamask_backward(grad_output: Tensor, grad_input: Tensor, *, psa_type: int, num_: int, h_feature: int,
                     w_feature: int, h_mask: int, w_mask: int, half_h_mask: int, half_w_mask: int) -> None:
    """The gradient for the maps."""
    seen, inside = _seen((h_feature, w_feature), (h_mask, w_mask), (half_h_mask, half_w_mask), grad_output.device)
    matrix = grad_output.flatten(2)
    if psa_type != COLLECT:
        matrix = matrix.transpose(1, 2)
    maps = matrix.gather(1, seen.expand(len(matrix), -1, -1)).masked_fill(~inside, 0)
    grad_input.copy_(maps.view_as(grad_input))


def _seen(feature: tuple[int, int], mask: tuple[int, int], half: tuple[int, int], device: torch.device,
          ) -> tuple[Tensor, Tensor]:
    """The pixel that each element of a map sees, (h_mask * w_mask, H * W) int64, and whether it is inside the image."""
    axes = [torch.arange(m, device=device)[:, None] - h + torch.arange(f, device=device)
            for f, m, h in zip(feature, mask, half, strict=True)]
    row, column = axes[0][:, None, :, None], axes[1][None, :, None, :]
    inside = (row >= 0) & (row < feature[0]) & (column >= 0) & (column < feature[1])
    pixel = (row * feature[1] + column).masked_fill(~inside, 0)
    return pixel.flatten(2).flatten(0, 1), inside.flatten(2).flatten(0, 1)


OPERATORS = (psamask_forward, psamask_backward)
