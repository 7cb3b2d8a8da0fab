"""The plan: what a run will do, decided before it starts, frozen, printed and kept."""

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
    """why this precision and memory format"""
    num_workers: int
    folds: int
    """of cross-validation; 0: none"""
    repeats: int
    folds_reason: str
    """why so many folds; empty where nobody asked for any"""
    estimated_seconds: float
    """of all trainings together"""
    estimated_memory: int
    """bytes, of one rank"""
    choice: Recommendation | None = None
    """what tuner=auto chose, and why"""

    @property
    def trainings(self) -> int:
        """That of the model which is kept, and one for each fold of each repeat."""
        return 1 + self.folds * self.repeats

    def rows(self) -> list[tuple[str, str]]:
        """Label and text, as printed and as in the report."""
        images = f"{self.batch_size} images"
        if self.gradient_accumulation > 1:
            images += f" × {self.gradient_accumulation} accumulated"
        time = f"{format_duration(self.estimated_seconds)}, if no early stop"
        cross = []
        if self.folds:
            repeats = f" × {self.repeats} repeats" if self.repeats > 1 else ""
            each = format_duration(self.estimated_seconds / self.trainings)
            time += f": {self.trainings} trainings of {each} or less"
            cross = [("cross-validation", f"{self.folds} folds{repeats} ({self.folds_reason}), after the training of "
                                          "the model that is kept")]
        elif self.folds_reason:
            cross = [("cross-validation", f"none ({self.folds_reason})")]
        return [
            ("run", self.name), ("task", f"{self.task}, {self.classes} classes"),
            ("network", f"{self.network}, input {self.input_size} px, weights {self.weights}"),
            ("images", f"{self.train_images} to train, {self.validation_images} to validate"),
            ("epochs", f"{self.epochs} of {self.steps_per_epoch} updates of {images}"),
            ("optimizer", self.optimizer), ("device", f"{self.devices} × {self.device}"),
            ("precision", f"{self.precision} {self.memory_format} ({self.mode_reason})"),
            ("image workers", str(self.num_workers)), *cross, ("estimated time", time),
            ("estimated memory", f"{self.estimated_memory / 2**30:.1f} GiB a device"),
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
    """How the network computes: in which precision, and how its images lie in memory."""

    precision: str
    memory_format: str = "contiguous"

    def __str__(self) -> str:
        return f"{self.precision} {self.memory_format}"
