"""COCO's average precision and recall, by faster-coco-eval. What is undefined is None, never -1, 0 or NaN."""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, cast

import numpy as np
import torch
from torchvision.ops import batched_nms

from sightsmith.plugin import Array, RawPrediction, RunLengths, SampleResult, encode_mask, encode_mask_part

MERGE_IOU = 0.5
"""Predictions of neighbouring tiles with a larger overlap are the same object."""

SUMMARY = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
           "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large")
"""COCO's summary, in its order: small is below 32², large from 96² pixels in the whole image."""


class Truth(TypedDict):
    """The annotated objects of an image, or of its ``tile`` (left, top, width, height), in pixels of the whole image.

    ``size`` is that of the whole image, (height, width); ``boxes`` (n, 4) float32 xyxy; ``labels`` (n,) int64 class
    numbers; ``crowd`` (n,) bool; ``masks`` n run lengths, None if the task has none.
    """

    image: str
    size: tuple[int, int]
    tile: tuple[int, int, int, int] | None
    boxes: Array
    labels: Array
    crowd: Array
    masks: list[RunLengths] | None


class DetectionPrediction(RawPrediction):
    """The predicted objects of an image or tile, in pixels of the whole image, by falling score, and its ground truth.

    ``boxes`` (n, 4) float32 xyxy, ``scores`` (n,) in [0, 1], ``labels`` (n,) class numbers, ``masks`` as in
    :class:`Truth`.
    """

    boxes: Array
    scores: Array
    labels: Array
    masks: list[RunLengths] | None
    truth: Truth


class DetectionResult(DetectionPrediction, SampleResult):
    """The prediction and ground truth of an image or tile; ``loss`` is that of its batch."""


PredictionT = TypeVar("PredictionT", bound=DetectionPrediction)


def compute(results: Sequence[DetectionPrediction], classes: Sequence[str], with_masks: bool,
            ) -> dict[str, float | None]:
    """AP and AR over IoU 0.5 to 0.95, by area, and the AP of each class.

    With masks, these are the metrics of the masks, and those of the boxes are added as ``box_...``.
    """
    images = merged(results)
    boxes = _metrics(evaluate(images, classes, "bbox"), classes)
    if not with_masks:
        return boxes
    masks = _metrics(evaluate(images, classes, "segm"), classes)
    return masks | {f"box_{name}": value for name, value in boxes.items()}


def merged(results: Sequence[PredictionT]) -> list[PredictionT]:
    """One result per image: its tiles are merged by non-maximum suppression."""
    tiles: dict[str, list[PredictionT]] = defaultdict(list)
    for result in results:
        tiles[result["truth"]["image"]].append(result)
    return [parts[0] if len(parts) == 1 else _merge(parts) for parts in tiles.values()]


def evaluate(images: Sequence[DetectionPrediction], classes: Sequence[str], kind: str) -> Any:
    """An accumulated and summarised ``COCOeval_faster`` of ``kind`` bbox or segm; class ``i`` has the id ``i + 1``."""
    from faster_coco_eval import COCO, COCOeval_faster

    evaluation = COCOeval_faster(*_indexed(images, classes, kind, COCO), iouType=kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def match(images: Sequence[DetectionPrediction], classes: Sequence[str], kind: str) -> Any:
    """pycocotools' ``COCOeval``, only evaluated: ``evalImgs`` has the matches of each image."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        evaluation = COCOeval(*_indexed(images, classes, kind, COCO), iouType=kind)
        evaluation.evaluate()
    return evaluation


def _indexed(images: Sequence[DetectionPrediction], classes: Sequence[str], kind: str, index: Callable[[], Any],
             ) -> list[Any]:
    """The ground truth and the predictions, each in an ``index``."""
    truth, found = [], []
    for number, image in enumerate(images):
        truth += _annotations(number, image["truth"], kind)
        found += _annotations(number, image, kind)
    content = {"images": [{"id": number, "height": image["truth"]["size"][0], "width": image["truth"]["size"][1]}
                          for number, image in enumerate(images)],
               "categories": [{"id": number, "name": name} for number, name in enumerate(classes, 1)]}
    indexed = []
    for entries in (truth, found):
        built = index()
        built.dataset = {**content, "annotations": [{"id": number, **item} for number, item in enumerate(entries, 1)]}
        built.createIndex()
        indexed.append(built)
    return indexed


def whole_masks(masks: Array, truth: Truth) -> list[RunLengths]:
    """Masks (n, h, w) of an image, or of its tile, as run lengths of the whole image."""
    if truth["tile"] is None:
        return [encode_mask(mask) for mask in masks]
    return [encode_mask_part(mask, truth["tile"], *truth["size"]) for mask in masks]


def _merge(tiles: Sequence[PredictionT]) -> PredictionT:
    boxes, scores, labels = (np.concatenate([tile[key] for tile in tiles]) for key in ("boxes", "scores", "labels"))
    kept = batched_nms(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(labels), MERGE_IOU).tolist()
    result: dict[str, Any] = {**tiles[0], "boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept],
                              "truth": _whole_truth([tile["truth"] for tile in tiles])}
    if tiles[0]["masks"] is not None:
        masks = [mask for tile in tiles for mask in tile["masks"] or ()]
        result["masks"] = [masks[place] for place in kept]
    return cast(PredictionT, result)


def _whole_truth(parts: Sequence[Truth]) -> Truth:
    """The objects of all tiles, without duplicates from overlapping tiles."""
    objects: dict[Any, tuple[int, int]] = {}
    for number, part in enumerate(parts):
        for place in range(len(part["labels"])):
            mask = part["masks"][place] if part["masks"] else None
            objects.setdefault((*part["boxes"][place].tolist(), part["labels"][place], mask), (number, place))
    chosen = list(objects.values())
    return {**parts[0], "tile": None,
            "boxes": np.array([parts[number]["boxes"][place] for number, place in chosen], np.float32).reshape(-1, 4),
            "labels": np.array([parts[number]["labels"][place] for number, place in chosen], np.int64),
            "crowd": np.array([parts[number]["crowd"][place] for number, place in chosen], bool),
            "masks": [masks[place] for number, place in chosen if (masks := parts[number]["masks"]) is not None]
            if parts[0]["masks"] is not None else None}


def _annotations(number: int, objects: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    crowd, scores = objects.get("crowd"), objects.get("scores")
    found = []
    for place, (left, top, right, bottom) in enumerate(objects["boxes"].astype(float).tolist()):
        item: dict[str, Any] = {
            "image_id": number, "category_id": int(objects["labels"][place]) + 1,
            "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top),
            "iscrowd": int(crowd[place]) if crowd is not None else 0}
        if scores is not None:
            item["score"] = float(scores[place])
        if kind == "segm":
            mask = objects["masks"][place]
            item["segmentation"] = {"size": [mask.height, mask.width], "counts": mask.counts}
            item["area"] = _area(item["segmentation"])
        found.append(item)
    return found


def _area(rle: dict[str, Any]) -> float:
    from pycocotools import mask

    return float(mask.area(rle))


def _metrics(evaluation: Any, classes: Sequence[str]) -> dict[str, float | None]:
    metrics = {name: _defined(value) for name, value in zip(SUMMARY, evaluation.stats.tolist(), strict=False)}
    # (IoU, recall, class, area, detections): all areas, 100 detections.
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    for number, name in enumerate(classes):
        metrics[f"ap/{name}"] = _defined(_mean(precision[:, :, number]))
        metrics[f"ap50/{name}"] = _defined(_mean(precision[0, :, number]))
    return metrics


def _mean(values: Array) -> float:
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else -1.0


def _defined(value: float) -> float | None:
    """COCO returns -1 if there is no ground truth."""
    return None if value < 0 else float(value)
