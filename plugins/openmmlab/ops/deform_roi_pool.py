"""Deformable RoI pooling (Dai et al., 2017, https://arxiv.org/abs/1703.06211): RoIAlign whose bins are moved."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sightsmith.plugins.openmmlab.ops.compute import gradients, promote
from sightsmith.plugins.openmmlab.ops.roi import sampling_grids


def deform_roi_pool_forward(input: Tensor, rois: Tensor, offset: Tensor, output: Tensor, *, pooled_height: int,
                            pooled_width: int, spatial_scale: float, sampling_ratio: int, gamma: float) -> None:
    """The average of bilinear samples in each moved bin.

    Args:
        input: (N, C, H, W).
        rois: (K, 5), image in the batch and ``x1, y1, x2, y2`` in pixels of the image, centres at half coordinates.
        offset: (K, 2, pooled_height, pooled_width), how far each bin is moved to the right and down, in ``gamma``
            times the width and height of its RoI; empty moves none.
        output: (K, C, pooled_height, pooled_width).
    """
    features, rois, offset = promote(input, rois, offset)
    size = (pooled_height, pooled_width)
    output.copy_(_pool(features, rois, offset, size, spatial_scale, sampling_ratio, gamma))


def deform_roi_pool_backward(grad_output: Tensor, input: Tensor, rois: Tensor, offset: Tensor, grad_input: Tensor,
                             grad_offset: Tensor, *, pooled_height: int, pooled_width: int, spatial_scale: float,
                             sampling_ratio: int, gamma: float) -> None:
    """The gradients for the features and, unless it is empty, for ``offset``.

    Outside the outermost pixels features are constant, so the gradient for ``offset`` is zero.
    """
    features, rois, offset = promote(input, rois, offset)
    size = (pooled_height, pooled_width)

    def pool(features: Tensor, offset: Tensor = offset) -> Tensor:
        return _pool(features, rois, offset, size, spatial_scale, sampling_ratio, gamma)

    inputs = [features, offset] if offset.numel() else [features]
    targets = [grad_input, grad_offset]
    for target, grad in zip(targets, gradients(pool, inputs, grad_output), strict=False):
        target.copy_(grad)


def _pool(features: Tensor, rois: Tensor, offset: Tensor, size: tuple[int, int], spatial_scale: float,
          sampling_ratio: int, gamma: float) -> Tensor:
    images, channels, height, width = features.shape
    pixels = features.permute(0, 2, 3, 1).reshape(-1, channels)
    corners = rois[:, 1:] * spatial_scale - 0.5
    extent = corners[:, 2:] - corners[:, :2]
    moved = gamma * extent[:, :, None, None] * offset if offset.numel() else extent.new_zeros(len(rois), 2, 1, 1)
    start = corners[:, :2, None, None] + moved
    # The empty sums give every input a gradient when there is nothing to pool.
    output = features.new_zeros(len(rois), channels, *size) + features[:0].sum() + offset[:0].sum()
    for chosen, (rows, columns) in sampling_grids(rois, size, spatial_scale, sampling_ratio, aligned=True):
        x, y = start[chosen].expand(-1, -1, *size).unbind(1)
        bins_x, bins_y = (torch.arange(number, device=x.device) for number in (size[1], size[0]))
        bin_width, bin_height = (extent[chosen] / extent.new_tensor(size[::-1])).T[:, :, None, None, None]
        # (chosen, pooled height, pooled width, samples of the bin along one axis)
        x = (x + bins_x * bin_width[..., 0])[..., None] + _centres(columns, x) * bin_width
        y = (y + bins_y[:, None] * bin_height[..., 0])[..., None] + _centres(rows, y) * bin_height
        index_x, weight_x = _neighbours(x, width)
        index_y, weight_y = _neighbours(y, height)
        image = rois[chosen, 0].long()[:, None, None, None, None]
        index = (image * height + index_y[..., :, None]) * width + index_x[..., None, :]
        weight = weight_y[..., :, None] * weight_x[..., None, :] / (rows * columns)
        pooled = F.embedding_bag(index.flatten(0, 2).flatten(1), pixels, mode="sum",
                                 per_sample_weights=weight.flatten(0, 2).flatten(1))
        output = output.index_copy(0, chosen, pooled.view(-1, *size, channels).permute(0, 3, 1, 2))
    return output


def _centres(number: int, like: Tensor) -> Tensor:
    return (torch.arange(number, device=like.device).to(like.dtype) + 0.5) / number


def _neighbours(position: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The two pixels around each position on an axis and their weights, the last axis twice as long.

    Up to one pixel outside, a position takes the outermost pixel; farther away it is worth nothing.
    """
    inside = (position >= -1) & (position <= length)
    position = position.clamp(0, length - 1)
    low = position.detach().floor()
    share = position - low
    index = torch.cat([low, (low + 1).clamp(max=length - 1)], dim=-1).long()
    return index, torch.cat([(1 - share) * inside, share * inside], dim=-1)


OPERATORS = (deform_roi_pool_forward, deform_roi_pool_backward)
