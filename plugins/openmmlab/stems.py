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


PATCHES = 4
"""Every second row and column of the image: what YOLOX's ``Focus`` makes channels of."""
MIXING = ("CGNet",)
"""Backbones whose later layers take the image, too, and which are built for so many channels."""


def build_for(model: Node, count: int) -> None:
    """Configure the backbones of ``model`` that are built for ``count`` channels."""
    for key in ("backbone", "teacher_backbone"):
        if (backbone := model.get(key)) and backbone.get("type") in MIXING:
            backbone["in_channels"] = count


def widen(model: Any, channels: Node) -> None:
    """Give ``model`` the ``mean`` and ``std`` of its ``channels``, and convolutions of the image that take them, with
    torch's initial values; also a teacher. Raises UserError for a backbone without such convolutions."""
    normalise(model.data_preprocessor, channels["mean"], channels["std"])
    for backbone in _backbones(model):
        _widen(backbone, len(channels["mean"]))


def _widen(backbone: nn.Module, count: int) -> None:
    found = {module: count for module in backbone.modules()
             if isinstance(module, nn.Conv2d) and module.in_channels == 3 and module.groups == 1}
    found |= {module.conv.conv: PATCHES * count for module in _focuses(backbone)}
    if not found and type(backbone).__name__ not in MIXING:
        raise UserError(f"The images have {count} channels, and networks with the backbone {type(backbone).__name__} "
                        "take 3", hint=OTHERWISE)
    for module, taken in found.items():
        module.in_channels = taken
        module.weight = nn.Parameter(module.weight.new_empty(module.out_channels, taken, *module.kernel_size))
        module.reset_parameters()


def _focuses(backbone: nn.Module) -> list[Any]:
    return [module for module in backbone.modules() if type(module).__name__ == "Focus"]


def _backbones(model: Any) -> list[nn.Module]:
    """Those of the network and of the teacher that it is distilled from."""
    teacher = getattr(model, "teacher_model", None)
    return [model.backbone] if teacher is None else [model.backbone, teacher.backbone]


def normalise(preprocessor: Any, mean: Sequence[float], std: Sequence[float]) -> None:
    """Set ``mean`` and ``std`` of any number of channels, of which mmengine's own arguments take three."""
    for key, values in (("mean", mean), ("std", std)):
        preprocessor.register_buffer(key, torch.tensor(values).view(-1, 1, 1), False)
    preprocessor._enable_normalize = True


def ensure_channels(model: Any, image: ImageConfig, size: int, name: str) -> None:
    """Raises UserError unless the backbones of the network ``name`` take images of ``image.input_channels`` channels
    and ``size`` pixels."""
    model.eval()
    try:
        with torch.no_grad():
            for backbone in _backbones(model):
                backbone(torch.zeros(1, image.input_channels, size, size))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UserError(f"The images have {image.input_channels} channels, and the network {name} takes 3: its "
                        f"backbone {type(model.backbone).__name__} uses the image in more places than its first "
                        f"convolutions: {error}", hint=OTHERWISE) from error


def stem(preprocessor: Node, image: ImageConfig, backbone: nn.Module) -> Stem:
    """How the kernels of a ``backbone`` published with this ``preprocessor`` become those of the channels of ``image``,
    which have a standard deviation of 1."""
    std = preprocessor.get("std") or [1.0]
    order = (0, 1, 2) if preprocessor.get("bgr_to_rgb") else (2, 1, 0)
    return Stem(order if image.has_rgb else None, USUAL_STD * len(std) / sum(std) if image.input_channels != 3 else 1.0,
                PATCHES if _focuses(backbone) else 1)
