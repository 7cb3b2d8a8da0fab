"""Which configurations of the zoos are not a network that learns boxes, masks or maps from images, and why."""

from __future__ import annotations

from typing import Any

from sightsmith.plugins.openmmlab.adapt import walk
from sightsmith.plugins.openmmlab.build import registry

MODULES = {
    "mmdet.models.mot": "tracks objects through videos",
    "mmdet.models.vis": "segments videos",
    "mmdet.models.reid": "recognises persons again",
}
"""By the module of the model's class."""

CLASSES = {
    "SemiBaseDetector": "learns from images without annotation too",
    "TwoStagePanopticSegmentor": "learns a panoptic annotation",
    "Detectron2Wrapper": "is a network of detectron2",
    "DepthEstimator": "estimates depth",
}
"""By the name of the model's class, or of one that it is derived from."""

TYPES = {"MultiInstanceRoIHead": "learns crowds alone: one class, and two objects or more on every image"}
"""By the type of a part."""

COLOURS = 3

PARTS = {"language_model": "takes text beside the image", "text_encoder": "takes text beside the image"}
"""By a key of the configuration."""


def reason(model: dict[str, Any] | None, package: str) -> str | None:
    """Why ``model``, as the zoo has it, is not for the tasks of ``package``; None where it is."""
    if model is None:
        return "it describes no network: it is a part of other configurations"
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
        return "it takes suggestions beside the image"
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
