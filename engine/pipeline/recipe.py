"""Applies the recipe of a run to the keys that are not set, and says where each hyperparameter comes from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sightsmith.core.contracts.keys import is_among, walk
from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue
from sightsmith.core.contracts.schema import AUTO, Config
from sightsmith.core.contracts.schema_values import check_values
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import PluginError
from sightsmith.engine.config.compose import reference
from sightsmith.engine.config.overrides import GROUPS, parse_overrides
from sightsmith.engine.data.dataset_statistics import DatasetStatistics

RECIPE_KEYS = ("hyper", "augment", "image", "task", "dataset.tile", "dataset.tile_overlap", "dataset.folds",
               "trainer.gradient_accumulation")
"""Keys and groups that a recipe may set."""

YOU = "set by you"


def fixed_keys(config: Config, overrides: Sequence[str], plugins: Plugins) -> dict[str, str]:
    """The keys that a recipe leaves alone, and who sets them: those of ``overrides``, also to the default's value, and
    those in which ``config`` differs from the task's defaults: by a preset, a base run, or a file of yours."""
    typed = {override.key_or_group for override in parse_overrides(overrides)} - {*GROUPS}
    default = {key: value for key, _, value in walk(reference(config, None, plugins))}
    owner = f"preset {config.preset.name}" if config.preset.name else "base run" if config.base_run.path else YOU
    found = {}
    for key, _, value in walk(config):
        if is_among(key, typed) or any(name.startswith(f"{key}.") for name in typed):
            found[key] = YOU
        elif value != default.get(key):
            found[key] = owner
    return found


def follow_recipe(config: Config, data: DatasetStatistics, fixed: Collection[str], plugins: Plugins) -> Recommendation:
    """What the recipe of ``config`` chooses for the keys that are not ``fixed``.

    Raises UserError if the recipe has nothing for this network, and PluginError if its values cannot be used.
    """
    record, network = plugins.recipe(config.recipe), plugins.network(config.network.name)
    found: Recommendation = record.make(config, plugins.task(config.task.name), network, data, fixed)
    kept = Recommendation(tuple(item for item in found.decisions if item.key not in fixed), warnings=found.warnings)
    known = {key for key, _, _ in walk(config) if is_among(key, RECIPE_KEYS) and key != "task.name"}
    wrong = [item.key for item in kept.decisions if item.key not in known]
    problems = [] if wrong else check_values(kept.applied(config))
    if wrong or problems:
        raise PluginError(f"plugin {record.provider}: the recipe {record.name!r} sets what it cannot set: "
                          + ", ".join([*wrong, *(problem.message for problem in problems)]),
                          hint="type recipe=default, and report it to the plugin's author")
    return kept


def settings(config: Config, fixed: Mapping[str, str], chosen: Recommendation) -> tuple[RecommendedValue, ...]:
    """Every hyperparameter of ``config``, and whatever else was ``chosen``, with its origin."""
    reasons = {item.key: item.reason for item in chosen.decisions}
    origin = f"tuner={AUTO}" if config.tuner.name == AUTO else f"recipe={config.recipe}"
    return tuple(RecommendedValue(key, value, reasons[key], origin) if key in reasons else
                 RecommendedValue(key, value, "", fixed.get(key, "default"))
                 for key, _, value in walk(config) if key.startswith("hyper.") or key in reasons)
