"""What is known of folders while a data set is read: each is looked at once, since every format looks through all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_known: ContextVar[dict[tuple[object, Path], object] | None] = ContextVar("known", default=None)


@contextmanager
def folders_read_once() -> Iterator[None]:
    """In this block :func:`known` remembers; nothing changes the data set in it."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def known(find: Callable[[Path], T], folder: Path) -> T:
    """``find(folder)``, found once in a block of :func:`folders_read_once`."""
    remembered = _known.get()
    if remembered is None:
        return find(folder)
    key = find, folder
    if key not in remembered:
        remembered[key] = find(folder)
    return remembered[key]  # type: ignore[return-value]
