"""NMS, Soft-NMS and NMS-match against loops over the boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from loops import iou
from mmcv.ops import batched_nms, nms, nms_match, soft_nms
from operator_inputs import boxes_and_scores


def loop_nms(boxes, scores, threshold, offset=0):
    kept = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(iou(boxes[index], boxes[other], offset) <= threshold for other in kept):
            kept.append(index)
    return kept


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_nms_is_the_loop(offset, threshold):
    boxes, scores = boxes_and_scores()
    dets, keep = nms(boxes, scores, threshold, offset=offset)
    assert keep.tolist() == loop_nms(boxes.tolist(), scores.tolist(), threshold, offset)
    torch.testing.assert_close(dets, torch.cat([boxes, scores[:, None]], dim=1)[keep])


def test_nms_filters_by_score_and_number():
    boxes, scores = boxes_and_scores()
    above = [index for index in loop_nms(boxes.tolist(), scores.tolist(), 0.5) if scores[index] > 0.4]
    assert nms(boxes, scores, 0.5, score_threshold=0.4, max_num=5)[1].tolist() == above[:5]


def test_nms_takes_arrays_and_half_precision():
    boxes, scores = boxes_and_scores()
    assert isinstance(nms(boxes.numpy(), scores.numpy(), 0.5)[1], np.ndarray)
    for dtype in (torch.float16, torch.bfloat16):
        rounded, low = boxes.to(dtype), scores.to(dtype)
        assert nms(rounded, low, 0.5)[1].tolist() == nms(rounded.float(), low.float(), 0.5)[1].tolist()


@pytest.mark.parametrize("kind", [nms, soft_nms])
def test_no_boxes_give_none(kind):
    dets, keep = kind(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5) and keep.shape == (0,) and keep.dtype == torch.long


@pytest.mark.parametrize("kind", ["nms", "soft_nms"])
def test_huge_and_empty_boxes_are_kept_apart(kind):
    boxes = torch.tensor([[0.0, 0, 1e6, 1e6], [1e7, 1e7, 1e7 + 1e5, 1e7 + 1e5], [5, 5, 5, 5], [5, 5, 5, 5]])
    config = {"type": kind, "iou_threshold": 0.5}
    dets, keep = batched_nms(boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.zeros(4), config, class_agnostic=True)
    assert dets.isfinite().all() and keep.tolist() == [0, 1, 2, 3]


def test_batched_nms_keeps_classes_apart():
    boxes, scores = boxes_and_scores()
    classes = torch.arange(len(boxes)) % 3
    _, keep = batched_nms(boxes, scores, classes, {"type": "nms", "iou_threshold": 0.4})
    expected = []
    for number in range(3):
        members = (classes == number).nonzero()[:, 0]
        expected += members[loop_nms(boxes[members].tolist(), scores[members].tolist(), 0.4)].tolist()
    assert sorted(keep.tolist()) == sorted(expected)
    assert (scores[keep].diff() <= 0).all()


def loop_soft_nms(boxes, scores, threshold, sigma, minimum, method, offset):
    left, kept = dict(enumerate(scores)), []
    while left:
        best = max(left, key=left.__getitem__)
        kept.append((best, left.pop(best)))
        for index in list(left):
            overlap = iou(boxes[best], boxes[index], offset)
            if method == "gaussian":
                left[index] *= math.exp(-overlap**2 / sigma)
            elif overlap >= threshold:
                left[index] *= 0 if method == "naive" else 1 - overlap
            if left[index] < minimum:
                del left[index]
    return kept


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("offset", [0, 1])
def test_soft_nms_is_the_loop(method, offset):
    boxes, scores = boxes_and_scores(dtype=torch.float64)
    dets, keep = soft_nms(boxes, scores.requires_grad_(), 0.3, 0.5, 0.05, method, offset)
    expected = loop_soft_nms(boxes.tolist(), scores.tolist(), 0.3, 0.5, 0.05, method, offset)
    assert keep.tolist() == [index for index, _ in expected]
    assert 1 < len(keep) < len(boxes)
    torch.testing.assert_close(dets[:, :4], boxes[keep])
    torch.testing.assert_close(dets[:, 4], torch.tensor([score for _, score in expected], dtype=torch.float64))


def test_nms_match_groups_what_nms_suppresses():
    boxes, scores = boxes_and_scores(dtype=torch.float64)
    groups = nms_match(torch.cat([boxes, scores[:, None]], dim=1), 0.4)
    left = sorted(range(len(boxes)), key=lambda i: -scores[i])
    expected = []
    while left:
        group = [left[0]] + [i for i in left[1:] if iou(boxes[left[0]].tolist(), boxes[i].tolist()) >= 0.4]
        expected.append(group)
        left = [index for index in left if index not in group]
    assert [group.tolist() for group in groups] == expected
    assert max(map(len, expected)) > 1
    assert nms_match(torch.zeros(0, 5), 0.4) == []
