"""The trainable and callbacks for Ray Tune. Imports Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ray import tune

from sightsmith.plugin import Suggestion, Train

SCORE, EPOCH, RUN = "score", "epoch", "run"
"""The keys that a member reports to Ray."""
FAILED = -1e30
"""The score of a failed run: below all others, and finite, as Ray computes percentiles."""


class Member(tune.Trainable):
    """A Ray trial: each step is a run that trains to the next epoch of ``ends``. A failure ends the trial, unless it is
    ``replaced``: then it can copy another member."""

    def setup(self, config: dict[str, Any], train: Train, ends: Sequence[int], replaced: bool) -> None:
        self._train, self._ends, self._replaced = train, ends, replaced
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        start = new_config["start"]
        self._values = start["values"]
        self._run, self._epoch = start["run"], start["epoch"]
        return True

    def step(self) -> dict[str, Any]:
        member = int(self.trial_id.rpartition("_")[2])  # Ray appends the number of the trial
        end = next((end for end in self._ends if end > self._epoch), self._ends[-1])
        last = end == self._ends[-1]
        scored = self._train(member, Suggestion(self._values, None if last else end, self._run))
        failed = scored.score is None
        if not failed:  # after a failure, members continue from the start of this run
            self._run = scored.number
        self._epoch = end
        return {SCORE: FAILED if failed else scored.score, EPOCH: end, RUN: scored.number,
                "done": last or failed and not self._replaced}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"run": self._run, "epoch": self._epoch}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        assert checkpoint is not None
        self._run, self._epoch = checkpoint["run"], checkpoint["epoch"]


class Listener(tune.Callback):
    """Passes the number of each finished run to ``on_finished``."""

    def __init__(self, on_finished: Callable[[int], bool]) -> None:
        self._on_finished = on_finished
        self.ended = False
        """whether ``on_finished`` has requested the end of the search"""

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any,
                        ) -> None:
        self.ended = not self._on_finished(result[RUN]) or self.ended

    def __getstate__(self) -> dict[str, Any]:
        return {"ended": self.ended}  # Ray only stores it


class Ender(tune.Stopper):
    """Ends the search when its listener requests it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._listener.ended
