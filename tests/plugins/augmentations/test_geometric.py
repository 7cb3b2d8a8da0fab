"""Where the pixels, boxes, masks and maps of a training image go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_plugins import with_plugin

from sightsmith.core.contracts.augmentation import AugmentationRecord
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import PluginError
from sightsmith.engine.data.annotated_image import AnnotatedImage, moved_boxes
from sightsmith.engine.data.augmentations import apply_geometric, build_augmentation

GEOMETRIC = {"vertical_flip": {}, "affine": {"scale": 0.5, "shear": 20.0}, "perspective": {"distortion": 0.5}}
BOX = (30, 20, 60, 50)


def light(item):
    values = item["inputs"] if isinstance(item, dict) else 255 * item[0]
    return values.float().mean(0).numpy() > 170


def extent(mask):
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("name", GEOMETRIC)
def test_boxes_are_tight_around_the_moved_masks(make_data, squares, name):
    sample = squares("a", (80, 80), [BOX])
    with_masks, without = (make_data(kind, [sample], **{name: GEOMETRIC[name]}) for kind in ("masks", "detection"))
    seen = set()
    for seed in range(12):
        item, plain = with_masks[0, seed], without[0, seed]
        instances = item["data_samples"].gt_instances
        [mask], [box] = instances.masks.masks, instances.bboxes.tolist()
        assert box == extent(mask)
        assert (mask.astype(bool) ^ light(item)).mean() < 0.02
        [loose] = plain["data_samples"].gt_instances.bboxes.tolist()
        assert loose == pytest.approx(box, abs=1)  # of a square the corners say it too
        seen.add(tuple(box))
    assert seen == {(30, 30, 60, 60)} if name == "vertical_flip" else len(seen) > 10


@pytest.mark.parametrize("name", GEOMETRIC)
@pytest.mark.parametrize("shape", [(80, 80), (40, 80), (80, 30)])
def test_maps_follow_and_what_comes_from_outside_is_ignored(make_data, squares, name, shape):
    box = (4, 4, 24, 30)
    data = make_data("segmentation", [squares("a", shape, [box])], **{name: GEOMETRIC[name]})
    ignored = set()
    for seed in range(8):
        item = data[0, seed]
        numbers = item["data_samples"].gt_sem_seg.data[0].numpy()
        assert ((numbers == 1) ^ light(item)).mean() < 0.02
        outside = item["inputs"].float().mean(0).numpy() < 5
        assert (numbers[outside] == 255).mean() > 0.95 if outside.any() else (numbers == 255).mean() < 0.02
        assert (numbers[shape[0]:] == 255).all() and (numbers[:, shape[1]:] == 255).all()
        ignored.add(int((numbers == 255).sum()))
    assert len(ignored) == 1 if name == "vertical_flip" else len(ignored) > 3


def test_a_flip_is_exact(make_data, squares):
    sample = squares("a", (80, 80), [BOX, (2, 3, 10, 9)])
    flipped, plain = make_data("masks", [sample], vertical_flip={})[0, 1], make_data("masks", [sample])[0, 1]
    assert torch.equal(flipped["inputs"], plain["inputs"].flip(1))
    assert np.array_equal(flipped["data_samples"].gt_instances.masks.masks,
                          plain["data_samples"].gt_instances.masks.masks[:, ::-1])
    picture = make_data("classification", [sample], vertical_flip={})[0, 1][0]
    assert torch.equal(picture, make_data("classification", [sample])[0, 1][0].flip(1))


def test_all_of_them_move_the_image_once():
    rng = np.random.default_rng(0)
    plugins = load_plugins()
    made = [build_augmentation(plugins.augmentation(name), {"probability": 1.0, **options})
            for name, options in GEOMETRIC.items()]
    image = AnnotatedImage(rng.integers(0, 255, (60, 90, 3), np.uint8), boxes=np.array([[10, 20, 40, 50]], np.float32),
                           labels=np.zeros(1, np.int64), ignored=np.zeros(1, bool))
    found = apply_geometric(image, made, 5)
    generator, matrix = np.random.default_rng([5, 1]), np.eye(3)
    for augmentation in made:
        generator.random()
        matrix = augmentation((60, 90), generator) @ matrix
    assert np.array_equal(found.image, image.warped(matrix).image)
    point = matrix @ [10, 20, 1]
    [[left, top, right, bottom]] = moved_boxes(image.boxes, matrix)
    assert left <= point[0] / point[2] <= right and top <= point[1] / point[2] <= bottom


def test_the_corners_of_a_perspective_move_inwards_by_no_more_than_said():
    made = build_augmentation(load_plugins().augmentation("perspective"), {"distortion": 0.4})
    corners = np.array([[0, 0, 1], [100, 0, 1], [100, 50, 1], [0, 50, 1]], float)
    for seed in range(20):
        moved = (made((50, 100), np.random.default_rng(seed)) @ corners.T).T
        inwards = np.abs(moved[:, :2] / moved[:, 2:] - corners[:, :2])
        assert (inwards <= [20.01, 10.01]).all() and inwards.max() > 1
        assert np.array_equal(np.sign(moved[:, 0] / moved[:, 2] - 50), [-1, 1, 1, -1])


def test_zoom_and_shear_keep_the_centre_and_to_their_limits():
    made = build_augmentation(load_plugins().augmentation("affine"), {"scale": 1.0, "shear": 45.0})
    zooms = []
    for seed in range(200):
        matrix = made((40, 80), np.random.default_rng(seed))
        assert matrix @ [40, 20, 1] == pytest.approx([40, 20, 1])
        assert np.linalg.det(matrix) > 0.01
        zooms.append(matrix[0, 0])
    assert 0.5 <= min(zooms) < 0.52 and 1.95 < max(zooms) <= 2


def test_what_leaves_the_image_is_cut_and_mostly_hidden_objects_are_ignored():
    image = AnnotatedImage(np.zeros((10, 10, 1), np.uint8), boxes=np.array([[0, 0, 4, 4], [6, 6, 10, 10]], np.float32),
                           labels=np.arange(2), ignored=np.zeros(2, bool))
    right = np.array([[1, 0, 3.2], [0, 1, 0], [0, 0, 1]])
    found = image.warped(right)
    assert found.boxes.tolist() == [pytest.approx([3.2, 0, 7.2, 4]), pytest.approx([9.2, 6, 10, 10])]
    assert found.ignored.tolist() == [False, True]
    empty = AnnotatedImage(image.image, boxes=np.zeros((0, 4), np.float32), labels=np.zeros(0, np.int64),
                           ignored=np.zeros(0, bool), masks=np.zeros((0, 10, 10), np.uint8)).warped(right)
    assert (empty.boxes.shape, empty.masks.shape) == ((0, 4), (0, 10, 10))


@pytest.mark.parametrize("broken", [np.zeros((3, 3)), np.eye(2), None])
def test_a_matrix_that_moves_nothing_names_the_plugin(monkeypatch, broken):
    record = AugmentationRecord(name="odd", description="d", builder="odd:odd", kind="geometric")
    plugins = with_plugin(monkeypatch, "odd", "sightsmith_augmentations", [record],
                          odd=lambda: lambda size, generator: broken)
    augmentation = build_augmentation(plugins.augmentation("odd"), {"probability": 1.0})
    with pytest.raises(PluginError, match="'odd' returned no regular matrix"):
        apply_geometric(AnnotatedImage(np.zeros((4, 4, 1), np.uint8)), [augmentation], 0)
