"""From overrides to a checked configuration: Hydra with the plugins' search paths and the schema."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, QuotedString
from hydra.core.plugins import Plugins as HydraPlugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra_plugins.sightsmith import SightsmithSweeper
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sightsmith.core.config.base_run import find_base_run
from sightsmith.core.config.locked_keys import ensure_locked_values
from sightsmith.core.config.presets import choice_of, find_preset, is_file, load_presets
from sightsmith.core.contracts.recommendation import ensure_not_overridden
from sightsmith.core.contracts.schema import (
    AUTO,
    BaseRunConfig,
    Config,
    PreferenceConfig,
    PresetConfig,
    check_values,
    walk,
)
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import Problem, UserError, near

GROUPS = ("task", "network", "logger", "preset", "tuner")
LOCKING_GROUPS = ("preset", "base_run")
"""Groups of which an option locks what the run does."""


class SightsmithSearchPath(SearchPathPlugin):
    """Adds sightsmith's configuration and that of every plugin to Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("sightsmith", "pkg://sightsmith.conf")
        for config_path, provider in load_plugins().config_paths:
            search_path.append(f"sightsmith:{provider.plugin}", config_path.path)


def install(overrides: Sequence[str] = ()) -> None:
    """Make Hydra see the schema, the records, the search paths, and the runs that ``overrides`` name as base_run, and
    the files that they name as preset.

    Cheap, and safe to repeat. Raises UserError for a base run that is no finished run, a file that is no preset, and a
    group of which nothing is chosen.
    """
    parsed = _parsed(overrides)
    for override in parsed:
        group = override.key_or_group
        if group in (*GROUPS, "base_run") and override.value() is None and not override.is_delete():
            raise UserError(f"{override.input_line} chooses nothing", hint="leave it out")
    HydraPlugins.instance().register(SightsmithSearchPath)
    store = ConfigStore.instance()
    HydraPlugins.instance().register(SightsmithSweeper)
    store.store(group="hydra/sweeper", name="sightsmith", provider="sightsmith",
                node={"_target_": f"{SightsmithSweeper.__module__}.{SightsmithSweeper.__name__}", "params": {}})
    store.store(name="schema", node=Config, provider="sightsmith")
    plugins = load_plugins()
    for name, network in plugins.networks.items():
        node = {"name": name, "weights": "imagenet" if network.weights else "none"}
        store.store(group="network", name=name, node=node, provider=plugins.provider("networks", name).plugin)
    for name, tuner in plugins.tuners.items():
        store.store(group="tuner", name=name, node=tuner.node(), package="_global_",
                    provider=plugins.provider("tuners", name).plugin)
    for name, preset in load_presets().items():
        store.store(group="preset", name=name, node=preset.node(), package="_global_", provider=str(preset.provider))
    for folder in _chosen(parsed, "base_run"):
        _store_path(store, "base_run", folder, find_base_run(folder).node())
    for file in filter(is_file, _chosen(parsed, "preset")):
        _store_path(store, "preset", file, find_preset(file).node())
    for name in plugins.loggers:
        store.store(group="logger", name=name, node={}, package=f"logger.{name}",
                    provider=plugins.provider("loggers", name).plugin)


def compose(overrides: Sequence[str]) -> Config:
    """The checked configuration of ``overrides``. Raises UserError with every mistake found."""
    try:
        return resolve(*_composed(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, overrides) from error


def _composed(overrides: Sequence[str]) -> tuple[DictConfig, Mapping[str, str | None]]:
    """What the plugins' files and ``overrides`` alone give, and the option chosen of each group."""
    install(overrides)
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
    """What a composition has but for Hydra's own part, which it loses, and the option chosen of each group."""
    choices = OmegaConf.to_container(composed.hydra.runtime.choices)
    with open_dict(composed):
        del composed["hydra"]
    return composed, choices  # type: ignore[return-value]


def _store_path(store: ConfigStore, group: str, path: str, node: dict[str, Any]) -> None:
    """Make ``node`` what ``group=path`` chooses."""
    *groups, name = (part for part in f"{group}/{path}".split("/") if part)
    store.store(group="/".join(groups), name=name, node=node, package="_global_", provider="sightsmith")
    if path.endswith("/"):  # as shells complete it: Hydra looks for the folder as an option, and loads "" in it
        store.store(group="/".join([*groups, name]), name="", node=node, package="_global_", provider="sightsmith")


def _parsed(overrides: Sequence[str]) -> list[Override]:
    """``overrides``, but for those of Hydra itself; none where it will refuse their syntax."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException:
        return []
    return [override for override in parsed if not override.key_or_group.startswith("hydra")]


def _chosen(parsed: Iterable[Override], group: str) -> Iterator[str]:
    """What ``group=`` chooses, also in a sweep."""
    for override in parsed:
        if override.key_or_group == group:
            value = override.value()
            values: Iterable[Any] = [value]
            if override.is_sweep_override():
                values = [] if isinstance(value, Glob) else override.sweep_iterator()
            texts = (value.text if isinstance(value, QuotedString) else value for value in values)
            yield from (text for text in texts if isinstance(text, str))


def _options() -> dict[str, list[str]]:
    """What may be chosen of each of :data:`GROUPS`."""
    plugins = load_plugins()
    return {"task": list(plugins.tasks), "network": list(plugins.networks), "logger": list(plugins.loggers),
            "preset": list(load_presets()), "tuner": list(plugins.tuners)}


@cache
def _reference(choice: str) -> Config:
    """The configuration that the ``choice`` of a preset, base_run or task gives where nothing else is asked for."""
    composed, _ = _composed([choice, "dataset.root=any"])
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    return config


def _choice(config: Config) -> str:
    """What all else of ``config`` follows from."""
    if config.base_run.path is not None:
        return f"base_run='{config.base_run.path}'"
    preset = choice_of(config.preset)
    return f"preset='{preset}'" if preset else f"task={config.task.name}"


def ensure_unlocked(config: Config, choices: Mapping[str, str | None]) -> None:
    """Raises UserError where ``config`` is not what the chosen preset or base_run allows, whatever made it so."""
    preset, folder = (choices.get(group) for group in LOCKING_GROUPS)
    if preset and folder:
        raise UserError("preset and base_run exclude each other: each says what is trained",
                        hint="leave one of them out")
    if preset:
        found = find_preset(preset)
        ensure_locked_values(config, _reference(f"preset='{choice_of(found.card)}'"), found)
    elif folder:
        base_run = find_base_run(folder)
        ensure_locked_values(config, _reference(f"base_run='{base_run.path}'"), base_run)
    elif config.flow != "general" or config.preset != PresetConfig() or config.base_run != BaseRunConfig():
        raise UserError("flow=specialized and the keys preset.* belong to a preset, flow=retrain and base_run.* to a "
                        "base_run, and none is chosen",
                        hint="type preset=NAME (`sightsmith list presets`), or base_run=RUN, a finished run's folder")


def resolve(composed: DictConfig, choices: Mapping[str, str | None]) -> Config:
    """The typed configuration; ``choices`` are the options chosen of Hydra's groups.

    Raises UserError for missing keys, values out of range and changes of what a preset locks, all at once.
    """
    missing = [Problem(f"{key} is not given", hint=_missing_hint(key))
               for key in sorted(OmegaConf.missing_keys(composed)) if not key.startswith("hydra")]
    missing += list(_unknown(OmegaConf.to_container(composed, resolve=False, throw_on_missing=False), Config))
    if missing:
        raise UserError("The configuration cannot be used:", problems=missing)
    config = OmegaConf.to_object(composed)
    assert isinstance(config, Config)
    if problems := check_values(config):
        raise UserError("The configuration has values that cannot be used:", problems=problems)
    ensure_unlocked(config, choices)
    if config.tuner.name != choices.get("tuner"):
        raise UserError(f"tuner.name={config.tuner.name} chooses no tuner", hint=f"type tuner={config.tuner.name}")
    if config.tuner.name == AUTO:
        ensure_not_overridden(config, _reference(_choice(config)))
    elif config.preference != PreferenceConfig():
        raise UserError(f"preference.* is what tuner=auto goes by, and this run's tuner is {config.tuner.name}",
                        hint="type tuner=auto, or leave preference.* out")
    return config


def _unknown(node: Any, schema: type, prefix: str = "") -> Iterator[Problem]:
    """Keys that ``+key=value`` or a file of one's own brought in: Hydra allows them, nothing reads them."""
    fields = {entry.name: entry for entry in dataclasses.fields(schema)}
    for name, value in node.items():
        key = f"{prefix}{name}"
        if key == "hydra":
            continue
        if name not in fields:
            yield Problem(f"there is no key {key!r}.{_near_key(key, {key for key, _, _ in walk()})}")
        elif dataclasses.is_dataclass(nested := fields[name].default_factory) and isinstance(value, dict):
            yield from _unknown(value, nested, f"{key}.")  # type: ignore[arg-type]


def _missing_hint(key: str) -> str | None:
    if key == "dataset.root":
        return "type dataset.root=FOLDER (or a zip), or dataset.root=sample for the embedded data set"
    return None


def explain(error: Exception, overrides: Sequence[str]) -> UserError:
    """Hydra's refusal of ``overrides`` in the words of our keys: every unknown key, option and value."""
    if isinstance(error, UserError):
        return error
    try:
        problems = list(_problems(overrides))
    except HydraException as syntax:
        return UserError(f"An override cannot be read: {_first_line(syntax)}",
                         hint="Overrides read key=value; quote lists for the shell: 'image.windows=[[40,80]]'")
    if taken := re.search(r"'([^']+)' is validated against ConfigStore schema with the same name", str(error)):
        return UserError(f"Your file {taken[1]}.yaml has the name of one that a plugin provides",
                         hint="give it another name")
    if problems:
        return UserError("The configuration cannot be composed:", problems=problems,
                         hint="All keys and choices: `sightsmith train --help`")
    return UserError(f"The configuration cannot be composed: {str(error).strip()}")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _problems(overrides: Sequence[str]) -> Iterator[Problem]:
    options = _options()
    keys = {key for key, _, _ in walk()}
    open_keys = tuple(f"{key}." for key, entry, _ in walk() if str(entry.type).startswith("dict"))
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if not any(override.key_or_group in ("task", *LOCKING_GROUPS) for override in parsed):
        names = ", ".join(sorted(options["task"]))
        yield Problem("no task is chosen", hint=f"type task=NAME; there is: {names}")
    for override in parsed:
        key = override.key_or_group
        if key in GROUPS:
            chosen = override.value()
            for name in chosen if isinstance(chosen, list) else [chosen]:
                if isinstance(name, str) and name not in options[key] and not (key == "preset" and is_file(name)):
                    yield Problem(f"{override.input_line}: there is no {key} {name!r}.{near(name, options[key])}",
                                  hint=f"`sightsmith list {key}s` shows all {len(options[key])}")
        elif key.startswith(("hydra.", "hydra/")) or key == "base_run":
            continue
        elif f"{key}.".startswith(open_keys):
            if not override.is_add() and not override.is_force_add():
                yield Problem(f"{override.input_line}: {key} has no such key yet", hint=f"+{override.input_line}")
        elif key not in keys:
            yield Problem(f"{override.input_line}: there is no key {key!r}.{_near_key(key, keys)}")
        elif not override.is_delete() and not override.is_sweep_override():
            try:
                OmegaConf.update(OmegaConf.structured(Config), key, override.value())
            except OmegaConfBaseException as refused:
                reason = re.sub(r"\s*full_key:.*", "", str(refused), flags=re.DOTALL)
                yield Problem(f"{override.input_line}: {reason}")


def _near_key(key: str, keys: set[str]) -> str:
    """As :func:`near`, but ``epochs`` and ``lr`` also find ``hyper.epochs`` and ``hyper.learning_rate``."""
    leaf = key.rsplit(".", 1)[-1]
    found = [name for name in sorted(keys) if name.rsplit(".", 1)[-1] == leaf
             or "".join(word[0] for word in name.rsplit(".", 1)[-1].split("_")) == leaf]
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else near(key, keys)
