"""The run folder: its file names and its status."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import make_folder, write_atomic, write_json
from sightsmith.core.util.reading import Kind, parse_json, read_json, read_text, validate_fields
from sightsmith.engine.config.model_card import FOLDER
from sightsmith.engine.config.run_plugins import LOCK

WAITING, RUNNING, FINISHED, STOPPED, ERROR = "waiting", "running", "finished", "stopped", "error"
PAUSED = "paused"
"""What people are shown for a run that has stopped where it was asked to."""


METRICS: Mapping[str, Kind] = {"epoch": int, "train_loss": float | int, "seconds": float | int}
"""What every line of the metrics has."""


class RunDir:
    """``runs/<time>-<name>/`` and the paths in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, output_dir: Path, name: str) -> RunDir:
        """A new folder, never an existing one. Raises UserError if it cannot be created."""
        slug = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "run"
        stem = f"{datetime.now():%Y-%m-%d_%H-%M-%S}-{slug}"
        make_folder(output_dir)
        for attempt in range(1, 1000):
            path = output_dir / (stem if attempt == 1 else f"{stem}-{attempt}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return cls(path)
        raise FileExistsError(f"{output_dir / stem} and 998 more exist")

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def overrides(self) -> Path:
        return self.path / "overrides.yaml"

    @property
    def lock(self) -> Path:
        return self.path / LOCK

    @property
    def in_use(self) -> Path:
        return self.path / "in_use.lock"

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last" / "state.safetensors"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best" / "model.safetensors"

    @property
    def model(self) -> Path:
        return self.path / FOLDER

    @property
    def report(self) -> Path:
        return self.path / "report"

    def read_metrics(self, report: Callable[[str], None] = lambda line: None) -> list[dict[str, Any]]:
        """One entry per epoch, up to a damaged line, which is reported."""
        if not os.path.lexists(self.metrics):
            return []
        entries: list[dict[str, Any]] = []
        try:
            lines = read_text(self.metrics).splitlines()
        except UserError as error:
            report(error.message)
            return []
        for number, line in enumerate(lines, 1):
            try:
                entry = parse_json(line)
                validate_fields(entry, {**dict.fromkeys(entry, float | int | None), **METRICS})
            except (ValueError, TypeError):
                report(f"{self.metrics} is damaged: line {number} is not the metrics of an epoch")
                break
            entries.append(entry)
        return entries

    def write_metrics(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write the metrics of all epochs so far. A fold's folder has nothing before."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomic(self.metrics, "".join(json.dumps(entry) + "\n" for entry in entries))


STATUS: Mapping[str, Kind] = {
    "status": str, "message": str | None, "created": str | None, "ended": str | None, "host": str | None,
    "paused": bool | None, "warnings": list | None,
    **dict.fromkeys(("progress", "score", "device_hours"), float | int | None)}


def read_status(run: RunDir) -> dict[str, Any]:
    """The status; a run whose process was killed is `stopped`, one whose file is damaged an `error`."""
    try:
        status: dict[str, Any] = read_json(run.status, STATUS)
    except UserError:
        return {"status": ERROR, "message": "status.json is missing or damaged"}
    if status.get("status") == RUNNING and status.get("host") == socket.gethostname() and not _alive(status):
        status |= {"status": STOPPED, "message": "the process was killed; resume it with trainer.resume"}
    return status


def _alive(status: Mapping[str, Any]) -> bool:
    try:
        process = psutil.Process(status["pid"])
        # The start time distinguishes a process from a later one with the same id; a zombie is dead but not yet reaped.
        same = abs(process.create_time() - status["process_started"]) < 2
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


class Status:
    """Keeps ``status.json`` of a running run up to date: at most once per second, but at every change of state."""

    def __init__(self, run: RunDir, *, devices: int, epochs: int) -> None:
        self._run = run
        earlier = read_status(run) if os.path.lexists(run.status) else {}
        self._hours_before = float(earlier.get("device_hours") or 0.0)
        self._devices, self._begun, self._written = devices, time.monotonic(), 0.0
        self.epochs = epochs
        self._state: dict[str, Any] = {
            "status": WAITING, "progress": 0.0, "epoch": 0, "epochs": epochs, "devices": devices,
            "created": earlier.get("created", _now()), "ended": None, "message": "", "host": socket.gethostname(),
            "pid": os.getpid(), "process_started": psutil.Process().create_time(),
        }

    def update(self, *, force: bool = False, **values: Any) -> None:
        self._state |= values
        if force or "status" in values or time.monotonic() - self._written >= 1:
            self._written = time.monotonic()
            hours = self._hours_before + self._devices * (self._written - self._begun) / 3600
            write_json(self._run.status, self._state | {"updated": _now(), "device_hours": round(hours, 6)})

    @property
    def current(self) -> str:
        """One of the states of a run, such as ``running``."""
        return str(self._state["status"])

    def warn(self, *messages: str) -> None:
        """Add to ``warnings``."""
        if messages:
            self.update(force=True, warnings=[*self._state.get("warnings", []), *messages])

    def end(self, status: str, message: str = "", **values: Any) -> None:
        self.update(status=status, message=message, ended=_now(), **values)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
