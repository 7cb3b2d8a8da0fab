"""Decoded images kept in memory while there is some to spare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import psutil

KEPT_FREE = 0.5
"""The part of the machine's memory that is left when no further image is kept: by any rank or worker, of any
set."""

T = TypeVar("T")


class MemoryCache(Generic[T]):
    """What ``read`` returns for a sample's place, kept where memory allows, so that it is decoded once.

    ``read`` must give the same for the same place, kept or not.
    """

    def __init__(self, read: Callable[[int], T], *, enabled: bool) -> None:
        self._read, self._enabled = read, enabled
        self._kept: dict[int, T] = {}

    def __getitem__(self, place: int) -> T:
        found = self._kept.get(place)
        if found is None:
            found = self._read(place)
            if self._enabled and _memory_to_spare():
                self._kept[place] = found
        return found


def _memory_to_spare() -> bool:
    memory = psutil.virtual_memory()
    return bool(memory.available > KEPT_FREE * memory.total)
