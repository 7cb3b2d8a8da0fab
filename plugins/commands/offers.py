"""What completion offers: of every verb its words, flags and keys, with their values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sightsmith.core.contracts.keys import literal_kind
from sightsmith.plugins.commands.faults import or_nothing, zoo_of
from sightsmith.plugins.commands.settings import Argument, declared

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

Offer = dict[str, Any]
"""``values``, ``kind`` of those that the disk has, and what it goes with: ``task``, ``network``, ``of`` by value."""

NOT_TYPED = ("task.name", "network.name", "tuner.name", "recipe", "logger", "preset.", "base_run.path",
             "base_run.classes")
"""Keys, and beginnings of keys, that are set by choosing an option of a group."""
TRAIN_FLAGS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "--config-name": ((), "configs"), "--config-dir": ((), "files"), "--cfg": (("job", "hydra", "all"), "")}
TRAIN_WORDS = ("--multirun", "--json", "--help")


def offers(plugins: Plugins) -> dict[str, Any]:
    """By verb ``words``, ``flags`` that take a value, and ``keys``, the latter two with their offers."""
    configuration = _configuration(plugins)
    found: dict[str, Any] = {"train": {
        "words": TRAIN_WORDS, "keys": configuration,
        "flags": {name: _offer(values, kind) for name, (values, kind) in TRAIN_FLAGS.items()}}}
    for name, record in plugins.commands.items():
        settings = or_nothing(record.build_settings, None)
        known = declared(settings) if settings else []
        keys = {item.name: _of_argument(item, plugins) for item in known if item.kind == "key"}
        if any(item.kind == "overrides" for item in known):
            keys |= {key: offer for key, offer in configuration.items() if key not in keys}
        words = [choice for item in known if item.kind == "word" for choice in item.choices]
        found.setdefault(name, {
            "words": [*words, *(item.name for item in known if item.kind == "flag" and item.type is bool), "--help"],
            "flags": {item.name: _of_argument(item, plugins) for item in known
                      if item.kind == "flag" and item.type is not bool},
            "keys": keys})
    return {name: found[name] for name in plugins.commands}


def _offer(values: Iterable[str] = (), kind: str = "", **more: Any) -> Offer:
    return {"values": list(values), "kind": kind, **more}


def _named(what: str, plugins: Plugins) -> Offer:
    """The offer of an argument that names one of ``what``."""
    if what == "networks":
        return _offer(plugins.networks, of={name: {"task": [item.task]} for name, item in plugins.networks.items()})
    if what == "network configs":
        zoos = {item.name: list(zoo_of(item)) for item in plugins.networks.values() if item.zoo}
        return _offer([config for configs in zoos.values() for config in configs], network=list(zoos), of={
            config: {"network": [name]} for name, configs in zoos.items() for config in configs})
    if what == "presets":
        from sightsmith.engine.config.presets import load_presets

        found = load_presets(plugins, [])
        return _offer(found, "presets", of={name: {"task": [item.task]} for name, item in found.items()})
    if what == "writers":
        return _offer(name for name, item in plugins.dataset_formats.items() if item.writer)
    if what in ("runs", "files"):
        return _offer(kind=what)
    return _offer(getattr(plugins, what))


def _of_argument(item: Argument, plugins: Plugins) -> Offer:
    if item.offers:
        return _named(item.offers, plugins)
    return _offer(("true", "false") if item.type is bool else item.choices)


def _configuration(plugins: Plugins) -> dict[str, Offer]:
    """The keys and groups of ``train``."""
    from sightsmith.engine.config.overrides import all_keys

    launchers = ["basic", *(["joblib"] if find_spec("hydra_plugins.hydra_joblib_launcher") else [])]
    found = {"task": _named("tasks", plugins), "dataset": _offer(["sample"], "files"),
             "network": _named("networks", plugins), "preset": _named("presets", plugins),
             "base_run": _offer(kind="runs"), "recipe": _named("recipes", plugins), "tuner": _named("tuners", plugins),
             "logger": _named("loggers", plugins), "hydra/launcher": _offer(launchers), **_own_groups(plugins)}
    for key, entry, tasks in all_keys(plugins):
        if not key.startswith(NOT_TYPED):
            found[key] = _of_key(entry) | ({"task": list(tasks)} if tasks else {})
    for name, record in plugins.loggers.items():
        found |= {f"logger.{name}.{option}": _offer() for option in record.options}
    found["dataset.root"]["values"] = ["sample"]
    found["dataset.format"]["values"] = ["auto", *plugins.dataset_formats]
    found["network.weights"]["values"] = ["published", "backbone", "none"]
    found["network.config"] = _named("network configs", plugins)
    found["trainer.resume"]["values"] = ["true"]
    return found


def _of_key(entry: dataclasses.Field[Any]) -> Offer:
    choices = entry.metadata.get("choices") or (("true", "false") if isinstance(entry.default, bool) else ())
    if not choices and isinstance(entry.default, str) and entry.default.isalpha():
        choices = (entry.default,)  # such as auto
    return _offer(filter(None, choices), "files" if literal_kind(entry) == "path" else "")


def _own_groups(plugins: Plugins) -> dict[str, Offer]:
    """Groups of the plugins' own configuration, with their options."""
    found: dict[str, Offer] = {}
    for config_path, _ in plugins.config_paths:
        scheme, _, package = config_path.path.partition("://")
        folders = files(package).iterdir() if scheme == "pkg" else ()
        for folder in folders:
            if folder.is_dir() and folder.name not in ("task", "__pycache__"):
                found[folder.name] = _offer(sorted(path.name.removesuffix(".yaml") for path in folder.iterdir()
                                                   if path.name.endswith(".yaml")))
    return found
