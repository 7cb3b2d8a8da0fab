"""Going on with a run: which one, and whether it is still the same."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from sightsmith.core.errors import Problem, UserError
from sightsmith.core.lock import PARTS
from sightsmith.core.rundir import FINISHED, RUNNING, RunFolder, read_status
from sightsmith.core.schema import Config
from sightsmith.core.trial import Mode

FREE = ("name", "description", "output_dir", "logger", "limits", "dataset.root", "trainer.resume", "trainer.dry_run",
        "trainer.workers", "trainer.cache", "trainer.checkpoint_minutes")
"""Keys that may differ from the run's own: they do not change what it computes."""


def find_run(config: Config) -> RunFolder | None:
    """The run that ``trainer.resume`` asks for; None for a new one. Raises UserError where there is none."""
    wanted = config.trainer.resume
    if wanted.lower() == "false":
        return None
    if wanted.lower() == "true":
        run = _newest(Path(config.output_dir).expanduser().resolve(), config.name)
    else:
        run = RunFolder(Path(wanted).expanduser().resolve())
        if not run.config.is_file():
            raise UserError(f"trainer.resume={wanted} is not the folder of a run: it has no {run.config.name}",
                            hint="`sightsmith list runs` shows the runs")
    status = read_status(run)["status"]
    if status == FINISHED:
        raise UserError(f"The run {run.path} is finished; there is nothing to resume.")
    if status == RUNNING:
        raise UserError(f"The run {run.path} is still running.", hint="stop it first, or wait for its end")
    return run


def _newest(output_dir: Path, name: str) -> RunFolder:
    runs = [RunFolder(path.parent) for path in sorted(output_dir.glob("*/config.yaml"), reverse=True)]
    named = [run for run in runs if _config(run).get("name") == name]
    unfinished = [run for run in named if read_status(run)["status"] != FINISHED]
    if not unfinished:
        found = f"{len(named)} finished run(s)" if named else "no run"
        raise UserError(f"trainer.resume=true: {output_dir} holds {found} called {name!r}, and none to go on with",
                        hint="leave trainer.resume out to start, or name the run's folder: trainer.resume=runs/...")
    return unfinished[0]


def check_same(run: RunFolder, config: Config, lock: dict[str, Any]) -> None:
    """Raises UserError naming every key, and the data, that differ from the run's own."""
    earlier, now = _flat(_config(run)), _flat(asdict(config))
    problems = [
        Problem(f"{key} was {earlier.get(key)!r} and is now {now.get(key)!r}")
        for key in sorted(earlier.keys() | now.keys())
        if earlier.get(key) != now.get(key) and not any(key == free or key.startswith(f"{free}.") for free in FREE)
    ]
    kept = json.loads(run.lock.read_text())
    for part in ("data", "split", "weights"):
        if kept[part] != lock[part]:
            problems.append(Problem(f"{PARTS[part]} changed since the run was started"))
    if problems:
        raise UserError(f"The run {run.path} cannot go on with other settings:", problems=problems,
                        hint="put them back, or start a new run without trainer.resume")


def planned_mode(run: RunFolder) -> Mode:
    """How the run was planned to compute."""
    plan = json.loads(run.plan.read_text())
    return Mode(plan["precision"], plan["memory_format"])


def _config(run: RunFolder) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(run.config.read_text())
    return config


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {key: item for name, part in value.items()
            for key, item in _flat(part, f"{prefix}.{name}" if prefix else str(name)).items()}
