"""Images with a map of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sightsmith.core.dataset import Sample
from sightsmith.core.masks import IGNORED, semantic_map
from sightsmith.plugins.openmmlab.data import AnnotatedImages, Results, View


class ImageMaps(AnnotatedImages):
    """Items whose ``data_samples`` is a ``SegDataSample``, padded below and to the right to a square.

    ``gt_sem_seg`` is (1, size, size) int64: 0 background, i + 1 class i, 255 ignored, padding too.
    ``truth`` (H, W) uint8, in validation, is the map in pixels of the original image or tile.
    """

    def annotate(self, sample: Sample, shape: tuple[int, int], view: View) -> Results:
        numbers = semantic_map(sample, self.classes, *shape)
        found: Results = {"gt_seg_map": view.map(numbers)}
        if not self.training:
            found["truth"] = np.ascontiguousarray(view.part(numbers))
        return found

    def pack(self, image: Tensor, results: Results) -> dict[str, Any]:
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        height, width = image.shape[1:]
        border = (0, self.size - width, 0, self.size - height)
        numbers = torch.from_numpy(np.ascontiguousarray(results["gt_seg_map"])).long()[None]
        sample = SegDataSample(metainfo={
            "img_id": results["img_id"], "img_shape": (self.size, self.size), "ori_shape": results["ori_shape"],
            "pad_shape": (self.size, self.size), "padding_size": list(border), "truth": results.get("truth")})
        sample.gt_sem_seg = PixelData(data=functional.pad(numbers, border, value=IGNORED))
        return {"inputs": functional.pad(image, border), "data_samples": sample}
