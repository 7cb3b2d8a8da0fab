"""The stages of a run: what each step returns and the next one takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from rich.console import Console

from sightsmith.core.contracts.dataset import CheckedDataset
from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.recommendation import Recommendation, RecommendedValue
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.schema import Config
from sightsmith.core.contracts.task import Task
from sightsmith.core.contracts.weights import LoadReport
from sightsmith.engine.config.unfinished import resume_command, resuming
from sightsmith.engine.pipeline.console import console
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training.session import Training

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class RunContext:
    """What all steps of one run share. Every rank has one.

    ``overrides`` are what the run was started with, ``sweep_folder`` is its folder if a sweep started it. ``details``
    is for output that would be the same for each trial of a sweep, or is in its report; it is quiet in a sweep.
    """

    overrides: Sequence[str]
    sweep_folder: Path | None
    state: PartialState
    plugins: Plugins
    console: Console
    details: Console

    @classmethod
    def of(cls, config: Config, overrides: Sequence[str], sweep_folder: Path | None, state: PartialState,
           plugins: Plugins) -> RunContext:
        """Only rank 0 prints."""
        everything, details = console(), console()
        everything.quiet = not state.is_main_process
        details.quiet = everything.quiet or sweep_folder is not None and not config.trainer.dry_run
        return cls(list(overrides), sweep_folder, state, plugins, everything, details)

    def continuation(self, run: RunDir) -> str:
        """The command that resumes ``run``."""
        return resume_command(self.overrides, run.path)

    def resuming(self, run: RunDir) -> list[str]:
        """The overrides that resume ``run``."""
        return resuming(self.overrides, run.path)


@dataclass(frozen=True)
class LoadedRun:
    """The checked data set, and the run to resume, if any."""

    config: Config
    dataset: CheckedDataset
    resumed: RunDir | None


@dataclass(frozen=True)
class RecommendedRun:
    """``config`` with the values of the recipe, or of tuner=auto, whose ``recommendation`` it is, applied."""

    config: Config
    settings: tuple[RecommendedValue, ...]
    recommendation: Recommendation | None


@dataclass(frozen=True)
class BuiltRun:
    """The task, and the training of its model, ready to start.

    ``whole`` is the data set on disk, ``dataset`` the same with large images cut into tiles, and ``loaded`` what was
    loaded of a file of starting weights.
    """

    config: Config
    task: Task
    whole: CheckedDataset
    dataset: CheckedDataset
    loaded: LoadReport | None
    training: Training


@dataclass(frozen=True)
class PlannedRun(BuiltRun):
    """Everything that is decided before the first epoch."""

    plan: Plan
    resumed: RunDir | None


@dataclass(frozen=True)
class FittedRun:
    """The best checkpoint, its results on the validation images, the metrics of each epoch, warnings, and why the
    training has ended before its last epoch, if it has."""

    best: dict[str, Any]
    results: list[SampleResult]
    history: list[dict[str, Any]]
    warnings: list[str]
    stopped_early: str = ""
