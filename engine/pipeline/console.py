"""Console output: plain lines, and progress bars on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def console() -> Console:
    """Names of classes and files are no markup."""
    return Console(file=sys.stdout, highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())


def tracked(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """Iterate over ``items`` with a progress bar on a terminal's stderr; ``total`` if they have no length."""
    screen = Console(stderr=True)
    return track(items, what, total, console=screen, transient=True, disable=not screen.is_terminal)
