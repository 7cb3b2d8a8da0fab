"""Checkpoints that cannot execute code: tensors as safetensors, everything else as JSON in its header.

A checkpoint is one file that is replaced atomically, so a run killed at any moment leaves a complete one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sightsmith.core.util.digest import digest
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import fill_file

HINT = "restore it from a copy of the run, or train the run again"


def save_tree(path: Path, tree: Any) -> None:
    """Write nested dicts, lists, numbers, strings, None and tensors to ``path``, atomically."""
    tensors: dict[str, Tensor] = {}
    layout = _pack(tree, tensors)
    header = {"digest": _digest(layout, tensors), "tree": layout}
    path.parent.mkdir(parents=True, exist_ok=True)
    fill_file(path, lambda temporary: save_file(tensors, temporary, metadata={"tree": json.dumps(header)}))


def load_tree(path: Path) -> Any:
    """What :func:`save_tree` wrote, tensors on the CPU. Raises UserError for a damaged file."""
    try:
        if not path.is_file():
            raise ValueError("it is not a file" if os.path.lexists(path) else "it is missing")
        with safe_open(path, framework="pt") as stream:
            layout = json.loads((stream.metadata() or {})["tree"])
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
        if isinstance(layout, dict) and len(layout) != 1:  # version 0.1 wrote the layout alone
            written, layout = layout["digest"], layout["tree"]
            if written != _digest(layout, tensors):
                raise ValueError("its content is not what was written")
        return _unpack(layout, tensors)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged or not a sightsmith checkpoint: {error}", hint=HINT) from error


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes of ``tensors``, independent of their layout in a file or in memory."""
    total = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        total.update(f"{name}\0{value.dtype}\0{list(value.shape)}\0".encode())
        total.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _digest(layout: Any, tensors: Mapping[str, Tensor]) -> str:
    return digest([layout, tensors_digest(tensors)])


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy, because safetensors rejects tensors that share memory.
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"t": name}
    if isinstance(value, dict):
        return {"d": [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"l": [_pack(item, tensors) for item in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"v": value}
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _unpack(layout: Any, tensors: dict[str, Tensor]) -> Any:
    (kind, value), = layout.items()
    if kind == "t":
        return tensors[value]
    if kind == "d":
        return {key: _unpack(item, tensors) for key, item in value}
    if kind == "l":
        return [_unpack(item, tensors) for item in value]
    return value
