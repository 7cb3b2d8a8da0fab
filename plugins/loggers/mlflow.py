"""Runs in MLflow."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sightsmith.plugin import MetricLogger, resolved_path
from sightsmith.plugins.loggers.tracked_run import TrackedRun

DEFAULTS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Environment variables of MLflow: usage is not reported, and a server that is gone holds up training for a minute at
most. What you set yourself counts."""
FLUSH_SECONDS = 1.0
"""Between two requests."""
MOST_PARAMS, MOST_METRICS = 100, 1000
"""Of one request; MLflow refuses more."""
STATUS = {"finished": "FINISHED", "stopped": "KILLED"}


class MlflowLogger(MetricLogger):
    """A run in the experiment ``experiment`` at ``tracking_uri``, or else ``$MLFLOW_TRACKING_URI``, or else the SQLite
    file ``mlflow.db`` in ``output_dir``."""

    def start(self, config: Mapping[str, Any], step: int, group: str | None) -> None:
        for variable, value in DEFAULTS.items():
            os.environ.setdefault(variable, value)
        from mlflow import MlflowClient

        home = resolved_path(config["output_dir"])
        uri = self.options["tracking_uri"] or os.environ.get("MLFLOW_TRACKING_URI")
        self._client = MlflowClient(uri or f"sqlite:///{home / 'mlflow.db'}")
        self._tracked = TrackedRun(self.run_dir, "mlflow", f"{uri} {self.options['experiment']}")
        self._points: list[tuple[str, float, int, int]] = []
        self._step, self._flushed = step, time.monotonic()
        if self._tracked.id is not None:
            self._client.update_run(self._tracked.id, status="RUNNING")
            return
        name = self.run_dir.name if group is None else f"{group}/{self.run_dir.name}"
        tags = {"sightsmith.run": str(self.run_dir), **({"sightsmith.search": group} if group else {})}
        run = self._client.create_run(self._experiment(None if uri else home / "mlartifacts"), tags=tags, run_name=name)
        self._tracked.begin(run.info.run_id)
        self._log_config(config)

    def _experiment(self, artifacts: Path | None) -> str:
        """The id of the experiment, which is made if it is not there; its artifacts go to ``artifacts``."""
        from mlflow.exceptions import MlflowException

        name = self.options["experiment"]
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, artifacts and artifacts.as_uri()))
            except MlflowException:  # another trial was faster
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _log_config(self, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(_name(key), str(value)[:6000]) for key, value in _flat(config)]
        for start in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(self._tracked.id, params=params[start:start + MOST_PARAMS])
        self._client.log_artifact(self._tracked.id, str(self.run_dir / "config.yaml"))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        now, self._step = int(time.time() * 1000), step
        self._points += [(name, value, now, step) for name, value in self._tracked.unseen(step, metrics).items()]
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        from mlflow.entities import Metric

        points, self._points = self._points, []
        for start in range(0, len(points), MOST_METRICS):
            part = points[start:start + MOST_METRICS]
            self._client.log_batch(self._tracked.id, metrics=[
                Metric(_name(name), value, now, step) for name, value, now, step in part])
            self._tracked.note({name: step for name, _, _, step in part})
        self._flushed = time.monotonic()

    def finish(self, metrics: Mapping[str, float | None], report: Path) -> None:
        self.log(self._step, {f"final/{name}": value for name, value in metrics.items() if value is not None})
        self._client.log_artifacts(self._tracked.id, str(report), "report")

    def close(self, status: str) -> None:
        self._flush()
        self._client.set_terminated(self._tracked.id, STATUS.get(status, "FAILED"))


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _name(name: str) -> str:
    """``name`` with the characters and the length that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]
