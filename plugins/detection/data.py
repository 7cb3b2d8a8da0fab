"""Images with boxes, and with a mask for each object where the network learns masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightsmith.plugin import Augmentation, Config, Mask, Object, Sample, decode_mask, run_lengths
from sightsmith.plugins.openmmlab.data import AnnotatedImages, View
from sightsmith.plugins.openmmlab.transforms import Results

LEAST_SEEN = 0.25
"""An object of which less than this part of its area is in a tile is neither learnt nor counted there."""

SMALLEST_SIDE = 1.0
"""Pixels; an object that augmentation leaves smaller is not learnt."""


class DetectionDataset(AnnotatedImages):
    """Items whose ``data_samples`` is a ``DetDataSample``.

    ``gt_instances`` holds boxes xyxy in pixels of the item, class numbers and, ``with_masks``, masks;
    ``truth`` what validation compares with, in pixels of the whole image.
    """

    def __init__(self, samples: Sequence[Sample], classes: Sequence[str], config: Config, size: int, *,
                 training: bool, with_masks: bool, augmentations: Sequence[Augmentation] = ()) -> None:
        super().__init__(samples, classes, config, size, training=training, augmentations=augmentations)
        self.with_masks = with_masks
        self._numbers = {name: number for number, name in enumerate(self.classes)}

    def annotate(self, sample: Sample, shape: tuple[int, int], view: View) -> Results:
        from mmdet.structures.bbox import HorizontalBoxes
        from mmdet.structures.mask import BitmapMasks

        whole = np.array([item.box for item in sample.objects], np.float32).reshape(-1, 4)
        boxes, seen = view.boxes(whole)
        kept = [place for place, item in enumerate(sample.objects) if seen[place] > 0 or sample.tile is None]
        crowd = np.array([item.crowd for item in sample.objects], bool) | (seen < LEAST_SEEN)
        found: Results = {
            "gt_bboxes": HorizontalBoxes(torch.from_numpy(boxes[kept]), clone=False),
            "gt_bboxes_labels": np.array([self._numbers[sample.objects[place].label] for place in kept], np.int64),
            "gt_ignore_flags": crowd[kept],
        }
        if self.with_masks:
            masks = [view.map(decode_mask(self._annotated(sample.objects[place]), *shape).astype(np.uint8))
                     for place in kept]
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
        learnt, ignored = large & ~results["gt_ignore_flags"], large & results["gt_ignore_flags"]
        sample = DetDataSample(metainfo={
            "img_id": results["img_id"], "img_shape": (height, width), "ori_shape": results["ori_shape"],
            "scale_factor": results["scale_factor"], "truth": results.get("truth"),
            "border": (0, 0, 0, 0)})  # what CenterNet's own transform would have added, and its head takes off again
        for name, chosen in (("gt_instances", learnt), ("ignored_instances", ignored)):
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
        assert item.mask is not None, "the check of masks lets no object without one pass"
        return item.mask
