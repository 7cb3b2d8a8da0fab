"""When a training writes its checkpoints."""

from __future__ import annotations

import time
from typing import Any

from sightsmith.core.contracts.results import Model
from sightsmith.engine.runs.checkpoint import save_tree
from sightsmith.engine.runs.run_dir import RunDir

SHARE = 0.01
"""Part of the time that writing may take. Epochs of seconds would spend a twentieth of theirs on it."""


class CheckpointWriter:
    """Writes the best and the last checkpoint of ``run``, always both, so that neither knows of epochs that the other
    has not seen. Only one rank is the ``writer``.

    Within an epoch they are due every ``minutes``, after an epoch as soon as writing takes no more than :data:`SHARE`.
    """

    def __init__(self, run: RunDir, minutes: float, *, writer: bool) -> None:
        self._run, self._seconds, self._writer = run, 60 * minutes, writer
        self._written, self._cost = time.monotonic(), 0.0
        self._best: dict[str, Any] | None = None

    def is_due(self, *, after_epoch: bool) -> bool:
        wait = min(self._seconds, self._cost / SHARE) if after_epoch else self._seconds
        return self._writer and time.monotonic() - self._written >= wait

    def keep_best(self, model: Model, **others: Any) -> None:
        """Remember the weights of ``model`` and what belongs to them until the next :meth:`write`."""
        if self._writer:
            weights = {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}
            self._best = {"model": weights, **others}

    def write(self, last: Any) -> None:
        """Write the best weights, if they are new, and ``last``, everything that resuming needs. Each is atomic."""
        if not self._writer:
            return
        started = time.monotonic()
        if self._best is not None:
            save_tree(self._run.best, self._best)
            self._best = None
        save_tree(self._run.last, last)
        self._written = time.monotonic()
        self._cost = self._written - started
