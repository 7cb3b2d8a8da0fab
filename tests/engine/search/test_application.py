"""Several values of a key: a run takes one, a search takes them, from Python as on the command line."""

from __future__ import annotations

import pytest
from broken_datasets import folders
from command_line import refused

import sightsmith
from sightsmith.core.util.errors import FailedRunsError, UserError
from sightsmith.engine.pipeline import start

SWEPT = ["hyper.epochs=1,2", "network=resnet18,resnet34"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders(tmp_path / "photos")
    return ["task=classification", "dataset.root=photos", "network.weights=none"]


@pytest.mark.parametrize("function", ["train", "plan", "inspect", "command line"])
def test_several_values_of_one_run_are_answered_with_what_to_type(run, function):
    if function == "command line":
        text = refused("train", *run, *SWEPT, "hyper.momentum=interval(0,1)")
    else:
        with pytest.raises(UserError) as raised:
            getattr(sightsmith, function)([*run, *SWEPT, "hyper.momentum=interval(0,1)"])
        text = raised.value.text()
    for override in SWEPT:
        assert (f"{override} has several values, and a run takes one\n      add --multirun to train a run with each, "
                "or tuner=NAME to search them, or give one value") in text
    assert "hyper.momentum=interval(0,1) has several values, and a run takes one\n      add tuner=random" in text


def test_a_run_with_each_value_from_python(run, monkeypatch):
    trained = []

    def fail(config, *_):
        trained.append((config.hyper.epochs, config.network.name))
        raise UserError("no")

    monkeypatch.setattr(start, "start", fail)
    with pytest.raises(FailedRunsError, match="4 of 4 trials failed"):
        sightsmith.train([*run, *SWEPT, "--multirun"])
    assert trained == [(1, "resnet18"), (1, "resnet34"), (2, "resnet18"), (2, "resnet34")]


def test_a_search_of_given_values_from_python(run, monkeypatch):
    def plan(config, overrides, plugins):
        raise UserError(f"planned with {config.tuner.name}, {config.network.name}")

    monkeypatch.setattr(start, "plan", plan)
    with pytest.raises(UserError, match="planned with manual, resnet18"):
        sightsmith.train([*run, *SWEPT, "tuner=tpe"])
    with pytest.raises(UserError, match="unknown key 'hyper.epoch'"):
        sightsmith.train([*run, "hyper.epoch=1,2", "tuner=tpe"])
