"""Registers the detection task, its networks and its configuration."""

from __future__ import annotations

from sightsmith.plugin import ConfigPath, NetworkRecord, TaskRecord, hookimpl
from sightsmith.plugins.openmmlab.networks import records


@hookimpl
def sightsmith_tasks() -> list[TaskRecord]:
    return [TaskRecord(
        name="detection", description="where objects are: boxes, or a mask per object",
        builder="sightsmith.plugins.detection.task:DetectionTask", score="ap", annotation="boxes",
        sample="sightsmith.plugins.openmmlab.sample:write_boxes")]


@hookimpl
def sightsmith_networks() -> list[NetworkRecord]:
    return records("sightsmith.plugins.detection", "detection")


@hookimpl
def sightsmith_config_paths() -> list[ConfigPath]:
    return [ConfigPath("pkg://sightsmith.plugins.detection.conf")]
