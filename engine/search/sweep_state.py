"""How far a sweep is, and what of that its folder keeps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent
from typing import Any

from sightsmith.core.contracts.tuner import Suggestion
from sightsmith.core.util.errors import FailedRunsError, UserError, describe_error
from sightsmith.core.util.files import make_folder, write_json
from sightsmith.engine.runs.run_dir import ERROR, FINISHED
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.sweep_table import SweepRow
from sightsmith.engine.search.trial import RESUME, Trial

CARD, PROGRESS = "sweep.json", "progress.json"


@dataclass
class SweepState:
    """The trials of a sweep so far, and ``failures`` by their number.

    Kept on disk are the ``seconds`` that they took, and the ``scores`` of each batch after which the tuner has asked
    for more. ``continuation`` is the command that resumes the sweep.
    """

    folder: Path
    plan: SweepPlan
    continuation: str
    seconds: float = 0.0
    scores: list[list[float | None]] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    failures: dict[int, Exception] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, plan: SweepPlan, continuation: str) -> SweepState:
        """As the folder has it; a new sweep has none."""
        return cls(folder, plan, continuation, **(_read(folder / PROGRESS) or {}))

    def save(self) -> None:
        write_json(self.folder / PROGRESS, {"seconds": self.seconds, "scores": self.scores})

    def next_trials(self, suggestions: Sequence[Suggestion]) -> list[Trial]:
        """The trials of ``suggestions``, with the next free numbers."""
        return [Trial(self.folder, number, self.plan.overrides(suggestion, self.folder), suggestion)
                for number, suggestion in enumerate(suggestions, len(self.trials))]

    def rows(self) -> list[SweepRow]:
        """For the report."""
        return [SweepRow(trial.number, trial.suggestion, self._status(trial)) for trial in self.trials]

    def _status(self, trial: Trial) -> dict[str, Any]:
        if trial.number in self.failures:
            return trial.status | {"status": ERROR, "message": describe_error(self.failures[trial.number])}
        return trial.status

    def failed_runs(self, exceeded_rate: float | None = None) -> FailedRunsError:
        """``exceeded_rate`` is the tuner.max_failure_rate that stops the search, if it does."""
        mistakes = all(isinstance(error, UserError) for error in self.failures.values())
        why = "" if exceeded_rate is None else (
            f"More than tuner.max_failure_rate={exceeded_rate:g} of the runs, so the search stops.\n")
        return FailedRunsError(
            f"{len(self.failures)} of {len(self.trials)} runs failed:\n{_by_reason(self.failures)}\n"
            f"{why}Try these again with:\n  {self.continuation}", exit_code=2 if mistakes else 1)


def discard_checkpoints(trials: Sequence[Trial]) -> None:
    """Remove the checkpoints of those that have paused, once no trial can go on from them any more."""
    for trial in trials:
        if trial.suggestion.epochs is not None and trial.status["status"] != FINISHED:
            shutil.rmtree(trial.folder.last.parents[1], ignore_errors=True)


def find_folder(folder: Path, resume: str, overrides: list[str]) -> Path:
    """The folder of the sweep over ``overrides``: ``folder`` for a new one, or that of the sweep to ``resume``.

    Raises UserError where there is a sweep already, or none to resume.
    """
    if resume.lower() == "false":
        if (folder / CARD).exists():
            raise UserError(f"{folder} holds a sweep already", hint=f"type {RESUME}={folder} to go on with it")
        return folder
    if resume.lower() == "true":
        return _newest(folder.parent, overrides)
    folder = Path(resume).expanduser().resolve()
    if not _is_over(folder / CARD, overrides):
        raise UserError(f"{RESUME}={resume}: {folder} is not a sweep over the same values",
                        hint=f"type what it was started with, or leave {RESUME} out")
    return folder


def _newest(output_dir: Path, overrides: list[str]) -> Path:
    for path in sorted(output_dir.glob(f"*/{CARD}"), reverse=True):
        if _is_over(path, overrides):
            return path.parent
    raise UserError(f"{RESUME}=true: {output_dir} holds no sweep over the same values",
                    hint=f"leave {RESUME} out to start, or name the sweep's folder")


def _is_over(card: Path, overrides: list[str]) -> bool:
    return (_read(card) or {}).get("overrides") == overrides


def read_plan(folder: Path) -> SweepPlan | None:
    """The plan of the sweep in ``folder``; None for a new one."""
    card = folder / CARD
    return SweepPlan.from_json(json.loads(card.read_text())["plan"]) if card.exists() else None


def write_plan(folder: Path, plan: SweepPlan, overrides: list[str]) -> None:
    """Make the folder of a new sweep."""
    make_folder(folder)
    write_json(folder / CARD, {"overrides": overrides, "plan": plan.to_json()})


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _by_reason(failures: Mapping[int, Exception]) -> str:
    """Each reason once, with the runs that failed for it."""
    numbers: dict[str, list[int]] = {}
    for number, error in failures.items():
        numbers.setdefault(describe_error(error), []).append(number)
    return "\n".join(indent(f"run {', '.join(map(str, those))}: {reason}", "  ") for reason, those in numbers.items())
