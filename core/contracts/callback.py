"""What hears of the progress of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Callback(Protocol):
    """Per-step behaviour, on rank 0: progress, metric loggers."""

    def on_step(self, state: TrainState, losses: Mapping[str, float], rate: float) -> None:
        """After an optimizer step whose losses were looked at (every step on the CPU)."""

    def on_validation(self, done: int, batches: int) -> None:
        """After a validation batch of this rank."""

    def on_epoch(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        """After an epoch's validation, when its checkpoint is written."""


@dataclass
class TrainState:
    """Where the run is; with weights and optimizer, all that a checkpoint holds."""

    epoch: int = 0
    """epochs finished"""
    step: int = 0
    """updates done in the epoch under way"""
    loss_sum: float = 0.0
    """of this rank's images of the epoch under way"""
    images: float = 0
    best_score: float | None = None
    best_epoch: int = 0
    best_validation_loss: float = math.inf
    epochs_without_improvement: int = 0
    """epochs since the validation loss was lowest or the score highest, whichever was later"""
    seconds: float = 0.0
    """spent training, over all continuations"""
