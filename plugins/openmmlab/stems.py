"""Networks for images of other than three channels: their first convolutions and normalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sightsmith.plugin import ImageConfig, Stem, UserError
from sightsmith.plugins.openmmlab.adapt import Node

USUAL_STD = 57.6
"""The mean of ImageNet's standard deviations, of values from 0 to 255."""

OTHERWISE = "choose another network, or image.channels=3 if three of the bands are colours"


def widen(model: Any, channels: Node) -> None:
    """Give ``model`` the ``mean`` and ``std`` of its ``channels``, and convolutions of the image that take them, with
    torch's initial values. Raises UserError for a backbone without such convolutions."""
    normalise(model.data_preprocessor, channels["mean"], channels["std"])
    count = len(channels["mean"])
    found = [module for module in model.backbone.modules()
             if isinstance(module, nn.Conv2d) and module.in_channels == 3 and module.groups == 1]
    if not found or hasattr(model, "teacher_model"):
        raise UserError(f"The images have {count} channels, and networks with the backbone "
                        f"{type(model.backbone).__name__} take 3" if not found else
                        f"The images have {count} channels, and the network is distilled from a teacher that takes 3",
                        hint=OTHERWISE)
    for module in found:
        module.in_channels = count
        module.weight = nn.Parameter(module.weight.new_empty(module.out_channels, count, *module.kernel_size))
        module.reset_parameters()


def normalise(preprocessor: Any, mean: Sequence[float], std: Sequence[float]) -> None:
    """Set ``mean`` and ``std`` of any number of channels, of which mmengine's own arguments take three."""
    for key, values in (("mean", mean), ("std", std)):
        preprocessor.register_buffer(key, torch.tensor(values).view(-1, 1, 1), False)
    preprocessor._enable_normalize = True


def ensure_channels(model: Any, image: ImageConfig, size: int, name: str) -> None:
    """Raises UserError unless the backbone of the network ``name`` takes images of ``image.input_channels`` channels
    and ``size`` pixels."""
    try:
        with torch.no_grad():
            model.eval().backbone(torch.zeros(1, image.input_channels, size, size))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UserError(f"The images have {image.input_channels} channels, and the network {name} takes 3: its "
                        f"backbone {type(model.backbone).__name__} uses the image in more places than its first "
                        f"convolutions: {error}", hint=OTHERWISE) from error


def stem(preprocessor: Node, image: ImageConfig) -> Stem:
    """How the kernels of a network published with this ``preprocessor`` become those of the channels of ``image``,
    which have a standard deviation of 1."""
    std = preprocessor.get("std") or [1.0]
    order = (0, 1, 2) if preprocessor.get("bgr_to_rgb") else (2, 1, 0)
    return Stem(order if image.has_rgb else None, USUAL_STD * len(std) / sum(std) if image.input_channels != 3 else 1.0)
