"""Warnings of libraries: in the log of the run, not on the screen."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOGGER = "py.warnings"
"""Python's own name for the logger of warnings."""


@contextmanager
def warnings_in_log() -> Iterator[None]:
    """Log Python's warnings, which libraries write for programmers, instead of printing them."""
    log = logging.getLogger(LOGGER)
    if not log.handlers:
        log.addHandler(logging.NullHandler())  # without any, Python would print them after all

    def shown(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None,
              line: str | None = None) -> None:
        log.warning("%s", warnings.formatwarning(message, category, filename, lineno, line).strip())

    with warnings.catch_warnings():
        warnings.showwarning = shown
        yield
