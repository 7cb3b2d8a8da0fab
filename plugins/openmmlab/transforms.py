"""Augmentation of annotated images: mmdet's transforms and additions to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sightsmith.plugin import AnnotatedImage, AugmentConfig

Results = dict[str, Any]
"""The data of mmdet's transforms: ``img`` (H, W, C) and ``gt_...`` in its pixels."""

CROP_SIDE = 0.7
"""Smallest side of a random crop as a fraction of the image's: about half of its area."""


def geometric_transforms(config: AugmentConfig, size: int) -> list[Callable[[Results], Results]]:
    """The random transforms for images of side ``size``, in order; they use ``random`` and numpy."""
    from mmdet.datasets import transforms

    from sightsmith.plugins.openmmlab import any_channels

    found: list[Callable[[Results], Results]] = []
    border: dict[str, Any] = {"img_border_value": 0, "seg_ignore_label": 255}
    if config.resized_crop:
        found += [transforms.RandomCrop((CROP_SIDE, CROP_SIDE), "relative_range", allow_negative_crop=True),
                  any_channels.Resize((size, size), keep_ratio=True)]
    if config.horizontal_flip:
        found.append(transforms.RandomFlip(0.5))
    if config.rotate90:
        found.append(RandomRotate90())
    if config.rotation:
        found.append(any_channels.Rotate(1.0, max_mag=float(config.rotation), **border))
    if config.translation:
        found += [move(1.0, min_mag=0.0, max_mag=config.translation / 100, **border)
                  for move in (any_channels.TranslateX, any_channels.TranslateY)]
    return found


def to_annotated(results: Results) -> AnnotatedImage:
    """``results`` as the augmentations of plugins want them; the arrays are shared."""
    boxes, masks = results.get("gt_bboxes"), results.get("gt_masks")
    return AnnotatedImage(
        results["img"], semantic_mask=results.get("gt_seg_map"), boxes=None if boxes is None else boxes.tensor.numpy(),
        labels=results.get("gt_bboxes_labels"), ignored=results.get("gt_ignore_flags"),
        masks=None if masks is None else masks.masks)


def from_annotated(results: Results, image: AnnotatedImage) -> Results:
    """``results`` with what ``image`` has."""
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import BitmapMasks

    found = {**results, "img": image.image, "img_shape": image.size}
    if image.semantic_mask is not None:
        found["gt_seg_map"] = image.semantic_mask
    if image.boxes is not None:
        found |= {"gt_bboxes": HorizontalBoxes(torch.from_numpy(image.boxes), clone=False),
                  "gt_bboxes_labels": image.labels, "gt_ignore_flags": image.ignored}
    if image.masks is not None:
        found["gt_masks"] = BitmapMasks(image.masks, *image.size)
    return found


class RandomRotate90:
    """Rotate ``img`` (H, W, C) and every ``gt_...`` by 0, 90, 180 or 270 degrees counterclockwise, drawn from numpy.

    Boxes stay tight, and there is no border.
    """

    def __call__(self, results: Results) -> Results:
        from mmdet.structures.bbox import HorizontalBoxes
        from mmdet.structures.mask import BitmapMasks

        turns = int(np.random.randint(4))
        for name in ("img", "gt_seg_map"):
            if name in results:
                results[name] = np.ascontiguousarray(np.rot90(results[name], turns))
        if "gt_masks" in results:
            masks = np.ascontiguousarray(np.rot90(results["gt_masks"].masks, turns, axes=(1, 2)))
            results["gt_masks"] = BitmapMasks(masks, *results["img"].shape[:2])
        for _ in range(turns):
            if "gt_bboxes" in results:
                left, top, right, bottom = results["gt_bboxes"].tensor.unbind(1)
                width = results["img_shape"][1]
                results["gt_bboxes"] = HorizontalBoxes(torch.stack([top, width - right, bottom, width - left], 1))
            results["img_shape"] = results["img_shape"][::-1]
        return results
