"""The parts of which a zoo's networks may be built: a closed world, because ``network.options`` may be a stranger's.

OpenMMLab's modules evaluate, import, fetch and unpickle some of the texts in their configuration. So the options may
hold numbers, the types in the table, and those texts that the zoos have under the same key.

``python -m sightsmith.plugins.openmmlab.parts`` writes the table from the installed zoos.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from sightsmith.plugin import Problem, UserError, near
from sightsmith.plugins.openmmlab import zoo
from sightsmith.plugins.openmmlab.networks import mmdet, mmseg

TABLE = "parts.csv"
"""The types in the zoos' models, and their other texts, by key."""

MORE = {
    "arch": ("b0", "b1", "b2", "b4", "b5", "b6", "b7"),
    "iou_mode": ("iou",),
    "loss_name": ("loss_boundary", "loss_focal", "loss_iou", "loss_lovasz", "loss_tversky"),
    "loss_type": ("binary", "multi_class"),
    "mode": ("linear", "log"),
    "padding_mode": ("circular", "reflect", "replicate", "zeros"),
    "type": ("Clamp", "Conv", "Conv2dAdaptivePadding", "ConvFCBBoxHead", "DIoULoss", "DropBlock", "DropPath", "Dropout",
             "EIoULoss", "ELU", "EQLV2Loss", "FPN_DropBlock", "FrozenBN", "HSigmoid", "HSwish", "IN", "L2Loss",
             "Linear", "LovaszLoss", "RReLU", "ResNetV1d", "SIoULoss", "SSH", "Sigmoid", "Tanh", "TverskyLoss",
             "bilinear", "nearest", "pixel_shuffle", "reflect", "replicate", "zero"),
}
"""Texts that no configuration of the zoos has, but that fit into their networks, by key."""

FILES = ("_base_", "_scope_", "init_cfg", "pretrained", "teacher_ckpt", "teacher_config")
"""Keys that load weights or code."""

ZOOS = {"mmdet": mmdet, "mmseg": mmseg}


def validate(model: dict[str, Any], own: dict[str, Any], source: str) -> None:
    """Raises UserError if ``model`` has anything that neither ``own``, the network's configuration without the user's
    options, has in the same place, nor any network may have. ``source`` is where the options come from."""
    if problems := list(_problems(model, own, "", "network.options")):
        raise UserError(f"{source} may only choose parts of the zoos' networks, and their settings:", problems=problems)


def known(key: str) -> tuple[str, ...]:
    """The texts that are allowed under ``key`` in any network; types without the prefix of their package."""
    return table().get(key, ())


@functools.cache
def table() -> dict[str, tuple[str, ...]]:
    """The texts that are allowed in any network, by key."""
    found: dict[str, list[str]] = {}
    text = files("sightsmith.plugins.openmmlab").joinpath(TABLE).read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        found.setdefault(row["key"], []).append(row["text"])
    return {key: tuple(texts) for key, texts in found.items()}


def _problems(node: Any, own: Any, key: str, place: str) -> Iterator[Problem]:
    if node is None or node == own:
        return
    if key in FILES:
        yield Problem(f"{place}: files are not chosen there", hint="network.weights=PATH loads weights")
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _problems(value, own.get(name) if isinstance(own, dict) else None, name, f"{place}.{name}")
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            same = isinstance(own, (list, tuple)) and number < len(own)
            yield from _problems(value, own[number] if same else None, key, f"{place}[{number}]")
    elif key == "type":
        if not isinstance(node, str) or _plain(node) not in known(key):
            yield Problem(f"{place}={node} is not a part of the zoos' networks.{near(str(node), known(key))}")
    elif not isinstance(node, (bool, int, float)) and node not in known(key):
        yield Problem(f"{place}={node} is not allowed.{near(str(node), known(key))}",
                      hint=f"allowed there: {', '.join((*known(key), 'numbers, true, false and null'))}")


def _plain(kind: str) -> str:
    """A type without the prefix of its package."""
    package, _, name = kind.rpartition(".")
    return name if package in ZOOS else kind


def texts(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The texts in a model, each after its key, except those that load files."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in FILES:
                yield from texts(value, name)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from texts(value, key)
    elif isinstance(node, str):
        yield key, _plain(node) if key == "type" else node


def models() -> Iterator[dict[str, Any]]:
    """The models of all configurations that can be trained."""
    for package, networks in ZOOS.items():
        for entry in networks():
            if entry.trainable is not False:
                yield zoo.load_model(package, entry.name)


def rows(found: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """The table of the models ``found``: key and text."""
    more = {(key, text) for key, added in MORE.items() for text in added}
    return sorted(more | {pair for model in found for pair in texts(model)})


if __name__ == "__main__":
    with (Path(__file__).parent / TABLE).open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("key", "text"), *rows(models())])
