"""Registers the metric loggers."""

from __future__ import annotations

from sightsmith.core.hookspecs import hookimpl
from sightsmith.core.records import LoggerRecord


@hookimpl
def sightsmith_loggers() -> list[LoggerRecord]:
    return [LoggerRecord(name="tensorboard", description="event files in <run>/tensorboard",
                         builder="sightsmith.plugins.loggers.tensorboard:TensorBoardLogger")]
