"""The report of a sweep, as a page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sightsmith.core.contracts.report import Link, Section
from sightsmith.core.util.text import format_metric
from sightsmith.engine.report.page import render, write_page
from sightsmith.engine.report.plan_table import CHOICES
from sightsmith.engine.runs.next_commands import next_commands
from sightsmith.engine.runs.run_dir import FINISHED, PAUSED
from sightsmith.engine.search.search_space import Parameter
from sightsmith.engine.search.sweep_plan import SweepPlan
from sightsmith.engine.search.sweep_syntax import as_distribution
from sightsmith.engine.search.sweep_table import SweepRow, best_row
from sightsmith.engine.training.bootstrap import LEVEL

MIN_SCORES = 8
"""Fewer scores do not show which keys matter."""


def write_sweep_report(folder: Path, plan: SweepPlan, rows: Sequence[SweepRow], metric: str, continuation: str = "",
                       ) -> Path:
    """Write the page ``report/index.html`` into the sweep's folder; returns its path. ``metric`` is the name of the
    score, ``continuation`` the command that goes on with an unfinished sweep."""
    names = [parameter.name for parameter in plan.space]
    best = best_row(rows)
    hours = sum(row.status.get("device_hours", 0.0) for row in rows)
    scored = [row for row in rows if row.score is not None]
    headline = [(f"best {_words(metric)}", format_metric(best.score) if best else "none",
                 f"trial {best.number}" if best else ""),
                ("trials", str(len(rows)), _states(rows)), ("device hours", f"{hours:.2g}", "")]
    sections = [_trials(folder, names, rows, best, metric)]
    if scored:
        sections.append(_progress(scored, metric))
        sections += [section for section in (_parallel(plan.space, scored, metric), _importance(plan.space, scored),
                                             _lineage(rows)) if section is not None]
    if plan.choice:
        sections.append(Section("Recommendation", header=CHOICES, rows=plan.choice))
    commands = [("go on with this search", continuation)] if continuation else []
    if best is not None and best.status["status"] == FINISHED:
        commands += next_commands(folder / str(best.number))
    sections.append(Section("Next", html=render("commands.html", commands=commands),
                            sources=("../sweep.json",)))
    warnings = [] if best is None else [f"Trial {best.number}: {text}" for text in best.status.get("warnings") or ()]
    write_page(folder / "report", f"Sweep {folder.name}", "", "", headline, sections, warnings)
    return folder / "report" / "index.html"


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _states(rows: Sequence[SweepRow]) -> str:
    """``3 finished, 5 paused``."""
    return ", ".join(f"{number} {state}" for state, number in Counter(row.state for row in rows).items())


def _trials(folder: Path, names: Sequence[str], rows: Sequence[SweepRow], best: SweepRow | None, metric: str,
            ) -> Section:
    header = ("trial", *names, "epochs", "status", _words(metric), f"{LEVEL} % interval", "note")
    cells = tuple((_link(folder, row.number), *(row.suggestion.values[name] for name in names),
                   row.status.get("epoch", ""), row.state, "" if row.score is None else row.score, _span(row.status),
                   _note(row, best)) for row in rows)
    note = "" if best is None else (
        f"The best trial is in the folder {best.number}, next to that of this report. The best of many scores on the "
        "same cases is slightly optimistic: evaluate it on cases that no trial was scored on.")
    return Section("Trials", note=note, header=header, rows=cells, filters=("status",), sources=("../sweep.csv",))


def _note(row: SweepRow, best: SweepRow | None) -> str:
    return "best" if row is best else "" if row.state == PAUSED else str(row.status.get("message") or "")


def _link(folder: Path, trial: int) -> Any:
    """The trial's report, or its folder as long as it has none; its number if it has not begun."""
    for path in (f"{trial}/report/index.html", str(trial)):
        if (folder / path).exists():
            return Link(str(trial), f"../{path}")
    return trial


def _span(status: Mapping[str, Any]) -> str:
    low, high = status.get("score_low"), status.get("score_high")
    return "" if low is None or high is None else f"{format_metric(low)} to {format_metric(high)}"


def _progress(scored: Sequence[SweepRow], metric: str) -> Section:
    plot = Figure(figsize=(9, 3.2), layout="constrained")
    axes = plot.subplots()
    numbers = [row.number for row in scored]
    scores = [float(row.score or 0) for row in scored]
    best = [max(scores[:place + 1]) for place in range(len(scores))]
    axes.plot(numbers, scores, ".", label="trial")
    axes.step(numbers, best, where="post", color="tab:green", label="best so far")
    axes.set(xlabel="trial", ylabel=_words(metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.25)
    axes.legend()
    return Section("Best so far", figures=(plot,), name="best-so-far")


def _places(parameter: Parameter, values: Sequence[Any]) -> tuple[list[float], str, str]:
    """``values`` of ``parameter`` on its axis, scaled to 0 to 1, and the labels of both ends."""
    if parameter.choices:
        last = max(len(parameter.choices) - 1, 1)
        return [parameter.choices.index(value) / last for value in values], parameter.choices[0], parameter.choices[-1]
    scale = math.log if parameter.log else float
    low, high = scale(parameter.low), scale(parameter.high)
    return [(scale(value) - low) / (high - low) for value in values], f"{parameter.low:g}", f"{parameter.high:g}"


def _parallel(space: Sequence[Parameter], scored: Sequence[SweepRow], metric: str) -> Section | None:
    """Parallel coordinates: each trial is a line from parameter to parameter to its score."""
    if len(scored) < 2:
        return None
    from matplotlib import colormaps

    scores = [float(row.score or 0) for row in scored]
    low, high = min(scores), max(scores)
    heights = [(score - low) / (high - low or 1) for score in scores]
    columns = [_places(parameter, [row.suggestion.values[parameter.name] for row in scored]) for parameter in space]
    plot = Figure(figsize=(9, 3.8), layout="constrained")
    axes = plot.subplots()
    order = sorted(range(len(scored)), key=lambda place: heights[place])  # the best on top
    for place in order:
        axes.plot(range(len(space) + 1), [*(column[0][place] for column in columns), heights[place]],
                  color=colormaps["viridis"](heights[place]), alpha=0.8, linewidth=1.4)
    for place, (_, first, last) in enumerate([*columns, ([], format_metric(low), format_metric(high))]):
        axes.axvline(place, color="grey", linewidth=0.8)
        axes.text(place, -0.04, first, ha="center", va="top", fontsize=8)
        axes.text(place, 1.04, last, ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(space) + 1), [*(parameter.label for parameter in space), _words(metric)])
    axes.tick_params(axis="x", pad=16, length=0)
    axes.set_yticks([])
    axes.set_ylim(-0.02, 1.02)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return Section("Values and scores", note="Each line is a trial; lighter is better.",
                   figures=(plot,), name="values-and-scores")


def _importance(space: Sequence[Parameter], scored: Sequence[SweepRow]) -> Section | None:
    """How much each parameter separates the best trials from all, among those of the most common number of epochs."""
    lengths = Counter(row.suggestion.epochs for row in scored)
    scored = [row for row in scored if row.suggestion.epochs == max(lengths, key=lambda length: lengths[length])]
    varied = [parameter for parameter in space if len({row.suggestion.values[parameter.name] for row in scored}) > 1]
    if len(scored) < MIN_SCORES or len(varied) < 2:
        return None
    import warnings

    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    distributions = {parameter.name: as_distribution(parameter) for parameter in varied}
    for row in scored:
        study.add_trial(optuna.trial.create_trial(
            params={parameter.name: row.suggestion.values[parameter.name] for parameter in varied},
            distributions=distributions, value=row.score))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental, and few trials are unreliable
        found = optuna.importance.get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    names, shares = list(found), list(found.values())
    plot = Figure(figsize=(9, 0.8 + 0.4 * len(names)), layout="constrained")
    axes = plot.subplots()
    axes.barh(names[::-1], shares[::-1], color="tab:blue")
    axes.set(xlabel="importance", xlim=(0, 1))
    axes.grid(alpha=0.25, axis="x")
    return Section("Importance", note="How much the values of the best tenth of the trials differ from those of all "
                                      "(PED-ANOVA, Watanabe et al. 2023). Unreliable for few trials.",
                   header=("key", "importance"), rows=tuple((name, f"{share:.3f}") for name, share in found.items()),
                   figures=(plot,), name="importance")


def _lineage(rows: Sequence[SweepRow]) -> Section | None:
    """Which trial continued from which."""
    if not any(row.suggestion.parent is not None for row in rows):
        return None
    by_number = {row.number: row for row in rows}
    lanes = _lanes(by_number)
    plot = Figure(figsize=(9, 0.8 + 0.3 * (1 + max(lanes.values()))), layout="constrained")
    axes = plot.subplots()
    for row in (row for row in rows if "epoch" in row.status):  # the others have not started
        epoch, lane, parent = row.status["epoch"], lanes[row.number], row.suggestion.parent
        start, origin = (0, lane) if parent is None else (by_number[parent].status["epoch"], lanes[parent])
        axes.plot([start, epoch], [origin, lane], color="grey" if origin == lane else "tab:orange")
        axes.plot([epoch], [lane], "o", color="black", markersize=3)
        axes.annotate(str(row.number), (epoch, lane), textcoords="offset points", xytext=(3, 3), fontsize=7)
    axes.set(xlabel="epoch", ylabel="member")
    axes.invert_yaxis()
    axes.grid(alpha=0.25)
    return Section("Lineage", figures=(plot,), name="lineage", note="Which trial continued from which; orange where a "
                                                                    "member took over the weights of another.")


def _lanes(rows: Mapping[int, SweepRow]) -> dict[int, int]:
    """The position of each trial in its generation: that of its parent if it continued with the same values."""
    generation: dict[int, int] = {}
    for number, row in rows.items():
        parent = row.suggestion.parent
        generation[number] = 0 if parent is None else generation[parent] + 1
    lanes: dict[int, int] = {}
    for each in sorted(set(generation.values())):
        numbers = [number for number in rows if generation[number] == each]
        for number in numbers:
            parent = rows[number].suggestion.parent
            if parent is not None and rows[parent].suggestion.values == rows[number].suggestion.values:
                lanes[number] = lanes[parent]
        taken = {lanes[number] for number in numbers if number in lanes}
        free = (lane for lane in range(len(rows)) if lane not in taken)
        lanes |= {number: next(free) for number in numbers if number not in lanes}
    return lanes
