"""Errors of a machine that has too little: memory, threads, disk space. Told by their type and text, without torch."""

from __future__ import annotations

import errno
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from sightsmith.core.util.errors import UserError

MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|insufficient memory|"
    r"unable to allocate|std::bad_alloc|_STATUS_ALLOC_FAILED|unable to mmap|failed to map segment|"
    r"could not create a (?:memory|primitive)|killed by signal: killed|out of shared memory", re.IGNORECASE)
"""Errors of CUDA, cuDNN, cuBLAS, torch's allocator on the CPU, oneDNN, NumPy, OpenCV, libc and torch's workers."""
THREADS = re.compile(r"can't start new thread|resource temporarily unavailable", re.IGNORECASE)
DISK = re.compile(r"no space left on device|disk quota exceeded|database or disk is full", re.IGNORECASE)
"""Errors of libc, also where a library quotes them, and of SQLite."""
CUT_SHORT = re.compile(r"file too large|\d+ requested and \d+ written", re.IGNORECASE)
"""Errors of libc and NumPy where a file may have no more bytes, although the disk is not full."""

LIBRARIES = 4 * 2**30
"""The address space, bytes, that PyTorch with CUDA takes before it has done anything; measured, of torch 2.14."""


class ResourceError(UserError):
    """The machine has too little memory, disk space or threads; the message says what would help."""

    exit_code = 1


def is_out_of_memory(error: BaseException) -> bool:
    """Whether fewer images at once could prevent ``error``."""
    return not isinstance(error, UserError) and (isinstance(error, MemoryError) or bool(MEMORY.search(str(error))))


def resource_error(error: BaseException, going_on: str = "") -> ResourceError | None:
    """``error`` as a sentence for people if the machine has too little of something; None otherwise.

    ``going_on`` says how to go on once there is more.
    """
    if isinstance(error, UserError):
        return None
    number = error.errno if isinstance(error, OSError) else None
    place = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
    if number in (errno.ENOSPC, errno.EDQUOT) or DISK.search(str(error)):
        return ResourceError(f"The disk is full{place}: {_line(error)}", hint=f"Make room{_then(going_on)}")
    if number == errno.EFBIG or CUT_SHORT.search(str(error)):
        return ResourceError(f"A file is larger than this system allows{place}: {_line(error)}",
                             hint=f"Raise `ulimit -f`, or write to another file system{_then(going_on)}")
    if number == errno.EAGAIN or THREADS.search(str(error)):
        return ResourceError(f"This machine allows no more threads or processes: {_line(error)}",
                             hint=f"Raise `ulimit -u` or `ulimit -v`, or end other programs{_then(going_on)}")
    if is_out_of_memory(error):
        return ResourceError(f"There is not enough memory: {_line(error)}",
                             hint="End other programs, raise `ulimit -v`, or ask for less: a smaller image.size, "
                                  f"hyper.batch_size or network, trainer.cache=false{_then(going_on)}")
    return None


def small_address_space() -> str:
    """A warning if ``ulimit -v`` is so low that PyTorch's libraries may abort the process, which nobody can catch: a
    constructor of C++ that finds no memory while they are loaded. Empty if there is enough."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or limit > 1.5 * LIBRARIES:
        return ""
    return (f"warning: `ulimit -v` leaves {limit / 2**30:.1f} GiB of address space. PyTorch's libraries can take "
            f"{LIBRARIES / 2**30:.0f} GiB, and abort the process where there is less. If that happens, raise "
            "`ulimit -v`, or limit memory with a control group instead.")


@contextmanager
def shortage_explained() -> Iterator[None]:
    """Raise ResourceError where the block has too little memory, threads or disk space."""
    try:
        yield
    except Exception as error:
        lacking = resource_error(error)
        if lacking is None:
            raise
        raise lacking from error


def _line(error: BaseException) -> str:
    """The line of ``error`` that says most: torch appends advice to the first one, and its workers prepend a trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if any(pattern.search(line) for pattern in (DISK, CUT_SHORT, THREADS, MEMORY))]
    return (telling or lines or [type(error).__name__])[-1][:300]


def _then(going_on: str) -> str:
    return f", then {going_on}" if going_on else "."
