"""A search from a file of the user's own: what the file sets holds in each trial, and resuming it needs the file."""

from __future__ import annotations

import pytest
from broken_datasets import folders
from command_line import within

from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline import start
from sightsmith.engine.pipeline.recipe import YOU, fixed_keys

OWN = """defaults: [config, _self_, override task: classification, override network: resnet18, override logger: []]
dataset: {root: photos}
network: {weights: none}
hyper: {optimizer: sgd, patience: 10}
"""


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders(tmp_path / "photos")
    (tmp_path / "own.yaml").write_text(OWN)
    return tmp_path / "own"


def test_a_recipe_leaves_alone_what_the_file_sets_to_the_default(monkeypatch, plugins):
    found = {}

    def plan(config, overrides, plugins):
        found.update(fixed_keys(config, overrides, plugins))
        raise UserError("enough")

    monkeypatch.setattr(start, "plan", plan)
    code, _, errors = within("train", "--config-name", "own", "tuner=random")
    assert (code, errors) == (2, "enough\n")
    assert found["hyper.optimizer"] == found["hyper.patience"] == YOU and "hyper.schedule" not in found


def test_the_command_that_resumes_a_sweep_names_the_file(monkeypatch, own):
    def fail(*_):
        raise UserError("no")

    monkeypatch.setattr(start, "start", fail)
    code, _, errors = within("train", "--config-name", "own", "--multirun", "hyper.epochs=1,2")
    assert code == 2
    assert f"  sightsmith train --config-name {own} --multirun hyper.epochs=1,2 trainer.resume=" in errors
