"""The one module that talks to pluggy: finds plugins, collects their records, calls the lifecycle hooks.

Each plugin is loaded and checked by itself. One that fails is *broken*: kept with its distribution and
the cause, shown by ``sightsmith list plugins`` and ``sightsmith doctor``, and none of it is used.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, TypeVar

import pluggy

from sightsmith.core.contracts.records import (
    CommandRecord,
    ConfigPath,
    DatasetFormatRecord,
    ExportFormatRecord,
    Finding,
    ImageReaderRecord,
    LoggerRecord,
    NetworkRecord,
    PresetFolder,
    Record,
    TaskRecord,
    TunerRecord,
)
from sightsmith.core.plugins import hookspecs
from sightsmith.core.util.errors import UserError, near

GROUP = "sightsmith.plugins"
OWN_DISTRIBUTION = "sightsmith"
DISABLE_VARIABLE = "SIGHTSMITH_DISABLE_PLUGINS"

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Provider:
    """Where a plugin comes from: its entry point's name and its distribution."""

    plugin: str
    distribution: str
    version: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.plugin} ({self.distribution} {self.version})"


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be used, and why."""

    provider: Provider
    cause: str


class Plugins:
    """The registered plugins and their records, by kind and name."""

    def __init__(self, candidates: Iterable[tuple[Provider, Callable[[], ModuleType]]]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self.tasks: dict[str, TaskRecord] = {}
        self.dataset_formats: dict[str, DatasetFormatRecord] = {}
        self.networks: dict[str, NetworkRecord] = {}
        self.tuners: dict[str, TunerRecord] = {}
        self.loggers: dict[str, LoggerRecord] = {}
        self.image_readers: dict[str, ImageReaderRecord] = {}
        self.export_formats: dict[str, ExportFormatRecord] = {}
        self.commands: dict[str, CommandRecord] = {}
        self.config_paths: list[tuple[ConfigPath, Provider]] = []
        self.preset_folders: list[tuple[PresetFolder, Provider]] = []
        self.providers: list[Provider] = []
        self.broken: list[Broken] = []
        self._provider_of: dict[tuple[str, str], Provider] = {}
        for provider, load in candidates:
            try:
                self._add(provider, load())
            except Exception as error:  # whatever a stranger's module raises must not take the rest down
                self.broken.append(Broken(provider, f"{type(error).__name__}: {error}"))

    def _add(self, provider: Provider, module: ModuleType) -> None:
        self._manager.register(module, name=f"{provider.distribution}:{provider.plugin}")
        try:
            self._manager.check_pending()
            found = {
                kind: list(self._records(module, f"sightsmith_{kind}", expected))
                for kind, expected in (
                    ("tasks", TaskRecord), ("dataset_formats", DatasetFormatRecord),
                    ("networks", NetworkRecord), ("tuners", TunerRecord), ("loggers", LoggerRecord),
                    ("image_readers", ImageReaderRecord), ("export_formats", ExportFormatRecord),
                    ("commands", CommandRecord),
                )
            }
            paths = list(self._records(module, "sightsmith_config_paths", ConfigPath))
            folders = list(self._records(module, "sightsmith_presets", PresetFolder))
            for kind, records in found.items():
                self._refuse_duplicates(kind, records)
        except BaseException:
            self._manager.unregister(module)
            raise
        for kind, records in found.items():
            for record in records:
                getattr(self, kind)[record.name] = record
                self._provider_of[kind, record.name] = provider
        self.config_paths += [(path, provider) for path in paths]
        self.preset_folders += [(folder, provider) for folder in folders]
        self.providers.append(provider)

    def _records(self, module: object, hook: str, expected: type) -> Iterable[Any]:
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if implementation.plugin is module:
                for record in implementation.function():
                    if not isinstance(record, expected):
                        raise TypeError(f"{hook} returned a {type(record).__name__}, not a {expected.__name__}")
                    yield record

    def _refuse_duplicates(self, kind: str, records: list[Record]) -> None:
        names: set[str] = set()
        for record in records:
            if record.name in names:
                raise ValueError(f"{kind[:-1]} {record.name!r} is registered twice by this plugin")
            if other := self._provider_of.get((kind, record.name)):
                raise ValueError(f"{kind[:-1]} {record.name!r} is already registered by {other}")
            names.add(record.name)

    def provider(self, kind: str, name: str) -> Provider:
        """Which plugin registered the ``kind`` (``"networks"``, ...) called ``name``."""
        return self._provider_of[kind, name]

    def task(self, name: str) -> TaskRecord:
        return self._find("task", self.tasks, name)

    def network(self, name: str) -> NetworkRecord:
        return self._find("network", self.networks, name)

    def tuner(self, name: str) -> TunerRecord:
        return self._find("tuner", self.tuners, name)

    def logger(self, name: str) -> LoggerRecord:
        return self._find("logger", self.loggers, name)

    def _find(self, kind: str, records: Mapping[str, R], name: str) -> R:
        if name in records:
            return records[name]
        hint = f"`sightsmith list {kind}s` shows all {len(records)}."
        if self.broken:
            names = ", ".join(str(item.provider) for item in self.broken)
            hint += f" Not loaded, see `sightsmith doctor`: {names}."
        raise UserError(f"No installed plugin provides the {kind} {name!r}.{near(name, records)}", hint=hint)

    def diagnostics(self) -> list[Finding]:
        """What the plugins found of themselves; one that raises is a finding that is not ok."""
        found: list[Finding] = []
        for name, module in self._manager.list_name_plugin():
            try:
                found += list(self._records(module, "sightsmith_diagnostics", Finding))
            except Exception as error:  # whatever a stranger's module raises must not take the rest down
                cause = f"{type(error).__name__}: {error}"
                found.append(Finding("plugins", f"{name} cannot be looked at: {cause}", ok=False))
        return found

    def dataset_checked(self, **arguments: Any) -> None:
        self._manager.hook.sightsmith_dataset_checked(**arguments)

    def before_run(self, **arguments: Any) -> None:
        self._manager.hook.sightsmith_before_run(**arguments)

    def after_epoch(self, **arguments: Any) -> None:
        self._manager.hook.sightsmith_after_epoch(**arguments)

    def after_run(self, **arguments: Any) -> None:
        self._manager.hook.sightsmith_after_run(**arguments)

    def on_run_error(self, **arguments: Any) -> None:
        self._manager.hook.sightsmith_on_run_error(**arguments)


def installed() -> Iterable[tuple[Provider, Callable[[], ModuleType]]]:
    """The entry points of this environment, sightsmith's own first."""
    only_own = os.environ.get(DISABLE_VARIABLE, "") not in ("", "0")
    found = []
    for entry in entry_points(group=GROUP):
        distribution = entry.dist.name if entry.dist else "unknown"
        if distribution == OWN_DISTRIBUTION or not only_own:
            version = entry.dist.version if entry.dist else "?"
            found.append((Provider(entry.name, distribution, version, entry.value), entry.load))
    return sorted(found, key=lambda item: (item[0].distribution != OWN_DISTRIBUTION, item[0].distribution,
                                           item[0].plugin))


@functools.lru_cache(maxsize=1)
def load_plugins() -> Plugins:
    """The plugins installed in this environment, loaded once a process."""
    return Plugins(installed())
