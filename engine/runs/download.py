"""Downloads a file: bounded in size and idle time, resumed after an interruption, verified, complete or not there."""

from __future__ import annotations

import contextlib
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sightsmith.engine.runs.weights import file_digest

IDLE_SECONDS = 30.0
"""Without a byte for so long, a connection is given up."""
ATTEMPTS = 10
"""At most so many connections for a file; each after the first must follow one that brought something."""
MAX_BYTES = 8 * 2**30
BLOCK = 1 << 18


def download(url: str, target: Path, digest: str = "") -> None:
    """Write the content of ``url``, http or https, to ``target``, whose folder exists.

    ``digest`` is the beginning of its SHA-256. With one, what an interruption left (``.NAME.part``) is continued; what
    does not match is removed. One process downloads; others that want the same file wait for it. Proxies are those of
    the environment (``https_proxy``, ``no_proxy``). Raises OSError with the reason.
    """
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url} is neither http nor https")
    part = target.with_name(f".{target.name}.part")
    lock = part.with_suffix(".lock")
    with FileLock(lock):
        if target.is_file():
            return
        if not digest:  # nothing would show that two halves belong together
            part.unlink(missing_ok=True)
        with _progress(target.name) as progress:
            _complete(url, part, progress, resume=bool(digest))
        found = file_digest(part)
        if not found.startswith(digest):
            part.unlink()
            raise OSError(f"the file from {url} is corrupted, and was removed: its SHA-256 starts with "
                          f"{found[:len(digest)]}, not {digest}")
        part.replace(target)
        lock.unlink(missing_ok=True)  # a process that waits for it finds the target


def _complete(url: str, part: Path, progress: Progress, *, resume: bool) -> None:
    """Fill ``part``, in several connections if need be."""
    for attempt in range(1, ATTEMPTS + 1):
        before = _size(part)
        try:
            _transfer(url, part, progress)
            return
        except (OSError, HTTPException) as error:  # an HTTPError of the server is an OSError too
            if isinstance(error, urllib.error.HTTPError) and error.code == 416 and before:
                return  # it was complete already
            if attempt == ATTEMPTS or _size(part) <= before or not resume:
                reason = error.reason if isinstance(error, urllib.error.URLError) else error
                raise OSError(str(reason) or type(error).__name__) from error


def _transfer(url: str, part: Path, progress: Progress) -> None:
    """Append to ``part`` what one connection brings. Raises OSError if that is not all."""
    start = _size(part)
    headers = {"User-Agent": "sightsmith", **({"Range": f"bytes={start}-"} if start else {})}
    opener = urllib.request.build_opener()  # of its own, which asks the environment for proxies now
    with opener.open(urllib.request.Request(url, headers=headers), timeout=IDLE_SECONDS) as response:
        if response.status != 206:  # the server sends all of it again
            start = 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        if total is not None:
            _ensure_space(total, start, part.parent)
        progress.update(progress.task_ids[0], total=total)
        with part.open("ab" if start else "wb") as stream:
            size = start + _copy(response, stream, start, progress)
    if total is not None and size != total:
        raise OSError(f"the connection ended after {size:,} of {total:,} bytes")


def _copy(response: BinaryIO, stream: BinaryIO, start: int, progress: Progress) -> int:
    copied = 0
    while block := response.read(BLOCK):
        stream.write(block)
        copied += len(block)
        progress.update(progress.task_ids[0], completed=start + copied)
        if start + copied > MAX_BYTES:
            raise OSError(f"it is larger than {MAX_BYTES:,} bytes")
    return copied


def _ensure_space(total: int, start: int, folder: Path) -> None:
    if total > MAX_BYTES:
        raise OSError(f"it has {total:,} bytes, more than {MAX_BYTES:,}")
    if total - start > (free := shutil.disk_usage(folder).free):
        raise OSError(f"it has {total:,} bytes, and {folder} has {free:,} free")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """A bar on a terminal's stderr, else one line."""
    screen = Console(stderr=True, force_terminal=None if sys.stderr.isatty() else False, force_jupyter=False,
                     highlight=False, soft_wrap=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        if not screen.is_terminal:
            screen.print(f"Downloading {name}", markup=False)
        progress.add_task(name, total=None)
        yield progress
