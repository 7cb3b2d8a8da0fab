"""The keys that only classification has: ``task.label_smoothing``, ``task.class_weights``."""

from __future__ import annotations

from dataclasses import dataclass, field

from sightsmith.plugin import TaskConfig

BALANCED = "balanced"


@dataclass
class ClassificationConfig(TaskConfig):
    """Keys under ``task`` with ``task=classification``."""

    label_smoothing: float = field(default=0.0, metadata={"help": "label smoothing", "low": 0, "high": 0.5})
    class_weights: str = field(default="none", metadata={
        "help": "class imbalance: balanced weights the loss, so that each class counts alike; "
                "hyper.class_balance=sampling is the other way", "choices": ("none", BALANCED)})
