"""The plan: all decisions of a run, made and printed before it starts, and saved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue


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

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
