"""The refit of a kept model on all cases: when, for how long, and what its progress shows."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from tiny import tiny_config, tiny_dataset

from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.cross_validation import choose_refit
from sightsmith.engine.training.callbacks import ProgressReporter
from sightsmith.engine.training.state import TrainState


def test_a_refit_reports_no_validation():
    output = io.StringIO()
    progress = ProgressReporter(epochs=4, steps=3, batch_images=8, score="accuracy", title="refit  ",
                                console=Console(file=output, width=200))
    progress.on_epoch(TrainState(epoch=1), {"train_loss": 0.5, "seconds": 2.0})
    progress.on_epoch(TrainState(epoch=2), {"train_loss": 0.5, "seconds": 2.0, "loss": None, "accuracy": 0.25})
    first, second = output.getvalue().splitlines()
    assert first == "refit  epoch 1/4  train loss 0.5000  6 s left"
    assert "validation loss" in second and "accuracy 0.2500" in second


@pytest.mark.parametrize(("title", "marked"), [("", True), ("fold 1/5  ", False)])
def test_a_best_epoch_is_marked_only_where_it_is_kept(title, marked):
    output = io.StringIO()
    progress = ProgressReporter(epochs=4, steps=3, batch_images=8, score="accuracy", title=title,
                                console=Console(file=output, width=200))
    progress.on_epoch(TrainState(epoch=1, best_epoch=1), {"train_loss": 0.5, "seconds": 2.0, "loss": 1, "accuracy": 1})
    assert ("best" in output.getvalue()) == marked


def test_when_the_kept_model_is_refitted():
    def wanted(images, validation, folds, *, setting="auto", ensemble="none", base_run=None):
        config = tiny_config()
        config.dataset.refit, config.ensemble, config.base_run.path = setting, ensemble, base_run
        return choose_refit(tiny_dataset(images, validation), config, folds)

    assert wanted(100, 20, 5) == "only 20 validation cases"
    assert wanted(300, 100, 5) == wanted(100, 20, 0) == wanted(100, 20, 5, setting="False") == ""
    assert wanted(100, 20, 5, ensemble="folds") == wanted(100, 20, 5, base_run="runs/old") == ""
    assert wanted(100, 40, 5, setting="True") == "as set"
    with pytest.raises(UserError, match="retraining compares the old classes"):
        wanted(100, 20, 5, setting="true", base_run="runs/old")
    with pytest.raises(UserError, match="dataset.refit=true needs folds"):
        wanted(100, 40, 0, setting="true")
