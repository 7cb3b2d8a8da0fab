"""Which GPUs a run of a sweep takes: none that another run of a sweep on this machine has."""

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
    """Inside, this process and those that it starts compute on ``count`` GPUs, of which each has at most
    ``runs_per_device`` runs.

    Waits until there are so many; nothing to claim where there is one GPU or none.
    """
    if torch.cuda.device_count() < 2:
        yield
        return
    names = [str(torch.cuda.get_device_properties(place).uuid) for place in range(torch.cuda.device_count())]
    with locked(names, count, runs_per_device) as places:
        torch.cuda.set_device(places[0])  # of this process, whose CUDA may have begun already
        before = os.environ.get(VISIBLE)
        known = before.split(",") if before else [str(place) for place in range(len(names))]
        os.environ[VISIBLE] = ",".join(known[place] for place in places)  # of the ranks that it starts
        try:
            yield
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


@contextmanager
def locked(names: Sequence[str], count: int, slots: int) -> Iterator[list[int]]:
    """The places of ``count`` of the devices ``names``, each with one of its ``slots`` held until the end, also that of
    the process."""
    folder = Path(tempfile.gettempdir()) / f"sightsmith-devices-{getpass.getuser()}"
    folder.mkdir(exist_ok=True)
    while True:
        with ExitStack() as stack:
            places: list[int] = []
            # A slot of every device first, so that devices are shared only once all are taken.
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
