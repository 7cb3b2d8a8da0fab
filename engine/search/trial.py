"""One run of a sweep, and its state according to its folder."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from sightsmith.core.util.errors import StoppedError
from sightsmith.engine.config.literal import quoted
from sightsmith.engine.runs.run_dir import FINISHED, WAITING, RunDir, read_status
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.tuner import Suggestion

RESUME = "trainer.resume"


@dataclass(frozen=True)
class Trial:
    """``number`` is the name of its folder in ``sweep``, ``overrides`` are what it is started with, and ``suggestion``
    is where they come from."""

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
        """Whether it has finished, or paused where it should, according to ``status``."""
        status = self.status if status is None else status
        return status["status"] == FINISHED or self.suggestion.epochs is not None and bool(status.get("paused"))

    @property
    def score(self) -> float | None:
        """None also until it is done."""
        status = self.status
        return status.get("score") if self.done(status) else None

    def launch_overrides(self) -> list[str]:
        """Its overrides; a trial that has already started resumes."""
        return [*self.overrides, *([f"{RESUME}={quoted(self.folder.path)}"] if self.folder.config.is_file() else [])]

    def line(self, plan: SweepPlan) -> str:
        """The line that is printed when it starts."""
        parent = self.suggestion.parent
        origin = "" if parent is None else f", continued from trial {parent}"
        return f"trial {self.number}{origin}: " + " ".join(
            parameter.override(self.suggestion.values[parameter.name]) for parameter in plan.space)


def failure(result: JobReturn) -> Exception | None:
    """Why a trial failed, if it did. Raises StoppedError if it was stopped, which stops the whole sweep."""
    try:
        with redirect_stderr(io.StringIO()):  # on which Hydra prints the overrides
            _ = result.return_value
    except StoppedError:
        raise
    except Exception as error:  # however it failed, the others continue
        return error
    return None
