"""``runs/index.html``: all runs of a folder, newest first, to be searched, filtered, sorted and compared."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sightsmith.core.contracts.keys import format_override
from sightsmith.core.contracts.report import Link, Section
from sightsmith.core.plugins.manager import Plugins
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.reading import read_yaml
from sightsmith.core.util.text import format_metric
from sightsmith.engine.config.unfinished import SWEEP_CARD, continuation
from sightsmith.engine.report.page import render, write_page
from sightsmith.engine.runs.run_dir import ERROR, PAUSED, STOPPED, RunDir

WIDTH, HEIGHT = 120, 28
"""Size of a sparkline, pixels."""
PROGRESS = ("epoch", "seconds", "learning_rate")
"""What the metrics of an epoch have that measures no quality."""

Report = Callable[[str], None]


def write_runs_page(folder: Path, runs: Sequence[Mapping[str, Any]], plugins: Plugins, report: Report = print) -> Path:
    """Write the page of ``runs``, rows of ``list runs``, into ``folder``; returns its path. What is damaged in a run is
    reported, and left out."""
    newest = sorted(runs, key=lambda row: str(row["created"]), reverse=True)
    shown = [_ShownRun.of(row, plugins, report) for row in newest]
    table = render("runs.html", runs=[run.cells(folder) for run in shown], width=WIDTH, height=HEIGHT,
                   compared=_compared(shown))
    states = [run.row["status"] for run in shown]
    write_page(folder, "Runs", str(folder.resolve()), "",
               headline=[("runs", str(len(runs)), ", ".join(f"{states.count(state)} {state}"
                                                            for state in dict.fromkeys(states)))],
               sections=[Section("Runs", html=table), *_searches(folder, shown)])
    return folder / "index.html"


def _searches(folder: Path, runs: Sequence[_ShownRun]) -> list[Section]:
    """The section of the searches that ``runs`` belong to; empty if there are none."""
    trials = Counter(run.run.path.parent for run in runs if run.search.is_file())
    if not trials:
        return []
    pages = [(search, os.path.relpath(search / "report" / "index.html", folder)) for search in trials]
    return [Section("Searches", header=("search", "trials"), rows=tuple(
        (Link(search.name, page) if (folder / page).is_file() else search.name, trials[search])
        for search, page in pages))]


@dataclass(frozen=True)
class _ShownRun:
    """A row of ``list runs`` with what the run's own files say: the metrics of each epoch, and every key of its
    configuration as text. ``metric`` is the name of its score."""

    row: Mapping[str, Any]
    run: RunDir
    metric: str
    history: Sequence[Mapping[str, Any]]
    config: Mapping[str, str]

    @classmethod
    def of(cls, row: Mapping[str, Any], plugins: Plugins, report: Report) -> _ShownRun:
        run, task = RunDir(Path(row["run"])), plugins.tasks.get(row["task"])
        history = run.read_metrics(lambda problem: report(f"warning: {problem}"))
        return cls(row, run, task.score if task else "score", history, _config(run, report))

    @property
    def search(self) -> Path:
        """What the search says of itself that it is a part of, if it is."""
        return self.run.path.parent / SWEEP_CARD

    def cells(self, folder: Path) -> dict[str, str]:
        """The values of a row of ``runs.html``."""
        row, page, scores = self.row, self.run.report / "index.html", self._scores()
        return {
            "name": self.name(folder), "report": quote(os.path.relpath(page, folder)) if page.is_file() else "",
            "task": row["task"] or "", "network": row["network"] or "", "dataset": row["dataset"] or "",
            "status": self.row["status"], "progress": f"{100 * (row['progress'] or 0):.0f} %",
            "created": str(row["created"] or "")[:16].replace("T", " "),
            "score": "" if row["score"] is None else f"{self._metric_name()} {format_metric(row['score'])}",
            "value": "" if row["score"] is None else str(row["score"]), "points": _points(scores),
            "label": f"{self._metric_name()} from {format_metric(scores[0])} to {format_metric(scores[-1])}"
                     if scores else "",
            "message": row["message"] or "", "command": self._command(),
        }

    def name(self, folder: Path) -> str:
        return self.run.path.name if self.run.path.parent == folder else os.path.relpath(self.run.path, folder)

    def metrics(self) -> dict[str, str]:
        """Those of its best epoch, as text, the score first."""
        scored = [entry for entry in self.history if isinstance(entry.get(self.metric), (int, float))]
        best = max(scored, key=lambda entry: entry[self.metric], default={})
        names = sorted((name for name in best if "/" not in name and name not in PROGRESS),
                       key=lambda name: name != self.metric)
        return {name: format_metric(best[name]) for name in names}

    def _metric_name(self) -> str:
        return self.metric.replace("_", " ")

    def _scores(self) -> list[float]:
        values = (entry.get(self.metric) for entry in self.history)
        return [value for value in values if isinstance(value, (int, float))]

    def _command(self) -> str:
        """What goes on with a run that has stopped: with its search, if it is part of one, whose pauses are its own
        business. Empty if there is nothing to go on with."""
        if self.row["status"] not in (STOPPED, PAUSED, ERROR) or self.row["status"] == PAUSED and self.search.is_file():
            return ""
        return continuation(self.run.path)


def _config(run: RunDir, report: Report) -> dict[str, str]:
    if not run.config.is_file():
        return {}
    try:
        content = read_yaml(run.config)
    except UserError as error:
        report(f"warning: {error.message}")
        return {}
    return dict(_leaves(content)) if isinstance(content, dict) else {}


def _leaves(content: Mapping[Any, Any], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for key, value in content.items():
        if isinstance(value, dict) and value:
            found += _leaves(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", format_override(value)))
    return found


def _compared(runs: Sequence[_ShownRun]) -> list[dict[str, dict[str, str]]]:
    """For each run its metrics, and the keys of its configuration in which the runs differ."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    differing = [key for key in keys if len({run.config.get(key) for run in runs}) > 1]
    return [{"metrics": run.metrics(), "config": {key: run.config[key] for key in differing if key in run.config}}
            for run in runs]


def _points(values: Sequence[float]) -> str:
    """The points of an SVG polyline through ``values``, from their lowest to their highest."""
    if len(values) < 2:
        return ""
    low, span = min(values), max(max(values) - min(values), 1e-9)
    return " ".join(f"{place * (WIDTH - 4) / (len(values) - 1) + 2:.1f},"
                    f"{HEIGHT - 3 - (value - low) / span * (HEIGHT - 6):.1f}" for place, value in enumerate(values))
