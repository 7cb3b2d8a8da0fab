"""Non-maximum suppression. Boxes are (N, 4) ``x1, y1, x2, y2`` in pixels."""

from __future__ import annotations

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor

from sightsmith.plugins.openmmlab.ops.compute import promote

NAIVE, LINEAR, GAUSSIAN = range(3)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """The indices of the boxes that no better one overlaps by more than ``iou_threshold``, best first.

    ``offset`` is what a box of one pixel has for ``x2 - x1`` too little: 0 or 1.
    """
    boxes, scores = promote(boxes, scores)
    boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision.ops.nms(boxes, scores, iou_threshold)


def softnms(boxes: Tensor, scores: Tensor, dets: Tensor, iou_threshold: float, sigma: float, min_score: float,
            method: int, offset: int) -> Tensor:
    """Soft-NMS (Bodla et al., 2017, https://arxiv.org/abs/1704.04503) on the CPU.

    Takes the best box, lowers the scores of those that overlap it, drops those below ``min_score``, and repeats.
    Of equal scores the first box is taken.

    Args:
        boxes, scores: (N, 4) and (N,).
        dets: (N, 5), its first rows are set to the kept boxes and their lowered scores, in the order taken.
        method: 0 drops boxes of ``iou_threshold`` and more, 1 weighs them by ``1 - IoU``, 2 weighs all boxes by
            ``exp(-IoU**2 / sigma)``.

    Returns:
        The indices of the kept boxes, int64, in the order taken.
    """
    corners, score = (tensor.detach().numpy() for tensor in promote(boxes, scores))
    left = corners.T
    index = np.arange(len(score))
    kept, kept_scores = [], []
    while len(index):
        best = int(score.argmax())
        kept.append(int(index[best]))
        kept_scores.append(float(score[best]))
        overlap = _iou(left[:, best], left, offset)
        if method == GAUSSIAN:
            score = score * np.exp(-overlap**2 / sigma)
        else:
            score = np.where(overlap >= iou_threshold, score * (0 if method == NAIVE else 1 - overlap), score)
        stays = score >= min_score
        stays[best] = False
        left, score, index = left[:, stays], score[stays], index[stays]
    keep = torch.tensor(kept, dtype=torch.long)
    dets[:len(kept), :4] = boxes[keep]
    dets[:len(kept), 4] = torch.tensor(kept_scores, dtype=dets.dtype)
    return keep


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """The groups that NMS makes: each kept box, then those that it suppresses (IoU of ``iou_threshold`` and more).

    ``dets`` is (N, 5), boxes and scores, on the CPU; groups and their members come best first.
    """
    (dets,) = promote(dets)
    index = dets[:, 4].argsort(descending=True, stable=True).numpy()
    left = dets[:, :4].T.numpy()[:, index]
    groups = []
    while len(index):
        matched = _iou(left[:, 0], left, offset=0) >= iou_threshold
        matched[0] = True
        groups.append(index[matched].tolist())
        left, index = left[:, ~matched], index[~matched]
    return groups


def _iou(box: NDArray, boxes: NDArray, offset: int) -> NDArray:
    """Intersection over union of one box (4,) with (4, N) boxes; 0 where both are empty."""
    width, height = np.minimum(box[2:, None], boxes[2:]) - np.maximum(box[:2, None], boxes[:2]) + offset
    intersection = width.clip(min=0) * height.clip(min=0)
    union = _area(box, offset) + _area(boxes, offset) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union != 0)


def _area(boxes: NDArray, offset: int) -> NDArray:
    return (boxes[2] - boxes[0] + offset) * (boxes[3] - boxes[1] + offset)


OPERATORS = (nms, softnms, nms_match)
