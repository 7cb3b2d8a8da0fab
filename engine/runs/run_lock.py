"""One process trains in a run folder at a time: a lock that the system releases when the process ends."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import BinaryIO

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import remove_temporary
from sightsmith.engine.runs.run_dir import RunDir

HELD = (errno.EACCES, errno.EAGAIN)
TRAINED = ("checkpoints", "folds", "refit", "model", "report")
"""Folders of a run in which only its training writes; evaluation may be at work in others."""
log = logging.getLogger("sightsmith")


@contextmanager
def hold(run: RunDir) -> Iterator[None]:
    """Keep other processes out of ``run``, and remove the temporary files that a killed one has left there.

    Raises UserError if another process is in it. A file system without locks only gets a warning in the log.
    """
    with _opened(run) as stream:
        try:
            # Not flock: worker processes would inherit its lock, and keep it when this process is killed.
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD:
                raise UserError(f"The run {run.path} is still running: {_holder(stream)} trains in its folder",
                                hint="wait until it ends, or stop it") from error
            log.warning("%s cannot be locked: %s", run.in_use, error)
        _write(stream, json.dumps({"pid": os.getpid(), "host": socket.gethostname(),
                                   "since": datetime.now(timezone.utc).isoformat(timespec="seconds")}))
        remove_temporary([*run.path.glob(".*"), *(path for part in TRAINED for path in (run.path / part).rglob(".*"))])
        try:
            yield
        finally:
            stream.truncate(0)


def _opened(run: RunDir) -> BinaryIO:
    try:
        return os.fdopen(os.open(run.in_use, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o644), "r+b", buffering=0)
    except OSError as error:
        raise UserError(f"{run.in_use} cannot be opened: {error.strerror}", hint="remove it") from error


def _holder(stream: BinaryIO) -> str:
    try:
        content = json.loads(stream.read(1000))
        return f"process {int(content['pid'])} on {content['host']} since {content['since']}"
    except (ValueError, TypeError, KeyError):  # it has not written yet
        return "another process"


def _write(stream: BinaryIO, text: str) -> None:
    stream.seek(0)
    stream.truncate()
    stream.write(text.encode())
