"""Patches of mmdet for faults that no configuration can fix, and for loops that cost more than they must."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn


@functools.lru_cache(maxsize=1)
def patch_mask_pasting() -> None:
    """Allow boxes outside the image, which untrained networks predict, when masks are pasted.

    On the CPU mmdet crops to the part of the image covered by boxes, and raises if there is none. In that case it now
    uses the whole image, as it does on GPUs.
    """
    from mmdet.models.roi_heads.mask_heads import fcn_mask_head

    original = fcn_mask_head._do_paste_mask

    @functools.wraps(original)
    def paste(masks: Tensor, boxes: Tensor, img_h: int, img_w: int, skip_empty: bool = True) -> Any:
        return original(masks, boxes, img_h, img_w, skip_empty and _overlaps(boxes, img_h, img_w))

    fcn_mask_head._do_paste_mask = paste


def _overlaps(boxes: Tensor, height: int, width: int) -> bool:
    """Whether the bounding box of all ``boxes`` (N, 4) xyxy overlaps the image."""
    left, top = boxes[:, :2].amin(0).tolist()
    right, bottom = boxes[:, 2:].amax(0).tolist()
    return max(left, 0) < min(right, width) and max(top, 0) < min(bottom, height)


@functools.lru_cache(maxsize=1)
def patch_matching() -> None:
    """Match all objects of an image at once in the assigners of RTMDet and YOLOX, not one after the other: the same
    matches, in two operations instead of two an object."""
    from mmdet.models.task_modules.assigners import DynamicSoftLabelAssigner, SimOTAAssigner

    DynamicSoftLabelAssigner.dynamic_k_matching = _match
    SimOTAAssigner.dynamic_k_matching = _match


def _match(self: Any, cost: Tensor, ious: Tensor, objects: int, valid: Tensor) -> tuple[Tensor, Tensor]:
    """mmdet's ``dynamic_k_matching``: IoU and object of each matched prior. ``cost`` and ``ious`` are (priors, objects)
    for those of all priors that are True in ``valid``, which keeps the matched ones."""
    most = self.topk if hasattr(self, "topk") else self.candidate_topk
    wanted = torch.topk(ious, min(most, len(ious)), dim=0).values.sum(0).int().clamp(min=1)
    places = torch.topk(cost, int(wanted.max()), dim=0, largest=False).indices
    matches = torch.zeros_like(cost, dtype=torch.uint8)
    within = torch.arange(len(places), device=cost.device)[:, None] < wanted
    matches.scatter_(0, places, within.to(matches.dtype))
    several = matches.sum(1) > 1
    if several.any():
        matches[several] = torch.nn.functional.one_hot(cost[several].min(1).indices, objects).to(matches.dtype)
    found = matches.sum(1) > 0
    valid[valid.clone()] = found
    return (matches * ious).sum(1)[found], matches[found].argmax(1)


@functools.lru_cache(maxsize=1)
def patch_modes() -> None:
    """Let ``train`` and ``eval`` of a distilled network return it, as those of every other module do."""
    from mmdet.models.detectors.kd_one_stage import KnowledgeDistillationSingleStageDetector as Distilled

    original = Distilled.train

    @functools.wraps(original)
    def train(self: Any, mode: bool = True) -> Any:
        original(self, mode)
        return self

    Distilled.train = train


def name_missing_losses(model: nn.Module) -> None:
    """Add the attribute ``loss_cls``, which mmdet reads from every head, to SSD's head."""
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead

    for module in model.modules():
        if isinstance(module, BaseDenseHead) and not hasattr(module, "loss_cls"):
            module.loss_cls = None
