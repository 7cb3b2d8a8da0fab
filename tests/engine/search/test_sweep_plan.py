"""What is refused before a search looks at data and weights."""

from __future__ import annotations

import pytest
from command_line import refused

import sightsmith
from sightsmith.core.util.errors import UserError
from sightsmith.engine.search.search_space import Parameter
from sightsmith.engine.search.sweep_plan import SweepPlan

GRID = ["task=classification", "tuner=grid", "limits.min_trials=2", "limits.max_trials=6"]


@pytest.mark.parametrize("overrides", [
    ["network=resnet18", "network.weights=none", "dataset.root={}/nowhere"],
    ["network=resnet18", "network.weights={}/nowhere.pth", "dataset.root=sample"],
], ids=["no such folder", "no such weights"])
def test_a_grid_that_is_too_large_is_refused_before_data_and_weights_are_looked_at(tmp_path, overrides):
    here = [override.format(tmp_path) for override in (*overrides, "output_dir={}/runs")]
    with pytest.raises(UserError, match="are 8 trials, but limits.max_trials is 6"):
        sightsmith.train([*GRID, *here])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("overrides", "says"), [
    (["tuner=auto", "tuner.trials=500"], "tuner.trials=500 is not between 8 and 48"),
    (["tuner=random", "tuner.trials=3"], "tuner.trials=3 is not between 8 and 48"),
    (["tuner=random", "+tuner.options.speed=3"], "tuner.options.speed"),
    (["tuner=halving", "tuner.options.factor=1"], "tuner.options.factor=1 must be a whole number of at least 2"),
    (["tuner=grid", "hyper.momentum=interval(0.1,0.9)"], "A grid search needs a list of values"),
    (["tuner=pbt", "image.size=32,64"], "image.size cannot change during training"),
])
def test_what_the_search_is_is_refused_before_the_data_are_looked_at(tmp_path, overrides, says):
    assert says in refused("train", "task=classification", f"dataset.root={tmp_path / 'nowhere'}", *overrides)


def test_a_search_of_nothing_is_refused_before_the_data_are_looked_at(tmp_path):
    with pytest.raises(UserError, match="nothing to search"):
        sightsmith.train(["task=classification", "tuner=random", "hyper.learning_rate=0.1", "hyper.weight_decay=0",
                          "hyper.momentum=0.9", f"dataset.root={tmp_path / 'nowhere'}"])


def test_the_fewest_combinations_with_every_choice_and_both_ends_are_composed_before_a_search():
    space = (Parameter("a", ("x", "y", "z")), Parameter("b", ("1", "2")), Parameter("c", (), 0.5, 0.9))
    found = [suggestion.values for suggestion in SweepPlan((), space).probes()]
    assert found == [{"a": "x", "b": "1", "c": 0.5}, {"a": "y", "b": "2", "c": 0.9}, {"a": "z", "b": "2", "c": 0.9}]
    assert SweepPlan((), ()).probes() == []
