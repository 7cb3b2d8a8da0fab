"""What ``tuner=auto`` chose: values with their reasons, and the space that a tuner may search around them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from sightsmith.core.contracts.schema import Config, format_override, is_among, walk
from sightsmith.core.util.errors import Problem, UserError

if TYPE_CHECKING:
    from rich.console import Console

OWNED = ("network.name", "network.weights", "network.options", "network.config", "image.size", "dataset.tile",
         "augment.horizontal_flip", "augment.rotate90", "augment.resized_crop", "augment.translation",
         "augment.rotation", "augment.color_jitter", "hyper.batch_size", "hyper.epochs", "hyper.optimizer",
         "hyper.learning_rate", "hyper.weight_decay", "hyper.momentum", "hyper.schedule",
         "hyper.warmup_epochs", "hyper.clip_grad_norm", "hyper.ema_decay", "hyper.class_balance")
"""Keys, and groups of them, that are not the user's to give with ``tuner=auto``."""


@dataclass(frozen=True)
class RecommendedValue:
    """A key of the configuration, its value, and why."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class SearchRange:
    """The values of a key that are worth trying; with ``log``, each power of ten as much as any other."""

    key: str
    low: float
    high: float
    log: bool
    reason: str


@dataclass(frozen=True)
class Recommendation:
    """All that was chosen. ``warnings`` say where preferences and data contradict each other."""

    HEADER: ClassVar = ("what", "chosen", "why")

    decisions: tuple[RecommendedValue, ...]
    space: tuple[SearchRange, ...]
    warnings: tuple[str, ...] = ()

    def applied(self, config: Config) -> Config:
        """``config`` with what was chosen."""
        chosen = copy.deepcopy(config)
        for decision in self.decisions:
            *groups, name = decision.key.split(".")
            owner: Any = chosen
            for group in groups:
                owner = getattr(owner, group)
            setattr(owner, name, decision.value)
        return chosen

    def rows(self) -> list[tuple[str, str, str]]:
        """As printed and as in the report, under :attr:`HEADER`."""
        return [(item.key, format_override(item.value), item.reason) for item in self.decisions] + [
            (f"search {item.key}", f"{item.low:g} to {item.high:g}{', logarithmic' if item.log else ''}", item.reason)
            for item in self.space]

    def show(self, console: Console) -> None:
        """Print the warnings, and all that was chosen."""
        from rich.markup import escape
        from rich.table import Table

        for warning in self.warnings:
            console.print(f"warning: {warning}")
        table = Table(*self.HEADER, title="Recommendation", title_justify="left")
        for row in self.rows():
            table.add_row(*map(escape, row))
        console.print(table)


def owned(key: str) -> bool:
    """Whether ``tuner=auto`` alone says what the configuration's ``key`` is."""
    return is_among(key, OWNED)


def ensure_not_overridden(config: Config, reference: Config) -> None:
    """Raises UserError naming every key of tuner=auto in which ``config`` differs from ``reference``, where nothing
    was given."""
    usual = {key: value for key, _, value in walk(reference)}
    problems = [Problem(f"{key}={format_override(value)} (without it: {format_override(usual[key])})")
                for key, _, value in walk(config) if owned(key) and value != usual[key]]
    if problems:
        raise UserError("tuner=auto chooses these:", problems=problems,
                        hint="leave them out, or type tuner=manual and choose all yourself")
