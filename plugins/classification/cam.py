"""Grad-CAM heat maps of a classifier (Selvaraju et al. 2017), by captum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer

from sightsmith.plugin import Array, Model, UserError


def heat_maps(model: Model, batch: dict[str, Any], name: str) -> list[Array]:
    """The heat map of each image for its most probable class, (h, w) float32 in [0, 1] at the network's input size.

    ``batch`` is preprocessed; ``name`` is the network's. Raises UserError if captum is missing, or if the network has
    no spatial features.
    """
    try:
        from captum.attr import LayerAttribution, LayerGradCam
    except ModuleNotFoundError as error:
        raise UserError("Heat maps need captum, which is not installed.",
                        hint="pip install 'sightsmith[heatmap]'") from error
    inputs = batch["inputs"]
    layer = None if isinstance(model.network, VisionTransformer) else _last_map(model, inputs[:1])
    if layer is None:
        raise UserError(f"The network {name} has no convolutional feature map, which heat maps need.",
                        hint="leave heatmaps out")
    with torch.no_grad():
        predicted = model(inputs, mode="predict").argmax(1)
    method = LayerGradCam(lambda images: model(images, mode="predict"), layer)
    maps = method.attribute(inputs, target=predicted, relu_attributions=True)
    maps = LayerAttribution.interpolate(maps, tuple(inputs.shape[2:]), "bilinear")[:, 0].detach().float()
    peaks = maps.flatten(1).max(1).values[:, None, None]
    return list((maps / peaks.clamp_min(1e-12)).cpu().numpy())


def _last_map(model: Model, image: Tensor) -> nn.Module | None:
    """The last module, as close to the top level as possible, whose output has (N, C, h, w) and several pixels."""
    maps: set[nn.Module] = set()

    def record(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            maps.add(module)

    hooks = [module.register_forward_hook(record) for module in model.network.modules()]
    try:
        with torch.no_grad():
            model(image, mode="predict")
    finally:
        for hook in hooks:
            hook.remove()
    return _nearest(model.network, maps)


def _nearest(module: nn.Module, maps: set[nn.Module]) -> nn.Module | None:
    parts = [part for child in module.children()
             for part in (child if isinstance(child, nn.ModuleList) else [child])][::-1]
    whole = next((part for part in parts if part in maps), None)
    return whole or next((found for part in parts if (found := _nearest(part, maps))), None)
