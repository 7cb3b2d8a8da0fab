"""RoIAlign and RoIPool. RoIs are (K, 5): image in the batch, then ``x1, y1, x2, y2`` in pixels of the image, which
``spatial_scale`` brings to those of the features (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor

from sightsmith.plugins.openmmlab.ops.compute import gradients, promote

MAXIMUM = 0  # of `pool_mode`; 1 is the average


def roi_align_forward(input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, *,
                      aligned_height: int, aligned_width: int, spatial_scale: float, sampling_ratio: int,
                      pool_mode: int, aligned: bool) -> None:
    """RoIAlign (He et al., 2017, https://arxiv.org/abs/1703.06870): the average or the maximum of bilinear samples.

    Args:
        output: (K, C, aligned_height, aligned_width).
        argmax_y, argmax_x: shaped as ``output`` for the maximum, else empty; set to the row and column of the largest
            sample inside its bin, for the gradient.
        sampling_ratio: samples of a bin in each direction; 0 takes one for each pixel of its extent.
        aligned: pixel centres are at half coordinates; otherwise at whole ones, and RoIs are at least
            one pixel wide and high.
    """
    features, rois = promote(input, rois)
    size = (aligned_height, aligned_width)
    if pool_mode != MAXIMUM:
        output.copy_(torchvision.ops.roi_align(features, rois, size, spatial_scale, sampling_ratio, aligned))
        return
    for chosen, (rows, columns) in sampling_grids(rois, size, spatial_scale, sampling_ratio, aligned):
        # Every sample as a bin of its own; their maximum is an ordinary pooling.
        fine = (aligned_height * rows, aligned_width * columns)
        samples = torchvision.ops.roi_align(features, rois[chosen], fine, spatial_scale, 1, aligned)
        largest, index = F.max_pool2d(samples, (rows, columns), return_indices=True)
        output[chosen] = largest.to(output.dtype)
        argmax_y[chosen] = (index // fine[1] % rows).to(argmax_y.dtype)
        argmax_x[chosen] = (index % columns).to(argmax_x.dtype)


def roi_align_backward(grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor, *,
                       aligned_height: int, aligned_width: int, spatial_scale: float, sampling_ratio: int,
                       pool_mode: int, aligned: bool) -> None:
    """The gradient for the features, from ``argmax_y`` and ``argmax_x`` of ``roi_align_forward``."""
    grad, rois = promote(grad_output, rois)
    total = grad.new_zeros(grad_input.shape)

    def transposed(grad: Tensor, rois: Tensor, sampling_ratio: int) -> Tensor:
        # RoIAlign is linear in the features: its gradient is the same for all of them, zeros among them.
        return gradients(lambda features: torchvision.ops.roi_align(
            features, rois, grad.shape[2:], spatial_scale, sampling_ratio, aligned), [total], grad)[0]

    if pool_mode != MAXIMUM:
        grad_input.copy_(transposed(grad, rois, sampling_ratio))
        return
    size = (aligned_height, aligned_width)
    for chosen, (rows, columns) in sampling_grids(rois, size, spatial_scale, sampling_ratio, aligned):
        fine = (aligned_height * rows, aligned_width * columns)
        first_row = torch.arange(0, fine[0], rows, device=rois.device)[:, None]
        first_column = torch.arange(0, fine[1], columns, device=rois.device)
        index = (first_row + argmax_y[chosen].long()) * fine[1] + first_column + argmax_x[chosen].long()
        samples = grad.new_zeros(len(chosen), grad.shape[1], fine[0] * fine[1])
        samples.scatter_(2, index.flatten(2), grad[chosen].flatten(2))
        total = total + transposed(samples.unflatten(2, fine), rois[chosen], 1)
    grad_input.copy_(total)


def sampling_grids(rois: Tensor, size: tuple[int, int], spatial_scale: float, sampling_ratio: int, aligned: bool,
                   ) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """The RoIs, as indices, that have the same number of samples in a bin, and these rows and columns of samples.

    RoIs without an extent have none and are left out.
    """
    if sampling_ratio > 0:
        yield torch.arange(len(rois), device=rois.device), (sampling_ratio, sampling_ratio)
        return
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0)
    extent = (corners[:, 2:] - corners[:, :2]).flip(1)
    if not aligned:
        extent = extent.clamp(min=1)
    grids, group = (extent / extent.new_tensor(size)).ceil().long().unique(dim=0, return_inverse=True)
    for number, (rows, columns) in enumerate(grids.tolist()):
        if rows > 0 and columns > 0:
            yield (group == number).nonzero().squeeze(1), (rows, columns)


def roi_pool_forward(input: Tensor, rois: Tensor, output: Tensor, argmax: Tensor, *, pooled_height: int,
                     pooled_width: int, spatial_scale: float) -> None:
    """RoIPool (Girshick, 2015, https://arxiv.org/abs/1504.08083): the largest pixel that a bin touches.

    mmcv rounds the bins outwards where torchvision rounds the RoI, and ``x2, y2`` are its last pixels.

    Args:
        output: (K, C, pooled_height, pooled_width); 0 for a bin outside the image and for a RoI without an extent.
        argmax: int32, shaped as ``output``; set to ``y * W + x`` of that pixel, -1 where there is none.
    """
    features, rois = promote(input, rois)
    size = rois.new_tensor([pooled_width, pooled_height])
    start = rois[:, 1:3] * spatial_scale
    extent = (rois[:, 3:] + 1) * spatial_scale - start
    bins = torch.stack(torch.meshgrid(torch.arange(pooled_width), torch.arange(pooled_height), indexing="xy"), -1)
    bins = bins.to(rois)[None]  # (1, pooled_height, pooled_width, 2), x before y as in the RoIs
    start, bin_size = start[:, None, None], (extent / size)[:, None, None]
    first, end = (bins * bin_size + start).floor(), ((bins + 1) * bin_size + start).ceil()
    # torchvision pools each bin as a RoI of its own, once all bins outside the image are next to it.
    limit = first.new_tensor([input.shape[3], input.shape[2]]) + 1
    outside = (extent <= 0).any(1)[:, None, None, None]
    first, end = (corner.clamp(min=-1).minimum(limit).masked_fill(outside, -1) for corner in (first, end))
    image = rois[:, None, None, :1].expand(-1, pooled_height, pooled_width, 1)
    pixels = torch.cat([image, first, end - 1], dim=-1).reshape(-1, 5)
    largest, index = torch.ops.torchvision.roi_pool(features, pixels, 1.0, 1, 1)
    for result, target in ((largest, output), (index, argmax)):
        target.copy_(result.view(len(rois), pooled_height, pooled_width, input.shape[1]).permute(0, 3, 1, 2))


def roi_pool_backward(grad_output: Tensor, rois: Tensor, argmax: Tensor, grad_input: Tensor, *, pooled_height: int,
                      pooled_width: int, spatial_scale: float) -> None:
    """The gradient goes to the pixels that ``roi_pool_forward`` left in ``argmax``."""
    (grad,) = promote(grad_output)
    pixels = argmax.flatten(2).long()
    images, channels, height, width = grad_input.shape
    row = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    index = row[:, :, None] * height * width + pixels.clamp(min=0)
    total = grad.new_zeros(images * channels * height * width)
    total.index_add_(0, index.flatten(), grad.flatten(2).masked_fill(pixels < 0, 0).flatten())
    grad_input.copy_(total.view_as(grad_input))


OPERATORS = (roi_align_forward, roi_align_backward, roi_pool_forward, roi_pool_backward)
