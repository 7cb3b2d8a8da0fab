"""JSON output: stdout has nothing else."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def print_json(value: Any) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a name that is not UTF-8, or a terminal that is not
        text = json.dumps(value, indent=2)
    print(text)


@contextmanager
def stdout_as_stderr(active: bool = True) -> Iterator[None]:
    """While ``active``, redirect the stdout of this process and its children to stderr, to keep stdout for JSON."""
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
