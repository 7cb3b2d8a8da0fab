"""Patches of mmdet for faults that no configuration can fix."""

from __future__ import annotations

import functools
from typing import Any

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


def name_missing_losses(model: nn.Module) -> None:
    """Add the attribute ``loss_cls``, which mmdet reads from every head, to SSD's head."""
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead

    for module in model.modules():
        if isinstance(module, BaseDenseHead) and not hasattr(module, "loss_cls"):
            module.loss_cls = None
