"""The data set that a configuration names, checked; ``dataset.root=sample`` is the task's embedded one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.contracts.dataset import CheckedDataset
from sightsmith.core.contracts.schema import Config, PresetConfig
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.files import cache_dir
from sightsmith.core.util.text import one_line
from sightsmith.engine.config.base_run import find_base_run
from sightsmith.engine.config.model_card import read_card
from sightsmith.engine.config.presets import data_rows
from sightsmith.engine.data.check import check_dataset
from sightsmith.engine.pipeline.replay import with_replay

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

SAMPLE = "sample"


def check(config: Config, plugins: Plugins, report: Callable[[str], None]) -> CheckedDataset:
    """Read, check and split the data set. Raises UserError if there is none."""
    dataset = _read(config, plugins, report, for_evaluation=False)
    if config.preset.name is not None:
        validate_preset_data(dataset, config.preset)
    if config.base_run.path is not None:
        if config.base_run.replay:
            base_run = find_base_run(config.base_run.path, plugins).config
            dataset = with_replay(dataset, check(base_run, plugins, report), config, report)
        validate_base_run_data(dataset, config)
    return dataset


def check_for_evaluation(config: Config, plugins: Plugins, report: Callable[[str], None]) -> CheckedDataset:
    """Read and check a data set that a model is evaluated on. Raises UserError if there is none."""
    return _read(config, plugins, report, for_evaluation=True)


def _read(config: Config, plugins: Plugins, report: Callable[[str], None], *, for_evaluation: bool,
          ) -> CheckedDataset:
    task = plugins.task(config.task.name)
    if config.dataset.root == SAMPLE:
        if task.sample is None:
            raise UserError(f"The task {task.name} has no embedded data set.", hint="type dataset.root=FOLDER")
        folder = cache_dir() / "samples" / task.name
        task.part("sample").make(folder)
        config = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, root=str(folder)))
    annotation = plugins.network(config.network.name).annotation_of(config.network.config) or task.annotation
    return check_dataset(config, list(plugins.dataset_formats.values()), list(plugins.image_readers.values()),
                         annotation, cache_dir(), report, for_evaluation=for_evaluation)


def validate_preset_data(dataset: CheckedDataset, card: PresetConfig) -> None:
    """Raises UserError unless ``dataset`` has the annotation, classes and modality of the preset."""
    index = dataset.index
    problems = []
    if index.annotation == "labels":
        found = "multi-label" if index.multi_label else "single-label"
        if found != card.annotation:
            problems.append(Problem(f"the data is {found}, not {card.annotation}"))
    missing = [name for name in card.classes if name not in index.classes]
    surplus = [name for name in index.classes if card.classes and name not in card.classes]
    if missing:
        problems.append(Problem(f"it lacks the classes {', '.join(missing)}"))
    if surplus:
        problems.append(Problem(f"it has classes that the preset does not know: {', '.join(surplus)}"))
    others = sorted({info.modality for info in dataset.infos.values() if info.modality} - set(card.dicom_modalities))
    if card.dicom_modalities and others:
        problems.append(Problem(f"it has DICOM images of the modality {', '.join(others)}"))
    if problems:
        expected = "\n".join(f"  {label:15} {one_line(text)}" for label, text in data_rows(card) if text)
        raise UserError(f"{index.root} does not fit the preset {card.name}:", problems=problems,
                        hint=f"It expects:\n{expected}" + (
                            "\nif classes are only called differently: 'dataset.class_map={old: new}'"
                            if missing and surplus else ""))


def validate_base_run_data(dataset: CheckedDataset, config: Config) -> None:
    """Raises UserError unless the base run's model can be trained on ``dataset``."""
    index, base_run = dataset.index, config.base_run
    problems = []
    if base_run.path is not None and index.annotation == "labels":
        multi_label = read_card(Path(base_run.path))["multi_label"]
        if index.multi_label != multi_label:
            kinds = {True: "multi-label", False: "single-label"}
            problems.append(Problem(f"the data is {kinds[index.multi_label]}, the base run {kinds[multi_label]}"))
    names = [config.network.renamed_classes.get(name, name) for name in base_run.classes]
    if lost := [name for name in config.network.renamed_classes.values() if name not in index.classes]:
        problems.append(Problem(f"network.class_renames: the data has no class {', '.join(lost)}"))
    if not set(names) & set(index.classes):
        problems.append(Problem("none of the base run's classes is in the data",
                                hint="type '+network.class_renames={old: new}'; or start from its weights alone: "
                                     f"flow=general network.weights={config.network.weights}"))
    if problems:
        raise UserError(f"{index.root} does not fit the base run {base_run.path}:", problems=problems,
                        hint=f"classes of the base run: {one_line(', '.join(base_run.classes))}\n"
                             f"classes of the data:   {one_line(', '.join(index.classes))}")
