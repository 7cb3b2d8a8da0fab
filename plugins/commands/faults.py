"""What is wrong with plugins that are loaded: each fault with its plugin. It blocks nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sightsmith.core.contracts.network_record import NetworkRecord, ZooNetwork
from sightsmith.core.contracts.records import Provider, Record
from sightsmith.core.plugins.manager import OWN_DISTRIBUTION
from sightsmith.core.util.errors import UserError, describe_error
from sightsmith.engine.config.presets import Damaged, load_presets
from sightsmith.engine.data import format_contract

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

T = TypeVar("T")
REPORT = "report it to the plugin's author"


def faults(plugins: Plugins) -> Iterator[tuple[Provider, UserError]]:
    """Presets that cannot be read, networks without a task, and parts that fail when they are asked what they are."""
    damaged: Damaged = []
    load_presets(plugins, damaged)
    yield from damaged
    for network in plugins.networks.values():
        if network.task not in plugins.tasks:
            yield _of(network), UserError(
                f"the network {network.name!r} is for the task {network.task!r}, which no installed plugin provides",
                hint="install the package that provides the task")
        yield from _failing(network, "model zoo", partial(getattr, network, "zoo_networks"))
    for task in plugins.tasks.values():
        yield from _failing(task, "settings of the task", task.build_settings)
    for command in plugins.commands.values():
        yield from _failing(command, "arguments of the command", command.build_settings)
    with tempfile.TemporaryDirectory() as empty:
        for form in plugins.dataset_formats.values():
            if _of(form).distribution == OWN_DISTRIBUTION:  # they work, and import NumPy
                continue
            yield from _failing(form, "dataset format", partial(format_contract.detect, form, Path(empty)))


def or_nothing(asked: Callable[[], T], nothing: T) -> T:
    """What a plugin answers, or ``nothing`` if it fails: :func:`faults` names it."""
    try:
        return asked()
    except Exception:
        return nothing


def zoo_of(network: NetworkRecord) -> dict[str, ZooNetwork]:
    """The networks of a model zoo; none of one that fails."""
    return or_nothing(lambda: network.zoo_networks, {})


def _failing(record: Record, what: str, asked: Callable[[], Any]) -> Iterator[tuple[Provider, UserError]]:
    try:
        asked()
    except Exception as error:  # whatever a plugin's code raises
        yield _of(record), UserError(f"the {what} {record.name!r} fails: {describe_error(error)}", hint=REPORT)


def _of(record: Record) -> Provider:
    assert record.provider is not None  # as in all that is registered
    return record.provider
