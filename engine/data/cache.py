"""Caches of decoded images and files that leave half of the machine's memory free."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
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


class FileCache(Generic[T]):
    """What files were decoded to, for readers that are opened again for each frame: the last one always, others while
    memory allows. A file that has changed is decoded again, one that is gone is forgotten. For several threads, of
    which only one decodes a file. ``room`` says whether others may stay."""

    def __init__(self, room: Callable[[], bool] | None = None) -> None:
        self._room = room or _memory_left
        self._cached: dict[tuple[Path, int, int, int], T] = {}
        self._locks: weakref.WeakValueDictionary[Path, threading.Lock] = weakref.WeakValueDictionary()
        self._changing = threading.Lock()

    def get(self, path: Path, decode: Callable[[], T], keep: Callable[[T], bool] = lambda decoded: True) -> T:
        """What ``decode`` returns for the file ``path``, or has returned; it is cached if ``keep`` says so of it."""
        found = path.stat()
        key = path, found.st_mtime_ns, found.st_size, found.st_ino
        with self._changing:
            lock = self._locks.setdefault(path, threading.Lock())
        with lock:
            with self._changing:
                decoded = self._cached.pop(key, None)
            decoded = decode() if decoded is None else decoded
            if not keep(decoded):
                return decoded
            with self._changing:
                self._make_room(path)
                self._cached[key] = decoded  # the last one used is the last to go
            return decoded

    def _make_room(self, path: Path) -> None:
        gone = [key for key in self._cached if key[0] == path or not key[0].exists()]
        rest = [key for key in self._cached if key not in gone]
        for key in gone + ([] if self._room() else rest[:2]):
            del self._cached[key]


def _memory_left() -> bool:
    memory = psutil.virtual_memory()
    return bool(memory.available > MIN_FREE * memory.total)
