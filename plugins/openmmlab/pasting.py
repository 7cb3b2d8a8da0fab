"""Masks of boxes outside of the image, which untrained networks predict: on the CPU, mmdet's pasting raises there."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor


@functools.lru_cache(maxsize=1)
def paste_anywhere() -> None:
    """Let mmdet look at the whole image where the boxes leave no part of it to look at, as it does on GPUs."""
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
