"""What stands in for an operation while a model is recorded gives what the operation gives."""

from __future__ import annotations

import sys

import mmcv.ops
import pytest
import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.models.seg_heads.panoptic_fusion_heads import maskformer_fusion_head
from mmdet.structures.mask import mask2bbox
from operator_inputs import SETTINGS, boxes_and_scores, tensors
from torch import nn

from sightsmith.plugins.openmmlab.traceable import traceable


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("modulated", [False, True])
def test_deformable_convolution(setting, modulated):
    """Groups, deform groups, strides, offsets that leave the image."""
    stride, padding, dilation, groups, deform_groups = setting
    input, offset, mask, weight, bias = (tensor.detach() for tensor in tensors(setting))
    offset = 3 * offset

    def run():
        if modulated:
            return mmcv.ops.modulated_deform_conv2d(input, offset, mask, weight, bias, stride, padding, dilation,
                                                    groups, deform_groups)
        return mmcv.ops.deform_conv2d(input, offset, weight, stride, padding, dilation, groups, deform_groups)

    expected = run()
    with traceable():
        torch.testing.assert_close(run(), expected)


def test_convolution_of_one_pixel_with_computed_weights():
    input, weight, bias = torch.randn(1, 12, 5, 4), torch.randn(9, 4, 1, 1), torch.randn(9)
    fixed = nn.Parameter(torch.randn(9, 4, 3, 3))
    expected = F.conv2d(input, weight, bias, groups=3), F.conv2d(input, fixed, bias, padding=1, groups=3)
    with traceable():
        torch.testing.assert_close((F.conv2d(input, weight, bias, groups=3),
                                    F.conv2d(input, fixed, bias, padding=1, groups=3)), expected)


def test_non_maximum_suppression_keeps_as_many_as_there_are():
    boxes, scores = boxes_and_scores()
    expected, kept = mmcv.ops.nms(boxes, scores, 0.3)
    classes = torch.arange(60) % 3
    of_classes, kept_of_classes = mmcv.ops.batched_nms(boxes, scores, classes, {"type": "nms", "iou_threshold": 0.3})
    with traceable():
        found, places = sys.modules["mmcv.ops.nms"].nms(boxes, scores, 0.3)
        both = mmcv.ops.batched_nms(boxes, scores, classes, {"type": "nms", "iou_threshold": 0.3})
    assert 0 < len(kept) < len(places) == 60
    assert (found[:len(kept)].equal(expected), places[:len(kept)].equal(kept)) == (True, True)
    assert not found[len(kept):, 4].any()
    count = len(kept_of_classes)
    assert both[0][:count].equal(of_classes)
    assert both[1][:count].equal(kept_of_classes)


def test_boxes_around_masks():
    masks = torch.zeros(4, 9, 7, dtype=torch.bool)
    masks[0, 2:5, 1:6] = masks[1, 8, 6] = masks[2] = True
    expected = mask2bbox(masks)
    with traceable():
        assert maskformer_fusion_head.mask2bbox(masks).equal(expected)
    assert maskformer_fusion_head.mask2bbox is mask2bbox


def test_region_alignment():
    align = mmcv.ops.RoIAlign(7, spatial_scale=0.5, sampling_ratio=0)
    features, rois = torch.randn(2, 4, 16, 16), torch.tensor([[0, 1.0, 2, 20, 24], [1, 5, 5, 6, 30]])
    expected = align(features, rois)
    with traceable():
        torch.testing.assert_close(align(features, rois), expected)


def test_regions_of_any_level():
    """Also of one that had none when it was recorded."""
    extractor = SingleRoIExtractor({"type": "RoIAlign", "output_size": 3, "sampling_ratio": 0}, 4, [4, 8, 16])
    features = tuple(torch.randn(1, 4, side, side) for side in (64, 32, 16))
    small = torch.tensor([[0, 10.0, 10, 40, 40], [0, 30, 30, 70, 60]])
    large = torch.tensor([[0, 5.0, 5, 250, 250], [0, 20, 20, 140, 150]])
    assert set(extractor.map_roi_levels(torch.cat([small, large]), 3).tolist()) == {0, 1, 2}
    expected = extractor(features, small), extractor(features, large), extractor(features, large, roi_scale_factor=1.3)
    with traceable():
        recorded = torch.jit.trace(lambda rois: extractor(features, rois), small, check_trace=False)
        torch.testing.assert_close(extractor(features, large, roi_scale_factor=1.3), expected[2])
    torch.testing.assert_close((recorded(small), recorded(large)), expected[:2])


def test_draws_become_constants_and_all_is_put_back():
    class Draws(nn.Module):
        def forward(self, images):
            return images + torch.rand(images.shape[1:])

    before = [torch.rand, torch.Tensor.split, F.conv2d, mmcv.ops.deform_conv2d]
    images = torch.zeros(1, 4)
    with traceable():
        first = Draws()(images)
        recorded = torch.jit.trace(Draws(), images, check_trace=False)
    assert recorded(images).equal(first)
    assert recorded(images).equal(first)
    assert [torch.rand, torch.Tensor.split, F.conv2d, mmcv.ops.deform_conv2d] == before
