"""Random brightness, contrast, saturation and hue of one image, the same for every task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from sightsmith.core.contracts.schema import ColorJitterConfig

Uniform: TypeAlias = Callable[[float, float], float]
"""Samples a number between low and high."""


def color_jitter(image: Tensor, config: ColorJitterConfig, uniform: Uniform, *, rgb: bool) -> Tensor:
    """``image`` (C, H, W) float32 in [0, 1] with jittered colours. Saturation and hue only change in the first three
    channels, and only if these are ``rgb``."""
    if config.brightness:
        image = (image * uniform(1 - config.brightness, 1 + config.brightness)).clamp_(0, 1)
    if config.contrast:
        mean = image.mean()
        image = (image - mean).mul_(uniform(1 - config.contrast, 1 + config.contrast)).add_(mean).clamp_(0, 1)
    colours, others = image[:3], image[3:]
    if rgb and config.saturation:
        colours = transforms.adjust_saturation(colours, uniform(1 - config.saturation, 1 + config.saturation))
    if rgb and config.hue:
        colours = transforms.adjust_hue(colours, uniform(-config.hue, config.hue))
    return torch.cat([colours, others]) if len(others) else colours
