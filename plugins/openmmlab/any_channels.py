"""mmdet's transforms of images in colour, for any number of channels: three at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from mmdet.datasets import transforms


def _by_threes(results: dict[str, Any], transform: Callable[[dict[str, Any]], None]) -> None:
    """``transform``, which treats all three channels of ``img`` (H, W, 3) alike, applied to (H, W, C) in place."""
    image = results["img"]
    channels = image.shape[2]
    filled = np.concatenate([image, image[..., :-channels % 3]], 2)
    parts = []
    for start in range(0, filled.shape[2], 3):
        results["img"] = np.ascontiguousarray(filled[..., start:start + 3])
        transform(results)
        parts.append(results["img"])
    results["img"] = np.ascontiguousarray(np.concatenate(parts, 2)[..., :channels])


class Resize(transforms.Resize):
    def _resize_img(self, results: dict[str, Any]) -> None:
        _by_threes(results, super()._resize_img)


class Rotate(transforms.Rotate):
    def _transform_img(self, results: dict[str, Any], mag: float) -> None:
        _by_threes(results, partial(super()._transform_img, mag=mag))


class TranslateX(transforms.TranslateX):
    def _transform_img(self, results: dict[str, Any], mag: float) -> None:
        _by_threes(results, partial(super()._transform_img, mag=mag))


class TranslateY(transforms.TranslateY):
    def _transform_img(self, results: dict[str, Any], mag: float) -> None:
        _by_threes(results, partial(super()._transform_img, mag=mag))
