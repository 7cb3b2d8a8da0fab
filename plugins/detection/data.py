"""Images with boxes, and with a mask per object if the network predicts masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightsmith.plugin import CheckedAugmentation, Config, Mask, Object, Sample, decode_mask, run_lengths
from sightsmith.plugins.openmmlab.data import AnnotatedImages, View
from sightsmith.plugins.openmmlab.transforms import Results

MIN_VISIBLE = 0.25
"""Objects with a smaller part of their area in a tile are ignored there, in training and in metrics."""

SMALLEST_SIDE = 1.0
"""Pixels; objects that augmentation makes smaller are dropped from training."""


class DetectionDataset(AnnotatedImages):
    """Items whose ``data_samples`` is a ``DetDataSample``.

    ``gt_instances`` holds boxes xyxy in pixels of the item, class numbers and, ``with_masks``, masks;
    ``truth`` is the ground truth for validation, in pixels of the whole image.
    """

    def __init__(self, samples: Sequence[Sample], classes: Sequence[str], config: Config, size: int, *,
                 training: bool, with_masks: bool, augmentations: Sequence[CheckedAugmentation] = ()) -> None:
        super().__init__(samples, classes, config, size, training=training, augmentations=augmentations)
        self.with_masks = with_masks
        self._numbers = {name: number for number, name in enumerate(self.classes)}

    def annotate(self, sample: Sample, shape: tuple[int, int], view: View) -> Results:
        from mmdet.structures.bbox import HorizontalBoxes
        from mmdet.structures.mask import BitmapMasks

        whole = np.array([item.box for item in sample.objects], np.float32).reshape(-1, 4)
        boxes, seen = view.boxes(whole)
        kept = [place for place, item in enumerate(sample.objects) if seen[place] > 0 or sample.tile is None]
        crowd = np.array([item.crowd for item in sample.objects], bool) | (seen < MIN_VISIBLE)
        found: Results = {
            "gt_bboxes": HorizontalBoxes(torch.from_numpy(boxes[kept]), clone=False),
            "gt_bboxes_labels": np.array([self._numbers[sample.objects[place].label] for place in kept], np.int64),
            "gt_ignore_flags": crowd[kept],
        }
        if self.with_masks:
            masks = [view.scaled_map(decode_mask(self._annotated(sample.objects[place]), *shape, view.box, view.step)
                                     .astype(np.uint8)) for place in kept]
            found["gt_masks"] = BitmapMasks(masks, *view.shape)
        if not self.training:
            found["truth"] = self._truth(sample, shape)
        return found

    def pack(self, image: Tensor, results: Results) -> dict[str, Any]:
        from mmdet.structures import DetDataSample
        from mmengine.structures import InstanceData

        boxes = results["gt_bboxes"]
        height, width = image.shape[1:]
        boxes.clip_((height, width))
        large = ((boxes.widths > SMALLEST_SIDE) & (boxes.heights > SMALLEST_SIDE)).numpy()
        trained, ignored = large & ~results["gt_ignore_flags"], large & results["gt_ignore_flags"]
        sample = DetDataSample(metainfo={
            "img_id": results["img_id"], "img_shape": (height, width), "ori_shape": results["ori_shape"],
            "scale_factor": results["scale_factor"], "truth": results.get("truth"),
            "border": (0, 0, 0, 0)})  # expected by CenterNet's head, set by its own transform
        for name, chosen in (("gt_instances", trained), ("ignored_instances", ignored)):
            instances = InstanceData(bboxes=boxes[torch.from_numpy(chosen)].tensor,
                                     labels=torch.from_numpy(results["gt_bboxes_labels"][chosen]))
            if "gt_masks" in results:
                instances.masks = results["gt_masks"][chosen.nonzero()[0]]
            setattr(sample, name, instances)
        return {"inputs": image, "data_samples": sample}

    def _truth(self, sample: Sample, shape: tuple[int, int]) -> dict[str, Any]:
        objects = sample.objects
        return {
            "image": sample.image, "size": shape, "tile": sample.tile,
            "boxes": np.array([item.box for item in objects], np.float32).reshape(-1, 4),
            "labels": np.array([self._numbers[item.label] for item in objects], np.int64),
            "crowd": np.array([item.crowd for item in objects], bool),
            "masks": [run_lengths(self._annotated(item), *shape) for item in objects] if self.with_masks else None,
        }

    @staticmethod
    def _annotated(item: Object) -> Mask:
        assert item.mask is not None, "the check of masks rejects objects without one"
        return item.mask
