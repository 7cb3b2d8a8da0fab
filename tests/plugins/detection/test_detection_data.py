"""Boxes and masks stay on what they mark, whatever is done to the image."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

BOX = (10, 6, 30, 26)


def marked(item) -> tuple[float, float, float, float]:
    """The extent of the light square in an item's image, as xyxy."""
    rows, columns = np.nonzero(item["inputs"].float().mean(0).numpy() > 170)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def box(item):
    [found] = item["data_samples"].gt_instances.bboxes.tolist()
    return found


def test_the_longer_side_becomes_the_networks_input(make_task, squares):
    task = make_task(size=64)
    item = task.dataset([squares("a", (40, 80), [BOX])], training=False)[0]
    assert item["inputs"].shape == (3, 32, 64)
    assert item["inputs"].dtype == torch.uint8
    sample = item["data_samples"]
    assert box(item) == pytest.approx([8, 4.8, 24, 20.8])
    assert (sample.ori_shape, sample.img_shape, sample.img_id) == ((40, 80), (32, 64), 0)
    assert sample.scale_factor == (0.8, 0.8)
    assert sample.truth["boxes"].tolist() == [list(BOX)]


@pytest.mark.parametrize("augment", [
    {"horizontal_flip": True}, {"translation": 20.0}, {"resized_crop": True},
    {"horizontal_flip": True, "translation": 10.0, "resized_crop": True},
    {"rotate90": True, "translation": 10.0, "resized_crop": True},
], ids=lambda augment: "+".join(augment))
def test_boxes_follow_the_picture(make_task, squares, augment):
    data = make_task(size=80, **augment).dataset([squares("a", (80, 80), [(30, 20, 60, 50)])], training=True)
    seen = set()
    for seed in range(12):
        item = data[(0, seed)]
        assert box(item) == pytest.approx(marked(item), abs=1.5)
        seen.add(tuple(box(item)))
    assert len(seen) > 1


def test_boxes_and_masks_turn_by_quarters_with_the_picture(make_task, squares):
    task = make_task("rtmdet_ins_tiny", size=80, rotate90=True)
    data = task.dataset([squares("a", (40, 80), [(50, 5, 70, 35)])], training=True)
    turned = {}
    for seed in range(24):
        item = data[(0, seed)]
        [mask] = item["data_samples"].gt_instances.masks.masks
        light = item["inputs"].float().mean(0).numpy() > 170
        assert tuple(box(item)) == marked(item)
        assert np.array_equal(mask.astype(bool), light)
        assert item["data_samples"].img_shape == item["inputs"].shape[1:]
        turned[tuple(box(item))] = item["data_samples"].img_shape
    # By 0, 90, 180 and 270 degrees to the left.
    assert turned == {(50, 5, 70, 35): (40, 80), (5, 10, 35, 30): (80, 40),
                      (10, 5, 30, 35): (40, 80), (5, 50, 35, 70): (80, 40)}


def test_a_rotated_box_holds_the_rotated_square(make_task, squares):
    data = make_task(size=80, rotation=40.0).dataset([squares("a", (80, 80), [(30, 30, 50, 50)])], training=True)
    for seed in range(6):
        item = data[(0, seed)]
        (left, top, right, bottom), found = box(item), marked(item)
        assert left - 1 <= found[0] and found[2] <= right + 1
        assert top - 1 <= found[1] and found[3] <= bottom + 1


def test_masks_follow_the_picture(make_task, squares):
    task = make_task("rtmdet_ins_tiny", size=80, horizontal_flip=True, translation=10.0, resized_crop=True)
    data = task.dataset([squares("a", (80, 80), [(30, 20, 60, 50)])], training=True)
    for seed in range(6):
        item = data[(0, seed)]
        [mask] = item["data_samples"].gt_instances.masks.masks
        light = item["inputs"].float().mean(0).numpy() > 170
        assert (mask.astype(bool) ^ light).mean() < 0.03


def test_an_item_depends_on_its_seed_alone(make_task, squares):
    task = make_task(size=48, rotation=20.0, translation=10.0, horizontal_flip=True, resized_crop=True)
    data = task.dataset([squares("a", (60, 40), [BOX]), squares("b", (40, 60), [BOX])], training=True)
    first = data[(0, 7)]
    random.seed(3)
    np.random.seed(3)
    expected = (random.random(), np.random.rand())
    random.seed(3)
    np.random.seed(3)
    data[(1, 5)]
    again = data[(0, 7)]
    assert (random.random(), np.random.rand()) == expected
    assert first["inputs"].equal(again["inputs"])
    assert first["data_samples"].gt_instances.bboxes.equal(again["data_samples"].gt_instances.bboxes)
    assert not first["inputs"].equal(data[(0, 8)]["inputs"])


def test_crowds_are_ignored_and_negatives_are_empty(make_task, squares):
    samples = [squares("a", (64, 64), [BOX, (40, 40, 60, 60)], crowd=(1,)), squares("b", (64, 64))]
    data = make_task().dataset(samples, training=True)
    crowded, negative = data[(0, 0)]["data_samples"], data[(1, 0)]["data_samples"]
    assert crowded.gt_instances.labels.tolist() == [0]
    assert crowded.ignored_instances.labels.tolist() == [1]
    assert negative.gt_instances.bboxes.shape == (0, 4)


def test_a_tile_has_its_part_of_the_objects(make_task, squares):
    boxes = [(2, 2, 12, 12), (28, 8, 48, 28), (31, 40, 51, 60)]
    sample = squares("a", (64, 64), boxes, tile=(32, 0, 32, 64))
    item = make_task(size=64).dataset([sample], training=False)[0]
    instances, ignored = item["data_samples"].gt_instances, item["data_samples"].ignored_instances
    assert item["inputs"].shape == (3, 64, 32)
    # The second box is cut at the tile's edge; the third begins just outside.
    assert instances.bboxes.tolist() == [[0, 8, 16, 28], [0, 40, 19, 60]]
    assert len(ignored.labels) == 0
    assert item["data_samples"].truth["boxes"].tolist() == [list(map(float, box)) for box in boxes]
    barely = squares("b", (64, 64), [(10, 10, 34, 30)], tile=(32, 0, 32, 64))
    found = make_task(size=64).dataset([barely], training=True)[(0, 0)]["data_samples"]
    assert (len(found.gt_instances.labels), len(found.ignored_instances.labels)) == (0, 1)


def test_sixteen_bits_are_not_cut(make_task, squares):
    item = make_task(size=64).dataset([squares("a", (64, 64), [BOX], dtype=np.uint16)], training=False)[0]
    assert item["inputs"].dtype == torch.float32
    assert float(item["inputs"][0, 60, 60]) == pytest.approx(100, abs=0.01)


def test_colour_jitter_changes_colours_and_no_boxes(make_task, squares):
    from sightsmith.core.contracts.schema import ColorJitterConfig

    sample = squares("a", (64, 64), [BOX])
    plain = make_task(size=64).dataset([sample], training=True)[(0, 1)]
    jittered = make_task(size=64, color_jitter=ColorJitterConfig(0.5, 0, 0, 0)).dataset([sample], training=True)[(0, 1)]
    assert box(plain) == box(jittered)
    ratio = jittered["inputs"][0, 60, 60] / plain["inputs"][0, 60, 60]
    assert 0.5 <= float(ratio) <= 1.5 and float(ratio) != 1
