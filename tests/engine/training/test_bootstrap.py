"""The interval against SciPy's, against a known truth, and where it is undefined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tiny import TinyTask, tiny_config

from sightsmith.core.contracts.dataset import Sample
from sightsmith.engine.training.bootstrap import gain, interval


def cases(number, size=1, **keys):
    """``number`` samples in groups of ``size``."""
    return [Sample(Path(f"{place}"), f"{place}", group=f"{place // size}" if size > 1 else None, **keys)
            for place in range(number)]


def mean_of(values):
    return lambda drawn: float(drawn @ values / drawn.sum())


@pytest.mark.parametrize("number", [40, 300])
def test_it_is_scipys_bca_interval(number):
    """Also where parts of several cases are left out."""
    values = np.random.default_rng(0).exponential(size=number)
    found = interval(mean_of(values), cases(number), seed=0)
    expected = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=20_000).confidence_interval
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.1 * width)
    assert found.high == pytest.approx(expected.high, abs=0.1 * width)
    assert found.cases == number
    assert found == interval(mean_of(values), cases(number), seed=0)
    assert found != interval(mean_of(values), cases(number), seed=1)


@pytest.mark.parametrize(("accuracy", "number"), [(0.8, 100), (0.99, 100), (0.9, 20)])
def test_it_covers_a_known_accuracy(accuracy, number):
    random, samples, covered = np.random.default_rng(0), cases(number), 0
    for seed in range(200):
        found = interval(mean_of(random.random(number) < accuracy), samples, seed)
        covered += found.low <= accuracy <= found.high
    assert covered / 200 >= 0.93


def test_no_mistake_in_twenty_is_no_proof_that_there_are_none():
    right = interval(mean_of(np.ones(20)), cases(20), seed=0)
    exact = stats.binomtest(20, 20).proportion_ci(0.95, "exact")
    assert (right.low, right.high) == pytest.approx((exact.low, exact.high))
    wrong = interval(mean_of(np.zeros(20)), cases(20), seed=0)
    assert (wrong.low, wrong.high) == pytest.approx((1 - exact.high, 1 - exact.low))
    same = gain(mean_of(np.ones(20)), mean_of(np.ones(20)), cases(20), seed=0)
    assert (same.value, same.interval.low, same.interval.high) == (0, 0, 0)


def test_groups_are_drawn_whole():
    alike = np.repeat(np.random.default_rng(0).random(20) < 0.7, 5)  # five images of a patient, all right or all wrong
    single, grouped = (interval(mean_of(alike), cases(100, size), seed=0) for size in (1, 5))
    assert (single.cases, grouped.cases) == (100, 20)
    ratio = (grouped.high - grouped.low) / (single.high - single.low)
    assert ratio == pytest.approx(5 ** 0.5, rel=0.2)
    patients = interval(mean_of(alike[::5]), cases(20), seed=0)
    assert (grouped.low, grouped.high) == pytest.approx((patients.low, patients.high), abs=0.05)


def test_tiles_of_an_image_are_one_case():
    tiles = [Sample(Path("a"), "a", tile=(left, 0, 10, 10)) for left in (0, 10)]
    assert interval(mean_of(np.ones(3)), [*tiles, Sample(Path("b"), "b")], seed=0).cases == 2


def test_where_it_is_undefined():
    one = interval(mean_of(np.ones(2)), cases(2, size=2), seed=0)
    assert (one.low, one.high, one.cases) == (None, None, 1)
    assert str(one) == "95 % confidence interval undefined: there is only one case, 1 case"
    rare = interval(lambda drawn: 1.0 if drawn[0] > 1 else None, cases(50), seed=0)
    assert rare.low is None
    assert "most resamples" in str(rare)
    often = interval(lambda drawn: 1.0 if drawn[0] else None, cases(50), seed=0)  # with a chance of 63 %
    assert (often.low, often.high) == (pytest.approx(0.025 ** (1 / 50)), 1)


def test_a_task_that_brings_metrics_alone_has_an_interval():
    outcomes = [{"index": place, "loss": 1.0, "right": place % 4 != 0} for place in range(40)]
    task = TinyTask(None, tiny_config(), None, ["a", "b", "c"])
    drawn = np.random.default_rng(0).integers(0, 3, 40)
    seen = []
    task.metrics = lambda copies: seen.extend(copies) or TinyTask.metrics(task, copies)
    assert task.bootstrap_score(outcomes)(drawn) == mean_of(np.arange(40) % 4 != 0)(drawn)
    assert [copy["index"] for copy in seen] == list(range(drawn.sum()))
