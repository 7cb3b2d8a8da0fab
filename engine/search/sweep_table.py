"""The trials of a sweep, as a table on the console and as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from sightsmith.core.util.files import write_atomic
from sightsmith.core.util.text import format_metric
from sightsmith.engine.runs.run_dir import FINISHED, PAUSED
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.tuner import Suggestion

TABLE = "sweep.csv"
STATUS = ("status", "score", "score_low", "score_high", "device_hours", "message")


@dataclass(frozen=True)
class SweepRow:
    """A trial: its number, its suggestion, and its status."""

    number: int
    suggestion: Suggestion
    status: Mapping[str, Any]

    @property
    def state(self) -> str:
        """Its status; a trial that a tuner has stopped for now is paused."""
        return PAUSED if self.status.get("paused") else str(self.status["status"])

    @property
    def score(self) -> float | None:
        return self.status.get("score")


def best_row(rows: Iterable[SweepRow]) -> SweepRow | None:
    """The finished trial with the best score, the later one of equals; an unfinished one only if none is finished."""
    scored = [row for row in rows if row.score is not None]
    return max(scored, key=lambda row: (row.status["status"] == FINISHED, row.score, row.number), default=None)


def summary(folder: Path, plan: SweepPlan, rows: Sequence[SweepRow], metric: str) -> Table:
    """For the console; the best trial is marked. ``metric`` is the name of the score."""
    names = [parameter.name for parameter in plan.space]
    short = [parameter.label for parameter in plan.space]
    best = best_row(rows)
    columns = short if len(set(short)) == len(short) else names
    table = Table("trial", *columns, "status", metric, title=f"Sweep {folder}", title_justify="left")
    for row in rows:
        shown = "" if row.score is None else format_metric(row.score) + (" best" if row is best else "")
        values = (value_text(row.suggestion.values[name]) for name in names)
        table.add_row(str(row.number), *values, row.state, shown)
    return table


def write_table(folder: Path, plan: SweepPlan, rows: Sequence[SweepRow], metric: str) -> None:
    """Write ``sweep.csv`` into the sweep's folder."""
    names = [parameter.name for parameter in plan.space]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "parent", "epochs", *names, *STATUS, "metric"])
    for row in rows:
        values = (row.suggestion.values[name] for name in names)
        writer.writerow([row.number, row.suggestion.parent, row.status.get("epoch"), *values,
                         row.state, *(row.status.get(key) for key in STATUS[1:]), metric])
    write_atomic(folder / TABLE, text.getvalue())


def value_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
