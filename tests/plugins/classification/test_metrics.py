"""Figures against values worked out by hand, and None wherever a figure is undefined."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.task import Task
from sightsmith.plugins.classification.metrics import bootstrap_score, calibration, compute, suspected_label_errors

CLASSES = ("cat", "cow", "dog")


def outcome(index, label, logits, loss=0.5):
    return {"index": index, "label": label, "logits": np.array(logits, np.float32), "loss": loss}


SINGLE = [
    outcome(0, 0, [3, 0, -9], 0.1), outcome(1, 0, [0, 2, -9], 0.2), outcome(2, 1, [0, 1, -9], 0.3),
    outcome(3, 1, [2, 1, -9], 0.4), outcome(4, 0, [5, 0, -9], 0.5),
]


def test_single_label():
    figures = compute(SINGLE, CLASSES, multi_label=False)
    assert figures["loss"] == pytest.approx(0.3)
    assert figures["accuracy"] == pytest.approx(3 / 5)
    assert figures["precision/cat"] == pytest.approx(2 / 3)
    assert figures["recall/cat"] == pytest.approx(2 / 3)
    assert figures["f1/cow"] == pytest.approx(1 / 2)
    # cat scores: positives 3, -2, 5 (as logit differences), negatives -1, 1: 4 of 6 pairs in order.
    assert figures["auc/cat"] == pytest.approx(4 / 6)
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert figures["macro_recall"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert figures["macro_auc"] == pytest.approx(4 / 6)
    assert [figures[f"{name}/dog"] for name in ("precision", "recall", "f1", "auc")] == [None] * 4


def test_multi_label():
    outcomes = [outcome(0, np.array([1, 0, 0]), [2, -1, -1]), outcome(1, np.array([1, 1, 0]), [1, -1, -1]),
                outcome(2, np.array([0, 0, 0]), [-1, -2, 1])]
    figures = compute(outcomes, CLASSES, multi_label=True)
    assert figures["accuracy"] == pytest.approx(1 / 3)
    assert figures["f1/cat"] == 1
    assert figures["recall/cow"] == 0
    assert figures["f1/cow"] == 0
    assert figures["precision/cow"] is None
    assert figures["auc/cow"] == pytest.approx(0.75)
    assert figures["precision/dog"] == 0
    assert figures["recall/dog"] is None
    assert figures["macro_f1"] == pytest.approx(0.5)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_network_that_has_diverged(multi_label):
    label = np.array([1, 0, 0]) if multi_label else 0
    figures = compute([outcome(0, label, [np.nan] * 3, np.nan), outcome(1, label, [0, 0, 0])], CLASSES, multi_label)
    assert figures["loss"] is None
    assert figures["macro_auc"] is None
    json.dumps(figures, allow_nan=False)


def test_one_class_of_multi_label():
    figures = compute([outcome(0, np.array([1]), [1]), outcome(1, np.array([0]), [-1])], ("crack",), multi_label=True)
    assert figures["f1/crack"] == figures["auc/crack"] == figures["accuracy"] == 1


def test_no_warning_is_left_for_the_user():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compute(SINGLE, CLASSES, multi_label=False)
        compute(SINGLE[:1], CLASSES, multi_label=False)


def test_the_score_and_the_baseline(make_task):
    samples = [Sample(None, str(number), (name,)) for number, name in enumerate(["cow", "cow", "cat", "dog"])]
    assert make_task().score == "accuracy"
    assert make_task(multi_label=True).score == "macro_f1"
    what, constant = make_task().baseline(samples, [outcome(0, 0, [1, 0, 0]), outcome(1, 1, [5, 0, 1])])
    assert what == "the most frequent class, 'cow', for every image"
    assert [item["logits"].argmax() for item in constant] == 2 * [make_task().classes.index("cow")]
    task = make_task(multi_label=True)
    what, constant = task.baseline(samples, [outcome(0, np.array([1, 0, 0], np.int8), [0, 0, 0])] * 3
                                   + [outcome(1, np.array([0, 1, 1], np.int8), [0, 0, 0])])
    assert what == "every label for every image"
    assert task.metrics(constant)["macro_f1"] == pytest.approx((6 / 7 + 2 / 5 + 2 / 5) / 3)  # 2 p / (1 + p)


@pytest.mark.parametrize("multi_label", [False, True])
def test_draws_are_copies(make_task, multi_label):
    random = np.random.default_rng(0)
    outcomes = [outcome(index, (random.random(3) < 0.15).astype(np.int8) if multi_label else int(random.integers(3)),
                        random.normal(size=3)) for index in range(12)]
    task = make_task(multi_label=multi_label)
    score, plain = task.bootstrap_score(outcomes), Task.bootstrap_score(task, outcomes)
    for drawn in random.multinomial(12, np.full(12, 1 / 12), 30):
        assert score(drawn) == pytest.approx(plain(drawn))
    if multi_label:
        empty = [outcome(0, np.zeros(3, np.int8), [1, 1, 1])]
        assert bootstrap_score(empty, multi_label)(np.array([1])) is None


@pytest.mark.parametrize("multi_label", [False, True])
def test_calibration_is_that_of_scikit_learn(multi_label):
    from sklearn.calibration import calibration_curve

    random = np.random.default_rng(0)
    scores = random.dirichlet([0.4] * 4, 300) if not multi_label else random.random((300, 4))
    truth = np.eye(4, dtype=int)[[random.choice(4, p=row / row.sum()) for row in scores]]
    found = calibration(scores, truth, multi_label)
    confidence = scores.ravel() if multi_label else scores.max(1)
    right = truth.ravel() if multi_label else truth[np.arange(300), scores.argmax(1)]
    part, mean = calibration_curve(right, confidence, n_bins=10)
    assert [item.correct for item in found.bins] == pytest.approx(part)
    assert [item.confidence for item in found.bins] == pytest.approx(mean)
    assert sum(item.count for item in found.bins) == confidence.size
    weights = np.array([item.count for item in found.bins]) / confidence.size
    assert found.error == pytest.approx(float(weights @ np.abs(part - mean)))
    assert calibration(np.full((2, 4), np.nan), truth[:2], multi_label).error is None


def test_labels_that_are_wrong_are_doubted_the_worst_first():
    labels = np.repeat(np.arange(3), 40)
    scores = 0.05 + 0.85 * np.eye(3)[labels]
    swapped = labels.copy()
    swapped[[3, 50, 100]] = [1, 2, 0]
    scores[3] = (0.999, 0.0, 0.001)
    found = suspected_label_errors(scores, np.eye(3, dtype=int)[swapped])
    assert {place for place, _ in found} == {3, 50, 100}
    assert found[0] == (3, 0)
    assert all(labels[place] == number for place, number in found)
    assert suspected_label_errors(scores, np.eye(3, dtype=int)[labels]) == []
    assert suspected_label_errors(np.full((3, 3), np.nan), np.eye(3, dtype=int)) == []
