"""A search from a file of the user's own: what the file sets holds in each trial, and resuming it needs the file."""

from __future__ import annotations

import shlex
from pathlib import Path
from unittest import mock

import pytest
from broken_datasets import folders
from command_line import within

from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.unfinished import resume_command
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
    assert (f"  sightsmith train --config-name {own} --multirun hyper.epochs=1,2 "
            f"dataset.root={own.with_name('photos')} trainer.resume=") in errors


def continued(errors, monkeypatch, folder):
    """What the printed command, typed in ``folder``, starts: configuration and overrides."""
    [command] = [line.strip() for line in errors.splitlines() if line.startswith("  sightsmith train ")]
    started = []

    def begin(config, overrides, plugins, sweep_folder=None):
        started.append((start.with_absolute_paths(config), overrides))
        raise UserError("enough")

    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(start, "start", begin)
    code, _, errors = within(*shlex.split(command)[1:])
    assert code == 2 and "enough" in errors, errors
    return started


def test_a_sweep_is_resumed_in_any_folder(monkeypatch, own, tmp_path):
    monkeypatch.setattr(start, "start", mock.Mock(side_effect=UserError("no")))
    _, _, errors = within("train", "--config-name", "own", "--multirun", "hyper.epochs=1,2")
    started = continued(errors, monkeypatch, tmp_path / "elsewhere")
    assert {config.dataset.root for config, _ in started} == {str(tmp_path / "photos")} and len(started) == 2


@pytest.mark.parametrize("typed", [["--config-name", "own"], ["task=classification", "dataset.root=photos",
                                                              "network.weights=w.safetensors", "output_dir=here"]])
def test_a_run_is_resumed_in_any_folder(monkeypatch, own, tmp_path, typed):
    Path("w.safetensors").touch()
    asked = {}

    def stop(config, overrides, *_):
        asked.update(root=config.dataset.root, weights=config.network.weights)
        raise UserError("  " + resume_command(overrides, tmp_path / "run"))

    with mock.patch.object(start, "_train", stop):
        _, _, errors = within("train", *typed)
    [(config, overrides)] = continued(errors, monkeypatch, tmp_path / "elsewhere")
    assert asked == {"root": config.dataset.root, "weights": config.network.weights}
    assert config.dataset.root == str(tmp_path / "photos")
    assert config.network.weights in ("none", str(tmp_path / "w.safetensors"))
    assert not any("=here" in text or "=photos" in text for text in overrides)
