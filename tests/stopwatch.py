"""What a test takes by itself: without the runs that it shares, which whichever test comes first trains."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SECONDS = pytest.StashKey[float]()
"""Of a test: how long it took so far."""
_shared = 0.0


@contextmanager
def own_time(item: pytest.Item) -> Iterator[None]:
    """Add what is done within to the test's time.

    On a busy machine the time of its processors counts: more than that it only waited.
    """
    began, ticks, shared = time.perf_counter(), sum(os.times()[:4]), _shared
    try:
        yield
    finally:
        seconds = min(time.perf_counter() - began, sum(os.times()[:4]) - ticks)
        item.stash[SECONDS] = item.stash.get(SECONDS, 0.0) + max(0.0, seconds - (_shared - shared))


@contextmanager
def shared_time() -> Iterator[None]:
    """What is done within, waiting included, is no test's own."""
    global _shared
    began, before = time.perf_counter(), _shared
    try:
        yield
    finally:
        _shared = before + time.perf_counter() - began
