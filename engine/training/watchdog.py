"""Breaks a hang, in which ranks wait for one another for ever, and says where each of them was."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time

EXIT_CODE = 113
"""Of a process that was ended so."""

GRACE = 1.0
"""Seconds in which the other ranks of a hang, whose time is up too, say where they are."""


class Watchdog:
    """Ends this process once it was silent for so many ``minutes``; 0: never."""

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
        """The process is alive, and at work at ``where``."""
        self._where, self._heard = where, time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(self._heard + self._limit - time.monotonic()):
            if time.monotonic() - self._heard >= self._limit:
                print(f"rank {self._rank} has done nothing for {self._limit / 60:g} minutes: {self._where}",
                      file=sys.stderr, flush=True)
                faulthandler.dump_traceback(sys.stderr)
                self._over.wait(GRACE)
                os._exit(EXIT_CODE)
