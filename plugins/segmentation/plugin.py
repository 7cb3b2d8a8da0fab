"""Registers the segmentation task, its networks and its configuration."""

from __future__ import annotations

from sightsmith.plugin import ConfigPath, NetworkRecord, TaskRecord, hookimpl
from sightsmith.plugins.openmmlab.networks import records


@hookimpl
def sightsmith_tasks() -> list[TaskRecord]:
    return [TaskRecord(
        name="segmentation", description="the class of every pixel",
        builder="sightsmith.plugins.segmentation.task:SegmentationTask", score="dice", annotation="masks",
        sample="sightsmith.plugins.openmmlab.sample:write_masks")]


@hookimpl
def sightsmith_networks() -> list[NetworkRecord]:
    return records("sightsmith.plugins.segmentation", "segmentation")


@hookimpl
def sightsmith_config_paths() -> list[ConfigPath]:
    return [ConfigPath("pkg://sightsmith.plugins.segmentation.conf")]
