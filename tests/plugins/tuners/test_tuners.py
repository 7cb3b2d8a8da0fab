"""What each tuner asks for, on functions whose best value is known."""

from __future__ import annotations

import math

import pytest
from tuner_calls import SPACE, make

from sightsmith.core.util.errors import UserError
from sightsmith.engine.search.sweep_syntax import parse_space
from sightsmith.engine.search.tuner import TrialResult


def quality(values) -> float:
    """Highest at a learning rate of 0.01 and a momentum of 0.9."""
    return -abs(math.log10(values["hyper.learning_rate"]) + 2) - abs(values["hyper.momentum"] - 0.9)


def play(tuner, score=lambda values, epochs: quality(values), epochs=10):
    """All batches, told the ``score`` of values and the epoch reached."""
    batches, number = [], 0
    while suggestions := tuner.ask():
        batch = []
        for suggestion in suggestions:
            batch.append(TrialResult(number, suggestion, score(suggestion.values, suggestion.epochs or epochs)))
            number += 1
        tuner.tell(batch)
        batches.append(batch)
    return batches


def trained(batches, epochs=10):
    """The epochs that were trained in all."""
    reached = {item.number: item.suggestion.epochs or epochs for batch in batches for item in batch}
    return sum(reached[item.number] - (0 if item.suggestion.parent is None else reached[item.suggestion.parent])
               for batch in batches for item in batch)


@pytest.mark.parametrize("name", ["grid", "random", "tpe", "halving", "pbt"])
def test_the_same_seed_and_scores_ask_for_the_same(name):
    space = {"hyper.learning_rate": "0.1,0.01", "hyper.momentum": "0.5,0.9"} if name == "grid" else SPACE
    first, again, other = (play(make(name, space, seed=seed), lambda values, epochs: float(values["hyper.momentum"]))
                           for seed in (0, 0, 1))
    assert first == again
    assert (first == other) == (name == "grid")
    assert trained(first) == make(name, space).epochs
    assert sum(map(len, first)) == make(name, space).runs


def test_grid_is_all_combinations():
    [batch] = play(make("grid", {"hyper.learning_rate": "0.1,0.01", "network": "a,b,c"}), lambda *_: 0.0)
    assert [tuple(item.suggestion.values.values()) for item in batch] == [
        ("0.1", "a"), ("0.1", "b"), ("0.1", "c"), ("0.01", "a"), ("0.01", "b"), ("0.01", "c")]
    with pytest.raises(UserError, match="hyper.momentum: 0.5 to 0.99"):
        make("grid")


def test_random_is_drawn_at_once_and_within_the_space():
    [batch] = play(make("random", trials=40))
    assert len(batch) == 40
    assert all(1e-5 <= item.suggestion.values["hyper.learning_rate"] <= 0.1 for item in batch)
    assert len({item.suggestion.values["hyper.momentum"] for item in batch}) > 30


def test_a_parzen_estimator_learns_where_good_runs_are():
    batches = play(make("tpe", trials=48))
    assert len(batches) == 48
    scores = [batch[0].score for batch in batches]
    assert sum(scores[-16:]) / 16 > sum(scores[:16]) / 16 + 0.2
    assert [len(batch) for batch in play(make("tpe", trials=9, parallel=4))] == [4, 4, 1]
    # A run that failed is no end of it.
    assert len(play(make("tpe"), lambda values, epochs: None)) == 8


def test_halving_keeps_the_better_half():
    first, *more = play(make("halving", epochs=16), epochs=16)
    assert [(len(batch), batch[0].suggestion.epochs) for batch in (first, *more)] == [(8, 2), (4, 4), (2, 8), (1, None)]
    for before, after in zip([first, *more], more, strict=False):
        best = sorted(before, key=lambda item: -item.score)[:len(after)]
        assert [item.suggestion.parent for item in after] == [item.number for item in best]
        assert [item.suggestion.values for item in after] == [item.suggestion.values for item in best]
    assert make("halving", epochs=16).epochs == 8 * 2 + 4 * 2 + 2 * 4 + 8


@pytest.mark.parametrize(("epochs", "trials", "rungs"), [
    (1, 8, [(8, None)]), (2, 8, [(8, 1), (1, None)]), (4, 8, [(8, 1), (2, 2), (1, None)]), (10, 1, [(1, None)]),
    (9, 9, [(9, 1), (4, 2), (2, 4), (1, None)]),
])
def test_halving_of_few_epochs(epochs, trials, rungs):
    batches = play(make("halving", epochs=epochs, trials=trials), epochs=epochs)
    assert [(len(batch), batch[0].suggestion.epochs) for batch in batches] == rungs
    assert trained(batches, epochs) == make("halving", epochs=epochs, trials=trials).epochs


def test_halving_goes_on_without_those_that_failed():
    batches = play(make("halving"), lambda values, epochs: None if values["hyper.momentum"] > 0.57 else 1.0)
    alive = [item.number for item in batches[0] if item.score is not None]
    assert 0 < len(alive) < 4
    assert [item.suggestion.parent for item in batches[1]] == alive


def test_the_worst_of_a_population_take_over_the_best():
    batches = play(make("pbt", generations=5))
    assert [batch[0].suggestion.epochs for batch in batches] == [2, 4, 6, 8, None]
    assert all(len(batch) == 8 for batch in batches)
    space = parse_space(SPACE, "test")
    for before, after in zip(batches, batches[1:], strict=False):
        ranked = sorted(before, key=lambda item: (-item.score, item.number))
        best, worst = {item.number for item in ranked[:2]}, {item.number for item in ranked[-2:]}
        for old, new in zip(before, after, strict=True):
            if old.number in worst:
                assert new.suggestion.parent in best
                assert new.suggestion.values != before[new.suggestion.parent - before[0].number].suggestion.values
                assert all(parameter.holds(new.suggestion.values[parameter.name]) for parameter in space)
            else:
                assert (new.suggestion.parent, new.suggestion.values) == (old.number, old.suggestion.values)


@pytest.mark.slow
def test_perturbed_values_are_near_or_drawn_anew():
    values = []
    for seed in range(200):
        tuner = make("pbt", {"hyper.learning_rate": SPACE["hyper.learning_rate"]}, seed=seed, resample=0.25)
        batches = play(tuner, lambda values, epochs: -abs(math.log10(values["hyper.learning_rate"]) + 3))
        before, after = batches[:2]
        for item in after:
            parent = before[item.suggestion.parent].suggestion.values["hyper.learning_rate"]
            ratio = item.suggestion.values["hyper.learning_rate"] / parent
            if ratio != 1:
                values.append(ratio)
    near = [value for value in values if any(math.isclose(value, factor, rel_tol=1e-4) for factor in (0.8, 1.2))]
    assert 0.68 < len(near) / len(values) < 0.82


def test_members_that_failed_are_replaced_and_none_left_is_the_end():
    batches = play(make("pbt"), lambda values, epochs: None if values["hyper.momentum"] > 0.8 else quality(values))
    failed = [place for place, item in enumerate(batches[0]) if item.score is None]
    alive = {item.number for item in batches[0] if item.score is not None}
    assert failed and all(batches[1][place].suggestion.parent in alive for place in failed)
    assert len(play(make("pbt"), lambda values, epochs: None)) == 1


def test_the_first_member_has_the_configured_values_and_alone_trains_in_one_go():
    configured = {"hyper.learning_rate": 0.002, "hyper.momentum": 0.2}
    values = make("pbt", configured=configured).ask()[0].values
    assert values["hyper.learning_rate"] == 0.002
    assert 0.5 <= values["hyper.momentum"] <= 0.99  # what is configured lies outside
    [[only]] = play(make("pbt", trials=1, configured={"hyper.learning_rate": 0.002, "hyper.momentum": 0.7}))
    assert only.suggestion.values == {"hyper.learning_rate": 0.002, "hyper.momentum": 0.7}
    assert only.suggestion.epochs is None


def test_a_population_changes_only_what_can_change():
    with pytest.raises(UserError) as raised:
        make("pbt", {"network": "a,b", "hyper.optimizer": "sgd,adamw", "augment.rotation": "interval(0,30)"},
             generations=0, quantile=0.7)
    text = raised.value.text()
    for part in ("network cannot change", "hyper.optimizer cannot change", "tuner.options.generations=0",
                 "tuner.options.quantile=0.7", "tuner=tpe"):
        assert part in text
    assert "augment.rotation cannot" not in text
    with pytest.raises(UserError, match="factor=1"):
        make("halving", factor=1)


def test_choices_of_a_population_move_to_a_neighbour():
    tuner = make("pbt", {"hyper.batch_size": "4,8,16,32"}, resample=0.0)
    batches = play(tuner, lambda values, epochs: float(values["hyper.batch_size"]))
    for item in batches[1]:
        parent = batches[0][item.suggestion.parent].suggestion.values["hyper.batch_size"]
        assert abs(math.log2(int(item.suggestion.values["hyper.batch_size"]) / int(parent))) <= 1
