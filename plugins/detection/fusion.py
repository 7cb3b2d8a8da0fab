"""Detections of the same image by several models, or of several views of it, fused into one.

Weighted box fusion: R. Solovyev, W. Wang, T. Gabruseva: Weighted boxes fusion: Ensembling boxes from different object
detection models, Image and Vision Computing 107, 2021 (arXiv 1910.13302), section 3. Unlike suppression, which keeps
one of several boxes of an object, it averages them, and trusts an object less that few models have found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import box_iou

from sightsmith.plugin import Array, RunLengths, decode_mask, encode_mask_part, mask_box
from sightsmith.plugins.detection.metrics import DetectionPrediction

MATCH_IOU = 0.55
"""Boxes of a class with a larger overlap are the same object: the paper's threshold."""


def fuse(parts: Sequence[DetectionPrediction], limit: int) -> DetectionPrediction:
    """The best ``limit`` objects of ``parts``, predictions for the same sample.

    Boxes that match are averaged, weighted by their scores, as are masks, where half of the weight decides. The score
    is the mean of the scores, times the share of ``parts`` that found the object.
    """
    boxes, scores, labels = (np.concatenate([part[key] for part in parts])  # type: ignore[literal-required]
                             for key in ("boxes", "scores", "labels"))
    clusters = [cluster for label in np.unique(labels)
                for cluster in _clusters(boxes, scores, np.flatnonzero(labels == label))]
    fused = np.array([scores[cluster].mean() * min(len(cluster), len(parts)) / len(parts) for cluster in clusters],
                     np.float32)
    best = [clusters[place] for place in np.argsort(-fused, kind="stable")[:limit]]
    masks = None
    if parts[0]["masks"] is not None:
        every = [mask for part in parts for mask in part["masks"] or ()]
        masks = [_mean_mask([every[place] for place in cluster], scores[cluster]) for cluster in best]
    return {"boxes": np.array([_mean(boxes[cluster], scores[cluster]) for cluster in best], np.float32).reshape(-1, 4),
            "scores": np.sort(fused)[::-1][:limit].copy(), "masks": masks, "truth": parts[0]["truth"],
            "labels": np.array([labels[cluster[0]] for cluster in best], labels.dtype)}


def _clusters(boxes: Array, scores: Array, places: Array) -> list[list[int]]:
    """The ``places`` of the boxes (n, 4) of each object: a box joins the object whose mean box it overlaps most."""
    clusters: list[list[int]] = []
    means = np.empty((0, 4), np.float32)
    for place in places[np.argsort(-scores[places], kind="stable")].tolist():
        overlaps = box_iou(torch.from_numpy(boxes[place:place + 1]), torch.from_numpy(means))[0]
        if len(means) and float(overlaps.max()) > MATCH_IOU:
            found = int(overlaps.argmax())
            clusters[found].append(place)
            means[found] = _mean(boxes[clusters[found]], scores[clusters[found]])
        else:
            clusters.append([place])
            means = np.concatenate([means, boxes[place:place + 1]])
    return clusters


def _mean(values: Array, scores: Array) -> Array:
    """The mean of ``values`` (n, ...), weighted by ``scores`` (n,); not weighted if all are 0."""
    found: Array = np.average(values, axis=0, weights=scores if scores.any() else None)
    return found


def _mean_mask(masks: Sequence[RunLengths], scores: Array) -> RunLengths:
    if len(masks) == 1:
        return masks[0]
    edges = np.array([mask_box(mask) for mask in masks], int)
    (left, top), (right, bottom) = edges[:, :2].min(0).tolist(), edges[:, 2:].max(0).tolist()
    size, area = (masks[0].height, masks[0].width), (left, top, max(right - left, 1), max(bottom - top, 1))
    pixels = np.stack([decode_mask(mask, *size, area) for mask in masks])
    return encode_mask_part(_mean(pixels, scores) >= 0.5, area, *size)


def flipped_boxes(boxes: Array, size: tuple[int, int], axes: Sequence[int]) -> Array:
    """Boxes (n, 4) xyxy in an image of ``size`` (height, width), when it is flipped along ``axes`` (-1: left to right,
    -2: upside down)."""
    found = boxes.copy()
    for axis in axes:
        low, high = (0, 2) if axis == -1 else (1, 3)
        found[:, [low, high]] = size[axis] - found[:, [high, low]]
    return found
