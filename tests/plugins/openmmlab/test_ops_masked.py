"""Masked convolution against the ordinary one, PSA masks against a loop over pairs of pixels."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import MaskedConv2d, PSAMask
from torch.autograd import gradcheck


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (1, 0), ((3, 5), (1, 2))])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masked_conv_is_the_convolution_where_the_mask_is_set(kernel, padding, dtype):
    layer = MaskedConv2d(3, 4, kernel, padding=padding).to(dtype)
    input, mask = torch.randn(1, 3, 6, 5, dtype=dtype), torch.rand(1, 6, 5) > 0.6
    expected = torch.where(mask, layer(input), 0)
    torch.testing.assert_close(layer(input, mask), expected, rtol=0.02, atol=1e-5 if dtype == torch.float32 else 0.02)


def test_an_empty_mask_gives_zeros():
    assert (MaskedConv2d(3, 4, 3, padding=1)(torch.randn(1, 3, 4, 4), torch.zeros(1, 4, 4)) == 0).all()


def loop(maps, kind, mask_size):
    """Pixel p's map, centred on p, says what pixel q is worth to it."""
    batch, _, height, width = maps.shape
    output = torch.zeros(batch, height * width, height, width, dtype=maps.dtype)
    half = [(side - 1) // 2 for side in mask_size]
    for n, py, px, qy, qx in torch.ones(batch, height, width, height, width).nonzero().tolist():
        row, column = qy - py + half[0], qx - px + half[1]
        if 0 <= row < mask_size[0] and 0 <= column < mask_size[1]:
            value = maps[n, row * mask_size[1] + column, py, px]
            if kind == "collect":
                output[n, qy * width + qx, py, px] = value
            else:
                output[n, py * width + px, qy, qx] = value
    return output


@pytest.mark.parametrize("kind", ["collect", "distribute"])
@pytest.mark.parametrize("mask_size", [(3, 3), (7, 5), (2, 4), (1, 1)])
def test_psa_mask_is_the_loop(kind, mask_size):
    maps = torch.randn(2, mask_size[0] * mask_size[1], 4, 3, dtype=torch.float64, requires_grad=True)
    layer = PSAMask(kind, mask_size)
    torch.testing.assert_close(layer(maps), loop(maps.detach(), kind, mask_size))
    assert gradcheck(layer, maps)
    half = maps.detach().half().requires_grad_()
    torch.testing.assert_close(layer(half), loop(half.detach(), kind, mask_size))
