"""Says what takes its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

PATIENCE = 2.0
"""Seconds that nobody needs an explanation for."""


@contextmanager
def announced(text: str, report: Callable[[str], None] = print) -> Iterator[None]:
    """Report ``text`` if the block takes longer than :data:`PATIENCE`."""
    timer = Timer(PATIENCE, report, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
