"""Augmentation of one image, drawn from a generator of its own.

Parameters are drawn here rather than by torchvision's transforms, which use the global generator: an
image's augmentation must depend on its seed alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from sightsmith.core.schema import AugmentConfig

CROP_AREA = (0.5, 1.0)
CROP_RATIO = (3 / 4, 4 / 3)


def resize(image: Tensor, size: int) -> Tensor:
    """The whole picture, (C, H, W) in [0, 1], as (C, size, size): nothing is cut off."""
    if image.shape[-2:] == (size, size):
        return image
    return transforms.resize(image, [size, size], antialias=True)


def augment(image: Tensor, size: int, config: AugmentConfig, seed: int, *, colour: bool) -> Tensor:
    """(C, H, W) float32 in [0, 1] to (C, size, size). ``colour`` says that the channels are RGB."""
    draw = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=draw))

    if config.resized_crop:
        top, left, height, width = _crop(image.shape[-2], image.shape[-1], uniform)
        image = transforms.resized_crop(image, top, left, height, width, [size, size], antialias=True)
    else:
        image = resize(image, size)
    if config.horizontal_flip and uniform(0, 1) < 0.5:
        image = transforms.horizontal_flip(image)
    if config.rotation or config.translation:
        angle = uniform(-config.rotation, config.rotation)
        reach = config.translation / 100 * size
        shift = [uniform(-reach, reach), uniform(-reach, reach)]
        image = transforms.affine(image, angle, shift, 1.0, [0.0, 0.0],  # type: ignore[arg-type]
                                  interpolation=InterpolationMode.BILINEAR)
    return _jitter(image, config, uniform, colour)


def _crop(height: int, width: int, uniform) -> tuple[int, int, int, int]:  # type: ignore[no-untyped-def]
    """(top, left, height, width) in pixels: a part of the area of a random aspect ratio."""
    area = height * width * uniform(*CROP_AREA)
    ratio = math.exp(uniform(math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])))
    crop_height = min(max(round(math.sqrt(area / ratio)), 1), height)
    crop_width = min(max(round(math.sqrt(area * ratio)), 1), width)
    return (round(uniform(0, height - crop_height)), round(uniform(0, width - crop_width)), crop_height, crop_width)


def _jitter(image: Tensor, config: AugmentConfig, uniform, colour: bool) -> Tensor:  # type: ignore[no-untyped-def]
    jitter = config.color_jitter
    if jitter.brightness:
        image = (image * uniform(1 - jitter.brightness, 1 + jitter.brightness)).clamp(0, 1)
    if jitter.contrast:
        mean = image.mean()
        image = ((image - mean) * uniform(1 - jitter.contrast, 1 + jitter.contrast) + mean).clamp(0, 1)
    if colour and jitter.saturation:
        image = transforms.adjust_saturation(image, uniform(1 - jitter.saturation, 1 + jitter.saturation))
    if colour and jitter.hue:
        image = transforms.adjust_hue(image, uniform(-jitter.hue, jitter.hue))
    return image
