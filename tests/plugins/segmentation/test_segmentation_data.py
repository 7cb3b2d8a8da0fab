"""The map stays on what it marks, whatever is done to the image; what is not of the image is ignored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

IGNORED = 255
BOX = (10, 6, 30, 26)


def item_map(item):
    return item["data_samples"].gt_sem_seg.data[0].numpy()


def test_items_are_padded_squares(make_task, squares):
    item = make_task(size=64).dataset([squares("a", (40, 80), [BOX])], training=False)[0]
    sample, numbers = item["data_samples"], item_map(item)
    assert item["inputs"].shape == (3, 64, 64)
    assert numbers.shape == (64, 64)
    assert (numbers[32:] == IGNORED).all() and (numbers[:32] != IGNORED).all()
    assert (sample.ori_shape, sample.img_padding_size) == ((40, 80), [0, 0, 0, 32])
    expected = np.zeros((40, 80), np.uint8)
    expected[6:26, 10:30] = 1
    assert np.array_equal(sample.truth, expected)


@pytest.mark.parametrize("shape", [(40, 80), (80, 40), (96, 96), (30, 41)])
def test_a_map_is_that_of_its_image_whatever_its_shape(make_task, squares, shape):
    """Without the padding: a network that calls light pixels light has no error, in validation and in prediction."""
    task = make_task(size=64)
    model, _ = task.build_model(load_weights=False)

    def by_brightness(inputs, metas):
        light = (inputs.mean(1) > inputs.mean((1, 2, 3))[:, None, None] + 0.8).float()
        return torch.stack([0.5 - 0 * light, light, -light], 1)

    model.eval().encode_decode = by_brightness
    sample = squares("a", shape, [(4, 4, 24, 24)])
    data = task.dataset([sample], training=False)
    with torch.no_grad():
        [part], [outcome] = task.predict(model, task.collate([data[0]])), task.evaluation_step(model,
                                                                                               task.collate([data[0]]))
    found = task.prediction(iter([part]), [sample], shape).semantic_mask
    expected = np.zeros(shape, np.uint8)
    expected[4:24, 4:24] = 1
    assert found.shape == shape
    assert (found != expected).mean() < 0.03  # along the edges, which are scaled
    assert outcome["counts"].sum() == found.size
    assert outcome["counts"][0, 1] + outcome["counts"][1, 0] == (found != expected).sum()


@pytest.mark.parametrize("augment", [
    {"horizontal_flip": True}, {"translation": 20.0}, {"resized_crop": True}, {"rotation": 30.0},
    {"horizontal_flip": True, "translation": 10.0, "resized_crop": True, "rotation": 30.0},
    {"rotate90": True, "rotation": 30.0},
], ids=lambda augment: "+".join(augment))
def test_maps_follow_the_picture(make_task, squares, augment):
    data = make_task(size=80, **augment).dataset([squares("a", (80, 80), [(30, 20, 60, 50)])], training=True)
    for seed in range(8):
        item = data[(0, seed)]
        light = item["inputs"].float().mean(0).numpy() > 170
        assert ((item_map(item) == 1) ^ light).mean() < 0.03


def test_maps_turn_by_quarters_with_the_picture(make_task, squares):
    data = make_task(size=80, rotate90=True).dataset([squares("a", (40, 80), [(50, 5, 70, 35)])], training=True)
    shapes = set()
    for seed in range(12):
        item = data[(0, seed)]
        light = item["inputs"].float().mean(0).numpy() > 170
        assert np.array_equal(item_map(item) == 1, light)
        inside = item_map(item) != IGNORED
        shapes.add((int(inside.any(1).sum()), int(inside.any(0).sum())))
    assert shapes == {(40, 80), (80, 40)}


def test_what_comes_from_outside_is_ignored(make_task, squares):
    samples = [squares("a", (80, 80), [(30, 20, 60, 50)])]
    item = make_task(size=80, rotation=45.0).dataset(samples, training=True)[(0, 1)]
    outside = item["inputs"].float().mean(0).numpy() < 5
    assert outside.any()
    assert (item_map(item)[outside] == IGNORED).mean() > 0.95


def test_crowds_are_ignored(make_task, squares):
    sample = squares("a", (64, 64), [BOX, (40, 40, 60, 60)], crowd=(1,))
    numbers = item_map(make_task(size=64).dataset([sample], training=True)[(0, 0)])
    assert (numbers[40:60, 40:60] == IGNORED).all()
    assert (numbers[6:26, 10:30] == 1).all()


def test_a_tile_has_its_part_of_the_map(make_task, squares):
    sample = squares("a", (64, 64), [(28, 8, 48, 28)], tile=(32, 0, 32, 64))
    item = make_task(size=64).dataset([sample], training=False)[0]
    assert item["data_samples"].truth.shape == (64, 32)
    assert (item["data_samples"].truth[8:28, :16] == 1).all()
    assert item["data_samples"].truth.sum() == 20 * 16


def test_validation_tiles_share_no_pixel(make_task):
    task = make_task()
    assert task.tile_overlap(training=False) == 0
    assert task.tile_overlap(training=True) == task.config.dataset.tile_overlap
