"""The state of a training, and the callbacks that see it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sightsmith.core.util.text import counted
from sightsmith.engine.runs.run_dir import RunDir


class Callback(Protocol):
    """Called during training, on rank 0: progress bars, metric loggers."""

    def on_step(self, state: TrainState, losses: Mapping[str, float], rate: float) -> None:
        """After an optimizer step whose losses were synchronised (on the CPU: every step)."""

    def on_validation(self, done: int, images: int) -> None:
        """After a validation batch of this rank: ``done`` of its ``images``."""

    def on_warning(self, message: str) -> None:
        """When the training goes on otherwise than planned."""

    def on_epoch(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        """After an epoch's validation, whose checkpoint may not be written yet."""


@dataclass
class TrainState:
    """The progress of a run; saved in checkpoints along with weights and optimizer."""

    epoch: int = 0
    """epochs finished"""
    step: int = 0
    """optimizer steps finished in the current epoch"""
    loss_sum: float = 0.0
    """over this rank's images in the current epoch"""
    images: float = 0
    best_score: float | None = None
    best_epoch: int = 0
    best_validation_loss: float = math.inf
    epochs_without_improvement: int = 0
    """epochs since the validation loss or the score was last at its best"""
    plateaus: int = 0
    """decays of the learning rate with hyper.schedule=plateau"""
    seconds: float = 0.0
    """of training, including earlier sessions of a resumed run"""
    micro_batch: int = 0
    """images per forward pass, over all devices; at most that of the plan"""
    warnings: list[str] = field(default_factory=list)
    """what went otherwise than planned"""


def finished_epochs(run: RunDir, state: TrainState) -> list[dict[str, Any]]:
    """The metrics of the epochs that ``state`` has finished; for those that are lost, it gets a warning."""
    problems: list[str] = []
    found = [entry for entry in run.read_metrics(problems.append) if entry["epoch"] <= state.epoch]
    if lost := state.epoch - len(found):
        problems.append(f"{run.metrics} has lost the metrics of {lost} of {counted(state.epoch, 'epoch')}: the report "
                        "is without them, and the model is as it would have been")
    state.warnings += [problem for problem in problems if problem not in state.warnings]
    return found
