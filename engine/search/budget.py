"""Limits of a sweep: time and failures."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import DictConfig


@dataclass(frozen=True)
class Budget:
    """Limits of a sweep; None is no limit.

    ``hours`` is the time for all trials together. A search stops when more than ``max_failure_rate`` of its trials have
    failed; a manual sweep has no such limit.
    """

    hours: float | None
    max_failure_rate: float | None

    @classmethod
    def of(cls, config: DictConfig, *, searches: bool) -> Budget:
        return cls(config.tuner.time_budget, config.tuner.max_failure_rate if searches else None)

    def spent(self, seconds: float) -> bool:
        return self.hours is not None and seconds >= 3600 * self.hours

    def too_many(self, failures: int, trials: int) -> bool:
        return self.max_failure_rate is not None and failures > self.max_failure_rate * trials
