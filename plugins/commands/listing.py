"""``sightsmith list`` and the tables of ``inspect``: rows for machines, tables for people."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from sightsmith.core.config.presets import Preset, choice_of, data_rows, load_presets
from sightsmith.core.contracts.annotation import can_derive
from sightsmith.core.contracts.schema import format_override, walk
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.data.statistics import describe
from sightsmith.engine.runs.run_dir import RunDir, read_status

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import CheckedDataset

KINDS = ("networks", "presets", "datasets", "tuners", "tasks", "loggers", "plugins", "runs")
EMPTY = {
    "runs": "No runs in this folder. Start one: sightsmith train task=classification dataset.root=sample",
}


def rows(kind: str, task: str | None = None, output_dir: Path = Path("runs")) -> list[dict[str, Any]]:
    """What is installed (or was run), as JSON-able rows. Raises UserError for an unknown ``task``."""
    plugins = load_plugins()
    if task is not None:
        annotation = plugins.task(task).annotation
    if kind == "networks":
        chosen = [item for item in plugins.networks.values() if task in (None, item.task)]
        return [{"name": item.name, "config": None, "task": item.task, "family": item.family,
                 "parameters": item.parameters, "input_size": item.input_size, "gflops": item.gflops,
                 "speed": item.speed, "annotation": item.annotation or plugins.task(item.task).annotation,
                 "score": str(item.score or ""),
                 "source": f"{item.score.source}, {item.score.dataset}" if item.score else "",
                 "weights": item.weights, "licence": item.licence,
                 "trainable": True, "reason": "", "provider": str(plugins.provider(kind, item.name))}
                for item in chosen if not item.zoo] + [
            {"name": item.name, "config": entry.name, "task": item.task, "annotation": entry.annotation,
             "trainable": entry.trainable, "reason": entry.reason, "provider": str(plugins.provider(kind, item.name))}
            for item in chosen for entry in item.zoo_networks.values()]
    if kind == "presets":
        return [preset_row(item) for item in load_presets(plugins).values() if task in (None, item.task)]
    if kind == "datasets":
        return [{"name": item.name, "description": item.description, "annotations": list(item.annotations),
                 "layout": item.layout, "written": item.writer is not None,
                 "provider": str(plugins.provider("dataset_formats", item.name))}
                for item in plugins.dataset_formats.values() if task is None or can_derive(item.annotations,
                                                                                           annotation)]
    if kind == "tasks":
        return [{"name": item.name, "description": item.description, "score": item.score,
                 "annotation": item.annotation, "provider": str(plugins.provider(kind, item.name))}
                for item in plugins.tasks.values() if task in (None, item.name)]
    if kind == "loggers":
        return [{"name": item.name, "description": item.description, "provider": str(plugins.provider(kind, item.name))}
                for item in plugins.loggers.values()]
    if kind == "tuners":
        return [{"name": item.name, "trials": item.trials, "space": dict(item.space), "options": dict(item.options),
                 "description": item.description, "provider": str(plugins.provider(kind, item.name))}
                for item in plugins.tuners.values()]
    if kind == "plugins":
        loaded = [{"name": item.plugin, "distribution": item.distribution, "version": item.version, "status": "ok"}
                  for item in plugins.providers]
        return loaded + [{"name": item.provider.plugin, "distribution": item.provider.distribution,
                          "version": item.provider.version, "status": f"broken: {item.cause}"}
                         for item in plugins.broken]
    return [row for row in map(_run, sorted(output_dir.rglob("status.json"))) if task in (None, row["task"])]


def preset_row(preset: Preset) -> dict[str, Any]:
    return {**dataclasses.asdict(preset.card), "task": preset.task, "network": preset.network,
            "provider": str(preset.provider)}


def _run(status_file: Path) -> dict[str, Any]:
    run = RunDir(status_file.parent)
    status = read_status(run)
    plan, data = _content(run.plan), _content(run.data)
    return {"run": str(run.path), "name": plan.get("name"), "task": plan.get("task"), "network": plan.get("network"),
            "dataset": data.get("root"), "status": status["status"], "progress": status.get("progress"),
            "score": status.get("score"),
            "created": status.get("created"), "device_hours": status.get("device_hours"),
            "message": status.get("message")}


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


COLUMNS = {
    "networks": ("name", "task", "parameters", "input_size", "gflops", "score", "weights", "licence"),
    "presets": ("name", "task", "title", "modality", "classes", "cases", "network"),
    "datasets": ("name", "description", "layout", "written"),
    "tuners": ("name", "trials", "space", "description"),
    "runs": ("run", "network", "status", "progress", "score", "created"),
}


def print_rows(kind: str, found: Sequence[dict[str, Any]]) -> None:
    """A table for people; the width is the terminal's, or what the rows need where there is none."""
    if not found:
        print(EMPTY.get(kind, f"No {kind} found."))
    elif kind == "networks":
        _print_networks(found)
    else:
        _print_table(COLUMNS.get(kind, tuple(found[0])), found)


def print_card(preset: Preset) -> None:
    """All that a preset says of itself."""
    card = preset.card
    print(f"{card.title}: {card.description}\n" if card.description else f"{card.title}\n")
    table = Table(box=None, show_header=False, pad_edge=False)
    for label, text in (
        ("type", f"sightsmith train preset={choice_of(card)} dataset.root=FOLDER"), ("task", preset.task),
        *data_rows(card), ("modality", ", ".join(filter(None, (card.modality, card.body_part)))),
        ("cases", f"about {card.cases}, well labelled" if card.cases else ""), ("network", preset.network),
        ("weights", card.weights or preset.config.get("network", {}).get("weights", "")),
        ("reference score", card.score or "none measured"),
        ("free", ", ".join((*card.tunable, "hyper.*", "trainer.*", "the data's keys"))),
        ("licence", card.licence), ("provider", str(preset.provider)),
    ):
        if text:
            table.add_row(label, text)
    Console(highlight=False).print(table, markup=False)


def _print_networks(found: Sequence[dict[str, Any]]) -> None:
    """Zoos first: what most people look for then stands last, where a terminal has stopped."""
    zoos = [row for row in found if row["config"]]
    names = [row for row in found if not row["config"]]
    if zoos:
        width = max(len(row["config"]) for row in zoos)
        lines = [f"{row['name']:7} {row['config']:{width}}  {row['annotation'] or '':6}  {_verdict(row)}"
                 for row in zoos]
        print("Networks of zoos: network=NAME network.config=CONFIG", *lines, "", sep="\n")
    if names:
        print("Networks with a name of their own: network=NAME")
        _print_table(COLUMNS["networks"], names)
    able = sum(row["trainable"] is True for row in zoos)
    print(f"\n{len(names)} names" + (f"; {len(zoos)} networks of zoos, {able} of them trainable" if zoos else ""))


def _verdict(row: dict[str, Any]) -> str:
    if row["trainable"] is None:
        return str(row["reason"])
    return "trainable" if row["trainable"] else f"not trainable: {row['reason']}"


def _print_table(columns: Sequence[str], found: Sequence[dict[str, Any]]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold",
                         justify="right" if isinstance(found[0][column], (int, float)) else "left")
    for row in found:
        table.add_row(*(_cell(column, row[column]) for column in columns))
    console.print(table)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column == "parameters":
        return f"{value / 1e6:.1f} M"
    if column == "progress":
        return f"{100 * value:.0f} %"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "\n".join(f"{key}={item}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def print_dataset(dataset: CheckedDataset) -> None:
    """The statistics of a checked data set, and its warnings."""
    console = Console(highlight=False)
    summary = describe(dataset)
    objects = summary.get("objects", {}).get("classes", {})
    header = ["class", "training", "validation"] + ["objects in training", "in validation"] * bool(objects)
    table = Table(*header, box=None, header_style="bold", pad_edge=False)
    for name, images in summary["classes"].items():
        table.add_row(name, *(str(part[side]) for part in (images, objects.get(name)) if part
                              for side in ("train", "validation")))
    console.print(table, markup=False)
    keys = ["images", "annotation", "negatives", "sizes", "channels", "bits", "modalities", "groups"]
    for key in keys + ["multi_label"] * (summary["annotation"] == "labels"):
        if summary.get(key) not in (None, [], {}):
            console.print(f"{key.replace('_', ' ')}: {summary[key]}")
    for key, value in summary.get("objects", {}).items():
        if key != "classes":
            console.print(f"objects, {key.replace('_', ' ')}: {value}")
    for name, part in summary.get("mask_coverage", {}).items():
        console.print(f"mask coverage, {name}: {100 * part:.2g} %", markup=False)
    for problem in dataset.problems:
        if problem.severity == "warning":
            console.print(f"warning: {problem}", markup=False)


def print_train_help() -> None:
    """Every key of the configuration with its default, range and meaning."""
    plugins = load_plugins()
    print("Train a model on your own images:\n\n"
          "  sightsmith train task=classification dataset.root=photos\n"
          "  sightsmith train task=classification dataset.root=photos network=resnet50 hyper.epochs=50\n"
          "  sightsmith train task=classification dataset.root=photos --multirun network=resnet18,resnet50\n\n"
          f"task:     {', '.join(plugins.tasks)}\nnetwork:  {len(plugins.networks)}, see `sightsmith list networks`\n"
          f"tuner:    {', '.join(plugins.tuners)}, see `sightsmith list tuners`\n"
          f"logger:   {', '.join(plugins.loggers)}; several as logger=[a,b], none as logger=[]\n\n"
          "key=value (defaults are the schema's; a task may set others):\n")
    for key, entry, _ in walk():
        if key in ("task.name", "network.name", "logger"):
            continue
        meta = entry.metadata
        default = "" if entry.default in (dataclasses.MISSING, "???") else f" [{format_override(entry.default)}]"
        allowed = "|".join(meta.get("choices") or ())
        if meta.get("low") is not None:
            allowed = f"{meta['low']:g} to {meta['high']:g}" if meta["high"] is not None else f"from {meta['low']:g}"
        print(f"  {key}{default}" + (f"  {allowed}" if allowed else "") + f"\n      {meta['help']}")
    print("\nThe composed configuration: add --cfg job. Hydra's own flags: --hydra-help. --json prints the result's "
          "folder and figures as JSON.")
