"""Deformable convolution against a loop over output pixels and against the ordinary one."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from loops import bilinear
from mmcv.ops import (
    DeformConv2d,
    DeformConv2dPack,
    ModulatedDeformConv2dPack,
    SAConv2d,
    deform_conv2d,
    modulated_deform_conv2d,
)
from operator_inputs import SETTINGS, tensors
from torch.autograd import gradcheck


def loop(input, offset, mask, weight, stride, padding, dilation, groups, deform_groups):
    batch, channels, *_ = input.shape
    rows, columns = weight.shape[2:]
    output = torch.zeros(batch, len(weight), *offset.shape[2:], dtype=torch.float64)
    images = input.tolist()
    for n, o, y, x in torch.ones_like(output).nonzero().tolist():
        for c in range(weight.shape[1]):
            channel = o // (len(weight) // groups) * weight.shape[1] + c
            deform_group = channel // (channels // deform_groups)
            for i in range(rows):
                for j in range(columns):
                    tap = (deform_group * rows + i) * columns + j
                    dy, dx = offset[n, 2 * tap, y, x].item(), offset[n, 2 * tap + 1, y, x].item()
                    sample = bilinear(images[n][channel], y * stride[0] - padding[0] + i * dilation[0] + dy,
                                      x * stride[1] - padding[1] + j * dilation[1] + dx)
                    output[n, o, y, x] += weight[o, c, i, j].item() * sample * mask[n, tap, y, x].item()
    return output


@pytest.mark.parametrize("setting", SETTINGS)
def test_deform_conv_is_the_loop(setting):
    input, offset, mask, weight, _ = tensors(setting)
    output = deform_conv2d(input, offset, weight, *setting)
    torch.testing.assert_close(output, loop(input, offset, torch.ones_like(mask), weight, *setting))


@pytest.mark.parametrize("setting", SETTINGS)
def test_modulated_deform_conv_is_the_loop(setting):
    input, offset, mask, weight, bias = tensors(setting)
    expected = loop(input, offset, mask, weight, *setting)
    torch.testing.assert_close(modulated_deform_conv2d(input, offset, mask, weight, None, *setting), expected)
    torch.testing.assert_close(modulated_deform_conv2d(input, offset, mask, weight, bias, *setting),
                               expected + bias[:, None, None])


@pytest.mark.parametrize("setting", SETTINGS)
def test_gradients(setting):
    input, offset, mask, weight, bias = tensors(setting, kernel=(2, 2), size=(4, 3), batch=1, out=4)
    assert gradcheck(lambda *inputs: deform_conv2d(*inputs, *setting), (input, offset, weight))
    assert gradcheck(lambda *inputs: modulated_deform_conv2d(*inputs, *setting), (input, offset, mask, weight, bias))
    assert gradcheck(lambda *inputs: modulated_deform_conv2d(*inputs, None, *setting), (input, offset, mask, weight))


def test_the_weight_has_its_gradient_alone_and_each_time():
    input, offset, _, weight, _ = tensors(SETTINGS[1])
    both = deform_conv2d(input, offset, weight, *SETTINGS[1])
    expected = torch.autograd.grad(both.sum(), weight, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(2 * both.sum(), weight)[0], 2 * expected)
    alone = deform_conv2d(input.detach(), offset.detach(), weight, *SETTINGS[1])
    torch.testing.assert_close(torch.autograd.grad(alone.sum(), weight)[0], expected)


def test_larger_offsets_are_read_as_the_compiled_operator_does():
    """DyHead gives the offsets of one level to the next, half as high and wide."""
    small = tensors(SETTINGS[0])
    larger = []
    for tensor in small[1:3]:
        extra = torch.randn(2, 3 * tensor[0].numel(), dtype=torch.float64)
        shape = (2, tensor.shape[1], 2 * tensor.shape[2], 2 * tensor.shape[3])
        larger.append(torch.cat([tensor.detach().flatten(1), extra], dim=1).view(shape).requires_grad_())
    outputs = [modulated_deform_conv2d(small[0], *pair, *small[3:], *SETTINGS[0]) for pair in (small[1:3], larger)]
    torch.testing.assert_close(*outputs)
    grads = [torch.autograd.grad(output.sum(), pair)
             for output, pair in zip(outputs, (small[1:3], larger), strict=True)]
    for a, b in zip(*grads, strict=True):
        a, b = a.flatten(1), b.flatten(1)
        torch.testing.assert_close(a, b[:, :a.shape[1]])
        assert (b[:, a.shape[1]:] == 0).all()


def test_smaller_offsets_are_refused():
    input, offset, mask, weight, bias = tensors(SETTINGS[0])
    with pytest.raises(RuntimeError, match="offset output dims"):
        modulated_deform_conv2d(input, offset[..., 1:], mask, weight, bias, *SETTINGS[0])


@pytest.mark.parametrize(("pack", "factor"), [(DeformConv2dPack, 1), (ModulatedDeformConv2dPack, 0.5)])
def test_a_fresh_pack_is_an_ordinary_convolution(pack, factor):
    layer = pack(4, 6, 3, stride=2, padding=1, groups=2, deform_groups=2)
    input = torch.randn(3, 4, 7, 5)
    torch.testing.assert_close(layer(input), factor * F.conv2d(input, layer.weight, None, 2, 1, groups=2))
    layer(input).square().sum().backward()
    assert layer.conv_offset.weight.grad.abs().sum() > 0


def test_an_input_smaller_than_the_kernel():
    layer = DeformConv2d(2, 3, 3, padding=1)
    output = layer(torch.randn(1, 2, 2, 1), torch.zeros(1, 18, 2, 1))
    assert output.shape == (1, 3, 2, 1) and output.isfinite().all()


def test_offsets_far_outside_see_zeros():
    input, offset, _, weight, _ = tensors(SETTINGS[0])
    output = deform_conv2d(input, torch.full_like(offset, 1e9), weight, *SETTINGS[0])
    assert (output == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    low = [tensor.detach().to(dtype).requires_grad_() for tensor in tensors(SETTINGS[1])]
    high = [tensor.detach().float().requires_grad_() for tensor in low]
    for function, chosen in ((deform_conv2d, [0, 1, 3]), (modulated_deform_conv2d, range(5))):
        outputs = [function(*(inputs[index] for index in chosen), *SETTINGS[1]) for inputs in (low, high)]
        torch.testing.assert_close(outputs[0], outputs[1].to(dtype))
        grads = [torch.autograd.grad(output.sum(), [inputs[index] for index in chosen])
                 for output, inputs in zip(outputs, (low, high), strict=True)]
        for a, b in zip(*grads, strict=True):
            torch.testing.assert_close(a, b.to(dtype))


LAYERS = [DeformConv2dPack(4, 4, 3, padding=1), ModulatedDeformConv2dPack(4, 4, 3, padding=1),
          SAConv2d(4, 4, 3, padding=1, use_deform=True)]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_layers_train_under_autocast(layer):
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(torch.randn(2, 4, 6, 6))
    output.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters() if parameter.grad is not None)
    assert layer.weight.grad.abs().sum() > 0


def test_offsets_that_are_no_numbers_give_no_numbers():
    input, offset, mask, weight, bias = tensors(SETTINGS[0])
    with torch.no_grad():
        offset[0, 1, 2, 3], offset[0, 0, 0, 0] = math.nan, math.inf
    for output in (deform_conv2d(input, offset, weight, *SETTINGS[0]),
                   modulated_deform_conv2d(input, offset, mask, weight, bias, *SETTINGS[0])):
        lost = output.isnan()
        assert lost[0, :, 2, 3].all()
        assert lost.sum() == len(weight)
        output[~lost].sum().backward()  # reads no memory that is not the image's
