"""The choices of ``tuner=auto``: values with reasons, and the space to search around them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from sightsmith.core.contracts.keys import format_override, is_among, walk
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import Problem, UserError

OWNED = ("recipe", "network.name", "network.weights", "network.options", "network.config", "image.size", "dataset.tile",
         "augment.horizontal_flip", "augment.rotate90", "augment.resized_crop", "augment.translation",
         "augment.rotation", "augment.color_jitter", "hyper.batch_size", "hyper.epochs", "hyper.optimizer",
         "hyper.learning_rate", "hyper.weight_decay", "hyper.momentum", "hyper.schedule",
         "hyper.warmup_epochs", "hyper.clip_grad_norm", "hyper.ema_decay", "hyper.class_balance",
         "hyper.freeze_epochs", "hyper.layer_decay")
"""Keys and groups that you cannot set with ``tuner=auto``."""


@dataclass(frozen=True)
class RecommendedValue:
    """A configuration key with its value and the reason; in a plan also who set it: you, a preset, a recipe, ..."""

    key: str
    value: Any
    reason: str
    origin: str = ""


@dataclass(frozen=True)
class SearchRange:
    """The range of a key worth searching; ``log``: sample it logarithmically."""

    key: str
    low: float
    high: float
    log: bool
    reason: str


@dataclass(frozen=True)
class Recommendation:
    """All choices. ``warnings`` are contradictions between preferences and data, and what a recipe cannot map."""

    decisions: tuple[RecommendedValue, ...]
    space: tuple[SearchRange, ...] = ()
    warnings: tuple[str, ...] = ()

    def applied(self, config: Config) -> Config:
        """A copy of ``config`` with the choices."""
        chosen = copy.deepcopy(config)
        for decision in self.decisions:
            *groups, name = decision.key.split(".")
            owner: Any = chosen
            for group in groups:
                owner = getattr(owner, group)
            setattr(owner, name, decision.value)
        return chosen


def owned(key: str) -> bool:
    """Whether ``tuner=auto`` chooses the configuration's ``key``."""
    return is_among(key, OWNED)


def ensure_not_overridden(config: Config, reference: Config) -> None:
    """Raises UserError with every key of tuner=auto in which ``config`` differs from ``reference``, the configuration
    without overrides."""
    default = {key: value for key, _, value in walk(reference)}
    problems = [Problem(f"{key}={format_override(value)} (without it: {format_override(default[key])})")
                for key, _, value in walk(config) if owned(key) and value != default[key]]
    if problems:
        raise UserError("tuner=auto chooses these:", problems=problems,
                        hint="leave them out, or type tuner=manual to choose everything yourself")
