"""Multi-scale deformable attention against a loop over queries, heads, levels and points."""

from __future__ import annotations

import torch
from loops import bilinear
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from torch.autograd import gradcheck

SHAPES = torch.tensor([[3, 5], [2, 1]])
START = torch.tensor([0, 15])
BATCH, QUERIES, HEADS, CHANNELS, POINTS = 2, 3, 2, 4, 2


def attend(value, locations, weights):
    """The operator as a module on a GPU reaches it; on the CPU modules take another way."""
    return MultiScaleDeformableAttnFunction.apply(value, SHAPES, START, locations, weights, 64)


def tensors():
    value = torch.randn(BATCH, 17, HEADS, CHANNELS, dtype=torch.float64, requires_grad=True)
    locations = torch.rand(BATCH, QUERIES, HEADS, 2, POINTS, 2, dtype=torch.float64) * 1.4 - 0.2  # some outside
    weights = torch.rand(BATCH, QUERIES, HEADS, 2, POINTS, dtype=torch.float64, requires_grad=True)
    return value, locations.requires_grad_(), weights


def test_attention_is_the_loop():
    value, locations, weights = tensors()
    expected = torch.zeros(BATCH, QUERIES, HEADS, CHANNELS, dtype=torch.float64)
    for n, query, head, level, point in torch.ones_like(weights).nonzero().tolist():
        height, width = SHAPES[level].tolist()
        first = START[level]
        x, y = locations[n, query, head, level, point].tolist()
        for channel in range(CHANNELS):
            image = value[n, first:first + height * width, head, channel].view(height, width).tolist()
            sample = bilinear(image, y * height - 0.5, x * width - 0.5)
            expected[n, query, head, channel] += weights[n, query, head, level, point].item() * sample
    torch.testing.assert_close(attend(value, locations, weights), expected.flatten(2))


def test_gradients():
    assert gradcheck(attend, tensors())


def test_half_precision_and_no_queries():
    value, locations, weights = (tensor.detach().half().requires_grad_() for tensor in tensors())
    output = attend(value, locations, weights)
    assert output.dtype == torch.float16
    torch.testing.assert_close(output, attend(value.float(), locations.float(), weights.float()).half())
    output.float().sum().backward()
    assert value.grad.isfinite().all() and locations.grad.abs().sum() > 0
    assert attend(value, locations[:, :0], weights[:, :0]).shape == (BATCH, 0, HEADS * CHANNELS)


def test_the_module_takes_the_same_way_on_the_cpu():
    layer = MultiScaleDeformableAttention(8, 2, 2, 2, dropout=0.0, batch_first=True)
    output = layer(torch.randn(1, 17, 8), reference_points=torch.rand(1, 17, 2, 2), spatial_shapes=SHAPES,
                   level_start_index=START)
    output.sum().backward()
    assert layer.sampling_offsets.bias.grad.isfinite().all()
