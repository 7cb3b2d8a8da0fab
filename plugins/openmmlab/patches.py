"""Mends of mmdet where no configuration reaches."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor, nn


@functools.lru_cache(maxsize=1)
def paste_anywhere() -> None:
    """Paste also the masks of boxes outside of the image, which untrained networks predict.

    On the CPU mmdet looks at the part of the image that the boxes reach, and raises where there is none. There it now
    looks at the whole image, as it does on GPUs.
    """
    from mmdet.models.roi_heads.mask_heads import fcn_mask_head

    original = fcn_mask_head._do_paste_mask

    @functools.wraps(original)
    def paste(masks: Tensor, boxes: Tensor, img_h: int, img_w: int, skip_empty: bool = True) -> Any:
        return original(masks, boxes, img_h, img_w, skip_empty and _reach(boxes, img_h, img_w))

    fcn_mask_head._do_paste_mask = paste


def _reach(boxes: Tensor, height: int, width: int) -> bool:
    """Whether the area around all ``boxes`` (N, 4) xyxy has a part of the image."""
    left, top = boxes[:, :2].amin(0).tolist()
    right, bottom = boxes[:, 2:].amax(0).tolist()
    return max(left, 0) < min(right, width) and max(top, 0) < min(bottom, height)


def name_missing_losses(model: nn.Module) -> None:
    """Give SSD's head, which has no loss module for its classes, the attribute of which mmdet asks every head."""
    from mmdet.models.dense_heads.base_dense_head import BaseDenseHead

    for module in model.modules():
        if isinstance(module, BaseDenseHead) and not hasattr(module, "loss_cls"):
            module.loss_cls = None
