"""Registers the metric loggers."""

from __future__ import annotations

from sightsmith.core.contracts.records import LoggerRecord
from sightsmith.core.plugins.hookspecs import hookimpl


@hookimpl
def sightsmith_loggers() -> list[LoggerRecord]:
    return [LoggerRecord(name="tensorboard", description="event files in <run>/tensorboard",
                         builder="sightsmith.plugins.loggers.tensorboard:TensorBoardLogger")]
