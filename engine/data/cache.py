"""A cache of decoded images that leaves half of the machine's memory free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import psutil

MIN_FREE = 0.5
"""Share of the machine's memory below which no rank or worker caches further images."""

T = TypeVar("T")


class MemoryCache(Generic[T]):
    """Caches what ``read`` returns for a sample's index while memory allows, so that each image is decoded once.

    ``read`` must always return the same for the same index.
    """

    def __init__(self, read: Callable[[int], T], *, enabled: bool) -> None:
        self._read, self._enabled = read, enabled
        self._cached: dict[int, T] = {}

    def __getitem__(self, index: int) -> T:
        found = self._cached.get(index)
        if found is None:
            found = self._read(index)
            if self._enabled and _memory_left():
                self._cached[index] = found
        return found


def _memory_left() -> bool:
    memory = psutil.virtual_memory()
    return bool(memory.available > MIN_FREE * memory.total)
