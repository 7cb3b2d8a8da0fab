"""A sample of ``benchmarks/recipes.py``: a network, a recipe and every augmentation make a run that resumes."""

from __future__ import annotations

import pytest
import recipes
import torch

from sightsmith.core.util.errors import StoppedError


@pytest.mark.parametrize(("network", "recipe"), [
    ("squeezenet1_1", "published"), ("shufflenet_v2_x0_5", "default"),
    pytest.param("rtmdet_ins_tiny", "published", marks=pytest.mark.slow),
    pytest.param("fastscnn", "default", marks=pytest.mark.slow),
])
def test_a_run_with_every_augmentation_resumes_bit_for_bit(plugins, network, recipe):
    assert recipes.compared(plugins.network(network), recipe, plugins) == recipes.SAME


def test_a_network_without_a_published_recipe_is_none(plugins):
    assert recipes.compared(plugins.network("densenet121"), "published", plugins) == recipes.NONE


@pytest.mark.parametrize(("last", "says"), [(3.0, "1 of 2 tensors differ: a"), (1.0, "has changed nothing")])
def test_what_differs_is_named(plugins, monkeypatch, last, says):
    states = iter([{"a": torch.tensor(value), "b": torch.zeros(2)} for value in (min(last, 2.0), 1.0, last)])
    monkeypatch.setattr(recipes, "trained", lambda *_, **__: next(states))
    assert says in recipes.compared(plugins.network("fastscnn"), "platform", plugins)


def test_a_signal_ends_the_benchmark_not_a_combination(plugins, monkeypatch):
    def stopped(*_, **__):
        raise StoppedError

    monkeypatch.setattr(recipes, "trained", stopped)
    with pytest.raises(SystemExit):
        recipes.compared(plugins.network("fastscnn"), "platform", plugins)


def test_the_smallest_network_comes_first_and_no_zoo_as_a_whole(plugins):
    listed = recipes.listed(plugins)
    assert {record.task for record in listed} == {"classification", "detection", "segmentation"}
    assert [record.parameters for record in listed] == sorted(record.parameters for record in listed)
    assert not {"mmdet", "mmseg"} & {record.name for record in listed}
