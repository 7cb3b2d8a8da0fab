"""Image readers whose files do what they say to whoever opens them."""

from __future__ import annotations

import os
import signal

import numpy as np

from sightsmith.core.contracts.records import ImageReaderRecord


class Endless:
    def __init__(self, path):
        signal.pause()


class Crash:
    def __init__(self, path):
        os.abort()


class Greedy:
    def __init__(self, path):
        np.zeros(8 * 2**30, np.uint8)


RECORDS = [ImageReaderRecord(name=kind.__name__.lower(), title=kind.__name__, description="d",
                             magic=((0, kind.__name__.upper().encode()),), builder=f"hostile_readers:{kind.__name__}")
           for kind in (Endless, Crash, Greedy)]
