"""Replaces operations of OpenMMLab's models for tracing: sizes in the graph must not depend on the image content."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from sightsmith.plugins.openmmlab.ops.deform_conv import sampled_deform_conv2d

MAX_KEPT = 2000
"""Boxes kept after non-maximum suppression: more than any head of the zoos uses."""


@contextmanager
def traceable() -> Iterator[None]:
    """Inside the block, operations that torch's exporters cannot record are replaced by equivalent ones.

    The results are the same. Random numbers are those of the last run inside the block without recording, and become
    constants.
    """
    import mmcv.ops
    from mmdet.models.dense_heads import tood_head
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
    from mmdet.models.seg_heads.panoptic_fusion_heads import maskformer_fusion_head

    with ExitStack() as stack:
        for owner, name, stand_in in (
                (torch.onnx, "is_in_onnx_export", lambda: False),  # mmdet's own branches for it are broken
                (torch, "rand", _FixedRandom(torch.rand)), (Tensor, "split", _split(Tensor.split)),
                (functional, "conv2d", _convolution(functional.conv2d)),
                (sys.modules["mmcv.ops.nms"], "nms", _kept_boxes),  # mmcv.ops has functions of these names
                (sys.modules["mmcv.ops.roi_align"], "roi_align", _roi_align),
                (tood_head, "sigmoid_geometric_mean", lambda one, other: (one.sigmoid() * other.sigmoid()).sqrt()),
                (maskformer_fusion_head, "mask2bbox", _boxes_of), (FCNMaskHead, "_predict_by_feat_single", _paste),
                (SingleRoIExtractor, "forward", _features_of)):
            stack.enter_context(patch.object(owner, name, stand_in))
        for name, stand_in in (("deform_conv2d", _deform_conv2d),
                               ("modulated_deform_conv2d", _modulated_deform_conv2d)):
            for owner in _holders(name, getattr(mmcv.ops, name)):
                stack.enter_context(patch.object(owner, name, stand_in))
        yield


def _holders(name: str, value: Any) -> list[Any]:
    """The modules that have imported ``value`` as ``name``."""
    return [module for module in list(sys.modules.values()) if getattr(module, "__dict__", {}).get(name) is value]


class _FixedRandom:
    """``torch.rand`` that keeps its results, and returns them in order, as constants, while tracing."""

    def __init__(self, draw: Callable[..., Tensor]) -> None:
        self._draw, self._kept, self._used = draw, list[Tensor](), 0

    def __call__(self, *size: Any, **settings: Any) -> Tensor:
        if not torch.jit.is_tracing():  # type: ignore[attr-defined]
            self._kept.append(self._draw(*size, **settings))
            return self._kept[-1]
        self._used += 1
        return self._kept[(self._used - 1) % len(self._kept)]


def _split(split: Callable[..., Any]) -> Callable[..., Any]:
    """A split into one piece returns the tensor itself, whatever its length."""
    def whole(tensor: Tensor, size: Any, dim: int = 0) -> Any:
        return (tensor,) if isinstance(size, (list, tuple)) and len(size) == 1 else split(tensor, size, dim)

    return whole


def _convolution(convolve: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Computes 1 x 1 convolutions with predicted weights per object as matrix products."""
    def convolution(input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
                    dilation: Any = 1, groups: int = 1) -> Tensor:
        if groups == 1 or isinstance(weight, nn.Parameter) or any(int(side) != 1 for side in weight.shape[2:]):
            return convolve(input, weight, bias, stride, padding, dilation, groups)
        height, width = (int(side) for side in input.shape[2:])
        per_group, channels = int(weight.shape[0]) // groups, int(weight.shape[1])
        product = weight.reshape(groups, per_group, channels) @ input.reshape(groups, channels, height * width)
        result = product.reshape(1, groups * per_group, height, width)
        return result if bias is None else result + bias.reshape(1, -1, 1, 1)

    return convolution


def _kept_boxes(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0, score_threshold: float = 0,
                max_num: int = -1) -> tuple[Tensor, Tensor]:
    """mmcv's ``nms`` with a fixed number of boxes: padded with the first box and score 0."""
    count = min(int(boxes.shape[0]), MAX_KEPT)
    widened = boxes + boxes.new_tensor([0, 0, offset, offset])
    found = torchvision.ops.nms(widened, scores, iou_threshold)
    kept = torch.cat([found, found.new_zeros(count)])[:count]
    kept_scores = torch.cat([scores[found], scores.new_zeros(count)])[:count]
    return torch.cat([boxes[kept], kept_scores[:, None]], 1), kept


def _roi_align(input: Tensor, rois: Tensor, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = 0,
               pool_mode: str = "avg", aligned: bool = True) -> Tensor:
    assert pool_mode == "avg", "no network of the zoos pools by the maximum"
    pooled: Tensor = torchvision.ops.roi_align(input, rois, output_size, spatial_scale, sampling_ratio, aligned)
    return pooled


def _features_of(extractor: Any, feats: Any, rois: Tensor, roi_scale_factor: float | None = None) -> Tensor:
    """``SingleRoIExtractor.forward`` that pools each region on every level instead of only on its own."""
    rois = rois.type_as(feats[0])
    levels = extractor.map_roi_levels(rois, len(feats)).reshape(-1, 1, 1, 1)
    if roi_scale_factor is not None:
        rois = extractor.roi_rescale(rois, roi_scale_factor)
    found = [layer(features, rois) * (levels == number)
             for number, (layer, features) in enumerate(zip(extractor.roi_layers, feats, strict=False))]
    return torch.stack(found).sum(0)


def _deform_conv2d(input: Tensor, offset: Tensor, weight: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
                   groups: int = 1, deform_groups: int = 1, bias: bool = False, im2col_step: int = 32) -> Tensor:
    return sampled_deform_conv2d(input, offset, weight, None, _pair(stride), _pair(padding), _pair(dilation))


def _modulated_deform_conv2d(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None,
                             stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
                             deform_groups: int = 1) -> Tensor:
    return sampled_deform_conv2d(input, offset, weight, bias, _pair(stride), _pair(padding), _pair(dilation), mask)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _boxes_of(masks: Tensor) -> Tensor:
    """mmdet's ``mask2bbox``: (n, 4) xyxy around masks (n, h, w) bool, zeros for an empty one."""
    bounds = []
    for axis in (1, 2):
        seen = masks.any(axis)
        length = int(seen.shape[1])
        places = torch.arange(length)
        bounds.append((torch.where(seen, places, length).amin(1), torch.where(seen, places + 1, 0).amax(1)))
    (left, right), (top, bottom) = bounds
    boxes = torch.stack([left, top, right, bottom], 1).float()
    return torch.where((right > 0)[:, None], boxes, torch.zeros_like(boxes))


def _paste(head: Any, mask_preds: Tensor, bboxes: Tensor, labels: Tensor, img_meta: dict[str, Any],
           rcnn_test_cfg: Any, rescale: bool = False, activate_map: bool = False) -> Tensor:
    """``FCNMaskHead._predict_by_feat_single`` that pastes all masks at once, (n, H, W) bool."""
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    height, width = img_meta["ori_shape"][:2]
    if not head.class_agnostic:
        mask_preds = mask_preds[torch.arange(len(labels)), labels][:, None]
    pasted, _ = _do_paste_mask(mask_preds.sigmoid(), bboxes, height, width, skip_empty=False)
    return pasted >= rcnn_test_cfg.mask_thr_binary
