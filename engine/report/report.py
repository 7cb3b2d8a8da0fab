"""The report of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import SampleResult
from sightsmith.core.contracts.schema import Config
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.text import counted, format_duration, format_metric
from sightsmith.engine.data.statistics import under_represented
from sightsmith.engine.data.thumbnails import shown_bands
from sightsmith.engine.report.curves import learning_curves
from sightsmith.engine.report.data_section import about_objects
from sightsmith.engine.report.next_section import next_section
from sightsmith.engine.report.page import render, write_page
from sightsmith.engine.report.plan_table import SETTINGS, settings_rows
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training.bootstrap import LEVEL, RESAMPLES, Interval


def write_report(run: RunDir, task: Task, plan: Plan, dataset: CheckedDataset, history: Sequence[Mapping[str, Any]],
                 results: Sequence[SampleResult], samples: Sequence[Sample], metrics: Mapping[str, float | None],
                 best_epoch: int, scores: Sequence[tuple[str, float | None, Interval]], seconds: float,
                 more: Sequence[Section] = (), warnings: Sequence[str] = (),
                 baseline: tuple[str, float] | None = None) -> None:
    """Write ``report/`` of a finished run; ``results`` are those of what it keeps, on ``samples``.

    ``scores`` are (data, score, interval), the score of ``results`` first; the trainings after that of ``history`` took
    ``seconds``; ``more`` are sections about optional steps
    of the run, ``warnings`` what a reader of the score must know, ``baseline`` a constant answer and its score.
    """
    run.report.mkdir(exist_ok=True)
    sections = [
        _scores(task.score, scores),
        learning_curves(task, history, best_epoch, baseline),
        *more,
        *task.report(results, samples, run.report),
        _class_balance(task, dataset),
        *about_objects(dataset),
        *_planned(plan),
        _lock(run, dataset),
        next_section(run.path),
    ]
    name = task.score.replace("_", " ")
    write_page(
        run.report, plan.name, _subtitle(run, plan, dataset), task.config.description,
        headline=[*((f"{name}, {data}", format_metric(score), interval.short()) for data, score, interval in scores),
                  (f"loss, {scores[0][0]}", format_metric(metrics.get("loss")), ""),
                  ("epochs of the refit", str(plan.epochs), "") if plan.refit else
                  ("best epoch", f"{best_epoch} of {len(history)}", _early_stop(task.config, history)),
                  _training_time(plan, history, len(dataset.train), seconds)],
        sections=sections, warnings=warnings, shown=shown_bands(task.config.image, dataset.infos.values()))


def write_failed_report(run: RunDir, task: Task, plan: Plan, dataset: CheckedDataset,
                        history: Sequence[Mapping[str, Any]], reason: str, commands: Sequence[tuple[str, str]]) -> None:
    """Write ``report/`` of a run that has failed for ``reason``; ``commands``, (purpose, command), may succeed."""
    best = max(history, key=lambda entry: entry.get(task.score) or 0.0, default={"epoch": 0})
    sections = [
        *([learning_curves(task, history, best["epoch"], None)] if history else []), *_planned(plan),
        _lock(run, dataset), Section("Next", html=render("commands.html", commands=commands))]
    write_page(run.report, plan.name, _subtitle(run, plan, dataset), task.config.description,
               headline=[("status", "diverged", ""),
                         ("finished epochs", f"{len(history)} of {task.config.hyper.epochs}", "")],
               sections=sections, warnings=[reason])


def _subtitle(run: RunDir, plan: Plan, dataset: CheckedDataset) -> str:
    return f"{plan.task} · {plan.network} · {counted(len(dataset.index.classes), 'class', 'classes')} · {run.path.name}"


def _planned(plan: Plan) -> list[Section]:
    return [Section("Plan", rows=tuple(plan.rows()), sources=("../plan.json",)),
            Section("Hyperparameters", rows=tuple(settings_rows(plan)), header=SETTINGS,
                    sources=("../config.yaml", "../overrides.yaml"))]


def _early_stop(config: Config, history: Sequence[Mapping[str, Any]]) -> str:
    early = history and history[-1]["epoch"] < config.hyper.epochs
    return f"stopped early, {config.hyper.epochs} were planned" if early else ""


def _training_time(plan: Plan, history: Sequence[Mapping[str, Any]], images: int, seconds: float,
                   ) -> tuple[str, str, str]:
    """The time of all trainings, with their number; the speed is that of the run's own, of ``images`` an epoch."""
    own = history[-1]["seconds"] if history else 0.0
    speed = f"{len(history) * images / own:.3g} images per second" if own else ""
    if plan.trainings == 1:
        return "training time", format_duration(own), speed
    detail = f"{counted(plan.trainings, 'training')}, the first {format_duration(own)}"
    return "training time", format_duration(own + seconds), ", ".join(filter(None, [detail, speed]))


def _scores(name: str, scores: Sequence[tuple[str, float | None, Interval]]) -> Section:
    note = (f"The interval shows how much the score depends on the choice of cases: BCa bootstrap, cases "
            f"resampled {RESAMPLES:,} times with replacement. Images of one group are one case. A score on validation "
            "is optimistic, because it has chosen the best epoch.")
    return Section("Score", note=note, name="score", rows=tuple(
        (data, score, interval.low, interval.high, interval.cases) for data, score, interval in scores),
        header=("", name, f"{LEVEL} % confidence interval from", "to", "cases"))


def _class_balance(task: Task, dataset: CheckedDataset) -> Section:
    train, validation = task.statistics(dataset.train), task.statistics(dataset.validation)
    few = under_represented(train)
    rows = tuple((name, train[name], validation[name], "under-represented" if name in few else "")
                 for name in task.classes)
    return Section("Class balance", header=("class", "training images", "validation images", ""), rows=rows,
                   name="class-balance", sources=("../data.json",))


def _lock(run: RunDir, dataset: CheckedDataset) -> Section:
    return Section("Data and files", rows=(
        ("data set", str(dataset.index.root)), ("format", dataset.reason), ("data hash", dataset.data_digest[:16]),
        ("split hash", dataset.split_digest[:16]), ("run folder", str(run.path)),
    ), sources=tuple(f"../{path.relative_to(run.path)}"
                     for path in (run.model, run.best, run.lock, run.status, run.log) if path.exists()))
