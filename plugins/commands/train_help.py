"""``sightsmith train --help``: every key with its value, for the task, network, recipe and preset that are typed."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sightsmith.core.contracts.keys import format_override, walk

if TYPE_CHECKING:
    from sightsmith.core.contracts.schema import Config
    from sightsmith.core.plugins.manager import Plugins

HEAD = """\
Train a model on your own images:

  sightsmith train dataset=photos
  sightsmith train task=classification dataset.root=photos network=resnet50 hyper.epochs=50
  sightsmith train task=classification dataset.root=photos --multirun network=resnet18,resnet50
"""
TAIL = """
--config-name FILE trains with a configuration of your own, as `sightsmith init` writes it; --config-dir FOLDER is where
it is. --cfg job shows the composed configuration, --hydra-help Hydra's own flags. --json prints the run's folder and
metrics as JSON."""
CHOOSING = ("task", "network", "network.config", "network.weights", "recipe", "preset", "base_run", "tuner",
            "image.size", "dataset.tile")
"""What decides the values of other keys."""
IMAGES = 100
"""Images of the data set that a recipe is asked about, which a help does not have."""


def print_help(overrides: Sequence[str], plugins: Plugins) -> None:
    """Print every configuration key with its value, range and help. Raises UserError for a wrong choice."""
    config = _composed([text for text in overrides if text.partition("=")[0] in CHOOSING], plugins)
    chosen = _by_recipe(config, plugins) if config else {}
    print(f"{HEAD}\n{_choices(config, plugins)}")
    shown = "the schema's defaults; a task, network, recipe or preset may set others: add them to --help"
    if config is not None:
        shown = f"those of {_described(config)}"
        if chosen:
            shown += f"; (..): what recipe={config.recipe} would choose for {IMAGES} photos of this size"
    print("\n".join(textwrap.wrap(f"key=value (values: {shown}):", 120)) + "\n")
    _print_keys(config, chosen, plugins)
    print(TAIL)


def _composed(overrides: Sequence[str], plugins: Plugins) -> Config | None:
    """The configuration of what is chosen; None if that is no task yet."""
    from sightsmith.engine.config.compose import compose

    names = [text.partition("=")[0] for text in overrides]
    if not {"task", "preset", "base_run"} & {*names}:
        network = next((text.partition("=")[2] for text in overrides if text.startswith("network=")), None)
        if network is None and not overrides:
            return None
        task = plugins.network(network).task if network else next(iter(plugins.tasks))
        overrides = [f"task={task}", *overrides]
    return compose([*overrides, "dataset.root=photos"], plugins)


def _by_recipe(config: Config, plugins: Plugins) -> Mapping[str, Any]:
    from sightsmith.core.contracts.schema import AUTO
    from sightsmith.core.util.errors import UserError
    from sightsmith.engine.data.dataset_statistics import DatasetStatistics
    from sightsmith.engine.pipeline.recipe import fixed_keys, follow_recipe

    if config.tuner.name == AUTO:
        return {}
    task, network = plugins.task(config.task.name), plugins.network(config.network.name)
    annotation = network.annotation or task.annotation
    size = config.image.size or network.input_size
    data = DatasetStatistics(annotation, IMAGES, size, None if annotation == "labels" else size / 8,
                             ("a", IMAGES // 2), ("b", IMAGES // 2), False, (None,))
    try:
        decisions = follow_recipe(config, data, fixed_keys(config, (), plugins), plugins).decisions
    except UserError:  # it has nothing for this network, which training says
        return {}
    return {item.key: item.value for item in decisions}


def _described(config: Config) -> str:
    """The choices that the values are those of."""
    parts = [f"preset={config.preset.name}"] if config.preset.name else []
    parts += [f"task={config.task.name}", f"network={config.network.name}"]
    return " ".join([*parts, *([f"network.config={config.network.config}"] if config.network.config else [])])


def _choices(config: Config | None, plugins: Plugins) -> str:
    networks = f"{len(plugins.networks)}, see `sightsmith list networks`"
    if config is not None:
        task, record = config.task.name, plugins.network(config.network.name)
        count = sum(item.task == task for item in plugins.networks.values())
        networks = (f"{record.name} ({record.description}), one of {count}: see `sightsmith list networks --task "
                    f"{task}`")
    return (f"task:     {', '.join(plugins.tasks)}\n"
            f"network:  {networks}\n"
            f"recipe:   {', '.join(plugins.recipes)}, see `sightsmith list recipes`\n"
            f"tuner:    {', '.join(plugins.tuners)}, see `sightsmith list tuners`\n"
            f"logger:   {', '.join(plugins.loggers)}; several as logger=[a,b], none as logger=[]\n")


def _print_keys(config: Config | None, chosen: Mapping[str, Any], plugins: Plugins) -> None:
    from sightsmith.engine.config.locked_keys import is_locked
    from sightsmith.engine.config.overrides import all_keys
    from sightsmith.engine.config.presets import choice_of, find_preset

    values = {} if config is None else {key: value for key, _, value in walk(config)}
    options = {} if config is None else plugins.network(config.network.name).options
    locks = find_preset(str(choice_of(config.preset)), plugins) if config and config.preset.name else None
    for key, entry, tasks in all_keys(plugins):
        if key in ("task.name", "network.name", "logger") or config is not None and (
                tasks and config.task.name not in tasks or key.startswith("preset.")):
            continue
        meta = entry.metadata
        default = values.get(key, entry.default)
        value = "" if default in (dataclasses.MISSING, "???", [], {}) or key == "dataset.root" else (
            f" [{format_override(default)}]")
        if key in chosen:
            value = f" ({_short(chosen[key])})"
        elif key == "network.options" and options:
            value = f" [{', '.join(f'{name}: {format_override(option)}' for name, option in options.items())}]"
        allowed = "|".join(filter(None, meta.get("choices") or ()))
        if meta.get("low") is not None:
            high = meta.get("high")
            allowed = f"{meta['low']:g} to {high:g}" if high is not None else f"from {meta['low']:g}"
        of_task = f"  with task={' or task='.join(tasks)}" if tasks and config is None else ""
        allowed = "locked by the preset" if locks and is_locked(key, locks) else allowed
        print(f"  {key}{value}" + (f"  {allowed}" if allowed else "") + f"{of_task}\n      {meta['help']}")


def _short(value: Any) -> str:
    return ", ".join(value) if isinstance(value, dict) else format_override(value)
