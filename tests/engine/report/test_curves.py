"""Learning curves that one early loss would flatten."""

from __future__ import annotations

import math

import pytest
from tiny import TinyTask, tiny_config

from sightsmith.engine.report.curves import cut_off, learning_curves


def history(train, validation=()):
    return [{"epoch": number, "train_loss": loss, "accuracy": 0.5,
             **({"loss": validation[number - 1]} if validation else {})} for number, loss in enumerate(train, 1)]


def test_one_early_loss_is_cut_off_and_named():
    (bottom, top), note = cut_off(history([250.0, 2.0, 1.5, 1.2, 1.0, 0.9], [1e6, 2.2, 1.6, 1.3, 1.1, 1.0]))
    assert 2.2 < top < 3 and 0.7 < bottom < 0.9
    assert note == (f"The plot of the loss is cut off at {top:.3g}; above it: the training loss 250 of epoch 1, the "
                    "validation loss 1e+06 of epoch 1.")


def test_as_little_as_possible_is_cut_off():
    (_, top), note = cut_off(history([250.0, 120.0, *(2 - number / 10 for number in range(9))]))
    assert 2 < top < 2.2 and "loss 120 of epoch 2." in note
    assert cut_off(history([250.0, *(5 - number / 3 for number in range(10))]))[0] == pytest.approx((1.7, 5.3))


@pytest.mark.parametrize("losses", [[], [3.0], [9.0, 1.0], [2.3, 1.9, 1.5, 1.2, 1.0], [1.0, 1.0, 1.0],
                                    [1.0, 2.0, 90.0], [5.0, 1.0, 1.0, 1.0], [2.5, 0.6, 0.3, 0.2, 0.05],
                                    [2.5, 0.63, 0.36, 0.37, 0.27, 0.18, 0.13, 0.05],
                                    [2.0, 50.0, 1.0, 1.1, 1.2], [math.inf, 2.0, 1.0, math.nan]])
def test_any_other_course_is_shown_whole(losses):
    assert cut_off(history(losses)) == (None, "")


def test_the_plot_ends_where_the_note_says():
    section = learning_curves(TinyTask(None, tiny_config(), None, []), history([250.0, 2.0, 1.5, 1.2, 1.0]), 2, None)
    loss, score = section.figures
    assert loss.axes[0].get_ylim()[1] == pytest.approx(2.1, abs=0.05) and "2.1" in section.note
    assert section.rows[0][:2] == (1, 250.0)
    assert score.axes[0].get_ylabel() == TinyTask(None, tiny_config(), None, []).score.replace("_", " ")
