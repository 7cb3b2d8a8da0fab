"""The configuration: every mistake is found, named with its range, and answered with what to type."""

from __future__ import annotations

import dataclasses

import pytest

from sightsmith.core.contracts.keys import walk
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose

GOOD = ["task=classification", "dataset.root=photos"]


def refusal(*overrides):
    with pytest.raises(UserError) as caught:
        compose([*GOOD, *overrides], load_plugins())
    return caught.value.text()


def test_defaults_of_the_task(plugins):
    config = compose(GOOD, plugins)
    assert config.hyper.batch_size == 32
    assert config.hyper.epochs == 100
    assert config.hyper.learning_rate == 0.001
    assert config.hyper.weight_decay == 0
    assert config.hyper.momentum == 0.9
    assert config.hyper.early_stop is True
    assert config.dataset.validation_percentage == 20
    assert config.augment.horizontal_flip
    assert config.augment.translation == 5
    assert config.augment.color_jitter.hue == 0.1
    assert config.name == "classification"
    assert list(config.logger) == ["tensorboard"]


def test_every_key_has_help():
    for key, entry, _ in walk():
        assert entry.metadata.get("help"), key


RANGED = [(key, entry.metadata) for key, entry, _ in walk() if entry.metadata.get("low") is not None]


def test_ranges_of_the_form():
    ranges = {key: (meta["low"], meta["high"]) for key, meta in RANGED}
    assert ranges["hyper.learning_rate"] == (1e-6, 1)
    assert ranges["hyper.weight_decay"] == (0, 0.1)
    assert ranges["hyper.momentum"] == (0, 0.99)
    assert ranges["dataset.validation_percentage"] == (1, 99)
    assert ranges["augment.translation"] == (0, 20)
    assert ranges["augment.rotation"] == (0, 180)
    assert ranges["augment.color_jitter.hue"] == (0, 0.5)


@pytest.mark.parametrize(("key", "meta"), RANGED, ids=[key for key, _ in RANGED])
def test_values_out_of_range_are_refused_with_the_range(key, meta):
    below = meta["low"] - 1
    text = refusal(f"{key}={below}")
    assert f"{key}={below:g} is out of range" in text
    assert f"{meta['low']:g}" in text


@pytest.mark.parametrize(("override", "expected"), [
    ("hyper.lr=1", "Did you mean 'hyper.learning_rate'?"),
    ("epochs=3", "Here it is called 'hyper.epochs'"),
    ("hyper.optimiser=sgd", "Did you mean 'hyper.optimizer'"),
    ("+hyper.extra=1", "unknown key 'hyper.extra'"),
    ("+extra.part=1", "unknown key 'extra'"),
    ("network.options.dropout=0.5", "+network.options.dropout=0.5"),
    ("hyper.optimizer=adamm", "not one of sgd, adam, adamw. Did you mean 'adam'"),
    ("hyper.epochs=many", "hyper.epochs=many is not a whole number"),
    ("hyper.epochs=[1,2]", "is not a whole number\n      for a run with each, type --multirun and 'hyper.epochs=1,2'"),
    ("hyper.epochs=201", "above the limit of 200"),
    ("hyper.batch_size=64", "limits.batch_size=64"),
    ("network=resnet81", "Did you mean 'resnet18'"),
    ("logger=tensorbord", "Did you mean 'tensorboard'"),
    ("image.windows=[[40]]", "is not [centre, width]"),
    ("image.range=[5,1]", "low below high"),
    ("image.std=[0,1,1]", "above 0"),
    ("image.mean=[0.5]", "3 numbers"),
    ("trainer.devices=0", "neither auto nor a whole number from 1"),
    ("trainer.num_workers=many", "neither auto nor a whole number from 0"),
    ("name=" + "x" * 101, "at most 100"),
    ("hyper.epochs=[1", "cannot be parsed"),
])
def test_mistakes_are_answered(override, expected):
    assert expected in refusal(override)


def test_all_mistakes_at_once():
    text = refusal("hyper.lr=1", "epochs=3", "network=resnet81", "hyper.epochs=x")
    assert text.count("\n  - ") == 4
    text = refusal("hyper.momentum=2", "hyper.weight_decay=9", "hyper.optimizer=x")
    assert text.count("\n  - ") == 3


def test_missing_task_and_root(plugins):
    with pytest.raises(UserError, match="task=NAME; available: classification"):
        compose(["dataset.root=x"], plugins)
    with pytest.raises(UserError, match="dataset.root=FOLDER"):
        compose(["task=classification"], plugins)


def test_limits_can_be_raised(plugins):
    config = compose([*GOOD, "hyper.epochs=500", "limits.epochs=500"], plugins)
    assert config.hyper.epochs == 500


def test_several_and_no_loggers(plugins):
    assert compose([*GOOD, "logger=[]"], plugins).logger == {}


def test_the_configuration_is_plain(plugins):
    config = compose([*GOOD, "image.windows=[[40,80],[80,200]]", "+network.options.dropout=0.5"], plugins)
    plain = dataclasses.asdict(config)
    assert plain["image"]["windows"] == [[40, 80], [80, 200]]
    assert plain["network"]["options"] == {"dropout": 0.5}
