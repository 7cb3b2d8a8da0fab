"""Console output: plain lines, also in notebooks, and progress bars on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def console() -> Console:
    return Console(file=sys.stdout, force_jupyter=False, highlight=False, soft_wrap=not sys.stdout.isatty())


def tracked(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """Iterate over ``items`` with a progress bar on a terminal's stderr; ``total`` if they have no length."""
    screen = Console(stderr=True, force_jupyter=False)
    return track(items, what, total, console=screen, transient=True, disable=not screen.is_terminal)
