"""The only module that uses pluggy: discovers plugins, collects their records, calls the lifecycle hooks.

Each plugin is loaded and checked on its own. One that fails is *broken*: ``sightsmith list plugins`` and ``sightsmith
doctor`` show it with its distribution and the cause, and nothing of it is used.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from sightsmith.core.contracts.augmentation import AugmentationRecord
from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.record import Provider, Record
from sightsmith.core.contracts.records import (
    CommandRecord,
    ConfigPath,
    DatasetFormatRecord,
    ExportFormatRecord,
    Finding,
    ImageReaderRecord,
    LoggerRecord,
    PresetFolder,
    RecipeRecord,
    TaskRecord,
    TunerRecord,
)
from sightsmith.core.plugins import hookspecs
from sightsmith.core.util.errors import UserError, describe_error, near

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import CheckedDataset
    from sightsmith.core.contracts.plan import Plan

GROUP = "sightsmith.plugins"
OWN_DISTRIBUTION = "sightsmith"
DISABLE_VARIABLE = "SIGHTSMITH_DISABLE_PLUGINS"

KINDS: Mapping[str, type[Record]] = {
    "tasks": TaskRecord,
    "dataset_formats": DatasetFormatRecord,
    "networks": NetworkRecord,
    "recipes": RecipeRecord,
    "tuners": TunerRecord,
    "loggers": LoggerRecord,
    "image_readers": ImageReaderRecord,
    "export_formats": ExportFormatRecord,
    "augmentations": AugmentationRecord,
    "commands": CommandRecord,
}
"""Records that are registered by name, by the hook ``sightsmith_<kind>`` and the attribute of :class:`Plugins`."""

R = TypeVar("R", bound=Record)
log = logging.getLogger("sightsmith")


@dataclass(frozen=True)
class Broken:
    """A plugin that cannot be used, and why."""

    provider: Provider
    cause: str


class _Fault(Exception):
    """The plugin ``provider`` is broken."""

    def __init__(self, provider: Provider, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.provider = provider


class Plugins:
    """The registered plugins and their records, by kind and name. Unpickling loads the plugins that are installed
    there."""

    def __init__(self, candidates: Iterable[tuple[Provider, Callable[[], ModuleType]]]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self.tasks: dict[str, TaskRecord] = {}
        self.dataset_formats: dict[str, DatasetFormatRecord] = {}
        self.networks: dict[str, NetworkRecord] = {}
        self.recipes: dict[str, RecipeRecord] = {}
        self.tuners: dict[str, TunerRecord] = {}
        self.loggers: dict[str, LoggerRecord] = {}
        self.image_readers: dict[str, ImageReaderRecord] = {}
        self.export_formats: dict[str, ExportFormatRecord] = {}
        self.augmentations: dict[str, AugmentationRecord] = {}
        self.commands: dict[str, CommandRecord] = {}
        self.config_paths: list[tuple[ConfigPath, Provider]] = []
        self.preset_folders: list[tuple[PresetFolder, Provider]] = []
        self.broken: list[Broken] = []
        self._modules: dict[Provider, ModuleType] = {}
        for provider, load in candidates:
            try:
                self._modules[provider] = load()
            except Exception as error:  # a faulty plugin must not break the others
                self._drop(_Fault(provider, error))
        for provider in reversed(list(self._modules)):  # pluggy calls the last registered first
            try:
                _ensure_marked(self._modules[provider])
                self._manager.register(self._modules[provider], name=str(provider))
                self._manager.check_pending()
            except Exception as error:
                self._drop(_Fault(provider, error))
        while True:
            try:
                return self._collect()
            except _Fault as fault:
                self._drop(fault)

    def __reduce__(self) -> tuple[Callable[[], Plugins], tuple[()]]:
        return load_plugins, ()

    @property
    def providers(self) -> list[Provider]:
        """The plugins in use, sightsmith's own first."""
        return list(self._modules)

    def _drop(self, fault: _Fault) -> None:
        self.broken.append(Broken(fault.provider, str(fault)))
        self._modules.pop(fault.provider, None)
        if self._manager.has_plugin(str(fault.provider)):
            self._manager.unregister(name=str(fault.provider))

    def _collect(self) -> None:
        """Collect the records of all plugins. Raises _Fault for the first broken one."""
        found = {kind: self._records(f"sightsmith_{kind}", record) for kind, record in KINDS.items()}
        paths = self._records("sightsmith_config_paths", ConfigPath)
        folders = self._records("sightsmith_presets", PresetFolder)
        for kind, records in found.items():
            self._ensure_unique(kind, records)
        for kind, records in found.items():
            getattr(self, kind).update((record.name, replace(record, provider=provider))
                                       for record, provider in records)
        self.config_paths, self.preset_folders = paths, folders

    def _records(self, hook: str, expected: type) -> list[tuple[Any, Provider]]:
        """The records that all plugins return for ``hook``, in pluggy's call order."""
        found = []
        for provider in self._implementers(hook):
            try:
                found += [(record, provider) for record in self._returned(hook, provider, expected)]
            except Exception as error:
                raise _Fault(self._culprit(hook, provider, expected), error) from error
        return found

    def _implementers(self, hook: str) -> list[Provider]:
        """The plugins that implement ``hook``, in call order; if there are only wrappers, the first of them."""
        own, wrappers = self._hooked(hook)
        return own or wrappers[:1]

    def _hooked(self, hook: str) -> tuple[list[Provider], list[Provider]]:
        """The plugins that implement ``hook``, and those that wrap it."""
        provider_of = {module: provider for provider, module in self._modules.items()}
        called: tuple[list[Provider], list[Provider]] = ([], [])
        for item in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            called[item.wrapper or item.hookwrapper].append(provider_of[item.plugin])
        return called

    def _caller(self, hook: str, provider: Provider, without: Iterable[Provider] = ()) -> pluggy.HookCaller:
        """Calls one plugin's ``hook`` inside all wrappers except those of ``without``."""
        others = {*self._implementers(hook), *without} - {provider}
        return self._manager.subset_hook_caller(hook, [self._modules[other] for other in others])

    def _returned(self, hook: str, provider: Provider, expected: type, without: Iterable[Provider] = ()) -> list[Any]:
        records = [record for result in self._caller(hook, provider, without)() for record in result]
        for record in records:
            if not isinstance(record, expected):
                raise TypeError(f"{hook} returned a {type(record).__name__}, not a {expected.__name__}")
        return records

    def _culprit(self, hook: str, provider: Provider, expected: type) -> Provider:
        """Whose fault a failing ``hook`` of ``provider`` is: its own, or that of a plugin that wraps it."""
        _, wrappers = self._hooked(hook)
        for suspect in (provider, *wrappers):
            try:
                self._returned(hook, provider, expected, without={*wrappers} - {suspect})
            except Exception:
                return suspect
        return provider

    def _ensure_unique(self, kind: str, records: Iterable[tuple[Record, Provider]]) -> None:
        """Raises _Fault for a plugin that reuses an earlier plugin's name, whatever the call order."""
        owners: dict[str, Provider] = {}
        for record, provider in sorted(records, key=lambda item: self.providers.index(item[1])):
            if other := owners.get(record.name):
                by = "registered twice by this plugin" if other == provider else f"already registered by {other}"
                raise _Fault(provider, ValueError(f"{kind[:-1]} {record.name!r} is {by}"))
            owners[record.name] = provider

    def provider(self, kind: str, name: str) -> Provider:
        """The plugin that registered ``name`` as a ``kind`` (``"networks"``, ...)."""
        provider: Provider = getattr(self, kind)[name].provider
        return provider

    def task(self, name: str) -> TaskRecord:
        return self._find("task", self.tasks, name)

    def network(self, name: str) -> NetworkRecord:
        return self._find("network", self.networks, name)

    def recipe(self, name: str) -> RecipeRecord:
        return self._find("recipe", self.recipes, name)

    def tuner(self, name: str) -> TunerRecord:
        return self._find("tuner", self.tuners, name)

    def logger(self, name: str) -> LoggerRecord:
        return self._find("logger", self.loggers, name)

    def augmentation(self, name: str) -> AugmentationRecord:
        return self._find("augmentation", self.augmentations, name)

    def _find(self, kind: str, records: Mapping[str, R], name: str) -> R:
        if name in records:
            return records[name]
        raise UserError(f"No installed plugin provides the {kind} {name!r}.{near(name, records)}",
                        hint=f"`sightsmith list {kind}s` shows all {len(records)}.{self.not_loaded()}")

    def not_loaded(self) -> str:
        """For what is unknown: the plugins that may have it, but are broken."""
        names = ", ".join(str(item.provider) for item in self.broken)
        return f" Not loaded (see `sightsmith doctor`): {names}." if names else ""

    def diagnostics(self) -> list[Finding]:
        """The findings of all plugins; one that raises counts as a failed finding."""
        found: list[Finding] = []
        for provider in self._implementers("sightsmith_diagnostics"):
            try:
                found += self._returned("sightsmith_diagnostics", provider, Finding)
            except Exception as error:  # a faulty plugin must not break the others
                cause = f"{type(error).__name__}: {error}"
                found.append(Finding("plugins", f"{provider} failed in sightsmith_diagnostics: {cause}", ok=False))
        return found

    def dataset_checked(self, dataset: CheckedDataset) -> None:
        self._manager.hook.sightsmith_dataset_checked(dataset=dataset)

    def before_run(self, plan: Plan, run_dir: Path) -> None:
        self._manager.hook.sightsmith_before_run(plan=plan, run_dir=run_dir)

    def after_epoch(self, run_dir: Path, epoch: int, metrics: Mapping[str, float | None]) -> None:
        self._manager.hook.sightsmith_after_epoch(run_dir=run_dir, epoch=epoch, metrics=metrics)

    def after_run(self, run_dir: Path, metrics: Mapping[str, float | None]) -> list[str]:
        """Call every plugin, even if one fails. Returns a warning for each that failed, and logs its traceback."""
        warnings = []
        for provider in self._implementers("sightsmith_after_run"):
            try:
                self._caller("sightsmith_after_run", provider)(run_dir=run_dir, metrics=metrics)
            except Exception as error:  # the run is finished, whatever a plugin raises
                warnings.append(f"{provider} failed in sightsmith_after_run: {describe_error(error)}")
                log.warning(warnings[-1], exc_info=True)
        return warnings

    def on_run_error(self, run_dir: Path, error: BaseException) -> None:
        self._manager.hook.sightsmith_on_run_error(run_dir=run_dir, error=error)


def _ensure_marked(module: ModuleType) -> None:
    """Raises TypeError for a hook that pluggy would not find, or does not know."""
    hooks = [name for name in vars(hookspecs) if name.startswith("sightsmith_")]
    for name in hooks:
        if callable(found := getattr(module, name, None)) and not hasattr(found, f"{hookspecs.PROJECT}_impl"):
            raise TypeError(f"{name} is not marked with @hookimpl, so it would never be called")
    for name, found in vars(module).items():
        if hasattr(found, f"{hookspecs.PROJECT}_impl") and name not in hooks:
            raise TypeError(f"there is no hook {name}.{near(name, hooks)}")


def installed() -> Iterable[tuple[Provider, Callable[[], ModuleType]]]:
    """The entry points of this environment, sightsmith's own first."""
    only_own = os.environ.get(DISABLE_VARIABLE, "") not in ("", "0")
    found = []
    names: dict[object, tuple[str, str]] = {}  # reading entry.dist.name parses the metadata each time
    for entry in entry_points(group=GROUP):
        if entry.dist not in names:
            names[entry.dist] = (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "?")
        distribution, version = names[entry.dist]
        if distribution == OWN_DISTRIBUTION or not only_own:
            found.append((Provider(entry.name, distribution, version, entry.value), entry.load))
    return sorted(found, key=lambda item: (item[0].distribution != OWN_DISTRIBUTION, item[0].distribution,
                                           item[0].plugin))


def load_plugins() -> Plugins:
    """Load the plugins installed in this environment; called where a process starts, and passed on from there."""
    return Plugins(installed())
