"""The model bundle of a run: written once, opened for prediction, export and retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import write_json
from sightsmith.engine.config.model_card import BUNDLE_FORMAT, CARD, WEIGHTS, card_path, read_card, restore_config
from sightsmith.engine.config.run_plugins import ensure_plugins
from sightsmith.engine.runs.checkpoint import HINT, load_tree, save_tree
from sightsmith.engine.runs.run_dir import RunDir

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sightsmith.core.contracts.network_record import NetworkRecord
    from sightsmith.core.contracts.records import TaskRecord
    from sightsmith.core.contracts.task import Task
    from sightsmith.core.plugins.manager import Plugins

MEMBER = "member-{}.safetensors"
"""Weights of a model of an ensemble, by its number."""


def save_bundle(run: RunDir, task: Task, weights: dict[str, Any], metrics: dict[str, float | None],
                members: Sequence[dict[str, Any]] = (), origin: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Write ``model/``: the weights and a card that says how to build and feed the network.

    ``members`` are the weights of the models that predict together instead, ``origin`` is how all of this was made if
    not by training alone.
    """
    save_tree(run.model / WEIGHTS, {"model": weights, "classes": list(task.classes)})
    for number, member in enumerate(members, 1):
        save_tree(run.model / MEMBER.format(number), {"model": member, "classes": list(task.classes)})
    write_json(card_path(run.path), {
        "format": BUNDLE_FORMAT, "task": task.config.task.name, "network": task.network.name,
        "classes": list(task.classes), "multi_label": task.multi_label, "input_size": task.input_size(),
        "metrics": metrics, "members": len(members), "origin": dict(origin), "config": asdict(task.config),
    })


def open_task(run: Path, plugins: Plugins) -> Task:
    """The task as the run used it, with its configuration and classes. Raises UserError if there is no bundle."""
    card = read_card(run)
    ensure_plugins(run, plugins)
    return restore_task(run, plugins.task(card["task"]), plugins.network(card["network"]))


def restore_task(run: Path, record: TaskRecord, network: NetworkRecord) -> Task:
    """Like :func:`open_task`, for a run whose task and network are known."""
    card = read_card(run)
    config = restore_config(card["config"], card_path(run), {record.name: record})
    task: Task = record.make(record, config, network, card["classes"], card["multi_label"])
    return task


def open_model(run: Path, task: Task) -> nn.Module:
    """The run's own model in eval mode on the CPU, in mmengine's BaseModel contract."""
    return _open(card_path(run).with_name(WEIGHTS), task)


def open_members(run: Path, task: Task) -> tuple[nn.Module, ...]:
    """The models that predict together instead of :func:`open_model`'s, likewise; empty if it predicts alone.

    Raises UserError if one is missing.
    """
    count = read_card(run).get("members", 0)
    return tuple(_open(card_path(run).with_name(MEMBER.format(number)), task) for number in range(1, count + 1))


def _open(path: Path, task: Task) -> nn.Module:
    try:
        model, _ = task.build_model(load_weights=False)
    except UserError as error:
        raise UserError(f"{path.with_name(CARD)}: {error.message}", hint=error.hint, problems=error.problems) from error
    try:
        model.load_state_dict(bundle_tensors(path))
    except RuntimeError as error:  # of other names and shapes
        raise UserError(f"{path} does not fit the network of {CARD} beside it: {str(error).splitlines()[0]}",
                        hint=HINT) from error
    opened: nn.Module = model.eval()
    return opened


def bundle_tensors(path: Path) -> dict[str, Tensor]:
    """The weights in a file of a bundle. Raises UserError if it is damaged."""
    tree = load_tree(path)
    tensors = tree.get("model") if isinstance(tree, dict) else None
    if not isinstance(tensors, dict) or not all(hasattr(value, "dtype") for value in tensors.values()):
        raise UserError(f"{path} is damaged: it contains no model")
    return tensors


def all_tensors(run: Path) -> dict[str, Tensor]:
    """The weights of the bundle of ``run``, those of members with the file's name before their own."""
    found = bundle_tensors(card_path(run).with_name(WEIGHTS))
    for path in sorted(card_path(run).parent.glob(MEMBER.format("*"))):
        found |= {f"{path.stem}/{name}": value for name, value in bundle_tensors(path).items()}
    return found
