"""The values of photometric augmentations, of every kind of image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from sightsmith.core.contracts.dataset import DatasetIndex
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.augmentations import build_augmentation
from sightsmith.engine.pipeline.prepare import training_task
from sightsmith.testing import PluginConformance

SHAPES = [(48, 64, 3), (33, 40, 1), (33, 40, 2), (33, 40, 5), (64, 1, 3), (1, 64, 1)]
NAMES = ("grey", "blur", "noise", "jpeg", "clahe", "gamma", "rand_augment", "trivial_augment", "erasing")


class Suite(PluginConformance):
    distribution = "sightsmith"


def test_the_built_in_ones_keep_to_their_contract():
    Suite().test_augmentations_keep_to_their_kind_and_draw_from_their_generator()


def build(name, **options):
    return build_augmentation(load_plugins().augmentation(name), options)


def picture(shape=(48, 64, 3), dtype=np.uint8, seed=0):
    values = np.random.default_rng(seed).random(shape, np.float32)
    return np.rint(255 * values).astype(np.uint8) if dtype == np.uint8 else values


def smooth(dtype=np.uint8):
    values = np.linspace(0.1, 0.9, 64, dtype=np.float32)[None, :, None].repeat(48, 0).repeat(3, 2)
    return np.rint(255 * values).astype(np.uint8) if dtype == np.uint8 else values


def draw(name, image, seed=0, **options):
    return build(name, **options)(image.copy(), np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_shape_type_and_range_stay_and_the_generator_alone_decides(name, dtype):
    before = torch.get_rng_state()
    for shape in SHAPES:
        image = picture(shape, dtype)
        found = [draw(name, image, seed) for seed in (1, 2, 1)]
        np.random.seed(3)
        torch.manual_seed(3)
        found.append(draw(name, image, 2))
        assert np.array_equal(found[0], found[2]) and np.array_equal(found[1], found[3])
        for values in found:
            assert (values.shape, values.dtype) == (shape, dtype)
            assert values.min() >= 0 and values.max() <= (255 if dtype == np.uint8 else 1)
    torch.set_rng_state(before)
    draw(name, picture(SHAPES[0], dtype), 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_grey_is_the_luminance_and_leaves_other_channels(dtype):
    image = picture(dtype=dtype)
    expected = functional.rgb_to_grayscale(torch.from_numpy(image.transpose(2, 0, 1)), 3).numpy().transpose(1, 2, 0)
    assert np.abs(draw("grey", image).astype(float) - expected).max() <= (1 if dtype == np.uint8 else 1e-3)
    windows = picture((8, 8, 2), dtype)
    assert np.array_equal(draw("grey", windows), windows)


def test_blur_keeps_the_mean_and_takes_the_detail():
    image = picture(dtype=np.float32)
    blurred = draw("blur", image, seed=1, sigma=3.0)
    assert blurred.mean() == pytest.approx(image.mean(), abs=0.02)
    assert blurred.std() < 0.6 * image.std()


def test_noise_is_at_most_as_strong_as_said():
    image = np.full((100, 100, 3), 0.5, np.float32)
    strengths = [(draw("noise", image, seed, strength=0.1) - image).std() for seed in range(20)]
    assert max(strengths) < 0.102 and min(strengths) < 0.03
    flat = np.full((100, 100, 3), 128, np.uint8)
    assert 8 < max((draw("noise", flat, seed, strength=0.1).astype(float) - flat).std() for seed in range(20)) < 26


def test_jpeg_adds_its_errors_and_keeps_the_depth():
    image = smooth(np.float32) + 0.3 / 255  # between two 8-bit values
    coded = draw("jpeg", image, quality=95)
    assert np.abs(coded - image).max() < 0.02
    deep = (coded * 255) % 1
    assert np.abs(deep - (image * 255) % 1).max() < 0.01
    worst = draw("jpeg", picture(), quality=1)
    assert np.abs(worst.astype(float) - picture()).mean() > np.abs(draw("jpeg", picture(), quality=98).astype(float)
                                                                 - picture()).mean()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_clahe_stretches_what_is_dull(dtype, channels):
    dull = (0.4 + 0.1 * picture((64, 64, 1), np.float32)).repeat(channels, 2)
    image = np.rint(255 * dull).astype(np.uint8) if dtype == np.uint8 else dull
    stretched = draw("clahe", image, seed=1, clip_limit=20.0, tiles=2)
    assert stretched.std() > 1.5 * image.std()
    if channels == 3:  # what is grey stays so
        assert np.ptp(stretched.astype(float), axis=2).max() <= (2 if dtype == np.uint8 else 0.01)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_gamma_bends_between_black_and_white(dtype):
    white = 255 if dtype == np.uint8 else 1
    image = (np.array([0, 128, 255], np.float32) * (white / 255))[None, :, None].astype(dtype)
    middles = []
    for seed in range(60):
        low, middle, high = draw("gamma", image, seed, limit=2.0)[0, :, 0]
        assert (low, high) == (0, white)
        middles.append(float(middle) / white)
    assert 0.245 < min(middles) < 0.4 and 0.6 < max(middles) < 0.72


def test_erasing_takes_one_rectangle_and_no_more_than_said():
    image = picture((50, 50, 3), np.float32)
    shares = []
    for seed in range(40):
        changed = (draw("erasing", image, seed, area=0.1) != image).any(2)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        assert changed[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1].all()
        shares.append(changed.mean())
    assert min(shares) > 0.015 and 0.07 < max(shares) < 0.12


@pytest.mark.parametrize("name", ["rand_augment", "trivial_augment"])
def test_only_what_moves_nothing_unless_asked(name):
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:40, 20:30] = 255
    outside = np.ones((64, 64), bool)
    outside[18:42, 18:32] = False  # sharpness reaches to the neighbours

    def moved(geometric):
        drawn = [draw(name, image, seed, geometric=geometric).mean(2) for seed in range(60)]
        return any(np.ptp(values[outside]) > 1 for values in drawn)

    assert not moved(False)
    assert moved(True)


@pytest.mark.parametrize("name", ["rand_augment", "trivial_augment"])
def test_other_channels_than_colours_are_all_changed_alike(name):
    """Each as a grey image is."""
    image = picture((40, 40, 5))
    drawn = [draw(name, image, seed, geometric=True) for seed in range(20)]
    assert sum(bool((values != image).any()) for values in drawn) > 12
    for seed, values in enumerate(drawn):
        for place in range(5):
            assert np.array_equal(values[..., place:place + 1],
                                  draw(name, image[..., place:place + 1], seed, geometric=True))


@pytest.mark.parametrize("name", ["grey", "jpeg", "clahe", "rand_augment", "trivial_augment"])
def test_three_channels_that_are_no_colours_are_treated_one_by_one(name):
    image = picture((40, 40, 3))
    for seed in range(12):
        made = build_augmentation(load_plugins().augmentation(name), {}, rgb=False)
        values = made(image.copy(), np.random.default_rng(seed))
        for place in range(3):
            assert np.array_equal(values[..., place:place + 1], draw(name, image[..., place:place + 1], seed))


@pytest.mark.parametrize(("keys", "rgb"), [(["image.rgb=false"], False), ([], True),
                                           (["image.windows=[[1,2],[3,4],[5,6]]"], False)])
def test_the_configuration_says_whether_channels_are_colours(keys, rgb):
    plugins = load_plugins()
    config = compose(["task=classification", "dataset.root=any", "network=squeezenet1_1",
                      "augment.extra.grey.probability=1", *keys], plugins)
    task = training_task(config, plugins, DatasetIndex(Path(), "", ("a", "b"), ()))
    assert task.augmentations[0].augmentation.rgb is rgb


def test_the_strength_of_randaugment_is_set():
    image = picture()
    still = [draw("rand_augment", image, seed, magnitude=0, operations=1) for seed in range(12)]
    strong = [draw("rand_augment", image, seed, magnitude=30, operations=4) for seed in range(12)]

    def change(found):
        return np.mean([np.abs(values.astype(float) - image).mean() for values in found])

    assert change(strong) > 2 * change(still)
