"""Weighted box fusion, by examples computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sightsmith.engine.data.masks import decode, encode
from sightsmith.plugins.detection.fusion import flipped_boxes, fuse


def part(boxes, scores, labels, masks=None):
    return {"boxes": np.array(boxes, np.float32).reshape(-1, 4), "scores": np.array(scores, np.float32),
            "labels": np.array(labels, np.int64), "masks": masks and [encode(mask) for mask in masks],
            "truth": {"image": "a"}}


def test_boxes_that_match_are_averaged_by_their_scores():
    found = fuse([part([[0, 0, 10, 10]], [0.8], [1]),
                  part([[2, 0, 12, 10], [50, 50, 60, 60]], [0.4, 0.9], [1, 1])], 100)
    # IoU 80 / 120; x = (0 * 0.8 + 2 * 0.4) / 1.2. One of two models found the other object: half of 0.9.
    assert found["boxes"].tolist() == [pytest.approx([2 / 3, 0, 32 / 3, 10]), [50, 50, 60, 60]]
    assert found["scores"].tolist() == pytest.approx([0.6, 0.45])
    assert found["labels"].tolist() == [1, 1]
    assert found["masks"] is None and found["truth"] == {"image": "a"}


def test_a_box_joins_the_mean_of_those_before_it():
    """The third matches the mean of the first two, [1, 0, 11, 10], by 8.5 / 11.5, and neither class nor order mix."""
    parts = [part([[0, 0, 10, 10]], [0.5], [0]), part([[2, 0, 12, 10]], [0.5], [0]),
             part([[2.5, 0, 12.5, 10], [0, 0, 10, 10]], [0.2, 0.9], [0, 1])]
    found = fuse(parts, 100)
    assert found["labels"].tolist() == [0, 1]
    assert found["scores"].tolist() == pytest.approx([0.4, 0.3])
    assert found["boxes"][0].tolist() == pytest.approx([1.5 / 1.2, 0, 13.5 / 1.2, 10], abs=1e-5)
    assert found["boxes"][1].tolist() == [0, 0, 10, 10]


def test_boxes_that_overlap_too_little_are_two_objects():
    """IoU 7 / 13 = 0.538, below 0.55."""
    found = fuse([part([[0, 0, 10, 10]], [0.8], [0]), part([[3, 0, 13, 10]], [0.4], [0])], 100)
    assert found["scores"].tolist() == pytest.approx([0.4, 0.2])


def test_several_boxes_of_one_model_add_no_more_than_one_of_each():
    """The factor is min(T, N) / N: three boxes of two models count as two."""
    found = fuse([part([[0, 0, 10, 10], [0, 0, 10, 9]], [0.6, 0.3], [0, 0]), part([[0, 0, 10, 10]], [0.6], [0])], 100)
    assert found["scores"].tolist() == pytest.approx([0.5])


def test_half_of_the_weight_decides_on_a_pixel_of_a_mask():
    left, right = np.zeros((4, 8), bool), np.zeros((4, 8), bool)
    left[:, 0:5], right[:, 1:6] = True, True
    found = fuse([part([[0, 0, 5, 4]], [0.9], [0], [left]), part([[1, 0, 6, 4]], [0.6], [0], [right])], 100)
    assert (decode(found["masks"][0], 4, 8) == left).all()
    alone = fuse([part([[0, 0, 5, 4]], [0.9], [0], [left]), part([], [], [], [])], 100)
    assert (decode(alone["masks"][0], 4, 8) == left).all()


def test_the_best_are_kept_and_nothing_is_found_in_nothing():
    found = fuse([part([[0, 0, 1, 1], [5, 5, 6, 6], [8, 8, 9, 9]], [0.1, 0.3, 0.0], [0, 0, 0])], 2)
    assert found["scores"].tolist() == pytest.approx([0.3, 0.1])
    nothing = fuse([part([], [], []), part([], [], [])], 100)
    assert nothing["boxes"].shape == (0, 4) and nothing["scores"].shape == nothing["labels"].shape == (0,)
    zeros = fuse([part([[0, 0, 10, 10]], [0], [0]), part([[2, 0, 12, 10]], [0], [0])], 100)
    assert zeros["boxes"].tolist() == [[1, 0, 11, 10]]


def test_boxes_are_flipped_within_the_image():
    boxes = np.array([[1, 1, 4, 8]], np.float32)
    assert flipped_boxes(boxes, (10, 20), ()).tolist() == boxes.tolist()
    assert flipped_boxes(boxes, (10, 20), (-1,)).tolist() == [[16, 1, 19, 8]]
    assert flipped_boxes(boxes, (10, 20), (-2,)).tolist() == [[1, 2, 4, 9]]
    assert flipped_boxes(boxes, (10, 20), (-2, -1)).tolist() == [[16, 2, 19, 9]]
