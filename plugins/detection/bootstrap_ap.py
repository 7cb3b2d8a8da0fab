"""COCO's average precision of images drawn anew: each image is matched once, however often it is drawn.

Everything is flat over *series*: a class at an IoU, of which average precision is the mean over 101 recalls. Only hits
raise the recall, so precision is looked at there alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightsmith.plugin import Array
from sightsmith.plugins.detection.metrics import DetectionResult, match, merged


def ap_of_draws(results: Sequence[DetectionResult], classes: Sequence[str], with_masks: bool,
                ) -> Callable[[Array], float | None]:
    """AP over IoU 0.5 to 0.95 of results drawn so often (N,): as pycocotools has it of copies.

    The tiles of an image are drawn together.
    """
    numbered: list[DetectionResult] = [{**result, "index": place} for place, result in enumerate(results)]
    images = merged(numbered)
    first_tile = np.array([image["index"] for image in images])
    evaluation = match(images, classes, "segm" if with_masks else "bbox")
    recalls, ious = evaluation.params.recThrs, len(evaluation.params.iouThrs)
    found = [matches(evaluation, number, len(images)) for number in range(len(classes))]
    objects = np.stack([item.objects for item in found])  # (classes, images)
    hit_image, hit_series, hit_false, false_image, false_begin = _flat(found)
    first = np.flatnonzero(np.diff(hit_series, prepend=-1))  # the first hit of each series that has one
    apart = 2.0 * (hit_series[-1:] - hit_series)  # keeps the maxima of one series above those of all later ones

    def ap(drawn: Array) -> float | None:
        times = drawn[first_tile]
        there = objects @ times
        defined = np.count_nonzero(there)
        if not defined:
            return None
        hits, false = _sums(times[hit_image]), _sums(times[false_image])
        hits = hits[1:] - np.repeat(hits[first], np.diff(first, append=len(hit_series)))
        false = false[hit_false] - false[false_begin[hit_series]]
        precision = hits / np.maximum(hits + false, 1)
        best = np.maximum.accumulate((precision + apart)[::-1])[::-1] - apart  # at this recall and beyond
        reached = np.searchsorted(recalls, hits / np.maximum(there[hit_series // ious], 1), side="right")
        gained = np.diff(reached, prepend=0)
        gained[first] = reached[first]
        return float(best @ gained / (len(recalls) * ious * defined))

    return ap


@dataclass(frozen=True)
class Matches:
    """Of a class: its ``objects`` in each image (images,), and of its detections, the surest first, the place of the
    ``image`` (D,), the ``scores`` (D,), and whether each is one of ``hits`` or ``false`` (IoUs, D); one that matches a
    crowd is neither."""

    objects: Array
    image: Array
    scores: Array
    hits: Array
    false: Array


def matches(evaluation: Any, number: int, images: int) -> Matches:
    """Of class ``number`` in what :func:`~sightsmith.plugins.detection.metrics.match` has of so many ``images``."""
    begin = number * len(evaluation.params.areaRng) * images  # the first area is all of them
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
    """Of each hit its image, its series and how many false detections come before it in the flat order; of each false
    detection its image; of each series how many false ones come before it."""
    parts, done = [], 0
    for number, item in enumerate(found):
        rows, places = np.nonzero(item.hits)
        parts.append((item.image[places], number * len(item.hits) + rows,
                      done + np.cumsum(item.false).reshape(item.false.shape)[rows, places],
                      item.image[np.nonzero(item.false)[1]], done + _sums(item.false.sum(1))[:-1]))
        done += int(item.false.sum())
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _sums(values: Array) -> Array:
    """Of the first 0, 1, ... of ``values``."""
    return np.concatenate([[0], np.cumsum(values)])
