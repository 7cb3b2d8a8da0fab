"""Console output: plain lines, also in notebooks, and progress bars on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def console() -> Console:
    """Of stdout; names of classes and files are no markup. The kernel of a notebook is no terminal, although it sets
    FORCE_COLOR, and gets plain text."""
    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, force_terminal=None if terminal else False, force_jupyter=False, highlight=False,
                   markup=False, soft_wrap=not terminal)


def tracked(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """Iterate over ``items`` with a progress bar on a terminal's stderr; ``total`` if they have no length."""
    screen = Console(stderr=True, force_terminal=None if sys.stderr.isatty() else False, force_jupyter=False)
    return track(items, what, total, console=screen, transient=True, disable=not screen.is_terminal)
