"""The data set that a configuration names, checked; ``dataset.root=sample`` is the task's embedded one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from sightsmith.core.check import CheckedDataset, check_dataset
from sightsmith.core.errors import UserError
from sightsmith.core.files import cache_dir
from sightsmith.core.presets import refuse_unlike
from sightsmith.core.replay import with_replay
from sightsmith.core.schema import Config
from sightsmith.core.source import find_source, refuse_unfit

if TYPE_CHECKING:
    from sightsmith.core.plugins import Plugins

SAMPLE = "sample"


def check(config: Config, plugins: Plugins, report: Callable[[str], None]) -> CheckedDataset:
    """Read, check and split the data set. Raises UserError where there is nothing to read."""
    dataset = _read(config, plugins, report, judged=False)
    if config.preset.name is not None:
        refuse_unlike(dataset, config.preset)
    if config.source.run is not None:
        if config.source.replay:
            source = find_source(config.source.run).config
            dataset = with_replay(dataset, check(source, plugins, report), config, report)
        refuse_unfit(dataset, config)
    return dataset


def check_judged(config: Config, plugins: Plugins, report: Callable[[str], None]) -> CheckedDataset:
    """Read and check a data set that a model is to be judged by. Raises UserError where there is nothing to read."""
    return _read(config, plugins, report, judged=True)


def _read(config: Config, plugins: Plugins, report: Callable[[str], None], *, judged: bool) -> CheckedDataset:
    task = plugins.task(config.task.name)
    if config.dataset.root == SAMPLE:
        if task.sample is None:
            raise UserError(f"The task {task.name} has no embedded data set.", hint="type dataset.root=FOLDER")
        folder = cache_dir() / "samples" / task.name
        dataclasses.replace(task, builder=task.sample).build()(folder)
        config = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, root=str(folder)))
    annotation = plugins.network(config.network.name).annotation_of(config.network.config) or task.annotation
    return check_dataset(config, list(plugins.dataset_loaders.values()), annotation, cache_dir(), report, judged=judged)
