"""Overrides of the command line: what they choose, and their problems."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from os.path import commonprefix
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, QuotedString
from hydra.errors import HydraException
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

from sightsmith.core.contracts.augmentation import Option
from sightsmith.core.contracts.keys import format_override, walk
from sightsmith.core.contracts.records import TaskRecord
from sightsmith.core.contracts.schema import Config, TaskConfig
from sightsmith.core.contracts.schema_values import range_problems
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import Problem, near
from sightsmith.engine.config.base_run import find_base_run
from sightsmith.engine.config.literal import as_typed
from sightsmith.engine.config.locked_keys import Locks
from sightsmith.engine.config.presets import find_preset, is_file, preset_files, with_preset_files
from sightsmith.engine.config.run_names import with_run_paths

EXTRA = "augment.extra"
KINDS = {"list": "a list", "dict": "a mapping", "bool": "true or false", "float": "a number", "int": "a whole number"}
"""What values of a type are called."""
GROUPS = ("task", "network", "logger", "preset", "recipe", "tuner")
LOCKING_GROUPS = ("preset", "base_run")
"""Groups whose options lock keys."""


def typed_overrides(overrides: Iterable[str], plugins: Plugins, *, multirun: bool = False) -> list[str]:
    """``overrides`` as somebody types them, in Hydra's grammar, with the paths of runs and presets that they name."""
    return as_typed(with_preset_files(with_run_paths(overrides), plugins), plugins, multirun=multirun)


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
            "preset": list(preset_files(plugins)), "recipe": list(plugins.recipes), "tuner": list(plugins.tuners)}


def settings_of(task: TaskRecord) -> type[TaskConfig]:
    """What ``task`` declares of the node ``task``; where its plugin fails in that, none of its own keys: composing
    another task must not."""
    try:
        return task.build_settings()
    except Exception:
        return TaskConfig


def all_keys(plugins: Plugins) -> Iterator[tuple[str, dataclasses.Field[Any], tuple[str, ...]]]:
    """Every key as ``(dotted key, field, tasks)``; ``tasks`` are those that alone have it, () for all of them."""
    for key, entry, _ in walk():
        if key == EXTRA:
            yield from ((f"{EXTRA}.{name}.{option}", known.field(), known.tasks or record.tasks)
                        for name, record in plugins.augmentations.items() for option, known in record.keys.items())
            continue
        yield key, entry, ()
        if key == "task.name":
            own = {name: _own_keys(task) for name, task in plugins.tasks.items()}
            for own_key, field in {key: field for keys in own.values() for key, field in keys.items()}.items():
                yield own_key, field, tuple(name for name, keys in own.items() if own_key in keys)


def _belongs(key: str, tasks: Iterable[str]) -> str:
    return f"{key} belongs to task={' or task='.join(tasks)}"


def _locking(parsed: Sequence[Override], plugins: Plugins) -> Iterator[Locks]:
    """The chosen presets and base runs."""
    presets = preset_files(plugins)
    for choice in chosen_options(parsed, "preset"):
        if is_file(choice) or choice in presets:
            yield find_preset(choice, plugins)
    for folder in chosen_options(parsed, "base_run"):
        yield find_base_run(folder, plugins)


def _own_keys(task: TaskRecord) -> dict[str, dataclasses.Field[Any]]:
    return {key: entry for key, entry, _ in walk(settings_of(task), "task.") if key != "task.name"}


def override_problems(overrides: Sequence[str], plugins: Plugins, *, needs_task: bool = True) -> Iterator[Problem]:
    """Every unknown key, option and value in ``overrides``; without ``needs_task``, something else may choose the task.
    Raises HydraException for invalid syntax."""
    options = _options(plugins)
    declared = list(all_keys(plugins))
    keys, tasks_of = {key for key, _, _ in declared}, {key: tasks for key, _, tasks in declared}
    open_keys = tuple(f"{key}." for key, entry, _ in declared if str(entry.type).startswith("dict"))
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    typed, locking = list(chosen_options(parsed, "task")), list(_locking(parsed, plugins))
    loggers = str(next((override.value() for override in parsed if override.key_or_group == "logger"), "tensorboard"))
    tasks = {name for name in (*typed, *(locks.task for locks in locking)) if name in plugins.tasks}
    for locks in locking:
        if typed and locks.task not in typed:
            yield Problem(f"task={typed[-1]}: {locks.owner} is for task={locks.task}", hint="leave task out")
    chosen_by = {"dataset" if familiar_key(item.key_or_group) == "dataset" else item.key_or_group for item in parsed}
    if needs_task and not chosen_by & {"task", "dataset", *LOCKING_GROUPS}:  # a data set finds it
        names = ", ".join(sorted(options["task"]))
        yield Problem("no task is chosen", hint=f"type task=NAME; available: {names}")
    for override in parsed:
        key = override.key_or_group
        if key in GROUPS:
            chosen = override.value()
            for name in chosen if isinstance(chosen, list) else [chosen]:
                if isinstance(name, str) and name not in options[key] and not (key == "preset" and is_file(name)):
                    yield Problem(f"{override.input_line}: unknown {key} {name!r}.{_near_option(name, options[key])}",
                                  hint=f"`sightsmith list {key}s` shows all {len(options[key])}.{plugins.not_loaded()}")
        elif key.startswith(("hydra.", "hydra/")) or key == "base_run":
            continue
        elif key.startswith("logger."):
            _, name, *option = key.split(".", 2)
            yield from logger_problems({name: {part: override.value() for part in option}}, plugins)
            if name not in loggers:
                yield Problem(f"{override.input_line}: the logger {name!r} is not chosen", hint=f"type logger={name}")
        elif f"{key}.".startswith(open_keys):
            if not override.is_add() and not override.is_force_add():
                yield Problem(f"{override.input_line}: {key} has no such key yet; add it with +",
                              hint=f"+{override.input_line}")
        elif key not in keys:
            value: Any = override.value()
            other = isinstance(value, str) and familiar_key(key) == "network" and value not in options["network"]
            yield Problem(f"{override.input_line}: unknown key {key!r}.{_near_key(key, keys)}"
                          + (_near_option(value, options["network"]) if other else ""))
        elif tasks and (owners := tasks_of.get(key)) and not tasks & {*owners}:
            yield Problem(f"{override.input_line}: {_belongs(key, owners)}", hint="leave it out")
        elif not override.is_delete() and not override.is_sweep_override():
            owners = tasks_of.get(key)
            schema = Config(task=settings_of(plugins.tasks[owners[0]])(MISSING)) if owners else Config
            try:
                OmegaConf.update(OmegaConf.structured(schema), key, override.value())
            except ValidationError:
                entry = next(entry for name, entry, _ in declared if name == key)
                wanted = next((name for kind, name in KINDS.items() if kind in str(entry.type)), "a value that fits")
                several = value if isinstance(value := override.value(), list) else []
                yield Problem(f"{override.input_line} is not {wanted}", hint="for a run with each, type --multirun and "
                              f"'{key}={','.join(map(str, several))}'" if several else None)
            except OmegaConfBaseException as refused:
                reason = re.sub(r"\s*full_key:.*", "", str(refused), flags=re.DOTALL)
                yield Problem(f"{override.input_line}: {reason}")


def augmentation_problems(config: Config, plugins: Plugins) -> Iterator[Problem]:
    """Names, options and values of ``augment.extra`` that no augmentation has, or not for this task."""
    for name, values in config.augment.extra.items():
        key, record = f"{EXTRA}.{name}", plugins.augmentations.get(name)
        if record is None:
            there = ", ".join(sorted(plugins.augmentations)) or "none"
            yield Problem(f"{key}: no installed plugin provides the augmentation {name!r}."
                          f"{near(str(name), plugins.augmentations)}",
                          hint=f"installed: {there}; `sightsmith list augmentations` describes them")
        elif not isinstance(values, dict):
            yield Problem(f"{key}={values} is not a mapping of options", hint=f"type {key}.probability=0.5")
        else:
            for option, value in values.items():
                if (known := record.keys.get(option)) is None:
                    yield Problem(f"{key}: the augmentation {name!r} of {record.provider} has no option {option!r}."
                                  f"{near(str(option), record.keys)}", hint=f"its options: {', '.join(record.keys)}")
                    continue
                yield from _option_problems(f"{key}.{option}", known, value)
                owners = known.tasks or record.tasks
                if owners and config.task.name not in owners and value != known.default:
                    yield Problem(_belongs(f"{key}.{option}", owners), hint="leave it out")


def _option_problems(key: str, option: Option, value: Any) -> Iterator[Problem]:
    kind = type(option.default)
    if type(value) is not kind and not (kind is float and type(value) is int):
        name = KINDS.get(kind.__name__, "text")
        yield Problem(f"{key}={value} is not {name} (default {format_override(option.default)})")
    else:
        yield from range_problems([(key, option.field(), value)])


def logger_problems(chosen: Mapping[str, Any], plugins: Plugins) -> Iterator[Problem]:
    """Packages that the chosen loggers lack, and options that they do not have. Raises UserError for unknown ones."""
    for name, options in chosen.items():
        record = plugins.logger(name)
        if missing := [module for module in record.needs if find_spec(module) is None]:
            yield Problem(f"logger={name} needs {', '.join(missing)}: not installed", hint=f"type {record.install}")
        for key, value in (options or {}).items():
            if (default := record.options.get(key, ...)) is not None and type(value) is not type(default):
                yield Problem(f"logger.{name}.{key}={value} does not fit.{near(key, record.options.keys() - {key})}",
                              hint=f"the options of {name} and their defaults: {dict(record.options)}")


FAMILIAR: Mapping[str, str] = {
    "data": "dataset", "data_dir": "dataset", "root": "dataset", "imgsz": "image.size", "img_size": "image.size",
    "resolution": "image.size", "batch": "hyper.batch_size", "batch_size": "hyper.batch_size", "bs": "hyper.batch_size",
    "epochs": "hyper.epochs", "lr": "hyper.learning_rate", "lr0": "hyper.learning_rate",
    "model": "network", "arch": "network", "backbone": "network", "pretrained": "network.weights",
    "checkpoint": "network.weights", "workers": "trainer.num_workers", "device": "trainer.devices",
    "gpus": "trainer.devices", "amp": "trainer.precision", "project": "output_dir", "output": "output_dir",
    "fliplr": "augment.horizontal_flip", "flipud": "augment.extra.vertical_flip.probability",
    "degrees": "augment.rotation",
    "mosaic": "augment.extra.mosaic.probability", "mixup": "augment.extra.mixup.probability",
    "time": "trainer.time_budget", "lrf": "hyper.schedule", "cos_lr": "hyper.schedule",
}
"""What other trainers call a key."""


def familiar_key(name: str) -> str | None:
    """The key that other trainers call ``name``."""
    return FAMILIAR.get(name.replace("-", "_"))


def _near_option(name: str, options: Iterable[str]) -> str:
    """Like :func:`near`, else those that begin alike: for ``yolov8n``, other networks of that kind."""
    alike = [option for option in options if len(commonprefix([option, name])) >= len("yolo")]
    return near(name, options) or (f" Did you mean {' or '.join(map(repr, alike[:3]))}?" if alike else "")


def _near_key(key: str, keys: set[str]) -> str:
    """Like :func:`near`, but ``seed``, ``wd`` and ``cutmix`` also match ``trainer.seed``, ``hyper.weight_decay`` and
    the probability of that augmentation, and words of other trainers the key that they mean."""
    if (known := familiar_key(key)) is not None:
        return f" Here it is called {known!r}."
    leaf = key.rsplit(".", 1)[-1]
    found = [name for name in sorted(keys) if name.rsplit(".", 1)[-1] == leaf
             or name == f"{EXTRA}.{leaf}.probability"
             or "".join(word[0] for word in name.rsplit(".", 1)[-1].split("_")) == leaf]
    return f" Did you mean {' or '.join(map(repr, found))}?" if 0 < len(found) <= 3 else near(key, found or keys)


def unknown_keys(node: Any, schema: Any, plugins: Plugins, prefix: str = "") -> Iterator[Problem]:
    """Keys added by ``+key=value`` or the user's files: Hydra allows them, nothing reads them. ``schema`` is an
    instance that has the others."""
    fields = {entry.name for entry in dataclasses.fields(schema)}
    for name, value in node.items():
        key = f"{prefix}{name}"
        if key == "hydra":
            continue
        if name not in fields:
            tasks_of = {known: tasks for known, _, tasks in all_keys(plugins)}
            if owners := tasks_of.get(key):
                yield Problem(_belongs(key, owners))
            else:
                yield Problem(f"unknown key {key!r}.{_near_key(key, set(tasks_of))}")
        elif dataclasses.is_dataclass(nested := getattr(schema, name)) and isinstance(value, dict):
            yield from unknown_keys(value, nested, plugins, f"{key}.")
