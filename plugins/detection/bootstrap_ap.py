"""COCO's average precision of resampled images: each image is matched once, however often it is resampled.

All arrays are flat over *series*: a class at an IoU threshold, whose average precision is the mean over 101 recalls.
Only true positives (hits) raise the recall, so precision is only evaluated there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightsmith.plugin import Array
from sightsmith.plugins.detection.metrics import DetectionResult, match, merged


def bootstrap_ap(results: Sequence[DetectionResult], classes: Sequence[str], with_masks: bool,
                ) -> Callable[[Array], float | None]:
    """AP over IoU 0.5 to 0.95 as a function of how often each result (N,) is resampled; equals pycocotools on copies.

    The tiles of an image are resampled together.
    """
    numbered: list[DetectionResult] = [{**result, "index": place} for place, result in enumerate(results)]
    images = merged(numbered)
    first_tile = np.array([image["index"] for image in images])
    evaluation = match(images, classes, "segm" if with_masks else "bbox")
    recalls, ious = evaluation.params.recThrs, len(evaluation.params.iouThrs)
    found = [matches(evaluation, number, len(images)) for number in range(len(classes))]
    objects = np.stack([item.objects for item in found])  # (classes, images)
    hit_image, hit_series, hit_false, false_image, false_begin = _flat(found)
    first = np.flatnonzero(np.diff(hit_series, prepend=-1))  # the first hit of each series
    offset = 2.0 * (hit_series[-1:] - hit_series)  # separates the running maxima of the series

    def ap(weights: Array) -> float | None:
        times = weights[first_tile]
        positives = objects @ times
        defined = np.count_nonzero(positives)
        if not defined:
            return None
        hits, false = _sums(times[hit_image]), _sums(times[false_image])
        hits = hits[1:] - np.repeat(hits[first], np.diff(first, append=len(hit_series)))
        false = false[hit_false] - false[false_begin[hit_series]]
        precision = hits / np.maximum(hits + false, 1)
        best = np.maximum.accumulate((precision + offset)[::-1])[::-1] - offset  # at this recall or higher
        reached = np.searchsorted(recalls, hits / np.maximum(positives[hit_series // ious], 1), side="right")
        gained = np.diff(reached, prepend=0)
        gained[first] = reached[first]
        return float(best @ gained / (len(recalls) * ious * defined))

    return ap


@dataclass(frozen=True)
class Matches:
    """The matches of a class: the ``objects`` per image (images,), and the detections by falling score: index of the
    ``image`` (D,), ``scores`` (D,), and whether each is a true positive (``hits``) or ``false`` positive (IoUs, D).
    Detections on crowds are neither."""

    objects: Array
    image: Array
    scores: Array
    hits: Array
    false: Array


def matches(evaluation: Any, number: int, images: int) -> Matches:
    """The matches of class ``number`` from :func:`~sightsmith.plugins.detection.metrics.match` on ``images`` images."""
    begin = number * len(evaluation.params.areaRng) * images  # the first area range has all sizes
    found = [(place, entry) for place, entry in enumerate(evaluation.evalImgs[begin:begin + images])
             if entry is not None]
    objects = np.zeros(images, int)
    for place, entry in found:
        objects[place] = np.count_nonzero(np.equal(entry["gtIgnore"], 0))
    image = np.array([place for place, entry in found for _ in entry["dtScores"]], int)
    scores = np.array([score for _, entry in found for score in entry["dtScores"]], float)
    order = np.argsort(-scores, kind="stable")
    none = np.zeros((len(evaluation.params.iouThrs), 0), bool)
    matched, ignored = (np.concatenate([none, *(entry[key].astype(bool) for _, entry in found)], 1)[:, order]
                        for key in ("dtMatches", "dtIgnore"))
    return Matches(objects, image[order], scores[order], matched & ~ignored, ~matched)


def _flat(found: Sequence[Matches]) -> list[Array]:
    """For each hit its image, its series and the number of false positives before it in flat order; for each false
    positive its image; for each series the number of false positives before it."""
    parts, done = [], 0
    for number, item in enumerate(found):
        rows, places = np.nonzero(item.hits)
        parts.append((item.image[places], number * len(item.hits) + rows,
                      done + np.cumsum(item.false).reshape(item.false.shape)[rows, places],
                      item.image[np.nonzero(item.false)[1]], done + _sums(item.false.sum(1))[:-1]))
        done += int(item.false.sum())
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _sums(values: Array) -> Array:
    """Cumulative sums, starting with 0."""
    return np.concatenate([[0], np.cumsum(values)])
