"""Assigns GPUs to the trials of sweeps on this machine, so that none is used by too many."""

from __future__ import annotations

import getpass
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

import torch
from filelock import FileLock, Timeout

VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL = 1.0
"""Seconds between two looks for a free GPU."""


@contextmanager
def claimed(count: int, runs_per_device: int) -> Iterator[None]:
    """A context in which this process and its children use ``count`` GPUs, each shared by at most ``runs_per_device``
    trials.

    Waits until that many are free. Does nothing on a machine with fewer than two GPUs.
    """
    if torch.cuda.device_count() < 2:
        yield
        return
    names = [str(torch.cuda.get_device_properties(place).uuid) for place in range(torch.cuda.device_count())]
    with locked(names, count, runs_per_device) as places:
        torch.cuda.set_device(places[0])  # for this process, where CUDA may already be initialized
        before = os.environ.get(VISIBLE)
        known = before.split(",") if before else [str(place) for place in range(len(names))]
        os.environ[VISIBLE] = ",".join(known[place] for place in places)  # for the ranks that it starts
        try:
            yield
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


@contextmanager
def locked(names: Sequence[str], count: int, slots: int) -> Iterator[list[int]]:
    """The indices of ``count`` of the devices ``names``, each with one of its ``slots`` locked until the context or the
    process ends."""
    folder = Path(tempfile.gettempdir()) / f"sightsmith-devices-{getpass.getuser()}"
    folder.mkdir(exist_ok=True)
    while True:
        with ExitStack() as stack:
            places: list[int] = []
            # One slot of every device first, so that devices are only shared when all are in use.
            for slot, place in product(range(slots), range(len(names))):
                if len(places) < count and place not in places:
                    try:
                        stack.enter_context(FileLock(folder / f"{names[place]}-{slot}.lock", timeout=0))
                    except Timeout:
                        continue
                    places.append(place)
            if len(places) == count:
                yield places
                return
        time.sleep(POLL)
