"""How much memory a process on the CPU can still take, and how much training takes there.

The CPU differs from a GPU: a system that has too little kills the process instead of refusing, so it is asked before.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from sightsmith.core.contracts.results import Model
from sightsmith.engine.training.memory import Buffers

CGROUPS = Path("/sys/fs/cgroup")
PEAK = 1.5
"""Memory of a training step in relation to what it keeps for the backward pass: measured 0.9 to 1.3."""
STATES = 3
"""Gradients and the two moments of Adam, each as large as the parameters."""


def available_memory() -> tuple[int, str]:
    """The bytes that this process can still take, and what sets this limit."""
    limits = [(psutil.virtual_memory().available, "other programs")]
    limits += [(left, "the limit of the control group") for left in _cgroups()]
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        limits.append((address_space - psutil.Process().memory_info().vms, "ulimit -v"))
    return min(limits)


def largest_micro_batch(model: Model, batch: Mapping[str, Any], images: int, largest: int, ranks: int,
                        ) -> tuple[int, str]:
    """``largest``, halved until a training step should fit in memory, and the reason, empty for ``largest`` itself.

    It is judged by a forward pass of ``batch``, the first ``images`` images as collated. ``ranks`` share the memory.
    """
    each = _kept_bytes(model, batch) / images
    fixed = STATES * sum(parameter.nbytes for parameter in model.parameters() if parameter.requires_grad)
    free, limit = available_memory()
    micro_batch = largest
    while micro_batch > ranks and fixed + PEAK * each * micro_batch / ranks > free / ranks:
        micro_batch = max((micro_batch + 1) // 2, ranks)
    reason = f"about {PEAK * each / 2**20:.0f} MiB an image, {max(free, 0) / 2**30:.1f} GiB left by {limit}"
    return micro_batch, reason if micro_batch < largest else ""


def _kept_bytes(model: Model, batch: Mapping[str, Any]) -> int:
    """The bytes that a forward pass keeps for the backward pass, without the parameters. The model does not change."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.layout is torch.strided:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    buffers = Buffers(model)
    buffers.save()
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            model.parse_losses(model(**model.data_preprocessor(batch, True), mode="loss"))
    finally:
        buffers.restore()
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    return sum(size for place, size in kept.items() if place not in own)


def _cgroups() -> Iterator[int]:
    """The bytes left in each control group of this process that has a limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, names, idle = CGROUPS, ("memory.max", "memory.current"), "inactive_file"
        elif "memory" in controllers.split(","):
            root, idle = CGROUPS / "memory", "total_inactive_file"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        folder = root / path.lstrip("/")
        for place in (folder, *folder.parents):
            if place.is_relative_to(root) and (left := _left(place, names, idle)) is not None:
                yield left


def _left(folder: Path, names: tuple[str, str], idle: str) -> int | None:
    """Limit minus usage; the page cache that is not in use can be freed. None without a limit."""
    try:
        limit, used = (int((folder / name).read_text()) for name in names)  # "max" if there is none
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return limit - used + int(statistics.get(idle, 0))
    except (OSError, ValueError):
        return None
