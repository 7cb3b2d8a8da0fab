"""The headline of a run's report."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sightsmith.engine.report.report import _training_time


@pytest.mark.parametrize(("trainings", "history", "seconds", "shown"), [
    (1, 2, 0.0, ("1 min 00 s", "10 images per second")),
    (7, 2, 200.0, ("4 min 20 s", "7 trainings, the first 1 min 00 s, 10 images per second")),
    (1, 0, 0.0, ("0 s", "")),
])
def test_the_training_time_is_that_of_all_trainings(trainings, history, seconds, shown):
    epochs = [{"seconds": 30.0 * number} for number in range(1, history + 1)]
    assert _training_time(SimpleNamespace(trainings=trainings), epochs, 300, seconds) == ("training time", *shown)
