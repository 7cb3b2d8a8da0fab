"""Composes overrides into a checked configuration: Hydra with the plugins' search paths and the schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra_plugins.sightsmith import SightsmithSweeper
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sightsmith.core.contracts.keys import walk
from sightsmith.core.contracts.recommendation import ensure_not_overridden
from sightsmith.core.contracts.schema import AUTO, BaseRunConfig, Config, PreferenceConfig, PresetConfig, TaskConfig
from sightsmith.core.contracts.schema_values import check_values, range_problems
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.digest import digest
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.engine.config.base_run import BaseRun, find_base_run
from sightsmith.engine.config.explain import explain
from sightsmith.engine.config.locked_keys import ensure_locked_values
from sightsmith.engine.config.overrides import (
    GROUPS,
    LOCKING_GROUPS,
    augmentation_problems,
    chosen_options,
    logger_problems,
    parse_overrides,
    settings_of,
    typed_overrides,
    unknown_keys,
)
from sightsmith.engine.config.presets import Preset, find_preset, is_file, preset_files


class SightsmithSearchPath(SearchPathPlugin):
    """Adds the configuration of sightsmith and its ``plugins`` to Hydra's search path.

    Hydra instantiates registered classes without arguments: hence one class for each :class:`Plugins`.
    """

    plugins: Plugins

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("sightsmith", "pkg://sightsmith.conf")
        for config_path, provider in self.plugins.config_paths:
            search_path.append(f"sightsmith:{provider.plugin}", config_path.path)


class _Option(ConfigNode):
    """A node whose content is made when Hydra loads it: a run needs one network of a hundred."""

    def __init__(self, group: str, name: str, content: Callable[[], Any], provider: str, package: str | None) -> None:
        self.group, self.name, self.provider, self.package, self._content = group, name, provider, package, content

    @cached_property
    def node(self) -> DictConfig:  # type: ignore[override]
        return OmegaConf.structured(self._content())  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> _Option:
        return self  # Hydra copies the whole store in each composition, and each node that it loads once more


@lru_cache(maxsize=4)
def _schema(plugins: Plugins) -> DictConfig:
    """All keys with their defaults, those of the augmentations too. Cached: Hydra copies it before each use."""
    schema = Config()
    schema.augment.extra = {name: {option: known.default for option, known in record.keys.items()}
                            for name, record in plugins.augmentations.items()}
    return OmegaConf.structured(schema)  # type: ignore[no-any-return]


def _preset_node(choice: str, plugins: Plugins) -> dict[str, Any]:
    return find_preset(choice, plugins).node()


def _store(store: ConfigStore, group: str, name: str, content: Callable[[], Any], provider: str,
           package: str | None = None) -> None:
    """Register with Hydra the option ``name`` of ``group``, "" for none."""
    folder = store.repo
    for part in filter(None, group.split("/")):
        folder = folder.setdefault(part, {})
    file = name if name.endswith(".yaml") else f"{name}.yaml"
    folder[file] = _Option(group, file, content, provider, package)


def _register_search_path(plugins: Plugins) -> None:
    """Register the search path of ``plugins`` with Hydra, and remove that of an earlier call."""
    registry = HydraPlugins.instance()
    for classes in registry.plugin_type_to_subclass_list.values():
        classes[:] = [known for known in classes if not issubclass(known, SightsmithSearchPath)]
    registry.register(type(SightsmithSearchPath.__name__, (SightsmithSearchPath,), {"plugins": plugins}))


def install(overrides: Sequence[str], plugins: Plugins) -> None:
    """Register with Hydra the schema, records and search paths, and the base_run folders and preset files of
    ``overrides``.

    Cheap, and safe to repeat. Raises UserError for a base run that is not finished, a file that is not a preset, and a
    group with an empty value.
    """
    parsed = parse_overrides(overrides)
    for override in parsed:
        group = override.key_or_group
        if group in (*GROUPS, "base_run") and override.value() is None and not override.is_delete():
            raise UserError(f"{override.input_line} has an empty value", hint="leave it out")
    _register_search_path(plugins)
    store = ConfigStore.instance()
    HydraPlugins.instance().register(SightsmithSweeper)
    store.store(group="hydra/sweeper", name="sightsmith", provider="sightsmith",
                node={"_target_": f"{SightsmithSweeper.__module__}.{SightsmithSweeper.__name__}", "params": {}})
    _store(store, "", "schema", partial(_schema, plugins), "sightsmith")
    _store(store, "_task_keys", "none", lambda: TaskConfig, "sightsmith", "task")
    for name, task in plugins.tasks.items():
        _store(store, "_task_keys", name, partial(settings_of, task), plugins.provider("tasks", name).plugin, "task")
    for name in plugins.networks:
        _store(store, "network", name, partial(dict, name=name), plugins.provider("networks", name).plugin)
    for name in plugins.recipes:
        _store(store, "recipe", name, partial(dict, recipe=name), plugins.provider("recipes", name).plugin, "_global_")
    for name, tuner in plugins.tuners.items():
        _store(store, "tuner", name, tuner.node, plugins.provider("tuners", name).plugin, "_global_")
    for name, (_, provider) in preset_files(plugins).items():
        _store(store, "preset", name, partial(_preset_node, name, plugins), provider.plugin, "_global_")
    for folder in chosen_options(parsed, "base_run"):
        _store_path(store, "base_run", folder, find_base_run(folder, plugins).node)
    for file in filter(is_file, chosen_options(parsed, "preset")):
        _store_path(store, "preset", file, find_preset(file, plugins).node)
    for name, logger in plugins.loggers.items():
        _store(store, "logger", name, partial(dict, logger.options), plugins.provider("loggers", name).plugin,
               f"logger.{name}")


def compose(overrides: Sequence[str], plugins: Plugins) -> Config:
    """The checked configuration for ``overrides``, as somebody types them. Raises UserError with all problems."""
    return compose_quoted(typed_overrides(overrides, plugins), plugins)


def compose_quoted(overrides: Sequence[str], plugins: Plugins) -> Config:
    """Like :func:`compose`, for what :func:`typed_overrides` has returned."""
    try:
        return resolve(*_composed(overrides, plugins), plugins)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, overrides, plugins) from error


def _composed(overrides: Sequence[str], plugins: Plugins) -> tuple[DictConfig, Mapping[str, str | None]]:
    """The unchecked composition of the plugins' files and ``overrides``, and the option chosen for each group."""
    install(overrides, plugins)
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize(version_base="1.3", config_path=None, job_name="train"):
            composed = hydra_compose("config", list(overrides), return_hydra_config=True)
    finally:
        GlobalHydra.instance().clear()
        if outer is not None:
            GlobalHydra.instance().initialize(outer)
    return without_hydra(composed)


def without_hydra(composed: DictConfig) -> tuple[DictConfig, Mapping[str, str | None]]:
    """Remove Hydra's own node from ``composed``; returns it, and the option chosen for each group."""
    choices = OmegaConf.to_container(composed.hydra.runtime.choices)
    with open_dict(composed):
        del composed["hydra"]
    return composed, choices  # type: ignore[return-value]


def _store_path(store: ConfigStore, group: str, path: str, content: Callable[[], Any]) -> None:
    """Register the option that ``group=path`` chooses."""
    *groups, name = (part for part in f"{group}/{path}".split("/") if part)
    _store(store, "/".join(groups), name, content, "sightsmith", "_global_")
    if path.endswith("/"):  # as shells complete folders: Hydra finds a group of that name, and loads its option ""
        _store(store, "/".join([*groups, name]), "", content, "sightsmith", "_global_")


@lru_cache(maxsize=64)
def _composed_alone(choice: str, content: str, plugins: Plugins) -> Config:
    """The configuration with the override ``choice`` alone. Cached, because a sweep needs the same one often;
    ``content`` is the digest of the chosen file, so that a changed file is composed again."""
    composed, _ = _composed([choice, "dataset.root=any"], plugins)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    return _with_active_augmentations(config)


def _with_active_augmentations(config: Config) -> Config:
    """A run keeps only the augmentations that it uses, so that it can do without the plugins of the others."""
    extra = {name: values for name, values in config.augment.extra.items()
             if not isinstance(values, dict) or values.get("probability", 1)}
    return replace(config, augment=replace(config.augment, extra=extra))


def reference(config: Config, locks: Preset | BaseRun | None, plugins: Plugins) -> Config:
    """The configuration with only the preset, the base run or, without ``locks``, the task chosen."""
    if locks is None:
        return _composed_alone(f"task={config.task.name}", "", plugins)
    return _composed_alone(locks.choice, digest(locks.node()), plugins)


def _chosen_locks(choices: Mapping[str, str | None], plugins: Plugins) -> Preset | BaseRun | None:
    preset, folder = (choices.get(group) for group in LOCKING_GROUPS)
    if preset and folder:
        raise UserError("preset and base_run exclude each other: each determines what is trained",
                        hint="leave one of them out")
    return find_preset(preset, plugins) if preset else find_base_run(folder, plugins) if folder else None


def ensure_unlocked(config: Config, choices: Mapping[str, str | None], plugins: Plugins) -> None:
    """Raises UserError if ``config`` differs from what the chosen preset or base_run locks, whatever the cause."""
    if (locks := _chosen_locks(choices, plugins)) is not None:
        same_limits = config.task.name == locks.task
        others = check_values(config) if same_limits else range_problems(walk(config))
        ensure_locked_values(config, reference(config, locks, plugins), locks, others)
    elif config.flow != "general" or config.preset != PresetConfig() or config.base_run != BaseRunConfig():
        raise UserError("flow=specialized and preset.* require a preset, flow=retrain and base_run.* a base run; "
                        "neither is chosen", problems=range_problems(walk(config)),
                        hint="type preset=NAME (`sightsmith list presets`), or base_run=RUN, a finished run's folder")


def _ensure_network_of_task(config: Config, plugins: Plugins) -> None:
    network = plugins.network(config.network.name)
    if network.task not in plugins.tasks:
        raise UserError(f"The network {network.name!r} of {network.provider} is for the task {network.task!r}, which "
                        f"no installed plugin provides.{near(network.task, plugins.tasks)}",
                        hint="`sightsmith list networks` shows those that can be trained")
    if network.task != config.task.name:
        raise UserError(f"The network {network.name!r} is for {network.task}, not for {config.task.name}.",
                        problems=range_problems(walk(config)),
                        hint=f"`sightsmith list networks --task {config.task.name}` shows those that fit")


def resolve(composed: DictConfig, choices: Mapping[str, str | None], plugins: Plugins) -> Config:
    """The typed configuration; ``choices`` are the options chosen for Hydra's groups.

    Raises UserError for missing keys, values out of range and overrides of locked keys. What follows from a wrong
    choice, such as another task's limits, is not told.
    """
    hints = {"dataset.root": "type dataset.root=FOLDER (or a zip), or dataset.root=sample for the embedded data set"}
    missing = [Problem(f"{key} is required", hint=hints.get(key))
               for key in sorted(OmegaConf.missing_keys(composed)) if not key.startswith("hydra")]
    missing += list(unknown_keys(OmegaConf.to_container(composed, resolve=False, throw_on_missing=False),
                                 Config(task=plugins.task(str(choices.get("task"))).build_settings()(MISSING)),
                                 plugins))
    if missing:
        raise UserError("Invalid configuration:", problems=missing)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    if config.task.name != choices.get("_task_keys"):
        raise UserError(f"task.name={config.task.name} does not select a task", hint=f"type task={config.task.name}")
    ensure_unlocked(_with_active_augmentations(config), choices, plugins)
    _ensure_network_of_task(config, plugins)
    if problems := [*check_values(config), *augmentation_problems(config, plugins),
                    *logger_problems(config.logger, plugins)]:
        raise UserError("Invalid values in the configuration:", problems=problems)
    config = _with_active_augmentations(config)
    if config.tuner.name != choices.get("tuner"):
        raise UserError(f"tuner.name={config.tuner.name} does not select a tuner",
                        hint=f"type tuner={config.tuner.name}")
    if config.tuner.name == AUTO:
        ensure_not_overridden(config, reference(config, _chosen_locks(choices, plugins), plugins))
    elif config.preference != PreferenceConfig():
        raise UserError(f"preference.* applies to tuner=auto only, and this run has tuner={config.tuner.name}",
                        hint="type tuner=auto, or leave preference.* out")
    return config
