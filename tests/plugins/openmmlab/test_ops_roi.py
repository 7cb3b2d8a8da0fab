"""RoIAlign, RoIPool and deformable RoI pooling against loops over bins and samples."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision
from loops import bilinear_with_border
from mmcv.ops import DeformRoIPool, DeformRoIPoolPack, ModulatedDeformRoIPoolPack, RoIAlign, RoIPool
from torch.autograd import gradcheck

# Inside, over the border, outside, long, of another image, smaller than a pixel.
ROIS = torch.tensor([[0, 2.3, 1.1, 14.2, 9.7], [0, -6.5, -3.2, 5.1, 30.4], [1, 60, 60, 80, 80], [1, 0.4, 4, 21.3, 7.9],
                     [1, 3.1, 2.6, 9.8, 9.9], [0, 4.2, 4.4, 4.7, 4.9]], dtype=torch.float64)
SIZE = (2, 3)
SCALE = 0.5


def features():
    return torch.randn(2, 2, 7, 9, dtype=torch.float64)


def loop_samples(image, roi, size, ratio, aligned, shift=None):
    """For each bin the list of its samples; ``shift`` moves bin (row, column) by ``x, y`` pixels."""
    half = 0.5 if aligned else 0.0
    x1, y1, x2, y2 = (value * SCALE - half for value in roi)
    width, height = x2 - x1, y2 - y1
    if not aligned:
        width, height = max(width, 1), max(height, 1)
    bin_height, bin_width = height / size[0], width / size[1]
    rows, columns = (ratio, ratio) if ratio else (math.ceil(bin_height), math.ceil(bin_width))
    bins = []
    for row in range(size[0]):
        for column in range(size[1]):
            dx, dy = shift(row, column, width, height) if shift else (0, 0)
            bins.append([bilinear_with_border(image, y1 + dy + (row + (i + 0.5) / rows) * bin_height,
                                              x1 + dx + (column + (j + 0.5) / columns) * bin_width)
                         for i in range(rows) for j in range(columns)])
    return bins


def loop_pool(input, rois, size, pool):
    """(K, C, *size) of ``pool(number of the roi, image as lists, roi)``, a list of values a bin."""
    values = [[pool(number, channel, roi[1:]) for channel in input[int(roi[0])].tolist()]
              for number, roi in enumerate(rois.tolist())]
    return torch.tensor(values, dtype=torch.float64).view(len(rois), input.shape[1], *size)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align_is_the_loop(mode, ratio, aligned):
    input = features().requires_grad_()
    layer = RoIAlign(SIZE, SCALE, ratio, mode, aligned)
    pool = max if mode == "max" else lambda samples: sum(samples) / len(samples)
    expected = loop_pool(input, ROIS, SIZE, lambda _, image, roi: [
        pool(samples) for samples in loop_samples(image, roi, SIZE, ratio, aligned)])
    torch.testing.assert_close(layer(input, ROIS), expected)
    assert gradcheck(lambda input: layer(input, ROIS), input)


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align_without_an_extent_is_zero(mode):
    output = RoIAlign(2, 1.0, 0, mode)(features(), torch.tensor([[0, 3.0, 3, 3, 6], [1, 5, 5, 4, 4]]).double())
    assert (output == 0).all()


def loop_roi_pool(image, roi, size):
    """The largest pixel of each bin, rounded outwards; a RoI ends with its last pixel."""
    start_x, start_y = roi[0] * SCALE, roi[1] * SCALE
    width, height = (roi[2] + 1) * SCALE - start_x, (roi[3] + 1) * SCALE - start_y
    bins = []
    for row in range(size[0]):
        for column in range(size[1]):
            top = max(math.floor(row * height / size[0] + start_y), 0)
            end = min(math.ceil((row + 1) * height / size[0] + start_y), len(image))
            left = max(math.floor(column * width / size[1] + start_x), 0)
            right = min(math.ceil((column + 1) * width / size[1] + start_x), len(image[0]))
            pixels = [image[y][x] for y in range(top, end) for x in range(left, right)]
            bins.append(max(pixels) if width > 0 and height > 0 and pixels else 0.0)
    return bins


def test_roi_pool_is_the_loop():
    input = features().requires_grad_()
    rois = torch.cat([ROIS, torch.tensor([[0, 5.0, 5, 2, 2], [1, -1e9, 0, 1e9, 1e9], [0, -90, -90, -50, -50]])])
    layer = RoIPool(SIZE, SCALE)
    expected = loop_pool(input, rois, SIZE, lambda _, image, roi: loop_roi_pool(image, roi, SIZE))
    torch.testing.assert_close(layer(input, rois), expected)
    assert gradcheck(lambda input: layer(input, rois), input)


@pytest.mark.parametrize("ratio", [0, 2])
def test_deform_roi_pool_is_the_loop(ratio):
    input, rois = features().requires_grad_(), ROIS[[0, 1, 3, 4]]
    offset = torch.randn(len(rois), 2, *SIZE, dtype=torch.float64, requires_grad=True)
    layer = DeformRoIPool(SIZE, SCALE, ratio, gamma=0.1)

    def pool(number, image, roi):
        def shift(row, column, width, height):
            return (0.1 * width * offset[number, 0, row, column].item(),
                    0.1 * height * offset[number, 1, row, column].item())

        return [sum(samples) / len(samples) for samples in loop_samples(image, roi, SIZE, ratio, True, shift)]

    torch.testing.assert_close(layer(input, rois, offset), loop_pool(input, rois, SIZE, pool))
    assert gradcheck(lambda input, offset: layer(input, rois, offset), (input, offset))


def test_deform_roi_pool_without_offsets_is_roi_align():
    input, rois = features().requires_grad_(), torch.cat([ROIS, torch.tensor([[0, 4.0, 4, 4, 4]])])
    layer = DeformRoIPool(SIZE, SCALE)
    torch.testing.assert_close(layer(input, rois), torchvision.ops.roi_align(input, rois, SIZE, SCALE, -1, True))
    assert gradcheck(lambda input: layer(input, rois), input)


@pytest.mark.parametrize("pack", [DeformRoIPoolPack, ModulatedDeformRoIPoolPack])
def test_the_packs_train(pack):
    layer = pack((2, 2), output_channels=2, deform_fc_channels=8, spatial_scale=SCALE)
    layer(features().float(), ROIS.float()).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
    assert layer.offset_fc[-1].bias.grad.abs().sum() > 0


LAYERS = [RoIAlign(SIZE, SCALE), RoIAlign(SIZE, SCALE, pool_mode="max"), RoIAlign(SIZE, SCALE, 2, "max"),
          RoIPool(SIZE, SCALE), DeformRoIPool(SIZE, SCALE), DeformRoIPool(SIZE, SCALE, 2)]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_no_rois_give_nothing_and_no_gradient(layer):
    input = features().requires_grad_()
    output = layer(input, ROIS[:0])
    assert output.shape == (0, 2, *SIZE)
    output.sum().backward()
    assert (input.grad == 0).all()


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(layer, dtype):
    low = features().to(dtype).requires_grad_()
    high = low.detach().float().requires_grad_()
    rois = ROIS.to(dtype)
    output, expected = layer(low, rois), layer(high, rois.float())
    assert output.dtype == dtype
    torch.testing.assert_close(output, expected.to(dtype))
    output.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(low.grad, high.grad.to(dtype))


@pytest.mark.parametrize("layer", [LAYERS[2], LAYERS[3], LAYERS[5]], ids=str)
def test_huge_rois_are_finite(layer):
    input = features().float().requires_grad_()
    output = layer(input, torch.tensor([[0, -1e9, -1e9, 1e9, 1e9], [1, 1e8, 1e8, 2e8, 2e8]]))
    output.sum().backward()
    assert output.isfinite().all() and input.grad.isfinite().all()
