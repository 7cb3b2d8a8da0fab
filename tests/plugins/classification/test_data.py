"""Items: what the network sees of an image, and that augmentation depends on its seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sightsmith.core.contracts.schema import AugmentConfig, ColorJitterConfig, TrainerConfig
from sightsmith.core.util.errors import UserError
from sightsmith.plugins.classification import augment as augmentation
from sightsmith.plugins.classification.augment import augment

STILL = {"horizontal_flip": False, "resized_crop": False, "translation": 0.0, "rotation": 0.0}
NO_JITTER = ColorJitterConfig(0.0, 0.0, 0.0, 0.0)


def picture(height=40, width=60, channels=3):
    values = np.random.default_rng(3).integers(0, 256, (height, width, channels), np.uint8)
    return values if channels > 1 else values[..., 0]


def test_validation_squeezes_the_whole_picture(make_task, write_sample):
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :2] = pixels[:, -2:] = 255  # both edges must survive
    image, label, index = make_task(size=32).dataset([write_sample("a.png", pixels, "cow")], training=False)[0]
    assert (image.shape, image.dtype, label, index) == ((3, 32, 32), torch.float32, 1, 0)
    assert image[:, :, 0].min() > 0.8
    assert image[:, :, -1].min() > 0.8
    assert image[:, :, 8:-8].max() == 0


def test_grey_and_16_bit_pictures_fill_three_channels(make_task, write_sample):
    deep = np.full((32, 32), 12345, np.uint16)
    data = make_task(size=32).dataset([write_sample("a.png", picture(channels=1), "cat"),
                                                  write_sample("b.png", deep, "dog")], training=False)
    grey, exact = data[0][0], data[1][0]
    assert torch.equal(grey[0], grey[2])
    torch.testing.assert_close(exact, torch.full((3, 32, 32), 12345 / 65535))


def test_windows_make_channels_and_other_pictures_give_their_grey(make_task, write_sample):
    task = make_task(size=32, windows=[[40, 80], [80, 200]])
    data = task.dataset([write_sample("a.png", picture(), "cat"),
                               write_sample("b.png", picture(channels=1), "dog")], training=True)
    assert data[0, 7][0].shape == data[1, 7][0].shape == (2, 32, 32)


@pytest.mark.parametrize("shape", [(32, 32), (200, 50), (40, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_item_is_drawn_from_its_seed_alone(make_task, write_sample, shape, channels):
    samples = [write_sample("a.png", picture(*shape, channels), "cat")]
    task = make_task(size=32)
    first = task.dataset(samples, training=True)
    before = torch.get_rng_state()
    items = [first[0, seed][0] for seed in (1, 2, 1, 2**63 - 1)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    again = task.dataset(samples, training=True)[0, 2][0]
    assert torch.equal(items[0], items[2])
    assert torch.equal(items[1], again)
    assert not torch.equal(items[0], items[1])
    for item in items:
        assert item.shape == (3, 32, 32)
        assert item.min() >= 0
        assert item.max() <= 1


def test_workers_and_cache_change_nothing(make_task, write_sample):
    samples = [write_sample(f"{number}.png", picture(50, 90 + number), "cat") for number in range(5)]
    loaded = []
    for cache, workers in ((True, 0), (False, 0), (True, 2)):
        task = make_task(size=32, trainer=TrainerConfig(cache=cache))
        data = task.dataset(samples, training=True)
        batches = [[(place, 10 + place) for place in range(start, start + 2)] for start in (0, 2, 3)]
        loader = DataLoader(data, batch_sampler=batches, num_workers=workers, collate_fn=task.collate)
        loaded += [list(loader), list(loader)]
    for other in loaded[1:]:
        torch.testing.assert_close(other, loaded[0], rtol=0, atol=0)
    assert loaded[0][0]["inputs"].shape == (2, 3, 32, 32)
    assert loaded[0][1]["data_samples"]["index"].tolist() == [2, 3]


def test_the_cache_stops_where_memory_is_short(make_task, write_sample, monkeypatch):
    data = make_task(size=32).dataset([write_sample("a.png", picture(), "cat")], training=False)
    monkeypatch.setattr("sightsmith.engine.data.cache.MIN_FREE", 1.1)
    kept = data[0]
    assert data._images[0] is not data._images[0]
    monkeypatch.setattr("sightsmith.engine.data.cache.MIN_FREE", 0.0)
    assert torch.equal(data[0][0], kept[0])
    assert data._images[0] is data._images[0]


def test_multi_label_items(make_task, write_sample):
    task = make_task(size=32, multi_label=True)
    samples = [write_sample("a.png", picture(), "dog", "cat"), write_sample("b.png", picture())]
    data = task.dataset(samples, training=False)
    batch = task.collate([data[0], data[1]])
    assert batch["data_samples"]["label"].tolist() == [[1, 0, 1], [0, 0, 0]]


def test_a_picture_that_has_gone_is_named(make_task, write_sample):
    sample = write_sample("gone.png", picture(), "cat")
    sample.path.unlink()
    with pytest.raises(UserError, match="gone.png"):
        make_task(size=32).dataset([sample], training=False)[0]


@pytest.mark.parametrize("size", [(100, 100), (60, 240), (300, 50)])
def test_crops_keep_half_to_all_of_the_area(size):
    generator = torch.Generator().manual_seed(0)

    def uniform(low, high):
        return low + (high - low) * float(torch.rand((), generator=generator))

    height, width = size
    crops = [augmentation._crop(height, width, uniform) for _ in range(300)]
    shares = np.array([tall * wide / (height * width) for _, _, tall, wide in crops])
    shapes = np.array([(wide / width) / (tall / height) for _, _, tall, wide in crops])
    assert shares.min() > 0.48
    assert shares.max() <= 1
    assert 0.72 < shapes.min() < 0.85
    assert 1.2 < shapes.max() < 1.38
    assert all(top >= 0 and left >= 0 and top + tall <= height and left + wide <= width
               for top, left, tall, wide in crops)


def test_rotation_and_translation_stay_within_their_limits():
    image = torch.zeros(1, 101, 101)
    image[:, 48:53, 48:53] = 1
    grid = torch.arange(101.0) - 50

    def centre(moved):
        mass = moved[0] / moved[0].sum()
        return float((mass.sum(1) * grid).sum()), float((mass.sum(0) * grid).sum())

    config = AugmentConfig(**{**STILL, "translation": 10.0}, color_jitter=NO_JITTER)
    shifts = np.array([centre(augment(image, 101, config, seed, colour=False)) for seed in range(60)])
    assert 8 < np.abs(shifts).max() < 10.2
    assert (shifts.min(0) < -5).all()
    assert (shifts.max(0) > 5).all()
    bar = torch.zeros(1, 101, 101)
    bar[:, 48:53, 80:85] = 1
    config = AugmentConfig(**{**STILL, "rotation": 30.0}, color_jitter=NO_JITTER)
    turned = [centre(augment(bar, 101, config, seed, colour=False)) for seed in range(60)]
    angles = np.degrees([np.arctan2(row, column) for row, column in turned])
    assert 25 < np.abs(angles).max() < 31
    assert angles.min() < -15 < 15 < angles.max()


def test_nothing_is_drawn_where_augmentation_is_off():
    image = torch.rand(3, 32, 32)
    config = AugmentConfig(**STILL, color_jitter=NO_JITTER)
    assert torch.equal(augment(image, 32, config, 5, colour=True), image)
    flipped = AugmentConfig(**{**STILL, "horizontal_flip": True}, color_jitter=NO_JITTER)
    results = [augment(image, 32, flipped, seed, colour=True) for seed in range(20)]
    mirrored = [torch.equal(result, image.flip(-1)) for result in results]
    assert all(same or torch.equal(result, image) for same, result in zip(mirrored, results, strict=True))
    assert 3 < sum(mirrored) < 17


def test_quarter_turns_are_exact_and_all_drawn():
    image = torch.rand(3, 16, 16)
    config = AugmentConfig(**STILL, rotate90=True, color_jitter=NO_JITTER)
    drawn = [augment(image, 16, config, seed, colour=True) for seed in range(24)]
    turns = [next(turn for turn in range(4) if torch.equal(result, image.rot90(turn, (1, 2)))) for result in drawn]
    assert set(turns) == {0, 1, 2, 3}


def test_colours_change_only_where_the_channels_are_colours():
    image = torch.rand(3, 8, 8)
    config = AugmentConfig(**STILL, color_jitter=ColorJitterConfig(0.0, 0.0, 0.5, 0.5))
    assert torch.equal(augment(image, 8, config, 5, colour=False), image)
    assert not torch.equal(augment(image, 8, config, 5, colour=True), image)
