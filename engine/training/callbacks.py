"""Callbacks of the training loop: progress on the console, status, plugins' hooks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sightsmith.core.util.text import format_duration, format_metric
from sightsmith.engine.runs.run_dir import Status
from sightsmith.engine.training.state import TrainState

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins

PLAIN_SECONDS = 30.0
"""Seconds between two lines of progress within an epoch, without a terminal."""


class ProgressReporter:
    """Shows a progress bar for the run and a line for each epoch. ``title`` names one after the run's own."""

    def __init__(self, *, epochs: int, steps: int, batch_images: float, score: str, console: Console,
                 title: str = "") -> None:
        self._epochs, self._steps, self._images, self._score = epochs, steps, batch_images, score
        self._console, self._title = console, title
        self._started = self._printed = time.monotonic()
        self._first: int | None = None
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"),
                             TimeRemainingColumn(compact=True), console=console, transient=True,
                             disable=not console.is_terminal)
        self._run = self._bar.add_task("run", total=epochs * steps, note="")

    def __enter__(self) -> ProgressReporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_step(self, state: TrainState, losses: Mapping[str, float], rate: float) -> None:
        done = state.epoch * self._steps + state.step
        if self._first is None:
            self._first, self._started = done - 1, time.monotonic() - 1e-3
        speed = (done - self._first) * self._images / (time.monotonic() - self._started)
        note = f"{self._title}epoch {state.epoch + 1}/{self._epochs}  loss {losses['loss']:.4f}  {speed:.0f} img/s"
        self._bar.update(self._run, completed=done, note=note)
        if not self._console.is_terminal and time.monotonic() - self._printed > PLAIN_SECONDS:
            self._printed = time.monotonic()
            self._console.print(f"{note}  step {state.step}/{self._steps}")

    def on_validation(self, done: int, images: int) -> None:
        self._bar.update(self._run, note=f"{self._title}validating {done}/{images}")

    def on_warning(self, message: str) -> None:
        self._console.print(f"warning: {self._title}{message}")

    def on_epoch(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        self._printed = time.monotonic()
        score = metrics.get(self._score)
        left = metrics["seconds"] / state.epoch * (self._epochs - state.epoch)
        best = "  best" if state.best_epoch == state.epoch and not self._title else ""  # a fold's last epoch counts
        validated = (f"  validation loss {format_metric(metrics['loss'])}  {self._score} {format_metric(score)}{best}"
                     if "loss" in metrics else "")
        self._console.print(f"{self._title}epoch {state.epoch}/{self._epochs}  train loss {metrics['train_loss']:.4f}"
                            f"{validated}  {format_duration(left)} left")


class StatusReporter:
    """Keeps ``status.json`` up to date.

    Epoch and score are those of the first training; of all ``trainings``, ``done`` are finished already.
    """

    def __init__(self, status: Status, steps: int, epochs: int, done: int = 0, trainings: int = 1) -> None:
        self._status, self._steps, self._epochs = status, steps, epochs
        self._done, self._trainings = done, trainings

    def on_step(self, state: TrainState, losses: Mapping[str, float], rate: float) -> None:
        self._report(state)

    def on_validation(self, done: int, images: int) -> None:
        self._status.update()

    def on_warning(self, message: str) -> None:
        self._status.warn(message)

    def on_epoch(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        self._report(state, score=state.best_score)

    def _report(self, state: TrainState, **values: Any) -> None:
        progress = min((state.epoch + state.step / self._steps) / self._epochs, 1.0)
        progress = (self._done + progress) / self._trainings
        self._status.update(progress=round(progress, 4), **({} if self._done else {"epoch": state.epoch, **values}))


class HookReporter:
    """Calls the plugins' hook after each epoch."""

    def __init__(self, plugins: Plugins, run_dir: Path) -> None:
        self._plugins, self._run_dir = plugins, run_dir

    def on_step(self, state: TrainState, losses: Mapping[str, float], rate: float) -> None:
        pass

    def on_validation(self, done: int, images: int) -> None:
        pass

    def on_warning(self, message: str) -> None:
        pass

    def on_epoch(self, state: TrainState, metrics: Mapping[str, Any]) -> None:
        self._plugins.after_epoch(run_dir=self._run_dir, epoch=state.epoch, metrics=metrics)
