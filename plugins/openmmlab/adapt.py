"""Adapts a zoo's model configuration to a data set; only what must change.

Each function takes the model of a configuration as nested dicts and lists, and changes it in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sightsmith.plugin import ImageConfig

Node = dict[str, Any]

COUNTS = ("num_classes", "num_things_classes")
"""Keys that hold the number of classes."""

SYNC_NORMS = {"SyncBN": "BN", "MMSyncBN": "BN", "NaiveSyncBN": "BN"}

CHANNELS = "sightsmith_channels"
"""The key of a model for images of other than three channels: their ``mean`` and ``std``, of values from 0 to 255."""

ONE_SIZE = ("BEiT", "MAE")
"""Backbones that only take inputs of ``img_size``."""


def walk(node: Any) -> Iterator[Node]:
    """Every dict in ``node``, parents first."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from walk(value)


def set_classes(model: Node, count: int) -> None:
    """Give every head ``count`` classes with equal weights.

    Only the largest count in the configuration is the number of classes; smaller ones mean object or not, edge or not.
    A list of weights with one more entry than classes has the weight of "no object" last, which is kept.
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
    """Remove the branch of some instance segmentation networks that needs semantic masks."""
    for node in walk(model):
        for key in ("semantic_head", "semantic_roi_extractor"):
            if key in node:
                node[key] = None


def fit_queries(model: Node, size: int) -> None:
    """Limit the queries of a two-stage network to the positions in its feature maps for inputs of ``size`` pixels.

    Narrow images are padded until they have as many positions as queries.
    """
    if not model.get("as_two_stage"):
        return
    queries = model["num_queries"] = min(model["num_queries"], _positions(model["neck"], size, size))
    limits = model["test_cfg"]
    limits["max_per_img"] = min(limits["max_per_img"], queries)
    preprocessor = model["data_preprocessor"]
    step = divisor = preprocessor["pad_size_divisor"]
    while _positions(model["neck"], size, divisor) < queries:
        divisor += step
    preprocessor["pad_size_divisor"] = divisor


def fix_size(model: Node, size: int) -> None:
    """Set the input size of a backbone whose relative position encoding needs a fixed one."""
    if model["backbone"]["type"] in ONE_SIZE:
        model["backbone"]["img_size"] = (size, size)


def _positions(neck: Node, height: int, width: int) -> int:
    """The positions in all output maps of ``neck``: its last input has stride 32, each extra level doubles it."""
    levels, taken = neck["num_outs"], len(neck["in_channels"])
    strides = [2 ** (6 - taken + level) for level in range(levels)]
    return sum(-(-height // stride) * -(-width // stride) for stride in strides)


def drop_downloads(model: Node) -> list[str]:
    """Remove the weights that modules would download when they are initialised; returns their URLs, backbone first."""
    found = []
    for node in walk([model.get("backbone"), model]):
        given = node.get("init_cfg")
        for part in given if isinstance(given, list) else [given]:
            if isinstance(part, dict) and "checkpoint" in part:
                found.append(part["checkpoint"])
                node.pop("init_cfg", None)
        if isinstance(node.get("pretrained"), str):
            found.append(node["pretrained"])
            node["pretrained"] = None
    return found


def replace_sync_batch_norm(model: Node) -> None:
    """Use batch normalization that needs no process group; the engine makes it synchronous on GPUs."""
    for node in walk(model):
        if node.get("type") in SYNC_NORMS:
            node["type"] = SYNC_NORMS[node["type"]]


def feed_channels(model: Node, image: ImageConfig) -> None:
    """Configure ``model`` for the channels of ``image``: by :func:`feed_rgb`, or for other than three, which
    :func:`.stems.widen` gives it once it is built, with ``image.mean`` and ``image.std``."""
    preprocessor, count = model["data_preprocessor"], image.input_channels
    if count == 3:
        feed_rgb(preprocessor, image.mean, image.std)
        return
    for key in ("bgr_to_rgb", "rgb_to_bgr", "mean", "std"):
        preprocessor.pop(key, None)
    model[CHANNELS] = {"mean": [255 * value for value in image.mean or [0.5] * count],
                       "std": [255 * value for value in image.std or [0.25] * count]}


def feed_rgb(preprocessor: Node, mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> None:
    """Configure the preprocessor for RGB images (3, H, W) from 0 to 255 instead of OpenCV's BGR.

    ``mean`` and ``std``, by RGB channel for values in [0, 1], replace the configuration's.
    """
    expects_rgb = preprocessor.pop("bgr_to_rgb", False)
    preprocessor.pop("rgb_to_bgr", None)
    if mean is not None or std is not None:
        # In the channel order that the network expects.
        order = slice(None) if expects_rgb else slice(None, None, -1)
        for key, values, default in (("mean", mean, 0.0), ("std", std, 1.0)):
            if values is not None:
                preprocessor[key] = [255 * value for value in values][order]
            else:
                preprocessor.setdefault(key, [default] * 3)
    preprocessor["rgb_to_bgr"] = not expects_rgb


def merge(model: Node, changes: dict[str, Any]) -> None:
    """Update ``model`` with nested ``changes``, the value of ``network.options``.

    A dict with ``_delete_: true`` replaces the existing one, as in mmengine's configurations.
    """
    for key, value in changes.items():
        if not isinstance(value, dict):
            model[key] = value
            continue
        value = dict(value)
        if value.pop("_delete_", False) or not isinstance(model.get(key), dict):
            model[key] = {}
        merge(model[key], value)


def learns_masks(model: Node) -> bool:
    """Whether the network predicts a mask per object, not only boxes."""
    return any(node.get(key) for node in walk(model) for key in ("mask_head", "loss_mask"))
