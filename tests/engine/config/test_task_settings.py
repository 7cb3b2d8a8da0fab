"""The keys that only one task has: typed, ranged, and said to belong to it."""

from __future__ import annotations

import dataclasses

import pytest
from fake_plugins import with_plugin

from sightsmith.core.contracts.records import TaskRecord
from sightsmith.core.contracts.schema import TaskConfig
from sightsmith.core.util.errors import PluginError, UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.config.model_card import restore_config
from sightsmith.engine.config.overrides import all_keys

ROOT = "dataset.root=photos"


@pytest.mark.parametrize(("overrides", "expected"), [
    (["task=classification", "task.label_smoothing=0.9"], "task.label_smoothing=0.9 is out of range: from 0 to 0.5"),
    (["task=classification", "task.class_weights=balance"], "not one of none, balanced. Did you mean 'balanced'"),
    (["task=classification", "task.label_smooting=0.1"], "Did you mean 'task.label_smoothing'"),
    (["task=classification", "task.label_smoothing=x"], "task.label_smoothing=x is not a number"),
    (["task=classification", "hyper.label_smoothing=0.1"], "Did you mean 'task.label_smoothing'"),
    (["task=detection", "task.label_smoothing=0.1"], "task.label_smoothing belongs to task=classification"),
    (["task=detection", "+task.label_smoothing=0.1"], "task.label_smoothing belongs to task=classification"),
    (["task=classification", "_task_keys=detection"], "task.name=classification does not select a task"),
    (["task=detection", "preset=pneumothorax"], "is for task=classification"),
])
def test_mistakes_are_answered(plugins, overrides, expected):
    with pytest.raises(UserError) as refused:
        compose([*overrides, ROOT], plugins)
    assert expected in refused.value.text()


def test_a_preset_sets_them_and_a_finished_run_keeps_them(plugins, tmp_path):
    config = compose(["preset=pneumothorax", ROOT, "task.label_smoothing=0.1"], plugins)
    kept = dataclasses.asdict(config)
    assert kept["task"] == {"name": "classification", "label_smoothing": 0.1, "class_weights": "balanced"}
    assert restore_config(kept, tmp_path, plugins.tasks).task == config.task
    assert type(compose(["task=detection", ROOT], plugins).task) is TaskConfig
    with pytest.raises(UserError, match="no installed plugin provides the task 'classificatio'. Did you mean"):
        restore_config({"task": {"name": "classificatio"}}, tmp_path, plugins.tasks)


def test_they_are_listed_with_their_task(plugins):
    tasks_of = {key: tasks for key, _, tasks in all_keys(plugins)}
    assert tasks_of["task.label_smoothing"] == ("classification",)
    assert tasks_of["task.name"] == ()
    assert all(field.metadata["help"] for _, field, _ in all_keys(plugins))


def test_a_plugin_that_fails_in_them_disturbs_no_other_task(monkeypatch):
    record = TaskRecord(name="odd", description="d", builder="odd:Odd", score="s", annotation="labels",
                        settings="odd:settings")
    plugins = with_plugin(monkeypatch, "odd", "sightsmith_tasks", [record], settings=int)
    assert compose(["task=classification", ROOT], plugins).task.name == "classification"
    with pytest.raises(PluginError, match=r"plugin odd \(odd-dist 1.0\): the settings odd:settings .* not a subclass"):
        plugins.task("odd").build_settings()
