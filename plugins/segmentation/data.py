"""Images with a semantic mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sightsmith.plugin import IGNORED, Array, CheckedAugmentation, Config, Sample, semantic_map
from sightsmith.plugins.openmmlab.data import AnnotatedImages, View
from sightsmith.plugins.openmmlab.transforms import Results


class SegmentationDataset(AnnotatedImages):
    """Items whose ``data_samples`` is a ``SegDataSample``, padded at the bottom and right to a square.

    ``gt_sem_seg`` is (1, size, size) int64: 0 background, i + 1 class i, 255 ignored (also the padding).
    ``gt_edge_map`` of the same shape, with ``edge_width`` in pixels, is 1 along the borders of regions.
    ``truth`` (H, W) uint8, in validation only, is the mask in pixels of the original image or tile.
    """

    def __init__(self, samples: Sequence[Sample], classes: Sequence[str], config: Config, size: int, *,
                 training: bool, edge_width: int | None = None,
                 augmentations: Sequence[CheckedAugmentation] = ()) -> None:
        super().__init__(samples, classes, config, size, training=training, augmentations=augmentations)
        self.edge_width = edge_width

    def annotate(self, sample: Sample, shape: tuple[int, int], view: View) -> Results:
        numbers = semantic_map(sample, self.classes, *shape, view.box)
        found: Results = {"gt_seg_map": view.scaled_map(numbers)}
        if not self.training:
            found["truth"] = np.ascontiguousarray(numbers)
        return found

    def pack(self, image: Tensor, results: Results) -> dict[str, Any]:
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        height, width = image.shape[1:]
        border = (0, self.size - width, 0, self.size - height)
        sample = SegDataSample(metainfo={
            "img_id": results["img_id"], "img_shape": (self.size, self.size), "ori_shape": results["ori_shape"],
            "pad_shape": (self.size, self.size), "img_padding_size": list(border), "truth": results.get("truth")})
        maps = {"gt_sem_seg": results["gt_seg_map"]}
        if self.edge_width is not None:
            maps["gt_edge_map"] = self._edges(results["gt_seg_map"], self.edge_width)
        for name, values in maps.items():
            numbers = torch.from_numpy(np.ascontiguousarray(values)).long()[None]
            setattr(sample, name, PixelData(data=functional.pad(numbers, border, value=IGNORED)))
        return {"inputs": functional.pad(image, border), "data_samples": sample}

    @staticmethod
    def _edges(numbers: Array, width: int) -> Array:
        from mmseg.datasets.transforms import GenerateEdge

        found = GenerateEdge(width, IGNORED).transform({"img_shape": numbers.shape, "gt_seg_map": numbers})
        edges: Array = found["gt_edge_map"]
        return edges
