"""Settings in Python are the overrides of the command line."""

from __future__ import annotations

from enum import Enum, StrEnum
from pathlib import Path

import numpy as np
import pytest
import torch

import sightsmith
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.search.keywords import as_overrides


def test_nested_and_dotted_keys_and_every_kind_of_value(plugins):
    config = compose(as_overrides({
        "task": "classification", "network": "resnet18", "name": "it's 1,2 [x]=${y}",
        "dataset": {"root": Path("my photos"), "limit": 5, "class_map": {"Pneumothorax": "PTX"}},
        "hyper.epochs": 3, "hyper": {"learning_rate": 1e-3, "optimizer": "adamw"},
        "augment": {"horizontal_flip": False}, "image": {"mean": (0.5, 0.25, 0.5), "windows": [[40, 80]]},
        "trainer": {"num_workers": 2, "resume": None}, "logger": ["csv"]}), plugins)
    assert config.name == "it's 1,2 [x]=${y}"
    assert (config.dataset.root, config.dataset.limit) == ("my photos", 5)
    assert config.dataset.class_map == '{"Pneumothorax": "PTX"}'
    assert (config.hyper.epochs, config.hyper.learning_rate, config.hyper.optimizer) == (3, 1e-3, "adamw")
    assert config.augment.horizontal_flip is False
    assert (config.image.mean, config.image.windows) == ([0.5, 0.25, 0.5], [[40, 80]])
    assert list(config.logger) == ["csv"]


def test_names_that_the_schema_leaves_open(plugins):
    config = compose(as_overrides({"task": "classification", "dataset.root": "x",
                                   "network": {"name": "resnet18", "options": {"depth": {"last": 2}}}}), plugins)
    assert config.network.options == {"depth": {"last": 2}}
    config = compose(as_overrides({"task": "classification", "dataset.root": "x", "hyper": {}, "logger": {"csv": {}}}),
                     plugins)
    assert set(config.logger) == {"tensorboard", "csv"}


class Optimizer(StrEnum):
    ADAM = "adam"


class Kind(Enum):
    LAST = "adamw"


def test_numbers_of_libraries_and_enumerations():
    assert as_overrides({"a": np.int64(3), "b": np.float32(0.5), "c": np.array([1.5, 2]), "d": np.bool_(True),
                         "e": torch.tensor(0.25), "f": [np.int8(1)], "g": float("inf"), "h": np.float64(0.1),
                         "i": Optimizer.ADAM, "j": Kind.LAST}) == [
        "a=3", "b=0.5", "c=[1.5,2.0]", "d=true", "e=0.25", "f=[1]", "g=inf", "h=0.1", "i=adam", "j=adamw"]


def test_text_stays_text(plugins):
    for text in ("true", "Null", "nan", "1e3", "a b", "runs/a-b.c", "x,y", "~", "é", "none", "[1]", "${a}", ""):
        config = compose(as_overrides({"task": "classification", "dataset": {"root": "x"}, "name": f"{text}"}), plugins)
        assert config.name == text


def test_what_is_no_value():
    with pytest.raises(UserError, match=r"hyper.epochs=\{3\} is neither text nor a number"):
        as_overrides({"hyper": {"epochs": {3}}})
    with pytest.raises(UserError, match=r"type train\(\['task=classification'\]\)"):
        sightsmith.train("task=classification")


def test_a_mistake_is_that_of_the_command_line():
    with pytest.raises(UserError, match="unknown key 'hyper.epoch'.*Did you mean 'hyper.epochs'"):
        sightsmith.train(task="classification", dataset={"root": "sample"}, hyper={"epoch": 3})
