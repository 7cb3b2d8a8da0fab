"""The steps of a run before its folder exists: load the data, recommend, build the model, benchmark and plan."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from sightsmith.core.contracts.dataset import CheckedDataset, DatasetIndex
from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.schema import AUTO, Config, PresetConfig
from sightsmith.core.contracts.task import Task
from sightsmith.core.contracts.weights import LoadReport
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.text import format_duration
from sightsmith.engine.data.augmentations import build_augmentation
from sightsmith.engine.data.dataset_statistics import DatasetStatistics
from sightsmith.engine.data.tiling import tile_dataset
from sightsmith.engine.pipeline.cross_validation import choose_folds, choose_refit
from sightsmith.engine.pipeline.inference import ensure_fusible
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.recipe import fixed_keys, follow_recipe, settings
from sightsmith.engine.pipeline.recommend import recommend
from sightsmith.engine.pipeline.stages import BuiltRun, LoadedRun, PlannedRun, RecommendedRun, RunContext
from sightsmith.engine.report.plan_table import plan_table, settings_table, show_recommendation
from sightsmith.engine.report.starting_weights import loading_lines, plan_text
from sightsmith.engine.runs.compute_mode import ComputeMode
from sightsmith.engine.runs.published import PUBLISHED, described, fetch_weights
from sightsmith.engine.runs.resume import find_run, planned_compute, planned_length
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training import distributed
from sightsmith.engine.training.benchmark import (
    Measurement,
    benchmark,
    candidates,
    estimate_seconds,
    shorten,
    too_small_explained,
)
from sightsmith.engine.training.host_memory import largest_micro_batch
from sightsmith.engine.training.memory import halved, retried_with_less
from sightsmith.engine.training.session import Training
from sightsmith.engine.training.trainer import seed_everything


def prepare(context: RunContext, config: Config) -> PlannedRun:
    """Do everything up to the plan, and print it; the result is the same on every rank. Raises UserError."""
    loaded = _load(context, config)
    recommended = _recommend(context, loaded)
    built = _build(context, recommended.config, loaded.dataset)
    plan = _plan(context, built, recommended, loaded.resumed)
    return PlannedRun(**vars(built), plan=plan, resumed=loaded.resumed)


def _load(context: RunContext, config: Config) -> LoadedRun:
    network = context.plugins.network(config.network.name)
    if network.task != config.task.name:
        raise UserError(f"The network {network.name!r} is for {network.task}, not for {config.task.name}.",
                        hint=f"`sightsmith list networks --task {config.task.name}` shows those that fit")
    resumed = distributed.on_main(context.state, lambda: find_run(config))
    return LoadedRun(config, distributed.on_main(context.state, lambda: _check(context, config)), resumed)


def _check(context: RunContext, config: Config) -> CheckedDataset:
    dataset = check(config, context.plugins, context.details.print)
    context.plugins.dataset_checked(dataset=dataset)
    for problem in dataset.problems:
        if problem.severity == "warning":
            context.details.print(f"warning: {problem}")
    dataset.raise_for_errors()
    return dataset


def _recommend(context: RunContext, loaded: LoadedRun) -> RecommendedRun:
    """What tuner=auto or the recipe chooses; the same on every rank."""
    return distributed.on_main(context.state, lambda: _recommended(context, loaded))


def _recommended(context: RunContext, loaded: LoadedRun) -> RecommendedRun:
    config, plugins, data = loaded.config, context.plugins, DatasetStatistics.of(loaded.dataset)
    fixed = fixed_keys(config, context.overrides, plugins)
    if config.tuner.name == AUTO:
        chosen = recommend(config, plugins.task(config.task.name), plugins.networks.values(), data)
        show_recommendation(chosen, context.details)
    else:
        chosen = follow_recipe(config, data, fixed, plugins)
        for warning in chosen.warnings:
            context.details.print(f"recipe={config.recipe}: {warning}", markup=False)
    config = chosen.applied(config)
    return RecommendedRun(config, settings(config, fixed, chosen), chosen if config.tuner.name == AUTO else None)


def _build(context: RunContext, config: Config, whole: CheckedDataset) -> BuiltRun:
    record, index = context.plugins.task(config.task.name), whole.index
    # Rank 0 imports first: mmengine imports yapf, which writes a cache that others must not read meanwhile.
    distributed.on_main(context.state, lambda: bool(record.build()))
    task = training_task(config, context.plugins, index)
    dataset = tile_dataset(whole, config.dataset.tile, task)
    # Rank 0 downloads what all of them read.
    distributed.on_main(context.state, lambda: fetch_weights(task.network, config.network))
    seed_everything(config.trainer.seed)
    model, loaded = task.build_model()
    if loaded is not None:
        for line in loading_lines(loaded):
            context.details.print(line)
        if config.base_run.path is not None:
            _ensure_complete_weights(loaded, config)
    _ensure_preset_weights(loaded, config.preset)
    if config.hyper.backbone_lr_scale != 1 and not task.backbone(model):
        raise UserError(f"hyper.backbone_lr_scale={config.hyper.backbone_lr_scale:g}: the task {config.task.name} "
                        "does not define a backbone", hint="omit it")
    training = Training(config, task, model, dataset.train, dataset.validation, context.state)
    return BuiltRun(config, task, whole, dataset, loaded, training)


def training_task(config: Config, plugins: Plugins, index: DatasetIndex) -> Task:
    """The task with its augmentations. Raises UserError for options that they cannot use."""
    record = plugins.task(config.task.name)
    augmentations = [build_augmentation(plugins.augmentation(name), options)
                     for name, options in config.augment.extra.items()]
    task: Task = record.make(record, config, plugins.network(config.network.name), index.classes, index.multi_label,
                             augmentations)
    return task


def _ensure_preset_weights(loaded: LoadReport | None, card: PresetConfig) -> None:
    """Raises UserError unless the file of starting weights is the one that the preset was made with."""
    if card.weights_sha256 and (loaded is None or loaded.digest != card.weights_sha256):
        raise UserError(f"{card.weights} is not the weights file that the preset {card.name} was made with: "
                        f"its digest is not {card.weights_sha256}", hint="download the preset and its weights again")


def _ensure_complete_weights(loaded: LoadReport, config: Config) -> None:
    """Raises UserError unless the base run's weights fit its network exactly: the network has changed since."""
    problems = [Problem(f"{name} is {shapes}") for name, shapes in loaded.mismatched]
    problems += [Problem(f"{name} is not in its bundle") for name in loaded.missing]
    problems += [Problem(f"{name} of its bundle is not in the network") for name in loaded.unused]
    if problems:
        raise UserError(f"The weights of {config.base_run.path} do not fit the network {config.network.name}:",
                        problems=problems, hint="they were made with another version of the network's package; "
                        "`sightsmith verify` shows which")


def _plan(context: RunContext, built: BuiltRun, recommended: RecommendedRun, resumed: RunDir | None) -> Plan:
    """The same on every rank. A resumed run keeps its mode, because another one could be the fastest now."""
    config, state = built.config, context.state
    hyper, trainer, task = config.hyper, config.trainer, built.task
    settings = recommended.settings
    planned = distributed.on_main(state, lambda: planned_compute(resumed) if resumed else None)
    modes = (planned[0],) if planned else candidates(trainer.precision, trainer.memory_format, state.device)
    micro_batch, reason = _micro_batch(context, built, planned[1] if planned else None)
    measured, micro_batch, reason = _measure(context, built, modes, micro_batch, reason)
    seconds = measured.micro_batch_seconds
    speeds = ", ".join(f"{mode} {1000 * taken:.0f} ms" for mode, taken in seconds.items())
    source = "measured" if len(modes) > 1 else "as the run was planned" if planned else "as set"
    train, validation = len(built.dataset.train), len(built.dataset.validation)
    workers = _workers(config, context)
    folds, folds_reason = choose_folds(built.dataset, config.dataset.folds, config.ensemble)
    if config.ensemble == "folds":
        ensure_fusible(task, "ensemble=folds")
    refit = choose_refit(built.dataset, config, folds)
    epoch_seconds = (1 + folds * config.dataset.repeats + bool(refit)) * estimate_seconds(
        micro_batch_seconds=seconds[measured.mode], load_seconds=measured.load_seconds, workers=workers,
        batch_images=min(micro_batch, train), train_images=train, validation_images=validation, epochs=1)
    if trainer.time_budget is not None:
        shorter = distributed.on_main(state, lambda: _within_budget(config, epoch_seconds, resumed))
        vars(hyper).update(shorter)  # in place: task and training have this configuration, too
        settings = tuple(replace(item, value=shorter[name], origin=f"trainer.time_budget={trainer.time_budget:g}",
                                 reason=f"an epoch of all trainings takes {format_duration(epoch_seconds)}")
                         if (name := item.key.removeprefix("hyper.")) in shorter and item.value != shorter[name]
                         else item for item in settings)
    plan = Plan(
        name=config.name, task=config.task.name, network=config.network.name, weights=plan_text(built.loaded),
        input_size=task.input_size(), classes=len(built.dataset.index.classes), train_images=train,
        validation_images=validation, epochs=hyper.epochs, steps_per_epoch=built.training.sampler.steps_per_epoch,
        batch_size=hyper.batch_size, gradient_accumulation=trainer.gradient_accumulation,
        micro_batch=micro_batch, micro_batch_reason=reason, devices=state.num_processes,
        device=_device_name(state.device),
        optimizer=f"{hyper.optimizer}, learning rate {hyper.learning_rate:g} {hyper.schedule}, "
                  f"weight decay {hyper.weight_decay:g}, momentum {hyper.momentum:g}",
        precision=measured.mode.precision, memory_format=measured.mode.memory_format,
        mode_reason=f"{source}: {speeds} per micro-batch", num_workers=workers,
        folds=folds, repeats=config.dataset.repeats, folds_reason=folds_reason,
        refit=refit, ensemble=config.ensemble, estimated_seconds=hyper.epochs * epoch_seconds,
        estimated_memory=measured.memory, settings=settings, choice=recommended.recommendation)
    if state.is_main_process:
        if built.loaded is None and config.network.weights == PUBLISHED:
            context.details.print(f"warning: nothing is published for {described(config.network)}: training starts "
                                  "from random weights, and learns little from few images")
        context.details.print(plan_table(plan), settings_table(plan))
    return plan


def _within_budget(config: Config, epoch_seconds: float, resumed: RunDir | None) -> dict[str, Any]:
    """The keys of ``hyper`` with which the run fits ``trainer.time_budget``; a resumed run keeps its own."""
    assert config.trainer.time_budget is not None
    fitting = max(int(60 * config.trainer.time_budget / max(epoch_seconds, 1e-9)), 1)
    shorter = shorten(config.hyper, min(fitting, config.hyper.epochs))
    return planned_length(resumed, shorter) if resumed else shorter


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
        steps = training.sampler.start(0, micro_batch=micro_batch)
        with retried_with_less(shrink), too_small_explained(task):
            measured = benchmark(task, training.model, training.train_data,
                                 [part for step in steps for part in step.micro_batches], built.config.hyper, modes,
                                 state.device, partial(distributed.slowest, state))
    return distributed.on_main(state, lambda: measured), micro_batch, reason


def _workers(config: Config, context: RunContext) -> int:
    if config.trainer.num_workers != "auto":
        return int(config.trainer.num_workers)
    if context.state.device.type == "cpu":
        return 0  # training already keeps every core busy
    return min(8, (os.cpu_count() or 1) // context.state.num_processes)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({torch.get_num_threads()} threads of {os.cpu_count()} cores)"
