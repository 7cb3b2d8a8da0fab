"""Axes of a search, typed as sweeps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sightsmith.core.util.errors import UserError
from sightsmith.engine.search.search_space import count
from sightsmith.engine.search.sweep_syntax import as_distribution, parse_space


def parameter(text, key="hyper.momentum"):
    [found] = parse_space({key: text}, "test")
    return found


@pytest.mark.parametrize(("text", "choices"), [
    ("0.8,0.9", ("0.8", "0.9")), ("choice(sgd,adamw)", ("sgd", "adamw")), ("range(1,4)", ("1", "2", "3")),
    ("null,'a b'", ("null", "'a b'")), ("[1,2],[3,4]", ("[1,2]", "[3,4]")),
])
def test_choices_stay_as_they_are_typed(text, choices):
    found = parameter(text)
    assert found.choices == choices
    assert found.override(choices[0]) == f"hyper.momentum={choices[0]}"
    assert {found.sample(np.random.default_rng(seed)) for seed in range(40)} == set(choices)
    assert found.holds(choices[0]) and not found.holds("other")


def test_ranges():
    plain, log = parameter("interval(0.5,0.9)"), parameter("tag(log,interval(1e-5,0.1))")
    whole = parameter("int(interval(1,6))")
    assert (str(plain), str(log)) == ("hyper.momentum: 0.5 to 0.9", "hyper.momentum: 1e-05 to 0.1, logarithmic")
    draws = [[found.sample(np.random.default_rng(seed)) for seed in range(400)] for found in (plain, log, whole)]
    for found, values in zip((plain, log, whole), draws, strict=True):
        assert all(found.low <= value <= found.high for value in values)
    assert 0.68 < np.mean(draws[0]) < 0.72
    assert -3.2 < np.mean(np.log10(draws[1])) < -2.8
    assert all(isinstance(value, int) for value in draws[2])
    assert (plain.number(2.0), whole.number(2.6), plain.number(0.123456789)) == (0.9, 3, 0.5)
    assert plain.number(0.612345678) == 0.612346
    assert parameter("interval(0.1,0.1234567891)").number(1) == 0.1234567891
    assert plain.holds(0.5) and not plain.holds(0.91) and not plain.holds(None)


def test_what_is_no_axis_is_told_all_at_once():
    with pytest.raises(UserError) as raised:
        parse_space({"a": "0.5", "b": "interval(2,1)", "c": "tag(log,interval(0,1))", "d": "interval(1", "e": "1,2"},
                    "tuner.space of pbt")
    text = raised.value.text()
    assert "tuner.space of pbt has entries that are not sweeps" in text
    assert text.count("\n  - ") == 4
    assert "a: 0.5 is a single value" in text
    assert "must increase and be above 0" in text


def test_combinations_are_counted():
    assert count(parse_space({"a": "1,2,3", "b": "x,y"}, "test")) == 6


def test_distributions_are_those_of_optuna():
    assert as_distribution(parameter("tag(log,interval(1e-5,0.1))")).log
    assert as_distribution(parameter("int(interval(1,6))")).high == 6
    assert as_distribution(parameter("a,b")).choices == ("a", "b")
    assert math.isclose(as_distribution(parameter("interval(0.5,0.9)")).low, 0.5)
