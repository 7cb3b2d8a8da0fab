"""The steps of a run before its folder exists: load the data, recommend, build the model, and plan."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sightsmith.core.contracts.dataset import CheckedDataset, DatasetIndex
from sightsmith.core.contracts.keys import is_among
from sightsmith.core.contracts.recommendation import Recommendation
from sightsmith.core.contracts.schema import AUTO, Config, PresetConfig
from sightsmith.core.contracts.task import Task
from sightsmith.core.contracts.weights import LoadReport
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.announced import announced
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.engine.data.augmentations import build_augmentation
from sightsmith.engine.data.channels import choose_channels
from sightsmith.engine.data.check_split import across
from sightsmith.engine.data.dataset_statistics import DatasetStatistics
from sightsmith.engine.data.near_duplicates import near_duplicates
from sightsmith.engine.data.tiling import tile_dataset
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.pipeline.planning import make_plan
from sightsmith.engine.pipeline.recipe import fixed_keys, follow_recipe, settings
from sightsmith.engine.pipeline.recommend import recommend
from sightsmith.engine.pipeline.stages import BuiltRun, LoadedRun, PlannedRun, RecommendedRun, RunContext
from sightsmith.engine.report.plan_table import show_recommendation
from sightsmith.engine.report.starting_weights import loading_lines
from sightsmith.engine.runs.published import fetch_weights
from sightsmith.engine.runs.resume import find_run
from sightsmith.engine.training import distributed
from sightsmith.engine.training.session import Training
from sightsmith.engine.training.trainer import seed_everything

COMPARED = 5_000
"""Images up to which training looks for near-duplicates, which decodes them once more; `inspect` always does."""


def prepare(context: RunContext, config: Config) -> PlannedRun:
    """Do everything up to the plan, and print it; the result is the same on every rank. Raises UserError."""
    loaded = _load(context, config)
    recommended = _recommend(context, loaded)
    with announced(f"Building {recommended.config.network.name} ...", context.details.print):
        built = _build(context, recommended.config, loaded.dataset)
    plan = make_plan(context, built, recommended, loaded.resumed)
    return PlannedRun(**vars(built), plan=plan, resumed=loaded.resumed)


def _load(context: RunContext, config: Config) -> LoadedRun:
    resumed = distributed.on_main(context.state, lambda: find_run(config))
    return LoadedRun(config, distributed.on_main(context.state, lambda: _check(context, config)), resumed)


def _check(context: RunContext, config: Config) -> CheckedDataset:
    report = context.details.print
    with announced("Checking the images ...", report):
        dataset = check(config, context.plugins, report)
    if context.sweep_folder is None and len(dataset.index.samples) <= COMPARED:
        with announced("Looking for near-duplicates ...", report):
            pairs = near_duplicates(dataset.index.samples, config.image)
        dataset = replace(dataset, problems=(*dataset.problems, *across(dataset, pairs)))
    context.plugins.dataset_checked(dataset=dataset)
    for problem in dataset.problems:
        if problem.severity == "warning":
            context.details.print(f"warning: {problem}")
    dataset.raise_for_errors()
    return dataset


def _recommend(context: RunContext, loaded: LoadedRun) -> RecommendedRun:
    """What tuner=auto or the recipe chooses; the same on every rank."""
    return distributed.on_main(context.state, lambda: _recommended(context, loaded))


def choose(config: Config, dataset: CheckedDataset, fixed: Collection[str], plugins: Plugins) -> Recommendation:
    """What tuner=auto or the recipe chooses for ``dataset``; the recipe leaves the keys alone that are ``fixed``."""
    data = DatasetStatistics.of(dataset)
    if config.tuner.name == AUTO:
        return recommend(config, plugins.task(config.task.name), plugins.networks.values(), data)
    return follow_recipe(config, data, fixed, plugins)


def _recommended(context: RunContext, loaded: LoadedRun) -> RecommendedRun:
    config, plugins = loaded.config, context.plugins
    fixed = fixed_keys(config, context.overrides, plugins)
    chosen = choose(config, loaded.dataset, fixed, plugins)
    if config.tuner.name == AUTO:
        show_recommendation(chosen, context.details)
    else:
        for warning in chosen.warnings:
            context.details.print(f"recipe={config.recipe}: {warning}")
    config = chosen.applied(config)
    by_images = choose_channels(config, loaded.dataset)
    config = Recommendation(by_images).applied(config)
    shown = by_images if config.image.input_channels != 3 else ()
    return RecommendedRun(config, (*settings(config, fixed, chosen), *shown),
                          chosen if config.tuner.name == AUTO else None)


def _build(context: RunContext, config: Config, whole: CheckedDataset) -> BuiltRun:
    record, index = context.plugins.task(config.task.name), whole.index
    # Rank 0 imports first: mmengine imports yapf, which writes a cache that others must not read meanwhile.
    distributed.on_main(context.state, lambda: bool(record.build()))
    task = training_task(config, context.plugins, index)
    dataset = tile_dataset(whole, config.dataset.tile, task)
    # Rank 0 downloads what all of them read.
    distributed.on_main(context.state, lambda: fetch_weights(task.network, config.network,
                                                              free=free_weights(config)))
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


def free_weights(config: Config) -> bool:
    """Whether network.weights can be typed: a preset locks it, and tuner=auto chooses it."""
    locked = config.preset.name is not None and not is_among("network.weights", map(str, config.preset.tunable))
    return not locked and config.tuner.name != AUTO


def training_task(config: Config, plugins: Plugins, index: DatasetIndex) -> Task:
    """The task with its augmentations. Raises UserError for options that they cannot use."""
    record = plugins.task(config.task.name)
    augmentations = [build_augmentation(plugins.augmentation(name), options, rgb=config.image.has_rgb)
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
