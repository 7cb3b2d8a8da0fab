"""Which run of an experiment tracker belongs to a run folder, and what it has already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sightsmith.plugin import write_atomic


class TrackedRun:
    """Kept in ``<run>/<tracker>.jsonl``: the run's ``id`` in the tracker at ``place``, then the last steps logged. So a
    resumed run continues the same tracker run, and repeats no point.

    ``id`` is None for a run that is new, or was logged elsewhere.
    """

    def __init__(self, run_dir: Path, tracker: str, place: str) -> None:
        self._path, self._place = run_dir / f"{tracker}.jsonl", place
        self.id: str | None = None
        self._steps: dict[str, int] = {}
        # A line that a kill cut short has no end of line.
        lines = self._path.read_text().splitlines(keepends=True) if self._path.is_file() else []
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        if entries and entries[0]["place"] == place:
            self.id = entries[0]["id"]
            for steps in entries[1:]:
                self._steps |= steps
            self._write()

    def begin(self, id: str) -> None:
        """The tracker has made a new run."""
        self.id, self._steps = id, {}
        self._write()

    def _write(self) -> None:
        content = [{"id": self.id, "place": self._place}, self._steps]
        write_atomic(self._path, "".join(json.dumps(entry) + "\n" for entry in content))

    def unseen(self, step: int, metrics: Mapping[str, float]) -> dict[str, float]:
        """The part of ``metrics`` that has not been logged by an earlier process."""
        return {name: float(value) for name, value in metrics.items() if step > self._steps.get(_kind(name), -1)}

    def note(self, points: Mapping[str, int]) -> None:
        """The last steps of metrics that the tracker has now, by name."""
        steps = {_kind(name): step for name, step in points.items()}
        if steps:
            self._steps |= steps
            with self._path.open("a") as stream:
                stream.write(json.dumps(steps) + "\n")


def _kind(name: str) -> str:
    """``train`` of ``train/loss``: what is logged at the same time."""
    return name.partition("/")[0]
