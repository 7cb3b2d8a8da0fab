"""A detector on its way out of the engine: images to a fixed number of boxes, with masks where it learns them."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sightsmith.plugin import Array, Model, Outputs
from sightsmith.plugins.openmmlab.adapt import walk
from sightsmith.plugins.openmmlab.build import alone, scope
from sightsmith.plugins.openmmlab.data import View
from sightsmith.plugins.openmmlab.export import OpenMMLabExporter, normalised
from sightsmith.plugins.openmmlab.task import OpenMMLabTask, fixed_rng

SURE = 0.05
"""The score from which a detection is compared: mmdet's own configurations drop those below."""


class _Detections(nn.Module):
    """One image (1, 3, *shape); ``most`` detections, the surest first."""

    def __init__(self, model: Model, shape: tuple[int, int], most: int, *, with_masks: bool) -> None:
        super().__init__()
        self.model, self.shape, self.most, self.with_masks = model, shape, most, with_masks
        limits = model.test_cfg.get("rcnn") or model.test_cfg
        self.least = float(limits.get("score_thr", 0))
        for module in model.modules():
            _keep_all(getattr(module, "test_cfg", None))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        from mmdet.structures import DetDataSample

        sample = DetDataSample(metainfo={
            "img_id": 0, "img_shape": self.shape, "ori_shape": self.shape, "pad_shape": self.shape,
            "batch_input_shape": self.shape, "scale_factor": (1.0, 1.0), "border": (0, 0, 0, 0)})
        with scope("mmdet"), alone(), fixed_rng():
            [said] = self.model.predict(normalised(self.model.data_preprocessor, images), [sample])
        found = said.pred_instances
        scores = found.scores.float()
        scores, best = _filled(torch.where(scores > self.least, scores, torch.zeros_like(scores)), self.most
                               ).topk(self.most)
        height, width = self.shape  # which untrained networks leave by far
        boxes = found.bboxes.float().clamp(min=0).minimum(torch.tensor([width, height] * 2))
        chosen = [_filled(boxes, self.most)[best], scores, _filled(found.labels, self.most)[best]]
        if self.with_masks:
            chosen.append(_filled(found.masks.to(torch.uint8), self.most)[best])
        return tuple(value[None] for value in chosen)


def _filled(values: Tensor, count: int) -> Tensor:
    """``values`` (n, ...) with ``count`` more rows of zeros."""
    return torch.cat([values, values.new_zeros(count, *values.shape[1:])])


def _keep_all(config: Any) -> None:
    """Let no score or size decide how many boxes there are: what is recorded is of one number of them."""
    for node in walk(config):
        node.update({key: -1 for key in ("score_thr", "min_bbox_size") if key in node})
        if "nms" in node:
            node["nms"]["split_thr"] = math.inf


class DetectorExporter(OpenMMLabExporter):
    """One image at a time: how many boxes there are between its layers is recorded.

    The input is as large as the largest of ``sizes``, scaled and padded as the engine does.
    """

    batched = False
    max_mismatch_ratio = 0.05

    def __init__(self, task: OpenMMLabTask, model: Model, sizes: Collection[tuple[int, int]], most: int, *,
                 with_masks: bool) -> None:
        preprocessor = model.data_preprocessor
        divisor = preprocessor.pad_size_divisor
        shapes = [View((0, 0, width, height), task.input_size()).shape for height, width in sizes]
        super().__init__(task, model, *(math.ceil(max(sides) / divisor) * divisor
                                        for sides in zip(*shapes, strict=True)))
        fill = torch.full((3,), float(preprocessor.pad_value))
        if preprocessor._enable_normalize:
            fill = fill * preprocessor.std.flatten().cpu() + preprocessor.mean.flatten().cpu()
        self.pad = (fill.flip(0) if preprocessor._channel_conversion else fill).div(255).tolist()
        self.with_masks = with_masks
        self.outputs = {
            "boxes": f"(batch, {most}, 4) float32, left, top, right, bottom in pixels of the input; "
                     "those whose centre is in the padding are none",
            "scores": f"(batch, {most}) float32 in [0, 1], the surest first; 0 where there is no further detection",
            "labels": f"(batch, {most}) int64, places in `classes`"}
        if with_masks:
            self.outputs["masks"] = f"(batch, {most}, height, width) uint8, 1 where the object is, in the input"
        self.module = _Detections(self.model, (self.height, self.width), most, with_masks=with_masks).eval()

    def predicted(self, outputs: dict[str, Tensor], samples: list[Any]) -> list[Any]:
        from mmengine.structures import InstanceData

        for place, sample in enumerate(samples):
            height, width = sample.img_shape
            limit = torch.tensor([width, height] * 2)
            centres = outputs["boxes"][place][:, :2] + outputs["boxes"][place][:, 2:]
            found = (outputs["scores"][place] > 0) & (centres < 2 * limit[:2]).all(1)
            boxes = outputs["boxes"][place][found].clamp(min=0).minimum(limit)
            sample.pred_instances = InstanceData(
                bboxes=boxes / torch.tensor(sample.scale_factor * 2), scores=outputs["scores"][place][found],
                labels=outputs["labels"][place][found])
            if self.with_masks:
                shown = outputs["masks"][place][found][:, None, :height, :width].float()  # a batch may be empty
                sample.pred_instances.masks = functional.interpolate(
                    shown, sample.ori_shape, mode="bilinear", align_corners=False)[:, 0] >= 0.5
        return samples

    def differences(self, one: Outputs, other: Outputs) -> Array:
        """Of each detection of either side how far the other's nearest one of its class is: the largest difference of
        its score, and of its sides as parts of the input's longer one; 1 where there is none."""
        found = []
        for place in range(len(one["scores"])):
            sides = [{name: values[place] for name, values in outputs.items()} for outputs in (one, other)]
            found += [self._apart(*sides), self._apart(*sides[::-1])]
        return np.concatenate(found)

    def _apart(self, one: dict[str, Array], other: dict[str, Array]) -> Array:
        sure = one["scores"] >= SURE
        scores = np.abs(one["scores"][sure][:, None] - other["scores"][None])
        boxes = np.abs(one["boxes"][sure][:, None] - other["boxes"][None]).max(-1) / self.longest
        same = one["labels"][sure][:, None] == other["labels"][None]
        apart: Array = np.where(same, np.maximum(scores, boxes), 1.0).min(1, initial=1.0)
        return apart
