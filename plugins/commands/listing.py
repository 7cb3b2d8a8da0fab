"""Installed components and runs as JSON-serialisable rows."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.core.contracts.annotation import can_derive
from sightsmith.core.contracts.record import Provider, Record
from sightsmith.core.util.reading import parse_yaml
from sightsmith.engine.config.presets import Damaged, Preset, load_presets
from sightsmith.engine.runs.listing import list_runs
from sightsmith.plugins.commands.faults import faults, or_nothing, zoo_of

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

Row = dict[str, Any]


def rows(kind: str, plugins: Plugins, task: str | None = None, output_dir: Path = Path("runs")) -> list[Row]:
    """The rows of one of :data:`.list.KINDS`. Raises UserError for an unknown ``task``."""
    if task is not None:
        plugins.task(task)
    if kind == "runs":
        return [run.to_json() for run in list_runs(output_dir, task)]
    return ROWS[kind](plugins, task)


def _networks(plugins: Plugins, task: str | None) -> list[Row]:
    chosen = [item for item in plugins.networks.values() if task in (None, item.task)]
    defaults: set[str] = or_nothing(partial(_default_networks, plugins), set())
    return [{"name": item.name, "config": None, "task": item.task, "family": item.family,
             "parameters": item.parameters, "input_size": item.input_size, "gflops": item.gflops, "speed": item.speed,
             "annotation": item.annotation or _annotation(item.task, plugins), "score": str(item.score or ""),
             "source": f"{item.score.source}, {item.score.dataset}" if item.score else "", "weights": item.weights,
             "published": item.pretrained, "licence": item.licence, "default": item.name in defaults, "trainable": True,
             "reason": "", "provider": str(plugins.provider("networks", item.name))}
            for item in chosen if not item.zoo] + [
        {"name": item.name, "config": entry.name, "task": item.task, "annotation": entry.annotation,
         "published": entry.pretrained, "trainable": entry.trainable, "reason": entry.reason,
         "provider": str(plugins.provider("networks", item.name))}
        for item in chosen for entry in zoo_of(item).values()]


def _default_networks(plugins: Plugins) -> set[str]:
    """Those that the tasks' own files choose; composing them all would take seconds."""
    found = set()
    for config_path, _ in plugins.config_paths:
        folder = files(config_path.path.removeprefix("pkg://")) / "task"
        for path in folder.iterdir() if folder.is_dir() else ():
            content = parse_yaml(path.read_text(encoding="utf-8")) if path.name.endswith(".yaml") else {}
            found |= {name for entry in content.get("defaults", ()) if isinstance(entry, dict)
                      for key, name in entry.items() if key == "override /network"}
    return found


def _annotation(task: str, plugins: Plugins) -> str | None:
    """What ``task`` trains on; None if no plugin provides it."""
    return plugins.tasks[task].annotation if task in plugins.tasks else None


def _presets(plugins: Plugins, task: str | None) -> list[Row]:
    damaged: Damaged = []
    found = [preset_row(item) for item in load_presets(plugins, damaged).values() if task in (None, item.task)]
    for _, error in damaged:
        print(f"warning: {error.message}", file=sys.stderr)
    return found


def preset_row(preset: Preset) -> Row:
    return {**dataclasses.asdict(preset.card), "task": preset.task, "network": preset.network,
            "provider": str(preset.provider)}


def _formats(plugins: Plugins, task: str | None) -> list[Row]:
    return [{"name": item.name, "description": item.description, "annotations": list(item.annotations),
             "layout": item.layout, "written": item.writer is not None,
             "provider": str(plugins.provider("dataset_formats", item.name))}
            for item in plugins.dataset_formats.values()
            if task is None or can_derive(item.annotations, plugins.task(task).annotation)]


def _readers(plugins: Plugins, task: str | None) -> list[Row]:
    return [_row(plugins, "image_readers", item, title=item.title, suffixes=list(item.suffixes))
            for item in plugins.image_readers.values()]


def _exporters(plugins: Plugins, task: str | None) -> list[Row]:
    return [_row(plugins, "export_formats", item, file=item.file) for item in plugins.export_formats.values()]


def _tuners(plugins: Plugins, task: str | None) -> list[Row]:
    return [{"name": item.name, "trials": item.trials, "space": dict(item.space), "options": dict(item.options),
             "description": item.description, "provider": str(plugins.provider("tuners", item.name))}
            for item in plugins.tuners.values()]


def _recipes(plugins: Plugins, task: str | None) -> list[Row]:
    return [_row(plugins, "recipes", item) for item in plugins.recipes.values()]


def _augmentations(plugins: Plugins, task: str | None) -> list[Row]:
    return [_row(plugins, "augmentations", item, tasks=list(item.tasks),
                 options={name: option.default for name, option in item.keys.items()}) | {"kind": item.kind}
            for item in plugins.augmentations.values() if task in (None, *item.tasks) or not item.tasks]


def _tasks(plugins: Plugins, task: str | None) -> list[Row]:
    return [_row(plugins, "tasks", item, score=item.score, annotation=item.annotation)
            for item in plugins.tasks.values() if task in (None, item.name)]


def _loggers(plugins: Plugins, task: str | None) -> list[Row]:
    return [_row(plugins, "loggers", item, options=dict(item.options), install=item.install)
            for item in plugins.loggers.values()]


def _commands(plugins: Plugins, task: str | None) -> list[Row]:
    return [_row(plugins, "commands", item, usage=item.usage) for item in plugins.commands.values()]


def _plugins(plugins: Plugins, task: str | None) -> list[Row]:
    wrong: dict[Provider, list[str]] = {}
    for provider, error in faults(plugins):
        wrong.setdefault(provider, []).append(error.message)
    loaded = [{"name": item.plugin, "distribution": item.distribution, "version": item.version,
               "status": f"faulty: {'; '.join(wrong[item])}" if item in wrong else "ok"} for item in plugins.providers]
    return loaded + [{"name": item.provider.plugin, "distribution": item.provider.distribution,
                      "version": item.provider.version, "status": f"broken: {item.cause}"} for item in plugins.broken]


def _row(plugins: Plugins, kind: str, record: Record, **more: Any) -> Row:
    return {"name": record.name, "description": record.description, **more,
            "provider": str(plugins.provider(kind, record.name))}


ROWS: dict[str, Callable[[Plugins, str | None], list[Row]]] = {
    "networks": _networks, "presets": _presets, "formats": _formats, "readers": _readers, "exporters": _exporters,
    "recipes": _recipes, "tuners": _tuners, "augmentations": _augmentations, "tasks": _tasks, "loggers": _loggers,
    "commands": _commands, "plugins": _plugins}
