"""The progress of a sweep, and what its folder keeps of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent
from typing import Any

from sightsmith.core.util.errors import FailedRunsError, Problem, UserError, describe_error
from sightsmith.core.util.files import make_folder, resolved_path, write_json
from sightsmith.core.util.reading import Damaged, Kind, read_json
from sightsmith.engine.config.unfinished import SWEEP_CARD
from sightsmith.engine.runs.run_dir import ERROR, FINISHED
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.sweep_table import SweepRow
from sightsmith.engine.search.trial import RESUME, Trial
from sightsmith.engine.search.tuner import Suggestion

PROGRESS = "progress.json"
PROGRESS_KINDS: Mapping[str, Kind] = {"seconds": float | int, "scores": list}
HINT = "restore it from a copy of the folder, or start a new sweep"


@dataclass
class SweepState:
    """The trials of a sweep so far, and ``failures`` by trial number.

    The folder keeps the ``seconds`` that they took, and the ``scores`` of each batch that the tuner has been told and
    has answered with more suggestions. ``continuation`` is the command that resumes the sweep, ``metric`` the name of
    the score.
    """

    folder: Path
    plan: SweepPlan
    continuation: str
    metric: str
    seconds: float = 0.0
    scores: list[list[float | None]] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    failures: dict[int, Exception] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, plan: SweepPlan, continuation: str, metric: str) -> SweepState:
        """The state that ``folder`` keeps; a new one if it keeps none."""
        path = folder / PROGRESS
        kept = read_json(path, PROGRESS_KINDS, HINT) if os.path.lexists(path) else {}
        if not all(isinstance(batch, list) and all(score is None or type(score) in (int, float) for score in batch)
                   for batch in kept.get("scores", ())):
            raise Damaged(path, "scores has other than lists of scores", HINT)
        return cls(folder, plan, continuation, metric, **{key: kept[key] for key in PROGRESS_KINDS & kept.keys()})

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
        """``exceeded_rate`` is tuner.max_failure_rate if that stops the search."""
        user_errors = all(isinstance(error, UserError) for error in self.failures.values())
        why = "" if exceeded_rate is None else (
            f"This is more than tuner.max_failure_rate={exceeded_rate:g} of them, so the search stops.\n")
        return FailedRunsError(
            f"{len(self.failures)} of {len(self.trials)} trials failed:\n{_by_reason(self.failures)}\n"
            f"{why}Try them again with:\n  {self.continuation}", exit_code=2 if user_errors else 1)


def discard_checkpoints(trials: Sequence[Trial]) -> None:
    """Remove the checkpoints of paused ``trials``, from which no trial will continue."""
    for trial in trials:
        if trial.suggestion.epochs is not None and trial.status["status"] != FINISHED:
            shutil.rmtree(trial.folder.last.parents[1], ignore_errors=True)


def find_folder(folder: Path, resume: str, overrides: list[str]) -> Path:
    """The folder of the sweep over ``overrides``: ``folder`` for a new one, or that of the sweep to ``resume``.

    Raises UserError if there is a sweep already, or none to resume.
    """
    if resume.lower() == "false":
        if (folder / SWEEP_CARD).exists():
            raise UserError(f"{folder} already contains a sweep", hint=f"type {RESUME}={folder} to resume it")
        return folder
    if resume.lower() == "true":
        return _newest(folder.parent, overrides)
    folder = resolved_path(resume)
    if not _is_over(folder / SWEEP_CARD, overrides):
        raise UserError(f"{RESUME}={resume}: {folder} is not a sweep over the same values",
                        hint=f"type the overrides that it was started with, or omit {RESUME}")
    return folder


def _newest(output_dir: Path, overrides: list[str]) -> Path:
    damaged = []
    for path in sorted(output_dir.glob(f"*/{SWEEP_CARD}"), reverse=True):
        try:
            if _is_over(path, overrides):
                return path.parent
        except UserError as error:  # perhaps of another sweep
            damaged.append(Problem(error.message))
    raise UserError(f"{RESUME}=true: {output_dir} contains no sweep over the same values", problems=damaged,
                    hint=f"omit {RESUME} to start one, or type {RESUME}=FOLDER")


def _is_over(card: Path, overrides: list[str]) -> bool:
    return os.path.lexists(card) and bool(read_json(card, {"overrides": list}, HINT)["overrides"] == overrides)


def read_plan(folder: Path) -> SweepPlan | None:
    """The plan of the sweep in ``folder``; None for a new one."""
    card = folder / SWEEP_CARD
    if not os.path.lexists(card):
        return None
    try:
        return SweepPlan.from_json(read_json(card, {"overrides": list, "plan": dict}, HINT)["plan"])
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise Damaged(card, f"its plan is not that of a sweep: {error}", HINT) from error


def write_plan(state: SweepState, overrides: list[str]) -> None:
    """Create the folder of a new sweep."""
    make_folder(state.folder)
    write_json(state.folder / SWEEP_CARD, {"overrides": overrides, "plan": state.plan.to_json(),
                                     "continuation": state.continuation})


def _by_reason(failures: Mapping[int, Exception]) -> str:
    """Each reason once, with the trials that failed for it."""
    numbers: dict[str, list[int]] = {}
    for number, error in failures.items():
        numbers.setdefault(describe_error(error), []).append(number)
    return "\n".join(indent(f"trial {', '.join(map(str, those))}: {reason}", "  ") for reason, those in numbers.items())
