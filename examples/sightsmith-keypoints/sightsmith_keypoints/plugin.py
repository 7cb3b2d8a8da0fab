"""The hooks."""

from __future__ import annotations

from sightsmith.plugin import ConfigPath, NetworkRecord, TaskRecord, hookimpl


@hookimpl
def sightsmith_tasks() -> list[TaskRecord]:
    return [TaskRecord(name="keypoints", description="where the keypoints of an object are", score="pck",
                       annotation="boxes", builder="sightsmith_keypoints.task:KeypointTask",
                       sample="sightsmith_keypoints.sample:write_sample")]


@hookimpl
def sightsmith_networks() -> list[NetworkRecord]:
    return [NetworkRecord(name="heatmap_small", description="six convolutions, a heat map per point", task="keypoints",
                          family="heatmap", builder="sightsmith_keypoints.model:build_network", parameters=116_674,
                          input_size=64, min_size=32, licence="Apache-2.0")]


@hookimpl
def sightsmith_config_paths() -> list[ConfigPath]:
    return [ConfigPath("pkg://sightsmith_keypoints.conf")]
