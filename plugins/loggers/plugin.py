"""Registers the metric loggers."""

from __future__ import annotations

from sightsmith.plugin import LoggerRecord, hookimpl


@hookimpl
def sightsmith_loggers() -> list[LoggerRecord]:
    return [LoggerRecord(name="tensorboard", description="event files in <run>/tensorboard",
                         builder="sightsmith.plugins.loggers.tensorboard:TensorBoardLogger")]
