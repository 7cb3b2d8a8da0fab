"""Runs in Weights & Biases."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightsmith.plugin import MetricLogger, UserError
from sightsmith.plugins.loggers.tracked_run import TrackedRun

SETTINGS: dict[str, Any] = {
    "console": "off", "disable_code": True, "disable_git": True, "save_code": False, "quiet": True,
    "x_disable_machine_info": True, "x_disable_meta": True, "x_disable_stats": True, "x_save_requirements": False,
    "x_transaction_log_flush_interval": 1.0, "init_timeout": 30, "finish_timeout": 300}
"""Only what the run logs is sent: no output, code, command, packages, or facts about the machine. Training waits half a
minute for the server at most, and five at its end."""


class WandbLogger(MetricLogger):
    """A run in ``project`` of ``entity`` (a user or team), or with ``offline`` in ``<run>/wandb`` alone, for ``wandb
    sync``."""

    def start(self, config: Mapping[str, Any], step: int, group: str | None) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its own errors, to Sentry
        import wandb

        project, entity = self.options["project"], self.options["entity"]
        self._tracked = TrackedRun(self.run_dir, "wandb", f"{entity}/{project}")
        name = self.run_dir.name if group is None else f"{group}/{self.run_dir.name}"
        id = self._tracked.id or secrets.token_hex(8)
        self._step = step
        try:
            self._run = wandb.init(
                project=project, entity=entity, id=id, resume="allow", name=name, group=group, config=dict(config),
                dir=str(self.run_dir), mode="offline" if self.options["offline"] else None, allow_val_change=True,
                reinit="create_new", settings=wandb.Settings(**SETTINGS))
        except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
            raise UserError(f"logger=wandb: {error}", hint="type `wandb login`, set WANDB_API_KEY, or add "
                            "logger.wandb.offline=true") from error
        if self._tracked.id is None:
            self._tracked.begin(id)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._step = step
        if new := self._tracked.unseen(step, metrics):
            self._run.log(new, step=step)
            self._tracked.note(dict.fromkeys(new, step))

    def finish(self, metrics: Mapping[str, float | None], report: Path) -> None:
        import wandb

        self._run.summary.update({f"final/{name}": value for name, value in metrics.items() if value is not None})
        plots = {f"report/{path.stem}": wandb.Image(str(path)) for path in sorted(report.glob("*.png"))}
        self._run.log({**plots, "report/page": wandb.Html(str(report / "index.html"), inject=False)}, step=self._step)
        artifact = wandb.Artifact(f"report-{self._run.id}", type="report")
        for path in sorted(report.rglob("*")):
            if path.is_file():
                # By reference: a copy of each file would stay in W&B's cache.
                artifact.add_file(str(path), path.relative_to(report).as_posix(), policy="immutable")
        self._run.log_artifact(artifact)

    def close(self, status: str) -> None:
        self._run.summary["status"] = status
        self._run.finish(exit_code=int(status == "error"))
