"""Warnings of libraries: in the log of the run, not on the screen."""

from __future__ import annotations

import logging
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LOGGER = "py.warnings"
"""Python's own name for the logger of warnings."""
FORMATTER = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
"""Of a run's log file."""
KEPT = 200
"""Warnings from before there is a log; of more, the last."""


class _Early(logging.Handler):
    """Keeps warnings for the log that a run will open, such as why there is no GPU. Without any handler, Python would
    print them after all."""

    def __init__(self) -> None:
        super().__init__()
        self.records: deque[logging.LogRecord] = deque(maxlen=KEPT)
        self.file: Path | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def append_to_file(self) -> None:
        """Write the warnings that no run has taken; a run that cannot be written to does without."""
        if self.file is not None and self.records and self.file.is_file():
            with suppress(OSError), self.file.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.writelines(f"{FORMATTER.format(record)}\n" for record in self.records)


@contextmanager
def warnings_in_log() -> Iterator[None]:
    """Log Python's warnings, which libraries write for programmers, instead of printing them."""
    log, early = logging.getLogger(LOGGER), _Early()

    def shown(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None,
              line: str | None = None) -> None:
        log.warning("%s", warnings.formatwarning(message, category, filename, lineno, line).strip())

    log.addHandler(early)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = shown
            yield
    finally:
        log.removeHandler(early)
        early.append_to_file()


def belongs_to(log_file: Path) -> None:
    """The command is about the run that has the log ``log_file``: at its end, warnings are appended to that."""
    for early in _early_handlers():
        early.file = log_file


@contextmanager
def logged_by(handler: logging.Handler) -> Iterator[None]:
    """Give ``handler`` the warnings, those from before too."""
    log = logging.getLogger(LOGGER)
    early = [item.records for item in _early_handlers()]
    for records in early:
        for record in records:
            handler.handle(record)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        for records in early:
            records.clear()  # the next run of a sweep has its own


def _early_handlers() -> list[_Early]:
    return [item for item in logging.getLogger(LOGGER).handlers if isinstance(item, _Early)]
