"""Ends ranks that wait for each other forever, and reports where each of them was."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time

EXIT_CODE = 113
"""Exit code of a process that the watchdog ended."""

GRACE = 1.0
"""Seconds for the other ranks, whose time is up too, to report where they are."""


class Watchdog:
    """Ends this process if it makes no progress for ``minutes``; 0 means never."""

    def __init__(self, minutes: float, rank: int) -> None:
        self._limit, self._rank = 60 * minutes, rank
        self._where, self._heard = "at the start", time.monotonic()
        self._over = threading.Event()

    def __enter__(self) -> Watchdog:
        self.hear(self._where)
        if self._limit:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def hear(self, where: str) -> None:
        """Note that the process has got to ``where``."""
        self._where, self._heard = where, time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(self._heard + self._limit - time.monotonic()):
            if time.monotonic() - self._heard >= self._limit:
                print(f"rank {self._rank} has made no progress for {self._limit / 60:g} minutes: {self._where}",
                      file=sys.stderr, flush=True)
                faulthandler.dump_traceback(sys.stderr)
                self._over.wait(GRACE)
                os._exit(EXIT_CODE)
