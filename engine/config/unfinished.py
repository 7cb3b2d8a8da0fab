"""A run that is not finished: what its folder says of it, and the command that goes on with it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.reading import read_json, read_yaml

STATUS, CONFIG, OVERRIDES = "status.json", "config.yaml", "overrides.yaml"
"""Files of every run, finished or not."""
SWEEP_CARD = "sweep.json"
"""In the folder of a sweep, whose runs are in folders of their own in it."""
ALL_RUNS = "`sightsmith list runs` shows the runs"


def resuming(overrides: Iterable[str], run: Path) -> list[str]:
    """The overrides that go on with ``run``, which has been started with ``overrides``."""
    return [*(text for text in overrides if not text.lstrip("+").startswith("trainer.resume")), f"trainer.resume={run}"]


def resume_command(overrides: Iterable[str], run: Path) -> str:
    """The command of :func:`resuming`."""
    return "sightsmith train " + shlex.join(resuming(overrides, run))


def continuation(run: Path) -> str:
    """The command that goes on with the run in the folder ``run``, or with the search that it is a part of; empty if
    its files do not say it."""
    try:
        if (search := run.parent / SWEEP_CARD).is_file():
            command: str = read_json(search, {"continuation": str})["continuation"]
            return command
        overrides = read_yaml(run / OVERRIDES)
    except (UserError, KeyError):
        return ""
    return resume_command(map(str, overrides), run) if isinstance(overrides, list) else ""


def not_finished(run: Path) -> UserError:
    """Why ``run``, a folder without a model, cannot be used, and what to type."""
    if (run / SWEEP_CARD).is_file():
        return UserError(f"{run} is a search, not one of its runs",
                         hint=f"type one of its folders, such as {run / '0'}; its report says which is the best")
    if not os.path.lexists(run / CONFIG):
        return UserError(f"{run} is not a finished run: its folder model/ has no model.json", hint=ALL_RUNS)
    try:
        status = read_json(run / STATUS, {"status": str, "progress": float | int | None, "message": str | None})
    except UserError:
        status = {"message": f"{STATUS} is missing or damaged"}
    state = f", {status['message']}" if status.get("message") else ""
    if status.get("progress") is not None:
        state = f": {100 * status['progress']:.0f} % done{state}"
    command = continuation(run)
    how = "resume it" if status.get("status") != "running" else "wait for it, or if it was killed, resume it"
    return UserError(f"The run {run} is not finished{state}", hint=f"{how}:\n  {command}" if command else ALL_RUNS)
