"""The trials of a tuner that suggests them in batches: ask, launch, tell."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.utils import JobReturn

from sightsmith.core.contracts.records import TunerRecord
from sightsmith.engine.runs.run_dir import FINISHED
from sightsmith.engine.search.launcher import TrialLauncher
from sightsmith.engine.search.suggestions import ensure_valid
from sightsmith.engine.search.sweep_state import SweepState, discard_checkpoints
from sightsmith.engine.search.trial import Trial
from sightsmith.engine.search.tuner import Suggestion, TrialResult, Tuner


def run_batches(tuner: Tuner, record: TunerRecord, first: Sequence[Suggestion], state: SweepState,
                launcher: TrialLauncher) -> list[JobReturn]:
    """Run the trials of ``first``, then those that ``tuner``, made from ``record``, suggests, until it suggests no
    more."""
    returns: list[JobReturn] = []
    scores: list[list[float | None]] = []
    suggestions = first
    while suggestions:
        trials = state.next_trials(suggestions)
        if len(scores) > len(state.scores):
            # The tuner has seen these scores, so they stay, even if a failed trial succeeds later.
            state.scores = list(scores)
            state.save()
        state.trials += trials
        if len(scores) == len(state.scores):
            returns += launcher.launch(trials, state)
            if launcher.budget.spent(state.seconds):
                break
            found = [trial.score for trial in trials]
            if any(score is not None for score in found):
                discard_checkpoints(state.trials[:-len(trials)])
        else:
            found = state.scores[len(scores)]
        tuner.tell([TrialResult(trial.number, trial.suggestion, score)
                    for trial, score in zip(trials, found, strict=True)])
        scores.append(found)
        suggestions = ensure_valid(tuner.ask(), state.plan.space, record)
    return returns


def finish_best(state: SweepState, launcher: TrialLauncher) -> list[JobReturn]:
    """Train the best trial of a search to its end if it has paused."""
    scored = [(score, finished, trial.number, trial) for trial in state.trials
              for finished in [trial.status["status"] == FINISHED]
              if (score := trial.score) is not None and (finished or trial.folder.last.is_file())]
    if not scored:
        return []
    _, finished, _, best = max(scored, key=lambda item: item[:3])
    if finished:
        return []
    whole = state.plan.overrides(Suggestion(best.suggestion.values), state.folder)
    return launcher.start([Trial(state.folder, best.number, whole, best.suggestion)])
