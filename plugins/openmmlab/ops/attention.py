"""Multi-scale deformable attention (Zhu et al., 2020, https://arxiv.org/abs/2010.04159)."""

from __future__ import annotations

from torch import Tensor

from sightsmith.plugins.openmmlab.ops.compute import gradients, promote


def ms_deform_attn_forward(value: Tensor, spatial_shapes: Tensor, level_start_index: Tensor,
                           sampling_locations: Tensor, attention_weights: Tensor, *, im2col_step: int) -> Tensor:
    """Weigh samples of the feature maps of all levels.

    Args:
        value: (N, sum of H * W, heads, channels), the levels' pixels one after another.
        spatial_shapes: (levels, 2) int64, ``H, W``.
        sampling_locations: (N, queries, heads, levels, points, 2), ``x, y`` in 0 .. 1 of each level's image.
        attention_weights: (N, queries, heads, levels, points).

    Returns:
        (N, queries, heads * channels).
    """
    inputs = promote(value, sampling_locations, attention_weights)
    return _attend(spatial_shapes, *inputs).to(value.dtype)


def ms_deform_attn_backward(value: Tensor, spatial_shapes: Tensor, level_start_index: Tensor,
                            sampling_locations: Tensor, attention_weights: Tensor, grad_output: Tensor,
                            grad_value: Tensor, grad_sampling_loc: Tensor, grad_attn_weight: Tensor, *,
                            im2col_step: int) -> None:
    """The gradients for values, locations and weights."""
    inputs = promote(value, sampling_locations, attention_weights)
    results = gradients(lambda *inputs: _attend(spatial_shapes, *inputs), inputs, grad_output)
    for target, grad in zip((grad_value, grad_sampling_loc, grad_attn_weight), results, strict=True):
        target.copy_(grad)


def _attend(spatial_shapes: Tensor, value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    # As numbers: one wait for the device, not one a level.
    return multi_scale_deformable_attn_pytorch(value, spatial_shapes.tolist(), locations, weights)


OPERATORS = (ms_deform_attn_forward, ms_deform_attn_backward)
