"""Average precision of images drawn anew is that of as many copies, computed by pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from detections import CLASSES, LARGE, noisy, outcome

from sightsmith.core.contracts.dataset import Sample
from sightsmith.engine.training.bootstrap import interval
from sightsmith.plugins.detection.bootstrap_ap import bootstrap_ap
from sightsmith.plugins.detection.metrics import compute


def copies(outcomes, drawn):
    """Each image as often as it is drawn, under names of its own."""
    found = []
    for copy in range(drawn.max()):
        for row, times in zip(outcomes, drawn, strict=True):
            if copy < times:
                found.append({**row, "truth": {**row["truth"], "image": f"{row['truth']['image']} {copy}"}})
    return found


@pytest.mark.parametrize("masks", [False, True])
def test_draws_are_copies(masks):
    outcomes = noisy(16, masks=masks)
    score = bootstrap_ap(outcomes, CLASSES, masks)
    random = np.random.default_rng(1)
    for drawn in [np.ones(16, int), *random.multinomial(16, np.full(16, 1 / 16), 20)]:
        assert score(drawn) == pytest.approx(compute(copies(outcomes, drawn), CLASSES, masks)["ap"], abs=1e-9)


def test_tiles_are_drawn_together():
    left, right = (0, 0, 64, 100), (56, 0, 64, 100)
    both, lone = (52, 20, 72, 60), (5, 5, 30, 40)
    outcomes = [outcome(0, [(lone, 0), (both, 1)], [(lone, 0, 0.9), (both, 1, 0.6)], tile=left),
                outcome(1, [(both, 1)], [(LARGE, 1, 0.7)], tile=right), *noisy(4)[2:]]
    score = bootstrap_ap(outcomes, CLASSES, False)
    for drawn in ([1, 1, 1, 1], [2, 2, 0, 1], [0, 0, 3, 1]):
        expected = compute(copies(outcomes, np.array(drawn)), CLASSES, False)["ap"]
        assert score(np.array(drawn)) == pytest.approx(expected, abs=1e-9)


def test_draws_without_an_object_are_undefined():
    outcomes = [outcome(0, [(LARGE, 0)], []), outcome(1, [], [(LARGE, 0, 0.9)])]
    score = bootstrap_ap(outcomes, CLASSES, False)
    assert score(np.array([1, 1])) == 0
    assert score(np.array([0, 2])) is None
    assert bootstrap_ap(outcomes[1:], CLASSES, False)(np.array([1])) is None
    samples = [Sample(None, f"{place}") for place in range(2)]
    assert interval(score, samples, seed=0).low == 0


def test_the_task_uses_them(make_task):
    outcomes = noisy(6)
    drawn = np.array([2, 0, 1, 1, 0, 2])
    expected = compute(copies(outcomes, drawn), ("light", "dark"), False)["ap"]
    assert make_task().bootstrap_score(outcomes)(drawn) == pytest.approx(expected, abs=1e-9)


def test_the_baseline_finds_nothing(make_task):
    task, tiles = make_task(), [outcome(0, [(LARGE, 1)], [(LARGE, 1, 0.7)], tile=(0, 0, 64, 100)),
                                outcome(1, [(LARGE, 1)], [], tile=(56, 0, 64, 100))]
    what, nothing = task.baseline([], [*noisy(6)[2:], *tiles])
    assert what == "no object in any image"
    assert task.metrics(nothing)["ap"] == 0
    assert task.bootstrap_score(nothing)(np.ones(6, int)) == 0
