"""The recipes that choose nothing by themselves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sightsmith.plugin import Config, DatasetStatistics, NetworkRecord, Recommendation, TaskRecord, UserError


def platform(config: Config, task: TaskRecord, network: NetworkRecord, data: DatasetStatistics,
             fixed: Collection[str]) -> Recommendation:
    """Nothing: the defaults of the task stay."""
    return Recommendation(())


def published(config: Config, task: TaskRecord, network: NetworkRecord, data: DatasetStatistics,
              fixed: Collection[str]) -> Recommendation:
    """What the record of ``network`` says. Raises UserError if it says nothing."""
    if network.recipe is None:
        raise UserError(f"recipe=published: nothing is known of how the network {network.name} was trained",
                        hint="type recipe=default")
    found: Recommendation = replace(network, builder=network.recipe).make(config, task, network, data, fixed)
    return found
