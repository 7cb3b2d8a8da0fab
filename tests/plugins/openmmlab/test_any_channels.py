"""mmdet's transforms on images of other than three channels: each channel as it would be among three."""

from __future__ import annotations

import numpy as np
import pytest

from sightsmith.core.contracts.schema import AugmentConfig, ColorJitterConfig
from sightsmith.plugins.openmmlab.data import View, seeded
from sightsmith.plugins.openmmlab.transforms import geometric_transforms

AUGMENT = AugmentConfig(horizontal_flip=True, rotate90=True, resized_crop=True, translation=10, rotation=20,
                        color_jitter=ColorJitterConfig(0, 0, 0, 0))
IMAGE = np.random.default_rng(0).integers(0, 256, (48, 40, 7), dtype=np.uint8)


def moved(image, seed):
    results = {"img": image, "img_shape": image.shape[:2], "gt_seg_map": image[..., 0].copy()}
    with seeded(seed):
        for transform in geometric_transforms(AUGMENT, 64):
            results = transform(results)
    return results


@pytest.mark.parametrize("channels", [2, 4, 5, 7])
def test_all_channels_move_alike(channels):
    for seed in range(4):
        found = moved(IMAGE[..., :channels].copy(), seed)
        assert found["img"].shape[2] == channels
        for channel in range(channels):
            alone = moved(np.repeat(IMAGE[..., channel:channel + 1], 3, 2), seed)
            assert np.array_equal(found["img"][..., channel], alone["img"][..., 0])
            assert np.array_equal(found["gt_seg_map"].shape, alone["gt_seg_map"].shape)


@pytest.mark.parametrize("side", [24, 96])
def test_scaling_takes_any_number_of_channels(side):
    view = View((0, 0, 40, 48), side)
    found = view.scaled(IMAGE)
    assert found.shape == (*view.shape, 7)
    assert np.array_equal(found[..., 4:5], view.scaled(IMAGE[..., 4:5]))
