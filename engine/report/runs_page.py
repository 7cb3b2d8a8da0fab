"""``runs/index.html``: all runs of a folder, the newest first, with their scores as lines."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from sightsmith.core.contracts.report import Section
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.text import format_metric
from sightsmith.engine.report.page import write_page
from sightsmith.engine.runs.run_dir import RunDir

WIDTH, HEIGHT = 120, 28
"""Of a line, pixels."""
COLUMNS = ("run", "task", "data set", "status", "created", "score", "score by epoch")


def write_runs_page(folder: Path, runs: Sequence[Mapping[str, Any]], plugins: Plugins) -> Path:
    """Write the page of ``runs``, rows of ``list runs``, into ``folder``; its path."""
    newest = sorted(runs, key=lambda row: str(row["created"]), reverse=True)
    cells = (_cells(folder, row, plugins) for row in newest)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    table = f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    write_page(folder, "Runs", str(folder.resolve()), "", headline=[("runs", str(len(runs)), "")],
               sections=[Section("Runs", html=table)])
    return folder / "index.html"


def _cells(folder: Path, row: Mapping[str, Any], plugins: Plugins) -> tuple[str, ...]:
    """In HTML."""
    run = RunDir(Path(row["run"]))
    name = escape(run.path.name if run.path.parent == folder else os.path.relpath(run.path, folder))
    page = run.report / "index.html"
    link = f"<a href='{escape(os.path.relpath(page, folder))}'>{name}</a>" if page.is_file() else name
    status = escape(str(row["status"])) + (f" {100 * row['progress']:.0f} %" if row["status"] == "running" else "")
    return (link, escape(f"{row['task']}, {row['network']}"), escape(row["dataset"] or ""), status,
            escape(str(row["created"] or "")[:16].replace("T", " ")),
            "" if row["score"] is None else format_metric(row["score"]), _spark(_history(run, row["task"], plugins)))


def _history(run: RunDir, task: str | None, plugins: Plugins) -> list[float]:
    if task not in plugins.tasks:
        return []
    values = (entry.get(plugins.tasks[task].score) for entry in run.read_metrics())
    return [value for value in values if isinstance(value, (int, float))]


def _spark(values: Sequence[float]) -> str:
    """A line of ``values``, from their lowest to their highest."""
    if len(values) < 2:
        return ""
    low, span = min(values), max(max(values) - min(values), 1e-9)
    points = " ".join(f"{place * (WIDTH - 4) / (len(values) - 1) + 2:.1f},"
                      f"{HEIGHT - 3 - (value - low) / span * (HEIGHT - 6):.1f}" for place, value in enumerate(values))
    return (f"<svg width='{WIDTH}' height='{HEIGHT}' role='img' aria-label='{format_metric(values[0])} to "
            f"{format_metric(values[-1])}'><polyline points='{points}' fill='none' stroke='var(--accent)' "
            f"stroke-width='1.5'/>"
            "</svg>")
