"""The detection task: samples to batches, predictions to metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import nn

from sightsmith.plugin import (
    AnnotatedImage,
    Array,
    HeadLayout,
    Model,
    ModuleNetworkRecord,
    PredictedObject,
    Prediction,
    RunLengths,
    Sample,
    Section,
    UserError,
)
from sightsmith.plugins.detection import metrics, report
from sightsmith.plugins.detection.bootstrap_ap import bootstrap_ap
from sightsmith.plugins.detection.data import DetectionDataset
from sightsmith.plugins.detection.export import DetectorExporter
from sightsmith.plugins.detection.fusion import flipped_boxes, fuse
from sightsmith.plugins.detection.metrics import DetectionPrediction, DetectionResult
from sightsmith.plugins.detection.module import ModuleDetector, background_first_layout
from sightsmith.plugins.openmmlab import adapt, zoo
from sightsmith.plugins.openmmlab.data import item_rgb
from sightsmith.plugins.openmmlab.head_layout import box_layout
from sightsmith.plugins.openmmlab.module import ModuleModel, build_preprocessor
from sightsmith.plugins.openmmlab.task import OpenMMLabTask

MAX_DETECTIONS = 100
"""The best predictions of an image that are kept, as in COCO's metrics."""


class DetectionTask(OpenMMLabTask[DetectionResult, DetectionPrediction]):
    """Boxes, and a mask per object if the network predicts masks."""

    package = "mmdet"
    returned = ("pred_instances: bboxes (n, 4), left, top, right, bottom in pixels of the original image, scores (n,), "
                "labels (n,), indices of the classes, and masks if the network has them")

    @property
    def pixelwise(self) -> bool:
        return self.with_masks

    @property
    def with_masks(self) -> bool:
        return self.network.annotation_of(self.config.network.config) == "masks"

    def dataset(self, samples: Sequence[Sample], *, training: bool) -> DetectionDataset:
        return DetectionDataset(samples, self.classes, self.config, self.input_size(), training=training,
                                with_masks=self.with_masks, augmentations=self.augmentations)

    def annotated(self, item: dict[str, Any]) -> AnnotatedImage:
        sample = item["data_samples"]
        parts = (sample.gt_instances, sample.ignored_instances)
        return AnnotatedImage(
            item_rgb(item["inputs"], self.config.image),
            boxes=np.concatenate([part.bboxes.numpy() for part in parts]),
            labels=np.concatenate([part.labels.numpy() for part in parts]),
            ignored=np.repeat([False, True], [len(part) for part in parts]),
            masks=np.concatenate([part.masks.masks for part in parts]) if self.with_masks else None)

    def adapted(self) -> dict[str, Any]:
        model = super().adapted()
        adapt.drop_semantic_branch(model)
        adapt.set_classes(model, len(self.classes))
        preprocessor = model["data_preprocessor"]
        preprocessor["batch_augments"] = None  # image.size and augment.* decide instead
        preprocessor["pad_size_divisor"] = divisor = max(preprocessor.get("pad_size_divisor", 1), 32)
        resize = zoo.transform(self.package, self.zoo_name, "Resize")
        if resize and not resize.get("keep_ratio", False):  # the network takes a fixed shape: use squares
            preprocessor["pad_size_divisor"] = math.ceil(self.input_size() / divisor) * divisor
        preprocessor["pad_mask"] = self.with_masks
        adapt.fit_queries(model, self.input_size())
        return model

    def wrapped(self, record: ModuleNetworkRecord, module: nn.Module) -> ModuleModel:
        preprocessor = build_preprocessor(self.package, "DetDataPreprocessor", record, self.config, pad_size_divisor=32)
        return ModuleDetector(module, preprocessor, record.backbone)

    def head_layout(self, name: str, rows: int, per_class: int) -> HeadLayout:
        if isinstance(self.network, ModuleNetworkRecord):
            return background_first_layout(name, per_class)
        return box_layout(name, per_class)

    def result(self, sample: Any, loss: float) -> DetectionResult:
        return {"index": int(sample.img_id), "loss": loss, **self.part(sample)}

    def part(self, sample: Any) -> DetectionPrediction:
        found, truth = sample.pred_instances, sample.truth
        best = found.scores.float().argsort(descending=True, stable=True)[:MAX_DETECTIONS]
        axes, masks = sample.get("flipped", ()), None
        boxes = flipped_boxes(found.bboxes[best].float().cpu().numpy(), sample.ori_shape, axes)
        if self.with_masks:
            masks = metrics.whole_masks(np.flip(found.masks[best].cpu().numpy(), axes), truth)
        if truth["tile"]:
            boxes = boxes + np.array([truth["tile"][0], truth["tile"][1]] * 2, np.float32)
        return {
            "boxes": boxes, "scores": found.scores[best].float().cpu().numpy(),
            "labels": found.labels[best].cpu().numpy(), "truth": truth, "masks": masks,
        }

    def fuse(self, parts: Sequence[DetectionPrediction]) -> DetectionPrediction:
        """Weighted box fusion."""
        return fuse(parts, MAX_DETECTIONS)

    def assess(self, parts: Sequence[DetectionPrediction], batch: dict[str, Any]) -> list[DetectionResult]:
        return [{"index": int(sample.img_id), "loss": math.nan, **part}
                for part, sample in zip(parts, batch["data_samples"], strict=True)]

    def exporter(self, model: Model, sizes: Collection[tuple[int, int]]) -> DetectorExporter:
        if isinstance(self.network, ModuleNetworkRecord):
            raise UserError(f"The network {self.network.name} is a plain module; such detectors cannot be exported, as "
                            "they return a varying number of boxes",
                            hint="choose a detector from `sightsmith list networks --task detection`")
        return DetectorExporter(self, model, sizes, MAX_DETECTIONS, with_masks=self.with_masks)

    def prediction(self, parts: Iterator[DetectionPrediction], samples: Sequence[Sample], size: tuple[int, int],
                   ) -> Prediction:
        image, = metrics.merged(list(parts))
        masks: Sequence[RunLengths | None] = image["masks"] or (None,) * len(image["boxes"])
        found = zip(image["labels"].tolist(), image["scores"].tolist(), image["boxes"].tolist(), masks, strict=True)
        return Prediction(samples[0].path, size[1], size[0], samples[0].frame, objects=tuple(
            PredictedObject(self.classes[number], score, tuple(box), mask) for number, score, box, mask in found))

    def metrics(self, results: Sequence[DetectionResult]) -> dict[str, float | None]:
        return {"loss": self.mean_loss(results), **metrics.compute(results, self.classes, self.with_masks)}

    def bootstrap_score(self, results: Sequence[DetectionResult]) -> Callable[[Array], float | None]:
        return bootstrap_ap(results, self.classes, self.with_masks)

    def baseline(self, train: Sequence[Sample], results: Sequence[DetectionResult],
                 ) -> tuple[str, list[DetectionResult]]:
        nothing = {"boxes": np.zeros((0, 4), np.float32), "scores": np.zeros(0, np.float32),
                   "labels": np.zeros(0, np.int64), "masks": [] if self.with_masks else None}
        return "no object in any image", [cast(DetectionResult, {**result, **nothing}) for result in results]

    def statistics(self, samples: Sequence[Sample]) -> Mapping[str, int]:
        """The number of objects per class."""
        counts = dict.fromkeys(self.classes, 0)
        for sample in samples:
            for item in sample.objects:
                counts[item.label] += not item.crowd
        return counts

    def report(self, results: Sequence[DetectionResult], samples: Sequence[Sample], folder: Path) -> list[Section]:
        return report.sections(results, samples, self.classes, self.with_masks, self.config)
