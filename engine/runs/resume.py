"""Resuming and branching: finding the run and making sure that it is unchanged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from sightsmith.core.contracts.keys import is_among
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.files import fill_file, resolved_path
from sightsmith.core.util.reading import Damaged
from sightsmith.core.util.text import counted
from sightsmith.engine.runs.compute_mode import ComputeMode
from sightsmith.engine.runs.lockfile import PARTS, read_lock
from sightsmith.engine.runs.run_dir import FINISHED, RUNNING, RunDir, read_status
from sightsmith.engine.runs.run_files import HINT, read_config, read_plan

RESUME_FREE_KEYS = ("name", "description", "output_dir", "logger", "limits", "dataset.root", "trainer.resume",
                    "trainer.dry_run", "trainer.num_workers", "trainer.micro_batch", "trainer.cache",
                    "trainer.checkpoint_minutes", "trainer.watchdog_minutes", "trainer.pause_after_epoch",
                    "trainer.branch_from")
"""Keys that may change when a run is resumed, because they do not affect its result."""

CHANGEABLE = ("hyper.learning_rate", "hyper.weight_decay", "hyper.momentum", "hyper.batch_size",
              "hyper.schedule", "hyper.early_stop", "task", "augment", "base_run.distillation")
"""Keys and groups that may change when a new run branches from a checkpoint. Of ``task`` these are the task's own keys:
another task means another network."""


def find_run(config: Config) -> RunDir | None:
    """The run that ``trainer.resume`` names; None for a new run. Raises UserError if it cannot be resumed."""
    resume = config.trainer.resume
    if resume.lower() == "false":
        return None
    if resume.lower() == "true":
        run = _newest(resolved_path(config.output_dir), config.name)
    else:
        run = RunDir(resolved_path(resume))
        if not os.path.isfile(run.config):
            raise UserError(f"trainer.resume={resume} is not a run folder: it has no {run.config.name}",
                            hint="`sightsmith list runs` shows the runs")
    status = read_status(run)
    if status["status"] == FINISHED:
        raise UserError(f"The run {run.path} is finished; there is nothing to resume.")
    if status["status"] == RUNNING:
        raise UserError(f"The run {run.path} is still running: process {status.get('pid')} on {status.get('host')} "
                        "trains in its folder", hint="stop it, or wait until it has finished")
    return run


def _newest(output_dir: Path, name: str) -> RunDir:
    named, damaged = [], []
    for path in sorted(output_dir.glob("*/config.yaml"), reverse=True):
        try:
            named += [run] if read_config(run := RunDir(path.parent))["name"] == name else []
        except UserError as error:  # of a run that is perhaps another one
            damaged.append(Problem(error.message))
    unfinished = [run for run in named if read_status(run)["status"] != FINISHED]
    if not unfinished:
        found = counted(len(named), "finished run") if named else "no run"
        raise UserError(f"trainer.resume=true: {output_dir} has {found} named {name!r}, and none that can be resumed",
                        problems=damaged,
                        hint="omit trainer.resume to start a new run, or name a run's folder: trainer.resume=runs/...")
    return unfinished[0]


def find_branch_point(config: Config, lock: dict[str, Any]) -> RunDir | None:
    """The run that a new run branches from. Raises UserError if it has no checkpoint, or if the data or settings other
    than :data:`CHANGEABLE` differ."""
    if config.trainer.branch_from is None:
        return None
    run = RunDir(resolved_path(config.trainer.branch_from))
    if not all(map(os.path.isfile, (run.config, run.last, run.best, run.metrics))):
        raise UserError(f"trainer.branch_from={config.trainer.branch_from} is not a run with a checkpoint and metrics",
                        hint="`sightsmith list runs` shows the runs")
    if problems := _differences(run, config, lock, (*RESUME_FREE_KEYS, *CHANGEABLE)):
        raise UserError(f"A run that branches from {run.path} can only change: "
                        f"{', '.join(CHANGEABLE)}", problems=problems)
    return run


def clone_checkpoint(parent: RunDir, run: RunDir) -> None:
    """Copy the checkpoints and the metrics of ``parent`` into the folder of a new run."""
    for source, target in ((parent.best, run.best), (parent.metrics, run.metrics), (parent.last, run.last)):
        target.parent.mkdir(parents=True, exist_ok=True)
        fill_file(target, partial(shutil.copyfile, source))


def ensure_resumable(run: RunDir, config: Config, lock: dict[str, Any]) -> None:
    """Raises UserError with every difference from the run's settings and data."""
    if problems := _differences(run, config, lock, RESUME_FREE_KEYS):
        raise UserError(f"The run {run.path} cannot be resumed with other settings:", problems=problems,
                        hint="restore them, or start a new run without trainer.resume")


def _differences(run: RunDir, config: Config, lock: dict[str, Any], free: Sequence[str]) -> list[Problem]:
    """All keys and parts of the lock in which the run differs from ``config`` and ``lock``."""
    earlier, now = _flat(read_config(run)), _flat(asdict(config))
    problems = [
        Problem(f"{key} was {earlier.get(key)!r} and is now {now.get(key)!r}")
        for key in sorted(earlier.keys() | now.keys())
        if earlier.get(key) != now.get(key) and not is_among(key, free)
    ]
    parts = ("data", "split", "weights")
    kept = read_lock(run.lock, parts)
    for part in parts:
        if kept[part] != lock[part]:
            problems.append(Problem(f"{PARTS[part]} changed since the run was started"))
    return problems


def planned_compute(run: RunDir) -> tuple[ComputeMode, int]:
    """The compute mode and the micro-batch of the run's plan."""
    plan = read_plan(run)
    return ComputeMode(plan["precision"], plan["memory_format"]), plan["micro_batch"]


def planned_folds(run: RunDir) -> tuple[int, str]:
    """The number of folds of the run's plan, and the reason."""
    plan = read_plan(run)
    return plan["folds"], plan["folds_reason"]


def planned_length(run: RunDir, keys: Iterable[str]) -> dict[str, Any]:
    """The values of ``hyper.<key>`` that the run's time budget has led to."""
    hyper = read_config(run)["hyper"]
    if missing := [key for key in keys if type(hyper.get(key)) not in (int, float, str)]:
        raise Damaged(run.config, f"hyper has no {', '.join(missing)}", HINT)
    return {key: hyper[key] for key in keys}


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {key: item for name, part in value.items()
            for key, item in _flat(part, f"{prefix}.{name}" if prefix else str(name)).items()}
