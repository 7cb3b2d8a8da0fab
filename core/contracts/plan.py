"""The plan: all decisions of a run, made and printed before it starts, and saved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sightsmith.core.contracts.keys import format_override
from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue
from sightsmith.core.util.html import html_table
from sightsmith.core.util.text import counted, format_duration


@dataclass(frozen=True)
class Plan:
    """Every decision of a run, with the estimate of its time and memory."""

    name: str
    task: str
    network: str
    weights: str
    """where training starts: file, licence, digest, and what of it was loaded"""
    input_size: int
    classes: int
    train_images: int
    validation_images: int
    epochs: int
    steps_per_epoch: int
    batch_size: int
    gradient_accumulation: int
    micro_batch: int
    micro_batch_reason: str
    """why it is below ``batch_size``"""
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
    refit: str
    """why the kept model is trained once more, on all cases; empty: it is not"""
    ensemble: str
    """none, folds or soup"""
    estimated_seconds: float
    """of all trainings together"""
    estimated_memory: int
    """bytes, of one rank"""
    left_out: tuple[str, ...] = ()
    """names of the images that could not be read, with dataset.on_bad_image=skip"""
    settings: tuple[RecommendedValue, ...] = ()
    """every hyperparameter"""
    choice: Recommendation | None = None
    """what tuner=auto chose, and why"""

    @property
    def trainings(self) -> int:
        """The number of trainings: the run's own model, one for each fold of each repeat, and the refit."""
        return 1 + self.folds * self.repeats + bool(self.refit)

    def rows(self) -> list[tuple[str, str]]:
        """Label and text, for the console and the report."""
        images = f"{self.batch_size} images"
        if self.gradient_accumulation > 1:
            images += f" × {self.gradient_accumulation} accumulated"
        if self.micro_batch < self.batch_size:
            images += f", {self.micro_batch} at once ({self.micro_batch_reason})"
        time = f"{format_duration(self.estimated_seconds)} without early stopping"
        cross = []
        if self.folds:
            repeats = f" × {self.repeats} repeats" if self.repeats > 1 else ""
            each = format_duration(self.estimated_seconds / self.trainings)
            time += f": {self.trainings} trainings of at most {each}"
            cross = [("cross-validation", f"{self.folds} folds{repeats} ({self.folds_reason}), after the final "
                                          "model is trained")]
            if self.refit:
                cross.append(("refit", f"the kept model is trained once more, on all images ({self.refit}); its score "
                                       "is that of the folds"))
            if self.ensemble != "none":
                cross.append(("ensemble", f"{self.ensemble}, of {self.folds * self.repeats} models trained on folds of "
                                          "the training images"))
        elif self.folds_reason:
            cross = [("cross-validation", f"none ({self.folds_reason})")]
        return [
            ("run", self.name), ("task", f"{self.task}, {counted(self.classes, 'class', 'classes')}"),
            ("network", f"{self.network}, input {self.input_size} px"), ("starting weights", self.weights),
            ("images", f"{self.train_images} for training, {self.validation_images} for validation"),
            *([("left out", f"{counted(len(self.left_out), 'image')} that cannot be read: {', '.join(self.left_out)}")]
              if self.left_out else []),
            ("epochs", f"{self.epochs}, optimizer steps in each: {self.steps_per_epoch} of {images}"),
            ("optimizer", self.optimizer), ("device", f"{self.devices} × {self.device}"),
            ("precision", f"{self.precision} {self.memory_format} ({self.mode_reason})"),
            ("image workers", str(self.num_workers)), *cross, ("estimated time", time),
            ("estimated memory", f"{self.estimated_memory / 2**30:.1f} GiB per device"),
        ]

    def _repr_html_(self) -> str:
        settings = [(item.key, format_override(item.value), ": ".join(filter(None, (item.origin, item.reason))))
                    for item in self.settings]
        return html_table(self.rows(), title="Plan") + html_table(settings, ("hyperparameter", "value", "from"))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
