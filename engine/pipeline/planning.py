"""The plan of a run: a benchmark of a few steps, and everything that is decided before the first epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.text import format_duration
from sightsmith.engine.pipeline.cross_validation import choose_folds, choose_refit
from sightsmith.engine.pipeline.inference import ensure_fusible
from sightsmith.engine.pipeline.stages import BuiltRun, RecommendedRun, RunContext
from sightsmith.engine.report.plan_table import plan_table, settings_table
from sightsmith.engine.report.starting_weights import plan_text
from sightsmith.engine.runs.compute_mode import ComputeMode
from sightsmith.engine.runs.published import PUBLISHED, described
from sightsmith.engine.runs.resume import planned_compute, planned_folds, planned_length
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training import distributed
from sightsmith.engine.training.benchmark import (
    Measurement,
    benchmark,
    candidates,
    choose_mode,
    choose_workers,
    estimate_seconds,
    load,
    shorten,
    too_small_explained,
    used_memory,
)
from sightsmith.engine.training.benchmark_cache import RememberedSpeed, recall_speed, remember_speed, speed_key
from sightsmith.engine.training.host_memory import largest_micro_batch
from sightsmith.engine.training.memory import halved, retried_with_less

LONG = 3600
"""Seconds of a run from which the plan says how to shorten it."""


@dataclass(frozen=True)
class _Compute:
    """How steps are computed, with the reasons, and what the benchmark of that measured."""

    measured: Measurement
    mode_reason: str
    micro_batch: int
    micro_batch_reason: str


def make_plan(context: RunContext, built: BuiltRun, recommended: RecommendedRun, resumed: RunDir | None) -> Plan:
    """Measure, decide and print; the plan is the same on every rank. A resumed run keeps its mode and its length,
    because others could be the best now."""
    plan = _decide(context, built, recommended, _choose_compute(context, built, resumed), resumed)
    if built.config.trainer.time_budget is not None:
        plan = _within_budget(context, built.config, plan, resumed)
    if context.state.is_main_process:
        if built.loaded is None and built.config.network.weights == PUBLISHED:
            context.details.print(f"warning: nothing is published for {described(built.config.network)}: training "
                                  "starts from random weights, and learns little from few images")
        context.details.print(plan_table(plan), settings_table(plan))
        if plan.estimated_seconds > LONG and built.config.trainer.time_budget is None:
            context.details.print(f"This may take {format_duration(plan.estimated_seconds)}. "
                                  "trainer.time_budget=30 shortens the schedule to 30 minutes.")
    return plan


def _decide(context: RunContext, built: BuiltRun, recommended: RecommendedRun, compute: _Compute,
            resumed: RunDir | None) -> Plan:
    """The plan without a time budget."""
    config, state, task = built.config, context.state, built.task
    hyper, trainer, measured = config.hyper, config.trainer, compute.measured
    train, validation = len(built.dataset.train), len(built.dataset.validation)
    if config.ensemble == "folds":
        ensure_fusible(task, "ensemble=folds")
    batch_images = min(compute.micro_batch, train)
    workers = (choose_workers(measured, hyper.epochs * math.ceil(train / batch_images), state.device,
                              state.num_processes)
               if trainer.num_workers == "auto" else int(trainer.num_workers))
    seconds = estimate_seconds(
        micro_batch_seconds=measured.micro_batch_seconds[measured.mode], load_seconds=measured.load_seconds,
        workers=workers, batch_images=batch_images, train_images=train, validation_images=validation,
        epochs=hyper.epochs)
    folds, folds_reason = distributed.on_main(state, lambda: planned_folds(resumed) if resumed else choose_folds(
        built.dataset, config, seconds, in_sweep=context.sweep_folder is not None))
    plan = Plan(
        name=config.name, task=config.task.name, network=config.network.name, weights=plan_text(built.loaded),
        input_size=task.input_size(), classes=len(built.dataset.index.classes), train_images=train,
        validation_images=validation, epochs=hyper.epochs, steps_per_epoch=built.training.sampler.steps_per_epoch,
        batch_size=hyper.batch_size, gradient_accumulation=trainer.gradient_accumulation,
        micro_batch=compute.micro_batch, micro_batch_reason=compute.micro_batch_reason, devices=state.num_processes,
        device=_device_name(state.device),
        optimizer=f"{hyper.optimizer}, learning rate {hyper.learning_rate:g} {hyper.schedule}, "
                  f"weight decay {hyper.weight_decay:g}, momentum {hyper.momentum:g}",
        precision=measured.mode.precision, memory_format=measured.mode.memory_format, mode_reason=compute.mode_reason,
        num_workers=workers, folds=folds, repeats=config.dataset.repeats, folds_reason=folds_reason,
        refit=choose_refit(built.dataset, config, folds), ensemble=config.ensemble, estimated_seconds=0.0,
        estimated_memory=measured.memory, left_out=built.whole.left_out,
        settings=recommended.settings, choice=recommended.recommendation)
    return replace(plan, estimated_seconds=plan.trainings * seconds)


def _within_budget(context: RunContext, config: Config, plan: Plan, resumed: RunDir | None) -> Plan:
    """``plan`` with a schedule that fits ``trainer.time_budget``; a resumed run keeps its own."""
    budget = config.trainer.time_budget
    assert budget is not None
    epoch_seconds = plan.estimated_seconds / plan.epochs

    def shortened() -> dict[str, Any]:
        fitting = max(int(60 * budget / max(epoch_seconds, 1e-9)), 1)
        shorter = shorten(config.hyper, min(fitting, config.hyper.epochs))
        return planned_length(resumed, shorter) if resumed else shorter

    shorter = distributed.on_main(context.state, shortened)
    vars(config.hyper).update(shorter)  # in place: task and training have this configuration, too
    settings = tuple(replace(item, value=shorter[name], origin=f"trainer.time_budget={budget:g}",
                             reason=f"an epoch of all trainings takes {format_duration(epoch_seconds)}")
                     if (name := item.key.removeprefix("hyper.")) in shorter and item.value != shorter[name]
                     else item for item in plan.settings)
    return replace(plan, epochs=config.hyper.epochs, settings=settings,
                   estimated_seconds=config.hyper.epochs * epoch_seconds)


def _choose_compute(context: RunContext, built: BuiltRun, resumed: RunDir | None) -> _Compute:
    """The fastest mode of those that may be, with the largest micro-batch that fits in memory."""
    trainer, state = built.config.trainer, context.state
    planned = distributed.on_main(state, lambda: planned_compute(resumed) if resumed else None)
    modes = (planned[0],) if planned else candidates(trainer.precision, trainer.memory_format, state.device)
    micro_batch, reason = _micro_batch(context, built, planned[1] if planned else None)
    measured, micro_batch, reason = _measure(context, built, modes, micro_batch, reason)
    speeds = ", ".join(f"{mode} {1000 * taken:.0f} ms" for mode, taken in measured.micro_batch_seconds.items())
    source = "as the run was planned" if planned else "as set" if len(modes) == 1 else "measured"
    source += f" on {measured.remembered_from}" if measured.remembered_from else ""
    return _Compute(measured, f"{source}: {speeds} per micro-batch", micro_batch, reason)


def _micro_batch(context: RunContext, built: BuiltRun, planned: int | None) -> tuple[int, str]:
    """Images per forward pass, and why they are fewer than ``hyper.batch_size``: as ``planned`` before, as set, or, on
    the CPU, as many as should fit in memory."""
    training, state, setting = built.training, context.state, built.config.trainer.micro_batch
    batch_size = built.config.hyper.batch_size
    if setting != "auto":
        return min(int(setting), planned or batch_size, batch_size), "as set"
    if planned is not None or state.device.type != "cpu":
        return planned or batch_size, "as the run was planned"
    largest = min(batch_size, len(training.train))
    items = training.sampler.start(0)[0].micro_batches[0].items[:2]
    training.model.to(state.device).train()
    with too_small_explained(built.task):
        found, reason = largest_micro_batch(training.model, built.task.collate(
            [training.train_data[item] for item in items]), len(items), largest, state.num_processes)
    return distributed.on_main(state, lambda: (found, reason) if found < largest else (batch_size, ""))


def _measure(context: RunContext, built: BuiltRun, modes: Sequence[ComputeMode], micro_batch: int, reason: str,
             ) -> tuple[Measurement, int, str]:
    """Rank 0's measurement, in which all ranks take part, of the largest micro-batch that fits in memory: at most
    ``micro_batch``, for a ``reason``."""
    training, state, task = built.training, context.state, built.task

    def shrink() -> None:
        nonlocal micro_batch, reason
        reason = f"{micro_batch} do not fit in memory"
        micro_batch = halved(min(micro_batch, len(training.train)), task.network.name, state.num_processes)

    measured: Measurement | None = None
    while measured is None:
        with retried_with_less(shrink), too_small_explained(task):
            measured = _measured(context, built, modes, micro_batch)
    return distributed.on_main(state, lambda: measured), micro_batch, reason


def _measured(context: RunContext, built: BuiltRun, modes: Sequence[ComputeMode], micro_batch: int) -> Measurement:
    """A measurement on this rank, or what is remembered of an earlier one in all of ``modes``."""
    training, state, hyper = built.training, context.state, built.config.hyper
    steps = training.sampler.start(0, micro_batch=micro_batch)
    batches, load_seconds = load(built.task, training.train_data,
                                 [part for step in steps for part in step.micro_batches])
    key = speed_key(built.config, len(built.task.classes), micro_batch, state.device, state.num_processes)
    known: RememberedSpeed | None = distributed.on_main(state, lambda: recall_speed(key))
    if known is not None and known.seconds.keys() >= set(modes):
        seconds = {mode: known.seconds[mode] for mode in modes}
        return Measurement(choose_mode(seconds), seconds, load_seconds, known.memory, known.day)
    seconds = benchmark(training.model, built.task.backbone(training.model), batches, hyper, modes, state.device,
                        partial(distributed.slowest, state), context.details.print)
    memory = used_memory(state.device)
    if state.is_main_process:
        remember_speed(key, {**(known.seconds if known else {}), **seconds}, memory)
    return Measurement(choose_mode(seconds), seconds, load_seconds, memory)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU (threads: {torch.get_num_threads()}, cores: {os.cpu_count()})"
