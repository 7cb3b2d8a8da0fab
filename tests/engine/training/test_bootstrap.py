"""The interval against SciPy's, against a known truth, and where it is undefined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tiny import TinyTask, tiny_config

from sightsmith.core.contracts.dataset import Sample
from sightsmith.engine.training.bootstrap import interval


def cases(number, size=1, **keys):
    """``number`` samples in groups of ``size``."""
    return [Sample(Path(f"{place}"), f"{place}", group=f"{place // size}" if size > 1 else None, **keys)
            for place in range(number)]


def mean_of(values):
    return lambda drawn: float(drawn @ values / drawn.sum())


def test_it_is_scipys_percentile_interval():
    values = np.random.default_rng(0).exponential(size=80)
    found = interval(mean_of(values), cases(80), seed=0)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000).confidence_interval
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.05 * width)
    assert found.high == pytest.approx(expected.high, abs=0.05 * width)
    assert found.cases == 80
    assert found == interval(mean_of(values), cases(80), seed=0)
    assert found != interval(mean_of(values), cases(80), seed=1)


def test_it_covers_a_known_accuracy():
    random, samples, accuracy, covered = np.random.default_rng(0), cases(100), 0.8, 0
    for seed in range(200):
        found = interval(mean_of(random.random(100) < accuracy), samples, seed)
        covered += found.low <= accuracy <= found.high
    assert 0.90 <= covered / 200 <= 0.98


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
    assert (often.low, often.high) == (1, 1)


def test_a_task_that_brings_metrics_alone_has_an_interval():
    outcomes = [{"index": place, "loss": 1.0, "right": place % 4 != 0} for place in range(40)]
    task = TinyTask(None, tiny_config(), None, ["a", "b", "c"])
    drawn = np.random.default_rng(0).integers(0, 3, 40)
    seen = []
    task.metrics = lambda copies: seen.extend(copies) or TinyTask.metrics(task, copies)
    assert task.bootstrap_score(outcomes)(drawn) == mean_of(np.arange(40) % 4 != 0)(drawn)
    assert [copy["index"] for copy in seen] == list(range(drawn.sum()))
