"""The task where none is typed: the one that trains on the annotation that the data set has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sightsmith.core.contracts.annotation import ANNOTATION_ORDER, Annotation, can_derive
from sightsmith.core.contracts.dataset import DatasetIndex
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import cache_dir
from sightsmith.core.util.text import one_line
from sightsmith.engine.config.literal import is_sweep, unquoted

SHORT, ROOT, FORMAT = "dataset=", "dataset.root=", "dataset.format="
DECIDES = ("task=", "preset=", "base_run=", "hydra.searchpath=")
"""Overrides that choose a task, or may: with Hydra's search path, a file of your own is found."""


def spelled_out(overrides: Sequence[str]) -> list[str]:
    """``overrides`` with ``dataset=FOLDER`` as ``dataset.root=FOLDER``."""
    return [ROOT + text.removeprefix(SHORT) if text.startswith(SHORT) and not text.startswith(SHORT + "{") else text
            for text in overrides]


def with_task(overrides: Sequence[str], plugins: Plugins, report: Callable[[str], None]) -> list[str]:
    """``overrides``, :func:`spelled_out` and, if none of them chooses a task, with the task of their data set;
    ``report`` is told why. A sweep over data sets has no task of its own.

    Raises UserError if the data set cannot be read, or if no task trains on its annotation.
    """
    spelled = spelled_out(overrides)
    if any(map(_decides, spelled)):
        return spelled

    from sightsmith.engine.data.discover import choose_folder, read_richest  # NumPy: not needed to compose
    from sightsmith.engine.data.image_files import using_readers
    from sightsmith.engine.pipeline.load_dataset import SAMPLE

    typed = [text.removeprefix(ROOT) for text in spelled if text.startswith(ROOT)]
    if not typed or unquoted(typed[-1]) == SAMPLE or is_sweep(typed[-1]):
        return spelled
    named = [unquoted(text.removeprefix(FORMAT)) for text in spelled if text.startswith(FORMAT)]
    every = list(plugins.dataset_formats.values())
    formats = [record for record in every if record.name in named] or every
    root = choose_folder(unquoted(typed[-1]), cache_dir())
    with using_readers(plugins.image_readers.values(), root):
        index, why = read_richest(root, formats)
    kind = trained_on(index)
    tasks = [task for task in plugins.tasks.values() if task.annotation == kind]
    if not tasks:
        raise UserError(f"{index.root} has {kind}, on which no installed task trains",
                        hint="type task=NAME; `sightsmith list tasks` shows what they train on")
    others = [f"task={task.name}" for task in plugins.tasks.values()
              if task is not tasks[0] and can_derive([index.annotation], task.annotation)]
    report(one_line(f"Task: {tasks[0].name}, because the data set has {kind} ({why})"
                     + (f"; it could also be {' or '.join(others)}" if others else "")))
    return [f"task={tasks[0].name}", *spelled]


def _decides(text: str) -> bool:
    """Whether the override may choose a task; ``+experiment=mine`` may, ``+network.options.depth=2`` may not."""
    key = text.partition("=")[0]
    return text.lstrip("+").startswith(DECIDES) or key.startswith(("+", "~")) and "." not in key


def trained_on(index: DatasetIndex) -> Annotation:
    """The kind of annotation in ``index``. Masks of single objects count as boxes: they are drawn in order to find
    objects; masks as such are those of all pixels of a class. Damaged annotation counts too: its task names the
    damage."""
    damaged = [problem.affects for problem in index.problems if problem.severity == "error"]
    kind = max((index.annotation, *damaged), key=ANNOTATION_ORDER.index)
    if kind == ANNOTATION_ORDER[-1] and not any(
            sample.semantic_mask or any(item.region for item in sample.objects) for sample in index.samples):
        return "boxes"
    return kind
