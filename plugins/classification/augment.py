"""Augmentation of one image with its own random generator.

Parameters are drawn here rather than by torchvision's transforms, which use the global generator: an
image's augmentation must depend only on its seed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from sightsmith.plugin import AugmentConfig, Uniform, color_jitter

CROP_AREA = (0.5, 1.0)
CROP_RATIO = (3 / 4, 4 / 3)


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """The whole image as (C, height, width), of the same dtype: stretched, not cropped."""
    if image.shape[-2:] == (height, width):
        return image
    return transforms.resize(image, [height, width], antialias=True)


def augment(image: Tensor, size: int, config: AugmentConfig, seed: int, *, colour: bool) -> Tensor:
    """(C, H, W), uint8 or float32 in [0, 1], to (C, size, size) float32. ``colour``: the channels are RGB."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    if config.resized_crop:
        top, left, height, width = _crop(image.shape[-2], image.shape[-1], uniform)
        image = image[:, top:top + height, left:left + width]
    image = resize(image, size, size)
    image = image.float() / 255 if image.dtype == torch.uint8 else image
    if config.horizontal_flip and uniform(0, 1) < 0.5:
        image = transforms.horizontal_flip(image)
    if config.rotate90:
        image = torch.rot90(image, int(uniform(0, 4)), (1, 2))
    if config.rotation or config.translation:
        angle = uniform(-config.rotation, config.rotation)
        reach = config.translation / 100 * size
        shift = [uniform(-reach, reach), uniform(-reach, reach)]
        image = transforms.affine(image, angle, shift, 1.0, [0.0, 0.0],  # type: ignore[arg-type]
                                  interpolation=InterpolationMode.BILINEAR)
    return color_jitter(image, config.color_jitter, uniform, rgb=colour)


def _crop(height: int, width: int, uniform: Uniform) -> tuple[int, int, int, int]:
    """(top, left, height, width) in pixels: a part of the area, with an aspect ratio near the image's own.

    Near its own, because validation stretches the whole image to a square.
    """
    area = uniform(*CROP_AREA)
    ratio = math.exp(uniform(math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])))
    ratio = min(max(ratio, area), 1 / area)  # neither side may be longer than the image's
    crop_height = max(round(height * math.sqrt(area / ratio)), 1)
    crop_width = max(round(width * math.sqrt(area * ratio)), 1)
    return (round(uniform(0, height - crop_height)), round(uniform(0, width - crop_width)), crop_height, crop_width)
