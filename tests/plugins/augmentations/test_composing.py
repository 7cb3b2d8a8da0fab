"""Images made of several, with what is annotated in each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.augmentations import Seed, build_augmentation
from sightsmith.engine.training.sampler import EpochSampler
from sightsmith.plugins.classification.data import collate
from sightsmith.plugins.classification.model import build_classifier

BOXES = [(30, 20, 60, 50), (5, 55, 25, 75)]


@pytest.fixture
def two(squares):
    """A light and a dark picture, each all of one square."""
    light = squares("light", (80, 80), [(0, 0, 80, 80)])
    dark = squares("dark", (80, 80), [(0, 0, 1, 1), (0, 0, 80, 80)])
    return [light, type(dark)(dark.path, dark.name, ("dark",), objects=dark.objects)]


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_classes_count_by_their_part_of_the_image(make_data, two, name):
    data = make_data("classification", two, **{name: {"alpha": 1.0}})
    plain = make_data("classification", two)
    white, black = (float(plain[index, 0][0].mean()) for index in (0, 1))
    shares = set()
    for seed in range(24):
        image, label, index = data[0, seed]
        assert (label.dtype, index, image.shape) == (torch.float32, 0, (3, 80, 80))
        assert float(label.sum()) == pytest.approx(1, abs=1e-6)
        assert float(image.mean()) == pytest.approx(float(label @ torch.tensor([white, black])), abs=1e-3)
        shares.add(round(float(label[0]), 3))
    assert len(shares) > 6 and min(shares) < 0.4


def test_the_loss_of_a_mixed_image_is_the_mean_of_its_classes():
    model = build_classifier("shufflenet_v2_x0_5", 2, channels=3, size=32, mean=[0.5] * 3, std=[0.5] * 3)
    logits = torch.tensor([[1.0, -2.0], [0.5, 0.25]])
    mixed = torch.tensor([[0.3, 0.7], [1.0, 0.0]])
    for weights in (None, [1.0, 3.0]):
        if weights:
            model.set_class_weight(weights)
        parts = [functional.cross_entropy(logits[[row]], torch.tensor([number]), reduction="sum",
                                          weight=weights and torch.tensor(weights))
                 for row in (0, 1) for number in (0, 1)]
        expected = (0.3 * parts[0] + 0.7 * parts[1] + parts[2]) / 2
        assert float(model._loss(logits, mixed)) == pytest.approx(float(expected), abs=1e-6)


def test_labels_of_several_classes_are_mixed_one_by_one(make_data, two):
    both = [two[0], type(two[0])(two[0].path, "b", ("dark", "light"))]
    labels = [make_data("classification", both, multi_label=True, mixup={"alpha": 1.0})[0, seed][1].tolist()
              for seed in range(12)]
    assert all(light == pytest.approx(1) and 0 <= dark <= 1 for light, dark in labels)
    assert any(0.05 < dark < 0.95 for _, dark in labels)


def test_a_batch_has_one_kind_of_label_and_validation_its_own(make_data, two):
    data = make_data("classification", two, mixup={"probability": 0.5, "alpha": 1.0})
    batch = collate([data[index, seed] for index in (0, 1) for seed in range(4)])
    assert batch["data_samples"]["label"].shape == (8, 2)
    assert make_data("classification", two, training=False, mixup={})[1][1] == 1


@pytest.mark.parametrize("kind", ["detection", "masks", "segmentation"])
def test_a_mosaic_has_the_objects_of_four_images_where_they_are(make_data, squares, kind):
    samples = [squares("a", (80, 80), BOXES), squares("b", (40, 80), [(10, 5, 40, 35)]), squares("c", (80, 60))]
    data = make_data(kind, samples, size=96, mosaic={})
    numbers = []
    for seed in range(10):
        item = data[seed % 3, seed]
        grey, sample = item["inputs"].float().mean(0).numpy(), item["data_samples"]
        assert grey.shape == (96, 96)
        if kind == "segmentation":
            found = sample.gt_sem_seg.data[0].numpy()
            assert ((found == 1) ^ (grey > 170)).mean() < 0.02
            assert (found[grey < 5] == 255).mean() > 0.9 or (grey < 5).sum() < 20
            numbers.append(len(np.unique(found)))
            continue
        for box, label in zip(sample.gt_instances.bboxes.round().int().tolist(), sample.gt_instances.labels,
                              strict=True):
            left, top, right, bottom = box
            inside = grey[top + 1:bottom - 1, left + 1:right - 1]
            assert (inside > 170).mean() > 0.9 if label == 0 else (inside < 60).mean() > 0.9
        numbers.append(len(sample.gt_instances) + len(sample.ignored_instances))
        if kind == "masks":
            covered = sample.gt_instances.masks.masks[sample.gt_instances.labels.numpy() == 0].any(0)
            assert (covered & (grey < 170)).mean() < 0.02
    assert max(numbers) >= (3 if kind == "segmentation" else 4)


def test_pasted_objects_hide_what_is_below(make_data, squares):
    samples = [squares("a", (80, 80), [(30, 20, 60, 50)]), squares("b", (80, 80), [(40, 30, 70, 60)])]
    data = make_data("masks", samples, copy_paste={"objects": 1})
    seen = set()
    for seed in range(12):
        item = data[0, seed]
        instances = item["data_samples"].gt_instances
        masks = instances.masks.masks.astype(bool)
        assert (masks.sum(0) <= 1).all()
        assert np.array_equal(masks.any(0), item["inputs"].float().mean(0).numpy() > 170)
        for mask, (left, top, right, bottom) in zip(masks, instances.bboxes.int().tolist(), strict=True):
            rows, columns = np.nonzero(mask)
            assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, bottom)
        seen.add(len(masks))
    assert seen == {1, 2}  # the same object over itself hides it


def test_multi_scale_changes_the_size_of_items(make_data, squares):
    data = make_data("detection", [squares("a", (40, 80), [(20, 10, 40, 30)])], multi_scale={})
    sides = set()
    for seed in range(12):
        item = data[0, seed]
        height, width = item["inputs"].shape[1:]
        zoom = width / 80
        assert 0.74 <= zoom <= 1.26 and abs(height - zoom * 40) <= 1
        [box] = item["data_samples"].gt_instances.bboxes.tolist()
        assert box == pytest.approx([20 * zoom, 10 * height / 40, 40 * zoom, 30 * height / 40], abs=0.01)
        assert item["data_samples"].img_shape == (height, width)
        sides.add(width)
    assert len(sides) > 5
    with pytest.raises(UserError, match="smallest is above largest"):
        build_augmentation(load_plugins().augmentation("multi_scale"), {"smallest": 1.3, "largest": 1.2})


def test_it_ends_before_training_does(make_data, squares):
    samples = [squares(name, (80, 80), BOXES) for name in "ab"]
    data = make_data("detection", samples, mosaic={"closing": 0.3})
    plain = make_data("detection", samples)[0, 3]["inputs"]
    sampler = EpochSampler(2, 2, epochs=10)
    still = []
    for epoch in range(10):
        [step] = sampler.start(epoch)
        seed = step.micro_batches[0].items[0][1]
        assert isinstance(seed, Seed) and seed.progress == epoch / 10
        still.append(torch.equal(data[0, Seed.at(3, seed.progress)]["inputs"], plain))
    assert still == [False] * 7 + [True] * 3
    for min_epochs, same in ((10, False), (11, True)):
        data = make_data("detection", samples, mosaic={"min_epochs": min_epochs})
        assert torch.equal(data[0, seed]["inputs"], data[0, Seed.at(seed, 0.0, 9)]["inputs"]) is same
    assert EpochSampler(2, 2).start(4)[0].micro_batches[0].items[0][1].progress == 0
