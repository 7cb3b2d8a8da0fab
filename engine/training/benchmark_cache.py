"""What a step of a network took on this machine, kept in the cache: the next run like it measures nothing."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.digest import digest
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import cache_dir, make_folder, write_json
from sightsmith.core.util.reading import read_json
from sightsmith.engine.runs.compute_mode import ComputeMode

FOLDER = "benchmarks"


@dataclass(frozen=True)
class RememberedSpeed:
    """An earlier measurement: the day, seconds of a micro-batch in each mode, and bytes of memory."""

    day: str
    seconds: Mapping[ComputeMode, float]
    memory: int


def speed_key(config: Config, classes: int, micro_batch: int, device: torch.device, ranks: int) -> str:
    """What the time of a step depends on: network, input, optimizer, device, threads and versions."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else [
        platform.node(), platform.machine(), torch.backends.cpu.get_cpu_capability(), os.cpu_count()]
    versions = {name: importlib.metadata.version(name) for name in ("sightsmith", "torch", "torchvision")}
    network, image = config.network, config.image
    return digest({
        "network": [network.name, network.config, network.options], "size": image.size,
        "channels": image.input_channels, "classes": classes, "micro_batch": micro_batch,
        "optimizer": config.hyper.optimizer, "frozen": config.hyper.backbone_lr_scale == 0,
        "device": kind, "threads": torch.get_num_threads(), "ranks": ranks, "versions": versions})


def recall_speed(key: str) -> RememberedSpeed | None:
    """What was measured before; None if nothing was, or if its file is damaged."""
    with suppress(UserError, ValueError, TypeError):
        found = read_json(_file(key), {"day": str, "seconds": dict, "memory": int})
        seconds = {ComputeMode(*name.split()): float(taken) for name, taken in found["seconds"].items()}
        if all(0 < taken < math.inf for taken in seconds.values()):
            return RememberedSpeed(found["day"], seconds, found["memory"])
    return None


def remember_speed(key: str, seconds: Mapping[ComputeMode, float], memory: int) -> None:
    """Keep a measurement for :func:`recall_speed`, unless the cache cannot be written."""
    file = _file(key)
    with suppress(UserError, OSError):
        make_folder(file.parent)
        write_json(file, {"day": date.today().isoformat(), "memory": memory,
                          "seconds": {str(mode): taken for mode, taken in seconds.items()}})


def _file(key: str) -> Path:
    return cache_dir() / FOLDER / f"{key}.json"
