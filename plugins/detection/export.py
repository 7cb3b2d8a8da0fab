"""Export of a detector: images to a fixed number of boxes, with masks if it predicts them."""

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
from sightsmith.plugins.openmmlab.build import scope, without_distributed
from sightsmith.plugins.openmmlab.data import View
from sightsmith.plugins.openmmlab.export import OpenMMLabExporter, normalised
from sightsmith.plugins.openmmlab.task import OpenMMLabTask, fixed_rng

MIN_SCORE = 0.05
"""Detections with a lower score are not compared; mmdet's own configurations drop them."""


class _Detections(nn.Module):
    """One image (1, C, *shape) to ``max_detections`` detections, by falling score."""

    def __init__(self, model: Model, shape: tuple[int, int], max_detections: int, *, with_masks: bool) -> None:
        super().__init__()
        self.model, self.shape, self.max_detections, self.with_masks = model, shape, max_detections, with_masks
        limits = model.test_cfg.get("rcnn") or model.test_cfg
        self.min_score = float(limits.get("score_thr", 0))
        for module in model.modules():
            _keep_all(getattr(module, "test_cfg", None))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        from mmdet.structures import DetDataSample

        sample = DetDataSample(metainfo={
            "img_id": 0, "img_shape": self.shape, "ori_shape": self.shape, "pad_shape": self.shape,
            "batch_input_shape": self.shape, "scale_factor": (1.0, 1.0), "border": (0, 0, 0, 0)})
        with scope("mmdet"), without_distributed(), fixed_rng():
            [prediction] = self.model.predict(normalised(self.model.data_preprocessor, images), [sample])
        found = prediction.pred_instances
        scores = found.scores.float()
        count = self.max_detections
        scores, best = _zero_padded(torch.where(scores > self.min_score, scores, torch.zeros_like(scores)),
                                    count).topk(count)
        height, width = self.shape  # untrained networks predict far outside
        boxes = found.bboxes.float().clamp(min=0).minimum(torch.tensor([width, height] * 2))
        selected = [_zero_padded(boxes, count)[best], scores, _zero_padded(found.labels, count)[best]]
        if self.with_masks:
            selected.append(_zero_padded(found.masks.to(torch.uint8), count)[best])
        return tuple(value[None] for value in selected)


def _zero_padded(values: Tensor, count: int) -> Tensor:
    """``values`` (n, ...) with ``count`` more rows of zeros."""
    return torch.cat([values, values.new_zeros(count, *values.shape[1:])])


def _keep_all(config: Any) -> None:
    """Disable score and size thresholds: the recorded graph has a fixed number of boxes."""
    for node in walk(config):
        node.update({key: -1 for key in ("score_thr", "min_bbox_size") if key in node})
        if "nms" in node:
            node["nms"]["split_thr"] = math.inf


class DetectorExporter(OpenMMLabExporter):
    """One image at a time, as the number of boxes between layers is recorded.

    The input is as large as the largest of ``sizes``, scaled and padded as in the engine.
    """

    batched = False
    max_mismatch_ratio = 0.05

    def __init__(self, task: OpenMMLabTask, model: Model, sizes: Collection[tuple[int, int]], max_detections: int, *,
                 with_masks: bool) -> None:
        preprocessor = model.data_preprocessor
        divisor = preprocessor.pad_size_divisor
        shapes = [View((0, 0, width, height), task.input_size()).shape for height, width in sizes]
        super().__init__(task, model, *(math.ceil(max(sides) / divisor) * divisor
                                        for sides in zip(*shapes, strict=True)))
        fill = torch.full((self.channels,), float(preprocessor.pad_value))
        if preprocessor._enable_normalize:
            fill = fill * preprocessor.std.flatten().cpu() + preprocessor.mean.flatten().cpu()
        self.pad = (fill.flip(0) if preprocessor._channel_conversion else fill).div(255).tolist()
        self.with_masks = with_masks
        self.outputs = {
            "boxes": f"(batch, {max_detections}, 4) float32, left, top, right, bottom in pixels of the input; "
                     "ignore those whose centre is in the padding",
            "scores": f"(batch, {max_detections}) float32 in [0, 1], in falling order; 0 for no detection",
            "labels": f"(batch, {max_detections}) int64, indices into `classes`"}
        if with_masks:
            self.outputs["masks"] = (f"(batch, {max_detections}, height, width) uint8 in pixels of the input, "
                                     "1 for the object")
        self.module = _Detections(self.model, (self.height, self.width), max_detections, with_masks=with_masks).eval()

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
        """For each detection of either output the distance to the nearest one of its class in the other: the largest
        difference in score, or in coordinates as a fraction of the input's longer side; 1 if there is none."""
        found = []
        for place in range(len(one["scores"])):
            pair = [{name: values[place] for name, values in outputs.items()} for outputs in (one, other)]
            found += [self._distances(*pair), self._distances(*pair[::-1])]
        return np.concatenate(found)

    def _distances(self, one: dict[str, Array], other: dict[str, Array]) -> Array:
        confident = one["scores"] >= MIN_SCORE
        scores = np.abs(one["scores"][confident][:, None] - other["scores"][None])
        boxes = np.abs(one["boxes"][confident][:, None] - other["boxes"][None]).max(-1) / self.longest
        same = one["labels"][confident][:, None] == other["labels"][None]
        distances: Array = np.where(same, np.maximum(scores, boxes), 1.0).min(1, initial=1.0)
        return distances
