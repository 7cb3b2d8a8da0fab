"""Registers the classification task, its networks and its configuration."""

from __future__ import annotations

from sightsmith.plugin import ConfigPath, NetworkRecord, TaskRecord, hookimpl
from sightsmith.plugins.classification.networks import records


@hookimpl
def sightsmith_tasks() -> list[TaskRecord]:
    return [TaskRecord(
        name="classification", description="the class of an image, or its classes (multi-label)",
        builder="sightsmith.plugins.classification.task:ClassificationTask", score="accuracy", annotation="labels",
        sample="sightsmith.plugins.classification.sample:write",
        settings="sightsmith.plugins.classification.settings:ClassificationConfig")]


@hookimpl
def sightsmith_networks() -> list[NetworkRecord]:
    return records()


@hookimpl
def sightsmith_config_paths() -> list[ConfigPath]:
    return [ConfigPath("pkg://sightsmith.plugins.classification.conf")]
