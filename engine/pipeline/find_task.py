"""The task where none is typed: the one that trains on the annotation that the data set has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sightsmith.core.config.literal import unquoted
from sightsmith.core.contracts.annotation import ANNOTATION_ORDER, Annotation, can_derive
from sightsmith.core.contracts.dataset import DatasetIndex
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import cache_dir
from sightsmith.core.util.text import printable
from sightsmith.engine.data.discover import choose_folder, read_richest
from sightsmith.engine.pipeline.load_dataset import SAMPLE

SHORT, ROOT, FORMAT = "dataset=", "dataset.root=", "dataset.format="
DECIDES = ("task=", "preset=", "base_run=", "hydra.")
"""Overrides that choose a task, or may: those of Hydra, with which a file of your own is found."""


def with_task(overrides: Sequence[str], plugins: Plugins, report: Callable[[str], None]) -> list[str]:
    """``overrides`` with ``dataset=FOLDER`` spelled out as ``dataset.root`` and, if none of them chooses a task, with
    the task of that data set; ``report`` is told why.

    Raises UserError if the data set cannot be read, or if no task trains on its annotation.
    """
    spelled = [ROOT + text.removeprefix(SHORT) if text.startswith(SHORT) and not text.startswith(SHORT + "{") else text
               for text in overrides]
    roots = [unquoted(text.removeprefix(ROOT)) for text in spelled if text.startswith(ROOT)]
    if not roots or roots[-1] == SAMPLE or any(text.startswith(("+", "~", *DECIDES)) for text in spelled):
        return spelled
    named = [text.removeprefix(FORMAT) for text in spelled if text.startswith(FORMAT)]
    formats = [record for record in plugins.dataset_formats.values() if record.name in named]
    index, why = read_richest(choose_folder(roots[-1], cache_dir()), formats or list(plugins.dataset_formats.values()))
    kind = trained_on(index)
    tasks = [task for task in plugins.tasks.values() if task.annotation == kind]
    if not tasks:
        raise UserError(f"{index.root} has {kind}, on which no installed task trains",
                        hint="type task=NAME; `sightsmith list tasks` shows what they train on")
    others = [f"task={task.name}" for task in plugins.tasks.values()
              if task is not tasks[0] and can_derive([index.annotation], task.annotation)]
    report(printable(f"Task: {tasks[0].name}, because the data set has {kind} ({why})"
                     + (f"; it could also be {' or '.join(others)}" if others else "")))
    return [f"task={tasks[0].name}", *spelled]


def trained_on(index: DatasetIndex) -> Annotation:
    """The kind of annotation in ``index``. Masks of single objects count as boxes: they are drawn in order to find
    objects; masks as such are those of all pixels of a class."""
    if index.annotation == ANNOTATION_ORDER[-1] and not any(
            sample.semantic_mask or any(item.region for item in sample.objects) for sample in index.samples):
        return "boxes"
    return index.annotation
