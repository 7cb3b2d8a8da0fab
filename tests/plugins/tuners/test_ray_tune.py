"""What the asynchronous tuners ask Ray for, and with what a search that was cut short goes on."""

from __future__ import annotations

import pytest
from tuner_calls import SPACE, make

from sightsmith.core.util.errors import UserError
from sightsmith.engine.search.tuner import Asked, Suggestion


def test_a_population_starts_as_the_one_that_waits():
    tuner = make("ray_pbt", trials=8, epochs=10, configured={"hyper.learning_rate": 0.01, "hyper.momentum": 0.9})
    waiting = make("pbt", trials=8, epochs=10, configured={"hyper.learning_rate": 0.01, "hyper.momentum": 0.9})
    starts = tuner.starts([])
    assert [start["values"] for start in starts] == [suggestion.values for suggestion in waiting.ask()]
    assert {(start["run"], start["epoch"]) for start in starts} == {(None, 0)}
    assert tuner.ends == [2, 4, 6, 8, 10]
    assert (tuner.runs, tuner.epochs) == (waiting.runs, waiting.epochs)


def test_a_population_goes_on_from_the_last_runs_of_its_members():
    values = {"hyper.learning_rate": 0.02, "hyper.momentum": 0.8}
    earlier = [Asked(0, 0, Suggestion(values, 5), True), Asked(1, 1, Suggestion(values, 5), True),
               Asked(2, 2, Suggestion(values, 5), False), Asked(3, 0, Suggestion(values, None, 0), True),
               Asked(4, 1, Suggestion({**values, "hyper.momentum": 0.7}, None, 0), False)]
    starts = make("ray_pbt", trials=4, epochs=10, generations=2).starts(earlier)
    # One that is at its end, one that was under way, one that was cut short at its beginning, and one that never began.
    assert (starts[0]["run"], starts[0]["epoch"]) == (0, 5)
    assert starts[1] == {"values": {**values, "hyper.momentum": 0.7}, "run": 0, "epoch": 5}
    assert starts[2] == {"values": values, "run": None, "epoch": 0}
    assert (starts[3]["run"], starts[3]["epoch"]) == (None, 0)


def test_what_is_explored_is_near_or_drawn_anew():
    tuner = make("ray_pbt", trials=4, resample=0.0)
    config = {"start": {"values": {"hyper.learning_rate": 0.01, "hyper.momentum": 0.8}, "run": 3, "epoch": 4}}
    found = [tuner._explore(config)["start"] for _ in range(20)]
    assert {start["values"]["hyper.learning_rate"] for start in found} == {0.008, 0.012}
    assert {(start["run"], start["epoch"]) for start in found} == {(3, 4)}
    assert config["start"]["values"] == {"hyper.learning_rate": 0.01, "hyper.momentum": 0.8}


@pytest.mark.parametrize(("trials", "epochs", "ends"), [
    (8, 16, [2, 4, 8, 16]), (8, 10, [1, 2, 4, 10]), (8, 4, [1, 2, 4]), (2, 10, [5, 10]), (8, 1, [1])])
def test_rungs_are_ray_s_own(trials, epochs, ends):
    from ray.tune.schedulers.async_hyperband import _Bracket

    tuner = make("ray_asha", trials=trials, epochs=epochs)
    assert tuner.ends == ends
    if len(ends) > 1:
        milestones = sorted(milestone for milestone, _ in _Bracket(ends[0], epochs, 2, 0)._rungs)
        assert set(ends[:-1]) <= set(milestones)


def test_without_ray_it_says_what_to_type(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.tune", None)
    with pytest.raises(UserError) as raised:
        make("ray_asha", SPACE)
    assert "pip install 'sightsmith[ray]'" in raised.value.text()
