"""A zoo's model configuration, made to fit one's own data: what must change, and nothing else.

Each function takes the model's part of a configuration as nested dicts and lists, and changes it in place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sightsmith.plugin import Problem, UserError

Node = dict[str, Any]

REGISTERED = re.compile(r"((mmdet|mmseg)\.)?\w+")

COUNTS = ("num_classes", "num_things_classes")
"""Keys that hold the number of classes."""

SYNC_NORMS = {"SyncBN": "BN", "MMSyncBN": "BN", "NaiveSyncBN": "BN"}

ONE_SIZE = ("BEiT", "MAE")
"""Backbones that take inputs of ``img_size`` alone."""


def walk(node: Any) -> Iterator[Node]:
    """Every dict in ``node``, parents first."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from walk(value)


def set_classes(model: Node, count: int) -> None:
    """Give every head ``count`` classes, all of one weight.

    Only the largest count of the configuration is the data's: a smaller one beside it says object or not, edge or not.
    A list of weights that is one longer than the classes weighs "no object" last, which keeps its weight.
    """
    before = max((node[key] for node in walk(model) for key in COUNTS if isinstance(node.get(key), int)), default=None)
    for node in walk(model):
        for key in COUNTS:
            if isinstance(node.get(key), int) and node[key] == before:
                node[key] = count
        if isinstance(node.get("num_stuff_classes"), int):
            node["num_stuff_classes"] = 0
        weights = node.get("class_weight")
        if isinstance(weights, (list, tuple)):
            node["class_weight"] = [1.0] * count + [weights[-1]] if len(weights) - 1 == before else None


def drop_semantic_branch(model: Node) -> None:
    """Take out the branch of some instance networks that learns a class for each pixel, which no box tells of."""
    for node in walk(model):
        for key in ("semantic_head", "semantic_roi_extractor"):
            if key in node:
                node[key] = None


def fit_queries(model: Node, size: int) -> None:
    """Give a network that picks its queries among the places of its feature maps no more than ``size`` pixels have.

    The narrowest image is padded to as many places as there are queries.
    """
    if not model.get("as_two_stage"):
        return
    queries = model["num_queries"] = min(model["num_queries"], _places(model["neck"], size, size))
    limits = model["test_cfg"]
    limits["max_per_img"] = min(limits["max_per_img"], queries)
    preprocessor = model["data_preprocessor"]
    step = divisor = preprocessor["pad_size_divisor"]
    while _places(model["neck"], size, divisor) < queries:
        divisor += step
    preprocessor["pad_size_divisor"] = divisor


def fix_size(model: Node, size: int) -> None:
    """Tell a backbone whose relative positions are those of one size of input that it is ``size``."""
    if model["backbone"]["type"] in ONE_SIZE:
        model["backbone"]["img_size"] = (size, size)


def _places(neck: Node, height: int, width: int) -> int:
    """Of all the maps that ``neck`` gives: the last that it takes is 1/32 of the image, each further one half of it."""
    levels, taken = neck["num_outs"], len(neck["in_channels"])
    strides = [2 ** (6 - taken + level) for level in range(levels)]
    return sum(-(-height // stride) * -(-width // stride) for stride in strides)


def drop_downloads(model: Node) -> list[str]:
    """Take out the weights that a part would fetch when it is initialised; their addresses, backbone's first."""
    found = []
    for node in walk([model.get("backbone"), model]):
        if isinstance(node.get("init_cfg"), dict) and "checkpoint" in node["init_cfg"]:
            found.append(node.pop("init_cfg")["checkpoint"])
        if isinstance(node.get("pretrained"), str):
            found.append(node["pretrained"])
            node["pretrained"] = None
    return found


def normalise_alone(model: Node) -> None:
    """Batch normalization that needs no process group; the engine makes it synchronous where there are GPUs."""
    for node in walk(model):
        if node.get("type") in SYNC_NORMS:
            node["type"] = SYNC_NORMS[node["type"]]


def feed_rgb(preprocessor: Node, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> None:
    """Take (3, H, W) RGB of 0 to 255 where the configuration expects OpenCV's BGR.

    ``mean`` and ``std``, by channel of RGB and of a whole of 1, replace the configuration's.
    """
    wants_rgb = preprocessor.pop("bgr_to_rgb", False)
    preprocessor.pop("rgb_to_bgr", None)
    if mean is not None or std is not None:
        # Given in the order in which the network wants its channels.
        order = slice(None) if wants_rgb else slice(None, None, -1)
        for key, values, usual in (("mean", mean, 0.0), ("std", std, 1.0)):
            if values is not None:
                preprocessor[key] = [255 * value for value in values][order]
            else:
                preprocessor.setdefault(key, [usual] * 3)
    preprocessor["rgb_to_bgr"] = not wants_rgb


def merge(model: Node, changes: dict[str, Any]) -> None:
    """Set keys of ``model`` from nested ``changes``: what ``network.options`` holds.

    A dict with ``_delete_: true`` takes the place of the one that is there, as in mmengine's configurations.
    """
    for key, value in changes.items():
        if not isinstance(value, dict):
            model[key] = value
            continue
        value = dict(value)
        if value.pop("_delete_", False) or not isinstance(model.get(key), dict):
            model[key] = {}
        merge(model[key], value)


def refuse_paths(options: Node) -> None:
    """Raises UserError where ``options`` names a part by more than its name in a registry.

    Of a path such as ``package.module.function`` mmengine would import and call whatever it is, and the options may
    come from a stranger's run or preset.
    """
    if problems := [Problem(f"type: {node['type']}") for node in walk(options)
                    if "type" in node and not REGISTERED.fullmatch(str(node["type"]))]:
        raise UserError("network.options may name the parts of a model by their names in a registry alone, not these:",
                        problems=problems, hint="for example type: ResNet, or type: mmdet.ResNet")


def learns_masks(model: Node) -> bool:
    """Whether the network learns a mask for each object, and not boxes alone."""
    return any(node.get(key) for node in walk(model) for key in ("mask_head", "loss_mask"))
