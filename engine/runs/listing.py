"""The runs of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.html import html_table
from sightsmith.core.util.reading import read_json
from sightsmith.core.util.text import format_metric
from sightsmith.engine.runs.run_dir import PAUSED, RunDir, read_status

SHOWN = ("run", "network", "status", "progress", "score", "created")
"""Columns in a notebook."""


@dataclass(frozen=True)
class RunSummary:
    """A run, finished or not: its folder ``run``, what its plan says, and its status. None is not known."""

    run: Path
    name: str | None
    task: str | None
    network: str | None
    dataset: str | None
    """the folder of its images"""
    status: str
    """waiting, running, finished, stopped, paused or error"""
    progress: float | None
    """from 0 to 1"""
    metric: str | None
    """by which its task is compared"""
    score: float | None
    """the best so far"""
    created: str | None
    """date and time, as in ISO 8601"""
    device_hours: float | None
    message: str | None
    """why it has stopped or failed"""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"run": str(self.run)}


class Runs(tuple[RunSummary, ...]):
    """Summaries of runs, the oldest first; a notebook shows them as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        if not self:
            return "no runs"
        rows = [(run.run, run.network, run.status, None if run.progress is None else f"{100 * run.progress:.0f} %",
                 None if run.score is None else format_metric(run.score), run.created) for run in self]
        return html_table(rows, SHOWN)


def list_runs(folder: Path, task: str | None = None) -> Runs:
    """The runs in ``folder`` and below it, of all tasks or of one."""
    found = (_summary(RunDir(path.parent)) for path in sorted(folder.rglob("status.json")))
    return Runs(run for run in found if task in (None, run.task))


def _summary(run: RunDir) -> RunSummary:
    status, plan, data = read_status(run), _texts(run.plan, ("name", "task", "network")), _texts(run.data, ("root",))
    return RunSummary(run.path, plan.get("name"), plan.get("task"), plan.get("network"), data.get("root"),
                      PAUSED if status.get("paused") else status["status"], status.get("progress"),
                      status.get("metric"), status.get("score"), status.get("created"),
                      status.get("device_hours"), status.get("message"))


def _texts(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """These keys of a run's file; none if it is missing or damaged, which breaks no list."""
    try:
        content: dict[str, Any] = read_json(path, dict.fromkeys(keys, str))
    except UserError:
        return {}
    return content
