"""``runs/index.html``: all runs of a folder, newest first, with sparklines of their scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sightsmith.core.contracts.report import Section
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.text import format_metric
from sightsmith.engine.report.page import render, write_page
from sightsmith.engine.runs.run_dir import RunDir

WIDTH, HEIGHT = 120, 28
"""Size of a sparkline, pixels."""


def write_runs_page(folder: Path, runs: Sequence[Mapping[str, Any]], plugins: Plugins,
                    report: Callable[[str], None] = print) -> Path:
    """Write the page of ``runs``, rows of ``list runs``, into ``folder``; returns its path. What is damaged in a run is
    reported, and its curve ends there."""
    newest = sorted(runs, key=lambda row: str(row["created"]), reverse=True)
    cells = [_cells(folder, row, plugins, report) for row in newest]
    table = render("runs.html", runs=cells, width=WIDTH, height=HEIGHT)
    write_page(folder, "Runs", str(folder.resolve()), "", headline=[("runs", str(len(runs)), "")],
               sections=[Section("Runs", html=table)])
    return folder / "index.html"


def _cells(folder: Path, row: Mapping[str, Any], plugins: Plugins, report: Callable[[str], None],
           ) -> dict[str, str]:
    """The values of a row of ``runs.html``."""
    run = RunDir(Path(row["run"]))
    page = run.report / "index.html"
    scores = _history(run, row["task"], plugins, report)
    return {
        "name": run.path.name if run.path.parent == folder else os.path.relpath(run.path, folder),
        "report": quote(os.path.relpath(page, folder)) if page.is_file() else "",
        "task": f"{row['task']}, {row['network']}", "dataset": row["dataset"] or "",
        "status": str(row["status"]) + (f" {100 * row['progress']:.0f} %" if row["status"] == "running" else ""),
        "created": str(row["created"] or "")[:16].replace("T", " "),
        "score": "" if row["score"] is None else format_metric(row["score"]),
        "points": _points(scores),
        "label": f"{format_metric(scores[0])} to {format_metric(scores[-1])}" if scores else "",
    }


def _history(run: RunDir, task: str | None, plugins: Plugins, report: Callable[[str], None]) -> list[float]:
    if task not in plugins.tasks:
        return []
    entries = run.read_metrics(lambda problem: report(f"warning: {problem}"))
    values = (entry.get(plugins.tasks[task].score) for entry in entries)
    return [value for value in values if isinstance(value, (int, float))]


def _points(values: Sequence[float]) -> str:
    """The points of an SVG polyline through ``values``, from their lowest to their highest."""
    if len(values) < 2:
        return ""
    low, span = min(values), max(max(values) - min(values), 1e-9)
    return " ".join(f"{place * (WIDTH - 4) / (len(values) - 1) + 2:.1f},"
                    f"{HEIGHT - 3 - (value - low) / span * (HEIGHT - 6):.1f}" for place, value in enumerate(values))
