"""What commands print: JSON on stdout, alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def stdout_as_stderr(active: bool = True) -> Iterator[None]:
    """Where ``active``, what is printed within, by this process and by those that it starts, goes to stderr: stdout is
    left to the JSON."""
    if not active:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
