"""The plan: all decisions of a run, made and printed before it starts, and saved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from sightsmith.core.contracts.recommendation import Recommendation
from sightsmith.core.util.text import format_duration


@dataclass(frozen=True)
class Plan:
    """Every decision of a run, with the estimate of its time and memory."""

    name: str
    task: str
    network: str
    weights: str
    input_size: int
    classes: int
    train_images: int
    validation_images: int
    epochs: int
    steps_per_epoch: int
    batch_size: int
    gradient_accumulation: int
    optimizer: str
    devices: int
    device: str
    precision: str
    memory_format: str
    """of images and weights: contiguous or channels_last"""
    mode_reason: str
    """of the choice of precision and memory format"""
    num_workers: int
    folds: int
    """of cross-validation; 0: none"""
    repeats: int
    folds_reason: str
    """of the number of folds; empty if cross-validation was not requested"""
    estimated_seconds: float
    """of all trainings together"""
    estimated_memory: int
    """bytes, of one rank"""
    choice: Recommendation | None = None
    """what tuner=auto chose, and why"""

    @property
    def trainings(self) -> int:
        """The number of trainings: the final model, and one for each fold of each repeat."""
        return 1 + self.folds * self.repeats

    def rows(self) -> list[tuple[str, str]]:
        """Label and text, for the console and the report."""
        images = f"{self.batch_size} images"
        if self.gradient_accumulation > 1:
            images += f" × {self.gradient_accumulation} accumulated"
        time = f"{format_duration(self.estimated_seconds)} without early stopping"
        cross = []
        if self.folds:
            repeats = f" × {self.repeats} repeats" if self.repeats > 1 else ""
            each = format_duration(self.estimated_seconds / self.trainings)
            time += f": {self.trainings} trainings of at most {each}"
            cross = [("cross-validation", f"{self.folds} folds{repeats} ({self.folds_reason}), after the final "
                                          "model is trained")]
        elif self.folds_reason:
            cross = [("cross-validation", f"none ({self.folds_reason})")]
        return [
            ("run", self.name), ("task", f"{self.task}, {self.classes} classes"),
            ("network", f"{self.network}, input {self.input_size} px, weights {self.weights}"),
            ("images", f"{self.train_images} for training, {self.validation_images} for validation"),
            ("epochs", f"{self.epochs} of {self.steps_per_epoch} optimizer steps of {images}"),
            ("optimizer", self.optimizer), ("device", f"{self.devices} × {self.device}"),
            ("precision", f"{self.precision} {self.memory_format} ({self.mode_reason})"),
            ("image workers", str(self.num_workers)), *cross, ("estimated time", time),
            ("estimated memory", f"{self.estimated_memory / 2**30:.1f} GiB per device"),
        ]

    def table(self) -> Table:
        table = Table(show_header=False, title="Plan", title_justify="left")
        for label, text in self.rows():
            table.add_row(label, text)
        return table

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ComputeMode:
    """How the network computes: precision, and memory format of images and weights."""

    precision: str
    memory_format: str = "contiguous"

    def __str__(self) -> str:
        return f"{self.precision} {self.memory_format}"
