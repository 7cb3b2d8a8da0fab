"""Ctrl-C and SIGTERM as a flag that the loop polls between two optimizer steps."""

from __future__ import annotations

import signal
import threading
from typing import Any


class StopSignal:
    """Turns the first SIGINT or SIGTERM into a flag; a second SIGINT interrupts immediately."""

    def __init__(self) -> None:
        self.seen = False
        self._old: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, frame: Any) -> None:
        if self.seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.seen = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
