"""Finds the configurations of the zoos that are not networks for boxes, masks or semantic masks, and the reason."""

from __future__ import annotations

from typing import Any

from sightsmith.plugins.openmmlab.adapt import walk
from sightsmith.plugins.openmmlab.build import registry

MODULES = {
    "mmdet.models.mot": "tracks objects through videos",
    "mmdet.models.vis": "segments videos",
    "mmdet.models.reid": "re-identifies persons",
}
"""By the module of the model's class."""

CLASSES = {
    "SemiBaseDetector": "also learns from images without annotation",
    "TwoStagePanopticSegmentor": "learns a panoptic annotation",
    "Detectron2Wrapper": "is a network of detectron2",
    "DepthEstimator": "estimates depth",
}
"""By the name of the model's class or a base class."""

TYPES = {"MultiInstanceRoIHead": "only learns crowds: one class and at least two objects per image"}
"""By the type of a module."""

COLOURS = 3

PARTS = {"language_model": "takes text in addition to the image", "text_encoder": "takes text in addition to the image"}
"""By a key of the configuration."""


def reason(model: dict[str, Any] | None, package: str) -> str | None:
    """Why ``model``, unchanged from the zoo, does not fit the tasks of ``package``; None if it does."""
    if model is None:
        return "it has no network: it is a base of other configurations"
    for key, text in PARTS.items():
        if any(node.get(key) for node in walk(model)):
            return f"it {text}"
    for node in walk(model):
        if node.get("type") in TYPES:
            return f"it {TYPES[node['type']]}"
    if any(node.get("num_stuff_classes") for node in walk(model)):
        return "it learns a panoptic annotation"
    if len((model.get("data_preprocessor") or {}).get("mean") or ()) > COLOURS:
        return "it takes two images at once"
    if "roi_head" in model and not model.get("rpn_head"):
        return "it takes proposals in addition to the image"
    kind = registry(package).get(model["type"])
    if kind is None:
        return f"{package} has no network {model['type']}"
    for module, text in MODULES.items():
        if kind.__module__.startswith(module):
            return f"it {text}"
    for parent in kind.__mro__:
        if parent.__name__ in CLASSES:
            return f"it {CLASSES[parent.__name__]}"
    return None
