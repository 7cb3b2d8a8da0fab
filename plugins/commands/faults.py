"""What is wrong with plugins that are loaded: each fault with its plugin. It blocks nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sightsmith.core.contracts.network_record import NetworkRecord, ZooNetwork
from sightsmith.core.contracts.record import Provider, Record
from sightsmith.core.contracts.records import DatasetFormatRecord, TaskRecord
from sightsmith.core.plugins.manager import KINDS, OWN_DISTRIBUTION
from sightsmith.core.util.errors import PluginError, UserError, describe_error
from sightsmith.engine.config.presets import Damaged, load_presets
from sightsmith.engine.data import format_contract

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

T = TypeVar("T")
REPORT = "report it to the plugin's author"


def faults(plugins: Plugins) -> Iterator[tuple[Provider, UserError]]:
    """Presets that cannot be read, networks without a task, builders that are not there, and parts that fail when they
    are asked what they are. Imports the builders of all plugins but sightsmith's own."""
    damaged: Damaged = []
    load_presets(plugins, damaged)
    yield from damaged
    for network in plugins.networks.values():
        if network.task not in plugins.tasks:
            yield _of(network), UserError(
                f"the network {network.name!r} is for the task {network.task!r}, which no installed plugin provides",
                hint="install the package that provides the task")
    with tempfile.TemporaryDirectory() as empty:
        for kind in KINDS:
            records: dict[str, Record] = getattr(plugins, kind)
            for record in records.values():
                if _of(record).distribution != OWN_DISTRIBUTION:  # they work, and import torch
                    yield from _faults_of(record, Path(empty))


def _faults_of(record: Record, empty: Path) -> Iterator[tuple[Provider, UserError]]:
    """The faults of one record; a missing package is none if the record says how it is installed."""
    installs = bool(getattr(record, "install", ""))
    missing = [fault for part in record.parts
               for fault in _failing(record, f"builder {part.builder} of", part.build, may_lack=installs)]
    if missing:
        yield from missing
        return
    asked: dict[str, Callable[[], Any]] = {}
    if isinstance(record, NetworkRecord):
        asked["model zoo"] = lambda: record.zoo_networks
    if isinstance(record, TaskRecord):
        asked["settings of the task"] = record.build_settings
    if isinstance(record, DatasetFormatRecord):
        asked["dataset format"] = partial(format_contract.detect, record, empty)
    for what, answer in asked.items():
        yield from _failing(record, what, answer)


def or_nothing(asked: Callable[[], T], nothing: T) -> T:
    """What a plugin answers, or ``nothing`` if it fails: :func:`faults` names it."""
    try:
        return asked()
    except Exception:
        return nothing


def zoo_of(network: NetworkRecord) -> dict[str, ZooNetwork]:
    """The networks of a model zoo; none of one that fails."""
    return or_nothing(lambda: network.zoo_networks, {})


def _failing(record: Record, what: str, asked: Callable[[], Any], *, may_lack: bool = False,
             ) -> Iterator[tuple[Provider, UserError]]:
    provider = _of(record)
    try:
        asked()
    except PluginError as error:  # says itself which record it is
        yield provider, UserError(error.message.removeprefix(f"plugin {provider}: "), hint=error.hint)
    except Exception as error:  # whatever a plugin's code raises
        if not (may_lack and isinstance(error, ModuleNotFoundError)):
            yield provider, UserError(f"the {what} {record.name!r} fails: {describe_error(error)}", hint=REPORT)


def _of(record: Record) -> Provider:
    assert record.provider is not None  # as in all that is registered
    return record.provider
