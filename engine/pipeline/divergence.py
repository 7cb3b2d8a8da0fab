"""Training losses that rise: after the last epoch, and where they have become infinite."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sightsmith.core.util.errors import NonFiniteLossError
from sightsmith.engine.pipeline.stages import PlannedRun, RunContext
from sightsmith.engine.runs.run_dir import RunDir

log = logging.getLogger("sightsmith")

ADVICE = "a smaller hyper.learning_rate, hyper.clip_grad_norm=1, or trainer.precision=fp32"
RATE = "hyper.learning_rate"


def divergence(history: Sequence[Mapping[str, Any]], best_epoch: int) -> str:
    """A warning if the training loss has risen to the double of its lowest value, and by more than half of what it had
    fallen; else empty."""
    losses = [entry["train_loss"] for entry in history]
    low = min(losses, default=0.0)
    if low <= 0 or losses[-1] <= max(2 * low, (losses[0] + low) / 2):
        return ""
    return (f"The training diverged: its loss rose from {low:.4g} in epoch {history[losses.index(low)]['epoch']} to "
            f"{losses[-1]:.4g} in epoch {history[-1]['epoch']}, the last one. The model that is kept is that of epoch "
            f"{best_epoch}. Try {ADVICE}.")


def report_divergence(context: RunContext, planned: PlannedRun, run: RunDir, error: NonFiniteLossError) -> None:
    """Write the report of a run whose loss has become infinite; a report that fails hides no error."""
    from sightsmith.engine.report.report import write_failed_report  # matplotlib: not needed to train

    rate = f"{RATE}={planned.config.hyper.learning_rate / 10:g}"
    overrides = [text for text in context.overrides if not text.startswith((f"{RATE}=", "trainer.resume="))]
    again = "sightsmith train " + shlex.join([*overrides, rate])
    try:
        write_failed_report(run, planned.task, planned.plan, planned.dataset, run.read_metrics(),
                            f"The training diverged and has stopped: {error}. Try {ADVICE}.",
                            [("train again with a tenth of the learning rate", again)])
    except Exception:
        log.exception("the report cannot be written")
    else:
        context.console.print(f"Report: {run.report / 'index.html'}", soft_wrap=True)
