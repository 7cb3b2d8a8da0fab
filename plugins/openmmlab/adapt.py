"""A zoo's model configuration, made to fit one's own data: what must change, and nothing else.

Each function takes the model's part of a configuration as nested dicts and lists, and changes it in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Node = dict[str, Any]

COUNTS = ("num_classes", "num_things_classes")
"""Keys that hold the number of classes."""

CLASS_AGNOSTIC = ("rpn_head",)
"""Parts whose own number of classes is not that of the data: proposals are objects or not."""

SYNC_NORMS = {"SyncBN": "BN", "MMSyncBN": "BN", "NaiveSyncBN": "BN"}


def walk(node: Any, skip: Sequence[str] = ()) -> Iterator[Node]:
    """Every dict in ``node``, parents first; what stands under the keys ``skip`` is left out."""
    if isinstance(node, dict):
        yield node
        for key, value in node.items():
            if key not in skip:
                yield from walk(value, skip)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from walk(value, skip)


def set_classes(model: Node, count: int) -> None:
    """Give every head ``count`` classes, and every list of class weights the length that goes with them.

    A list of weights that is one longer than the classes weighs "no object" last, which keeps its weight.
    """
    before = {node[key] for node in walk(model, CLASS_AGNOSTIC) for key in COUNTS if isinstance(node.get(key), int)}
    for node in walk(model, CLASS_AGNOSTIC):
        for key in COUNTS:
            if isinstance(node.get(key), int):
                node[key] = count
        if isinstance(node.get("num_stuff_classes"), int):
            node["num_stuff_classes"] = 0
        weights = node.get("class_weight")
        if isinstance(weights, (list, tuple)):
            node["class_weight"] = [1.0] * count + ([weights[-1]] if len(weights) - 1 in before else [])


def drop_downloads(model: Node) -> list[str]:
    """Take out the weights that a part would fetch when it is initialised; their addresses, backbone's first."""
    found = []
    for node in walk(model):
        if isinstance(node.get("init_cfg"), dict) and node["init_cfg"].get("type") == "Pretrained":
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
    """Set keys of ``model`` from nested ``changes``: what ``network.options`` holds."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(model.get(key), dict):
            merge(model[key], value)
        else:
            model[key] = value
