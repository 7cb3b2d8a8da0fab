"""A few real steps before the run: how long an update takes, what memory it needs, which precision is faster."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset

from sightsmith.core.errors import UserError
from sightsmith.core.optim import build_optimizer
from sightsmith.core.sampler import Pass
from sightsmith.core.schema import HyperConfig
from sightsmith.core.task import Model, Task

STEPS = 3
GAIN = 1.15
"""How much faster a lower precision must be to be taken."""

HOPELESS = 3.0
"""A precision is given up at a step this many times slower than the one before it needed at its slowest."""

LONG_STEP = 30.0
"""Seconds; one such step says enough."""

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Measurement:
    """The fastest of the trial's steps, of one rank."""

    precision: str
    pass_seconds: dict[str, float]
    """forward, backward and step of one pass, by precision"""
    load_seconds: float
    """loading one pass's images in this process"""
    memory: int
    """bytes: allocated on the GPU, or this process's peak on the CPU"""


def candidates(precision: str, device: torch.device) -> tuple[str, ...]:
    """The precisions to compare: the one asked for, or, for auto, fp32 and what the device may do faster.

    Raises UserError for one that the device does not have.
    """
    lower = "fp16" if device.type == "cuda" and not torch.cuda.is_bf16_supported() else "bf16"
    if precision == "auto":
        return ("fp32",) if device.type == "cpu" and _emulates_bf16() else ("fp32", lower)
    if precision == "fp16" and device.type == "cpu" or precision == "bf16" and lower == "fp16":
        raise UserError(f"trainer.precision={precision} is not available on this {device.type.upper()}",
                        hint=f"type trainer.precision={lower}, fp32 or auto")
    return (precision,)


def _emulates_bf16() -> bool:
    """Whether this processor has no instructions for bf16, so that it is many times slower than fp32."""
    found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # newer torch has it
    return bool(found) and not any(there for name, there in found.items() if "bf16" in name)


def measure(task: Task, model: Model, dataset: Dataset[object], passes: Sequence[Pass], hyper: HyperConfig,
            precisions: Sequence[str], device: torch.device, slowest: Callable[[float], float] = float) -> Measurement:
    """Train ``model`` for a few steps and put it back as it was.

    Every rank does so, in step with the others: some losses add up over ranks. ``slowest`` gives the
    largest of all ranks' times, so that all take the same decisions.
    """
    load_times, batches = [], []
    for part in passes[:STEPS]:
        begun = time.perf_counter()
        batches.append(task.collate([dataset[item] for item in part.items]))
        load_times.append(time.perf_counter() - begun)
    model.to(device).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds: dict[str, float] = {}
    longest = LONG_STEP
    try:
        for precision in precisions:
            times = _times(model, batches, hyper, DTYPES[precision], device, longest, slowest)
            # Not the first step, which allocates and picks kernels; the fastest: other programs only slow one down.
            seconds[precision] = min(times[1:] or times)
            longest = min(longest, HOPELESS * max(times))
    finally:
        model.zero_grad(set_to_none=True)
        model.load_state_dict(before)
    best = min(precisions, key=lambda name: seconds[name])
    chosen = best if seconds[precisions[0]] / seconds[best] >= GAIN else precisions[0]
    return Measurement(chosen, seconds, sorted(load_times)[len(load_times) // 2], _memory(device))


def _times(model: Model, batches: list[dict[str, object]], hyper: HyperConfig, dtype: torch.dtype | None,
           device: torch.device, longest: float, slowest: Callable[[float], float]) -> list[float]:
    """Seconds of each step; the last one is the first that took more than ``longest``."""
    optimizer = build_optimizer(model, hyper)
    times: list[float] = []
    for step in range(STEPS + 1):
        begun = time.perf_counter()
        batch = model.data_preprocessor(batches[step % len(batches)], True)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            loss, _ = model.parse_losses(model(**batch, mode="loss"))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(slowest(time.perf_counter() - begun))
        if times[-1] > longest:
            break
    return times


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
