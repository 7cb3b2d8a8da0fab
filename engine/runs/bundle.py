"""The model bundle of a run: written once, opened for prediction, export and retraining."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.core.config.model_card import BUNDLE_FORMAT, WEIGHTS, card_path, read_card, restore_config
from sightsmith.core.util.files import write_json
from sightsmith.engine.runs.checkpoint import load_tree, save_tree
from sightsmith.engine.runs.run_dir import RunDir

if TYPE_CHECKING:
    from torch import nn

    from sightsmith.core.contracts.network_record import NetworkRecord
    from sightsmith.core.contracts.records import TaskRecord
    from sightsmith.core.contracts.task import Task
    from sightsmith.core.plugins.manager import Plugins


def save_bundle(run: RunDir, task: Task, state: dict[str, Any], metrics: dict[str, float | None]) -> None:
    """Write ``model/``: the weights and a card that says how to build and feed the network."""
    save_tree(run.model / WEIGHTS, {"model": state, "classes": list(task.classes)})
    write_json(card_path(run.path), {
        "format": BUNDLE_FORMAT, "task": task.config.task.name, "network": task.network.name,
        "classes": list(task.classes), "multi_label": task.multi_label, "input_size": task.input_size(),
        "metrics": metrics, "config": asdict(task.config),
    })


def open_task(run: Path, plugins: Plugins) -> Task:
    """The task as the run used it, with its configuration and classes. Raises UserError if there is no bundle."""
    card = read_card(run)
    return restore_task(run, plugins.task(card["task"]), plugins.network(card["network"]))


def restore_task(run: Path, record: TaskRecord, network: NetworkRecord) -> Task:
    """Like :func:`open_task`, for a run whose task and network are known."""
    card = read_card(run)
    config = restore_config(card["config"], card_path(run), {record.name: record})
    task: Task = record.make(record, config, network, card["classes"], card["multi_label"])
    return task


def open_model(run: Path, task: Task) -> nn.Module:
    """The best model in eval mode on the CPU, in mmengine's BaseModel contract."""
    model, _ = task.build_model(load_weights=False)
    model.load_state_dict(load_tree(card_path(run).with_name(WEIGHTS))["model"])
    opened: nn.Module = model.eval()
    return opened
