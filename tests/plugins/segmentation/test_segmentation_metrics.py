"""The figures against scikit-learn on the same pixels; what is undefined says so."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from sightsmith.plugins.segmentation.metrics import best_constant, bootstrap_dice, class_metrics, compute, count

CLASSES = ("a", "b", "never")


def outcome(truth, predicted):
    return {"loss": 1.0, "counts": count(np.asarray(truth, np.uint8), np.asarray(predicted, np.uint8), len(CLASSES))}


def test_as_scikit_learn():
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, (4, 20, 30))
    predicted = np.where(random.random(truth.shape) < 0.7, truth, random.integers(0, 3, truth.shape))
    truth[0, :3] = 255
    found = compute([outcome(real, said) for real, said in zip(truth, predicted, strict=True)], CLASSES)
    real, said = truth[truth != 255], predicted[truth != 255]
    for number, name in ((1, "a"), (2, "b")):
        of, is_ = real == number, said == number
        assert found[f"dice/{name}"] == pytest.approx(reference.f1_score(of, is_))
        assert found[f"iou/{name}"] == pytest.approx(reference.jaccard_score(of, is_))
        assert found[f"precision/{name}"] == pytest.approx(reference.precision_score(of, is_))
        assert found[f"recall/{name}"] == pytest.approx(reference.recall_score(of, is_))
        assert found[f"specificity/{name}"] == pytest.approx(reference.recall_score(~of, ~is_))
        assert found[f"accuracy/{name}"] == pytest.approx(reference.accuracy_score(of, is_))
    assert found["pixel_accuracy"] == pytest.approx(reference.accuracy_score(real, said))
    assert found["dice"] == pytest.approx(np.mean([found["dice/a"], found["dice/b"]]))
    assert found["miou"] == pytest.approx(np.mean([found["iou/a"], found["iou/b"]]))


def test_a_class_without_truth_is_undefined_and_not_in_the_means():
    found = compute([outcome([[1, 1, 0, 0]], [[1, 0, 0, 3]])], CLASSES)
    assert found["dice/never"] is found["iou/never"] is found["recall/never"] is None
    assert found["precision/never"] == 0
    assert found["dice/b"] is found["precision/b"] is None
    assert found["dice"] == found["dice/a"] == pytest.approx(2 / 3)
    nothing = compute([outcome([[255, 255]], [[0, 1]])], CLASSES)
    assert nothing["dice"] is nothing["pixel_accuracy"] is None


def test_dice_is_f1_and_counts_add_up():
    counts = count(np.array([[0, 1, 1, 2]], np.uint8), np.array([[0, 1, 2, 2]], np.uint8), 2)
    found = class_metrics(counts, 1)
    assert (found["TP"], found["FP"], found["FN"], found["TN"]) == (1, 0, 1, 2)
    precision, recall = found["precision"], found["recall"]
    assert found["dice"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_draws_are_copies():
    random = np.random.default_rng(0)
    outcomes = [outcome(random.choice([0, 1, 2, 255], (8, 8), p=(0.7, 0.2, 0.05, 0.05)), random.integers(0, 4, (8, 8)))
                for _ in range(6)] + [outcome([[0]], [[1]])]
    score = bootstrap_dice(outcomes)
    for drawn in random.multinomial(7, np.full(7, 1 / 7), 30):
        copies = [row for row, times in zip(outcomes, drawn, strict=True) for _ in range(times)]
        assert score(drawn) == pytest.approx(compute(copies, CLASSES)["dice"])
    assert score(np.eye(7, dtype=int)[6]) is None


def test_the_best_constant_has_the_largest_class_for_every_pixel():
    random = np.random.default_rng(0)
    truths = [random.choice([0, 1, 2, 255], (8, 8), p=(0.5, 0.2, 0.25, 0.05)) for _ in range(6)]
    number, constant = best_constant([outcome(truth, truth) for truth in truths])
    assert number == 2
    for candidate in range(4):
        expected = compute([outcome(truth, np.full_like(truth, candidate)) for truth in truths], CLASSES)["dice"]
        found = compute(constant, CLASSES)["dice"]
        assert found == pytest.approx(expected) if candidate == number else found > expected


def test_the_task_names_the_constant(make_task):
    results = [{"index": 0, **outcome([[0, 0, 1, 1]], [[0, 0, 0, 0]])}]
    results[0]["counts"] = results[0]["counts"][:3, :3]  # background, light and dark
    what, constant = make_task().baseline([], results)
    assert what == "'light' for every pixel"
    assert make_task().bootstrap_score(constant)(np.ones(1, int)) == pytest.approx(2 / 3)
