"""CARAFE against a loop over its output."""

from __future__ import annotations

import sys

import pytest
import torch
from mmcv.ops import CARAFE, CARAFENaive, CARAFEPack, carafe
from torch.autograd import gradcheck

# kernel, groups, scale, size of the features
SETTINGS = [(3, 1, 2, (3, 2)), (5, 2, 2, (1, 3)), (3, 2, 3, (3, 1)), (1, 1, 1, (2, 2))]


def tensors(kernel, groups, scale, size):
    features = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    masks = torch.randn(2, groups * kernel**2, *(side * scale for side in size), dtype=torch.float64,
                        requires_grad=True)
    return features, masks


def loop(features, masks, kernel, groups, scale):
    batch, channels, height, width = features.shape
    output = torch.zeros(batch, channels, height * scale, width * scale, dtype=torch.float64)
    features, masks = features.tolist(), masks.tolist()
    for n, c, y, x in torch.ones_like(output).nonzero().tolist():
        group = c // (channels // groups)
        for i in range(kernel):
            for j in range(kernel):
                row, column = y // scale + i - kernel // 2, x // scale + j - kernel // 2
                if 0 <= row < height and 0 <= column < width:
                    mask = masks[n][group * kernel**2 + i * kernel + j][y][x]
                    output[n, c, y, x] += features[n][c][row][column] * mask
    return output


@pytest.mark.parametrize(("kernel", "groups", "scale", "size"), SETTINGS)
def test_carafe_is_the_loop(kernel, groups, scale, size):
    features, masks = tensors(kernel, groups, scale, size)
    expected = loop(features, masks, kernel, groups, scale)
    for layer in (CARAFE(kernel, groups, scale), CARAFENaive(kernel, groups, scale)):
        torch.testing.assert_close(layer(features, masks), expected)
    assert gradcheck(lambda *inputs: carafe(*inputs, kernel, groups, scale), (features, masks))


def test_the_naive_gradient():
    """mmcv.ops takes it on CUDA alone, so the operator is called as it would."""
    features, masks = tensors(3, 2, 2, (3, 3))
    output = carafe(features, masks, 3, 2, 2)
    grad_output = torch.randn_like(output)
    grads = [torch.zeros_like(tensor) for tensor in (features, masks)]
    sys.modules["mmcv._ext"].carafe_naive_backward(grad_output, features, masks, *grads, kernel_size=3, group_size=2,
                                                   scale_factor=2)
    for grad, expected in zip(grads, torch.autograd.grad(output, (features, masks), grad_output), strict=True):
        torch.testing.assert_close(grad, expected)


def test_channels_last_and_no_images():
    features, masks = tensors(3, 1, 2, (3, 4))
    last = [tensor.to(memory_format=torch.channels_last) for tensor in (features, masks)]
    torch.testing.assert_close(carafe(*last, 3, 1, 2), carafe(features, masks, 3, 1, 2))
    assert carafe(features[:0], masks[:0], 3, 1, 2).shape == (0, 4, 6, 8)


def test_the_pack_trains_under_autocast():
    layer = CARAFEPack(4, 2, compressed_channels=8)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(torch.randn(2, 4, 5, 3))
    assert output.shape == (2, 4, 10, 6)
    output.float().square().sum().backward()
    assert layer.content_encoder.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    low = [tensor.detach().to(dtype).requires_grad_() for tensor in tensors(3, 2, 2, (3, 3))]
    high = [tensor.detach().float().requires_grad_() for tensor in low]
    outputs = [carafe(*inputs, 3, 2, 2) for inputs in (low, high)]
    torch.testing.assert_close(outputs[0], outputs[1].to(dtype))
    for output in outputs:
        output.sum().backward()
    for a, b in zip(low, high, strict=True):
        torch.testing.assert_close(a.grad, b.grad.to(dtype))
