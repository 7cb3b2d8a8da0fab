"""``recipe=published``: how torchvision trained the weights of a family, where it did so itself.

The values are those of ``references/classification/README.md`` in torchvision's repository.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from sightsmith.plugin import (
    Config,
    DatasetStatistics,
    NetworkRecord,
    Recommendation,
    RecommendedValue,
    TaskRecord,
    UserError,
)

SOURCE = "torchvision's references/classification"


@dataclass(frozen=True)
class Reference:
    """A training on ImageNet; ``images`` are those of a step on all devices. ``ema_decay`` is per step: its script
    divides that of the command line, 0.99998, by epochs and images."""

    images: int = 256
    epochs: int = 90
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    weight_decay: float = 1e-4
    schedule: str = "step"
    lr_step_size: int = 30
    lr_gamma: float = 0.1
    warmup_epochs: int = 0
    clip_grad_norm: float | None = None
    ema_decay: float = 0.0
    lost: tuple[str, ...] = ()


MIXES = ("mixup", "cutmix", "TrivialAugment", "random erasing", "label smoothing", "repeated augmentation")
FAMILIES = {
    "resnet": Reference(),
    "mobilenetv2": Reference(epochs=300, learning_rate=0.045, weight_decay=4e-5, lr_step_size=1, lr_gamma=0.98),
    "convnext": Reference(1024, 600, "adamw", 1e-3, 0.05, "cosine", warmup_epochs=5, ema_decay=0.99997, lost=MIXES),
    "swin_transformer": Reference(1024, 300, "adamw", 1e-3, 0.05, "cosine", warmup_epochs=20, clip_grad_norm=5.0,
                                  ema_decay=0.99993, lost=MIXES),
}


def published(config: Config, task: TaskRecord, network: NetworkRecord, data: DatasetStatistics,
              fixed: Collection[str]) -> Recommendation:
    """The reference of the family of ``network``. Raises UserError if there is none."""
    reference = FAMILIES.get(network.family)
    if reference is None:
        raise UserError(f"recipe=published: {SOURCE} has no recipe for the family {network.family}",
                        hint=f"it has one for {', '.join(FAMILIES)}; type recipe=default for others")
    batch = min(reference.images, config.limits.batch_size)
    batch = config.hyper.batch_size if "hyper.batch_size" in fixed else batch
    epochs = config.hyper.epochs if "hyper.epochs" in fixed else min(reference.epochs, config.limits.epochs)
    ratio = batch * config.trainer.gradient_accumulation / reference.images
    shorter = epochs / reference.epochs
    values = {
        "batch_size": batch, "epochs": epochs, "optimizer": reference.optimizer, "momentum": 0.9,
        "learning_rate": float(f"{reference.learning_rate * ratio:.3g}"), "weight_decay": reference.weight_decay,
        "schedule": reference.schedule, "lr_step_size": max(math.floor(reference.lr_step_size * shorter), 1),
        "lr_gamma": reference.lr_gamma, "warmup_epochs": float(f"{reference.warmup_epochs * shorter:.3g}"),
        "clip_grad_norm": reference.clip_grad_norm, "ema_decay": reference.ema_decay}
    reasons = {
        "learning_rate": f"{SOURCE}: {reference.learning_rate:g} for steps of {reference.images} images",
        "epochs": f"{SOURCE}: {reference.epochs}; at most limits.epochs={config.limits.epochs}"}
    lost = (f"not mapped from {SOURCE}: {', '.join(reference.lost)}",) if reference.lost else ()
    return Recommendation(tuple(RecommendedValue(f"hyper.{key}", value, reasons.get(key, SOURCE))
                                for key, value in values.items()), warnings=lost)
