"""The segmentation task: samples to batches, predictions to metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sightsmith.plugin import (
    AnnotatedImage,
    Array,
    HeadLayout,
    Model,
    ModuleNetworkRecord,
    Prediction,
    Sample,
    Section,
    UserError,
)
from sightsmith.plugins.openmmlab import adapt, zoo
from sightsmith.plugins.openmmlab.data import item_rgb
from sightsmith.plugins.openmmlab.head_layout import segmentation_layout
from sightsmith.plugins.openmmlab.module import ModuleModel, build_preprocessor
from sightsmith.plugins.openmmlab.task import OpenMMLabTask
from sightsmith.plugins.segmentation import metrics, report
from sightsmith.plugins.segmentation.data import SegmentationDataset
from sightsmith.plugins.segmentation.export import SegmentationExporter
from sightsmith.plugins.segmentation.metrics import SegmentationPrediction, SegmentationResult
from sightsmith.plugins.segmentation.module import ModuleSegmenter


class SegmentationTask(OpenMMLabTask[SegmentationResult, SegmentationPrediction]):
    """Every pixel is background or belongs to one class."""

    package = "mmseg"
    returned = ("seg_logits (classes + 1, height, width) and pred_sem_seg (1, height, width) in pixels of the original "
                "image; 0 is the background")

    @property
    def pixelwise(self) -> bool:
        return True

    def tile_overlap(self, training: bool) -> float:
        """0 in validation, where each pixel counts once."""
        return super().tile_overlap(training) if training else 0.0

    def dataset(self, samples: Sequence[Sample], *, training: bool) -> SegmentationDataset:
        edges = None if isinstance(self.network, ModuleNetworkRecord) else \
            zoo.transform(self.package, self.zoo_name, "GenerateEdge")
        return SegmentationDataset(samples, self.classes, self.config, self.input_size(), training=training,
                                   edge_width=edges["edge_width"] if edges else None, augmentations=self.augmentations)

    def annotated(self, item: dict[str, Any]) -> AnnotatedImage:
        return AnnotatedImage(item_rgb(item["inputs"], self.config.image),
                              semantic_mask=item["data_samples"].gt_sem_seg.data[0].byte().numpy())

    def adapted(self) -> dict[str, Any]:
        model = super().adapted()
        adapt.set_classes(model, len(self.classes) + 1)
        adapt.fix_size(model, self.input_size())
        preprocessor = model["data_preprocessor"]
        preprocessor["size"] = (self.input_size(), self.input_size())  # items are already padded to this size
        for key in ("size_divisor", "test_cfg"):
            preprocessor.pop(key, None)
        if model["test_cfg"].get("mode") == "slide":
            model["test_cfg"] = {"mode": "whole"}
        return model

    def wrapped(self, record: ModuleNetworkRecord, module: nn.Module) -> ModuleModel:
        side = self.input_size()
        preprocessor = build_preprocessor(self.package, "SegDataPreProcessor", record, self.config, size=(side, side))
        with torch.no_grad():
            logits = module.eval()(torch.zeros(1, 3, side, side))
        if not isinstance(logits, torch.Tensor) or logits.ndim != 4 or logits.shape[1] != len(self.classes) + 1:
            shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise UserError(f"The network {record.name} returned {shape} for images (1, 3, {side}, {side}), not logits "
                            f"(1, {len(self.classes) + 1}, H, W): the background and {len(self.classes)} classes")
        return ModuleSegmenter(module, preprocessor, record.backbone)

    def head_layout(self, name: str, rows: int, per_class: int) -> HeadLayout:
        return segmentation_layout(extra=rows - len(self.classes) - 1)

    def result(self, sample: Any, loss: float) -> SegmentationResult:
        return self._result(sample, loss, sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8))

    def _result(self, sample: Any, loss: float, predicted: Array) -> SegmentationResult:
        return {"index": int(sample.img_id), "loss": loss, "map": report.packed(predicted),
                "counts": metrics.count(sample.truth, predicted, len(self.classes))}

    def part(self, sample: Any) -> SegmentationPrediction:
        return {"logits": sample.seg_logits.data.float().flip(sample.get("flipped", ())).cpu().numpy()}

    def fuse(self, parts: Sequence[SegmentationPrediction]) -> SegmentationPrediction:
        """The mean of the logits."""
        return {"logits": np.mean([part["logits"] for part in parts], axis=0)}

    def assess(self, parts: Sequence[SegmentationPrediction], batch: dict[str, Any]) -> list[SegmentationResult]:
        return [self._result(sample, math.nan, part["logits"].argmax(0).astype(np.uint8))
                for part, sample in zip(parts, batch["data_samples"], strict=True)]

    def exporter(self, model: Model, sizes: Collection[tuple[int, int]]) -> SegmentationExporter:
        return SegmentationExporter(self, model)

    def prediction(self, parts: Iterator[SegmentationPrediction], samples: Sequence[Sample],
                   size: tuple[int, int]) -> Prediction:
        """Where tiles overlap, logits are averaged; only those of the rows under way are in memory."""
        semantic_mask = np.zeros(size, np.uint8)
        tiles = [sample.tile or (0, 0, size[1], size[0]) for sample in samples]
        rows = max(height for _, _, _, height in tiles)
        summed, first = np.zeros((len(self.classes) + 1, rows, size[1]), np.float32), 0

        def finish(count: int) -> None:
            for place in range(min(count, size[0] - first)):
                semantic_mask[first + place] = summed[:, place].argmax(0)

        for part, (left, top, width, height) in zip(parts, tiles, strict=True):
            if top > first:  # no other tile reaches above
                done = top - first
                finish(done)
                summed[:, :-done] = summed[:, done:]
                summed[:, -done:] = 0
                first = top
            summed[:, :height, left:left + width] += part["logits"]
        finish(rows)
        return Prediction(samples[0].path, size[1], size[0], samples[0].frame, semantic_mask=semantic_mask)

    def metrics(self, results: Sequence[SegmentationResult]) -> dict[str, float | None]:
        return {"loss": self.mean_loss(results), **metrics.compute(results, self.classes)}

    def bootstrap_score(self, results: Sequence[SegmentationResult]) -> Callable[[Array], float | None]:
        return metrics.bootstrap_dice(results)

    def baseline(self, train: Sequence[Sample], results: Sequence[SegmentationResult],
                 ) -> tuple[str, list[SegmentationResult]]:
        number, constant = metrics.best_constant(results)
        return f"{['background', *self.classes][number]!r} for every pixel", constant

    def report(self, results: Sequence[SegmentationResult], samples: Sequence[Sample], folder: Path) -> list[Section]:
        return report.sections(results, samples, self.classes, self.config)
