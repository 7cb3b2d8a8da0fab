"""A few real steps before the run: time and memory of a micro-batch, and the fastest compute mode."""

from __future__ import annotations

import math
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from sightsmith.core.contracts.results import Model
from sightsmith.core.contracts.schema import HyperConfig
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.announced import announced
from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs.compute_mode import ComputeMode
from sightsmith.engine.runs.resources import is_out_of_memory
from sightsmith.engine.training.optim import build_optimizer, freeze
from sightsmith.engine.training.sampler import MicroBatch

STEPS = 3
Batch = dict[str, object]
PRECISION_GAIN, FORMAT_GAIN = 1.15, 1.05
"""How much faster than the first mode another must be: one of lower precision, or of another memory format only."""

MAX_SLOWDOWN = 3.0
"""A mode is given up at a step this many times slower than the slowest one of the modes before."""

MODE_SECONDS, TOTAL_SECONDS = 10.0, 30.0
"""After so long no further step of a mode is measured, and no further mode."""

TOO_SMALL = re.compile(r"size is too small|greater than actual input size|less than the corresponding input dimension|"
                       r"sizes? should be greater than 0", re.IGNORECASE)
"""Errors of torch for an image that is too small for a network's last layers."""

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Measurement:
    """What the benchmark of a run found, by its fastest steps."""

    mode: ComputeMode
    micro_batch_seconds: dict[ComputeMode, float]
    """forward, backward and optimizer step of one micro-batch"""
    load_seconds: float
    """loading the images of one micro-batch in this process"""
    memory: int
    """bytes: allocated on the GPU, or this process's peak on the CPU"""
    remembered_from: str = ""
    """the day of the earlier run that measured this, if one did"""


def candidates(precision: str, memory_format: str, device: torch.device) -> tuple[ComputeMode, ...]:
    """The modes to compare: those set, or, for auto, fp32 and what may be faster on the device, in both formats.

    Raises UserError for a precision that the device does not support.
    """
    lower = "fp16" if device.type == "cuda" and not torch.cuda.is_bf16_supported() else "bf16"
    if precision == "fp16" and device.type == "cpu" or precision == "bf16" and lower == "fp16":
        raise UserError(f"trainer.precision={precision} is not available on this {device.type.upper()}",
                        hint=f"type trainer.precision={lower}, fp32 or auto")
    precisions: tuple[str, ...] = (precision,)
    if precision == "auto":
        precisions = ("fp32",) if device.type == "cpu" and emulates_bf16() else ("fp32", lower)
    formats = tuple(FORMATS) if memory_format == "auto" else (memory_format,)
    return tuple(ComputeMode(*choice) for choice in product(precisions, formats))


def emulates_bf16() -> bool:
    """Whether this processor has no bf16 instructions, which makes bf16 many times slower than fp32."""
    found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # only in newer torch
    return bool(found) and not any(there for name, there in found.items() if "bf16" in name)


@contextmanager
def too_small_explained(task: Task) -> Iterator[None]:
    """Raise UserError where images are too small for the network."""
    try:
        yield
    except RuntimeError as error:
        if TOO_SMALL.search(str(error)):
            raise UserError(f"The network {task.network.name} cannot take images of {task.input_size()} px: {error}",
                            hint=f"choose a larger image.size (the default of this network is "
                                 f"{task.network.input_size}), or another network") from error
        raise


def load(task: Task, dataset: Dataset[object], micro_batches: Sequence[MicroBatch]) -> tuple[list[Batch], float]:
    """The first batches, and the median of the seconds that one of them took."""
    times, batches = [], []
    for micro_batch in micro_batches[:STEPS]:
        started = time.perf_counter()
        batches.append(task.collate([dataset[item] for item in micro_batch.items]))
        times.append(time.perf_counter() - started)
    return batches, sorted(times)[len(times) // 2]


def benchmark(model: Model, backbone: Sequence[nn.Module], batches: Sequence[Batch], hyper: HyperConfig,
              modes: Sequence[ComputeMode], device: torch.device, slowest: Callable[[float], float] = float,
              report: Callable[[str], None] = lambda line: None) -> dict[ComputeMode, float]:
    """Train ``model`` for a few steps in each of ``modes``, then restore it; returns the seconds of the fastest step in
    each that was tried.

    All ranks do so together, because some losses average over ranks. ``slowest`` returns the largest of all ranks'
    times, so that all ranks take the same decisions. ``report`` is told of a mode that takes its time. Raises
    MemoryError on all ranks if one has too little memory.
    """
    model.to(device).train()
    if hyper.backbone_lr_scale == 0:
        freeze(backbone)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds: dict[ComputeMode, float] = {}
    longest, spent = math.inf, 0.0
    try:
        for mode in modes:
            if spent > TOTAL_SECONDS:
                break
            nn.Module.to(model, memory_format=FORMATS[mode.memory_format])  # its own `to` may only take a device
            with announced(f"Measuring a training step in {mode} ...", report):
                times = _times(model, backbone, batches, hyper, DTYPES[mode.precision], device, longest, slowest)
            # Not the first step, which allocates and picks kernels. The fastest: other programs only slow down.
            seconds[mode] = min(times[1:] or times)
            longest = min(longest, MAX_SLOWDOWN * max(times))
            spent += sum(times)
    finally:
        model.zero_grad(set_to_none=True)
        model.load_state_dict(before)
    return seconds


def choose_mode(seconds: Mapping[ComputeMode, float]) -> ComputeMode:
    """The fastest mode if it is worth the change, otherwise the first one."""
    first = next(iter(seconds))
    for mode in sorted(seconds, key=lambda mode: seconds[mode]):
        gain = FORMAT_GAIN if mode.precision == first.precision else PRECISION_GAIN
        if seconds[first] / seconds[mode] >= gain:
            return mode
    return first


def _times(model: Model, backbone: Sequence[nn.Module], batches: Sequence[Batch], hyper: HyperConfig,
           dtype: torch.dtype | None, device: torch.device, longest: float, slowest: Callable[[float], float],
           ) -> list[float]:
    """Seconds of each step; stops after a step that takes more than ``longest``, and after :data:`MODE_SECONDS`."""
    optimizer = build_optimizer(model, hyper, backbone)
    times: list[float] = []
    for step in range(STEPS + 1):
        times.append(slowest(_step(model, batches[step % len(batches)], optimizer, dtype, device)))
        if times[-1] == math.inf:
            raise MemoryError
        if times[-1] > longest or sum(times) > MODE_SECONDS:
            break
    return times


def _step(model: Model, batch: Batch, optimizer: torch.optim.Optimizer, dtype: torch.dtype | None,
          device: torch.device) -> float:
    """The seconds of a step; infinity if memory does not suffice."""
    started = time.perf_counter()
    try:
        batch = model.data_preprocessor(batch, True)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            loss, _ = model.parse_losses(model(**batch, mode="loss"))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return math.inf
    return time.perf_counter() - started


def used_memory(device: torch.device) -> int:
    """Bytes: the most that was allocated on the GPU, or this process's peak on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


LOAD_SHARE = 0.05
"""Loading in the training process may take this part of a step."""

START_SECONDS = 10.0
"""All loading of a run that takes less is not worth starting processes."""

MOST_WORKERS = 8


def choose_workers(measured: Measurement, batches: int, device: torch.device, world: int) -> int:
    """Loading processes of a rank, for a run of ``batches`` micro-batches: enough to be twice as fast as the steps, on
    cores that compute nothing."""
    step, load = measured.micro_batch_seconds[measured.mode], measured.load_seconds
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    spare = cores // world - (torch.get_num_threads() if device.type == "cpu" else 0)
    if load * batches < START_SECONDS or device.type == "cpu" and load < LOAD_SHARE * step:
        return 0
    return max(min(math.ceil(2 * load / step), spare, MOST_WORKERS), 0)


STEP_TO_VALIDATION = 3.0
"""A training step costs about three forward passes: the backward pass costs twice the forward pass."""


def shorten(hyper: HyperConfig, epochs: int) -> dict[str, Any]:
    """The keys of ``hyper`` that count epochs, for a run of ``epochs`` with the same schedule."""
    part = epochs / hyper.epochs
    return {"epochs": epochs, "warmup_epochs": float(f"{hyper.warmup_epochs * part:.3g}"),
            "freeze_epochs": round(hyper.freeze_epochs * part),
            "lr_step_size": max(round(hyper.lr_step_size * part), 1)}


def estimate_seconds(*, micro_batch_seconds: float, load_seconds: float, workers: int, batch_images: float,
                     train_images: int, validation_images: int, epochs: int) -> float:
    """Seconds of a whole run, from those of one micro-batch of ``batch_images`` images (times of one rank)."""
    load = load_seconds / workers if workers else load_seconds
    train = max(micro_batch_seconds, load) if workers else micro_batch_seconds + load
    compute = micro_batch_seconds / STEP_TO_VALIDATION
    validation = max(compute, load) if workers else compute + load
    return epochs * (train_images * train + validation_images * validation) / batch_images
