"""The recipes that choose nothing by themselves."""

from __future__ import annotations

from collections.abc import Collection

from sightsmith.plugin import (
    Config,
    DatasetStatistics,
    NetworkRecord,
    Recommendation,
    RecommendedValue,
    TaskRecord,
    UserError,
)


def platform(config: Config, task: TaskRecord, network: NetworkRecord, data: DatasetStatistics,
             fixed: Collection[str]) -> Recommendation:
    """One training, unless something asks for folds; all other defaults of the task stay."""
    asked = config.ensemble != "none" or config.dataset.repeats > 1 or config.dataset.refit == "true"
    if config.flow != "general" or asked:
        return Recommendation(())
    return Recommendation((RecommendedValue("dataset.folds", "none", "the model of the form is trained once"),))


def published(config: Config, task: TaskRecord, network: NetworkRecord, data: DatasetStatistics,
              fixed: Collection[str]) -> Recommendation:
    """What the record of ``network`` says. Raises UserError if it says nothing."""
    if network.recipe is None:
        raise UserError(f"recipe=published: nothing is known of how the network {network.name} was trained",
                        hint="type recipe=default")
    found: Recommendation = network.part("recipe").make(config, task, network, data, fixed)
    return found
