"""Overrides of the command line: what they choose, and their problems."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sightsmith.core.config.presets import is_file, load_presets
from sightsmith.core.contracts.schema import Config, walk
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import Problem, near

GROUPS = ("task", "network", "logger", "preset", "tuner")
LOCKING_GROUPS = ("preset", "base_run")
"""Groups whose options lock keys."""


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """``overrides`` without Hydra's own; none if their syntax is invalid, which composing reports."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException:
        return []
    return [override for override in parsed if not override.key_or_group.startswith("hydra")]


def chosen_options(parsed: Iterable[Override], group: str) -> Iterator[str]:
    """The options that ``group=`` chooses, also in a sweep."""
    for override in parsed:
        if override.key_or_group == group:
            value = override.value()
            values: Iterable[Any] = [value]
            if override.is_sweep_override():
                values = [] if isinstance(value, Glob) else override.sweep_iterator()
            texts = (value.text if isinstance(value, QuotedString) else value for value in values)
            yield from (text for text in texts if isinstance(text, str))


def _options(plugins: Plugins) -> dict[str, list[str]]:
    """The options of each of :data:`GROUPS`."""
    return {"task": list(plugins.tasks), "network": list(plugins.networks), "logger": list(plugins.loggers),
            "preset": list(load_presets(plugins)), "tuner": list(plugins.tuners)}


def override_problems(overrides: Sequence[str], plugins: Plugins) -> Iterator[Problem]:
    """Every unknown key, option and value in ``overrides``. Raises HydraException for invalid syntax."""
    options = _options(plugins)
    keys = {key for key, _, _ in walk()}
    open_keys = tuple(f"{key}." for key, entry, _ in walk() if str(entry.type).startswith("dict"))
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if not any(override.key_or_group in ("task", *LOCKING_GROUPS) for override in parsed):
        names = ", ".join(sorted(options["task"]))
        yield Problem("no task is chosen", hint=f"type task=NAME; available: {names}")
    for override in parsed:
        key = override.key_or_group
        if key in GROUPS:
            chosen = override.value()
            for name in chosen if isinstance(chosen, list) else [chosen]:
                if isinstance(name, str) and name not in options[key] and not (key == "preset" and is_file(name)):
                    yield Problem(f"{override.input_line}: unknown {key} {name!r}.{near(name, options[key])}",
                                  hint=f"`sightsmith list {key}s` shows all {len(options[key])}")
        elif key.startswith(("hydra.", "hydra/")) or key == "base_run":
            continue
        elif f"{key}.".startswith(open_keys):
            if not override.is_add() and not override.is_force_add():
                yield Problem(f"{override.input_line}: {key} has no such key yet; add it with +",
                              hint=f"+{override.input_line}")
        elif key not in keys:
            yield Problem(f"{override.input_line}: unknown key {key!r}.{_near_key(key, keys)}")
        elif not override.is_delete() and not override.is_sweep_override():
            try:
                OmegaConf.update(OmegaConf.structured(Config), key, override.value())
            except OmegaConfBaseException as refused:
                reason = re.sub(r"\s*full_key:.*", "", str(refused), flags=re.DOTALL)
                yield Problem(f"{override.input_line}: {reason}")


def augmentation_problems(extra: Mapping[str, Any], plugins: Plugins) -> Iterator[Problem]:
    """Names and options of ``augment.extra`` that no plugin has."""
    for name, options in extra.items():
        key, record = f"augment.extra.{name}", plugins.augmentations.get(name)
        if record is None:
            there = ", ".join(sorted(plugins.augmentations)) or "none"
            yield Problem(f"{key}: no installed plugin provides the augmentation {name!r}."
                          f"{near(str(name), plugins.augmentations)}",
                          hint=f"installed: {there}; `sightsmith list augmentations` describes them")
        elif not isinstance(options, dict):
            yield Problem(f"{key}={options} is not a mapping of options",
                          hint=f"type '+{key}={{}}' for the usual ones: {dict(record.options)}")
        else:
            for option in options.keys() - record.options.keys():
                yield Problem(f"{key}: the augmentation {name!r} of {record.provider} has no option {option!r}."
                              f"{near(str(option), record.options)}", hint=f"its options: {', '.join(record.options)}")


def _near_key(key: str, keys: set[str]) -> str:
    """Like :func:`near`, but ``epochs`` and ``lr`` also match ``hyper.epochs`` and ``hyper.learning_rate``."""
    leaf = key.rsplit(".", 1)[-1]
    found = [name for name in sorted(keys) if name.rsplit(".", 1)[-1] == leaf
             or "".join(word[0] for word in name.rsplit(".", 1)[-1].split("_")) == leaf]
    return f" Did you mean {' or '.join(map(repr, found))}?" if found else near(key, keys)


def unknown_keys(node: Any, schema: type, prefix: str = "") -> Iterator[Problem]:
    """Keys added by ``+key=value`` or the user's files: Hydra allows them, nothing reads them."""
    fields = {entry.name: entry for entry in dataclasses.fields(schema)}
    for name, value in node.items():
        key = f"{prefix}{name}"
        if key == "hydra":
            continue
        if name not in fields:
            yield Problem(f"unknown key {key!r}.{_near_key(key, {key for key, _, _ in walk()})}")
        elif dataclasses.is_dataclass(nested := fields[name].default_factory) and isinstance(value, dict):
            yield from unknown_keys(value, nested, f"{key}.")  # type: ignore[arg-type]
