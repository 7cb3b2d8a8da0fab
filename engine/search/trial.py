"""One run of a sweep, as its folder tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from sightsmith.core.contracts.tuner import Suggestion
from sightsmith.core.util.errors import StoppedError
from sightsmith.engine.runs.run_dir import FINISHED, WAITING, RunDir, read_status
from sightsmith.engine.search.sweep_plan import SweepPlan, quoted

RESUME = "trainer.resume"


@dataclass(frozen=True)
class Trial:
    """``number`` is the name of its folder in ``sweep``, ``overrides`` are what it is started with, and ``suggestion``
    is why."""

    sweep: Path
    number: int
    overrides: tuple[str, ...]
    suggestion: Suggestion

    @property
    def folder(self) -> RunDir:
        return RunDir(self.sweep / str(self.number))

    @property
    def status(self) -> dict[str, Any]:
        return read_status(self.folder) if self.folder.status.is_file() else {"status": WAITING}

    def done(self, status: Mapping[str, Any] | None = None) -> bool:
        """Whether it is at its end, or where it was to pause, as its ``status`` says."""
        status = self.status if status is None else status
        return status["status"] == FINISHED or self.suggestion.epochs is not None and bool(status.get("paused"))

    @property
    def score(self) -> float | None:
        """None while it is not done, too."""
        status = self.status
        return status.get("score") if self.done(status) else None

    def launch_overrides(self) -> list[str]:
        """What it is started with now: one that has begun resumes."""
        return [*self.overrides, *([f"{RESUME}={quoted(self.folder.path)}"] if self.folder.config.is_file() else [])]

    def line(self, plan: SweepPlan) -> str:
        """What is printed of it."""
        parent = self.suggestion.parent
        whence = "" if parent is None else f", on from run {parent}"
        return f"run {self.number}{whence}: " + " ".join(
            parameter.override(self.suggestion.values[parameter.name]) for parameter in plan.space)


def failure(result: JobReturn) -> Exception | None:
    """Why a run failed, if it did. Raises StoppedError where it was stopped: that is meant for the whole sweep."""
    try:
        _ = result.return_value
    except StoppedError:
        raise
    except Exception as error:  # whatever ended the run, the others go on
        return error
    return None
