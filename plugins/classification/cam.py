"""Where a classifier looks: Grad-CAM (Selvaraju et al. 2017), by captum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer

from sightsmith.plugin import Array, Model, UserError


def heat_maps(model: Model, batch: dict[str, Any], name: str) -> list[Array]:
    """Of each image, for its likeliest class, (h, w) float32 in [0, 1] at the size of the network's input.

    ``batch`` is preprocessed; ``name`` is the network's. Raises UserError where captum is missing, and for a network
    whose last features are no map.
    """
    try:
        from captum.attr import LayerAttribution, LayerGradCam
    except ModuleNotFoundError as error:
        raise UserError("Heat maps need captum, which is not installed.",
                        hint="pip install 'sightsmith[heatmap]'") from error
    inputs = batch["inputs"]
    layer = None if isinstance(model.network, VisionTransformer) else _last_map(model, inputs[:1])
    if layer is None:
        raise UserError(f"The network {name} keeps no map of features to its end, from which heat maps are made.",
                        hint="leave heatmaps out")
    with torch.no_grad():
        likeliest = model(inputs, mode="predict").argmax(1)
    method = LayerGradCam(lambda images: model(images, mode="predict"), layer)
    maps = method.attribute(inputs, target=likeliest, relu_attributions=True)
    maps = LayerAttribution.interpolate(maps, tuple(inputs.shape[2:]), "bilinear")[:, 0].detach().float()
    most = maps.flatten(1).max(1).values[:, None, None]
    return list((maps / most.clamp_min(1e-12)).cpu().numpy())


def _last_map(model: Model, image: Tensor) -> nn.Module | None:
    """The module nearest to the network's end, and to its top level, that gives a map (N, C, h, w) of more than one
    pixel."""
    maps: set[nn.Module] = set()

    def note(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            maps.add(module)

    hooks = [module.register_forward_hook(note) for module in model.network.modules()]
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
