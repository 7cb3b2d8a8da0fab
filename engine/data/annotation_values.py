"""Numbers, flags and ids in annotation, whether a tool writes them as numbers or as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d{1,18}(\.0*)?", re.ASCII)
_LARGEST_EXACT = 2**53
_FLAGS = {"1": True, "true": True, "yes": True, "t": True, "y": True,
          "0": False, "false": False, "no": False, "f": False, "n": False, "": False}


def read_number(value: Any) -> float | None:
    """A real number from a number or from text; None for anything else.

    Infinity and NaN pass: the check of objects reports them with their place.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def read_numbers(values: Any, count: int | None = None) -> tuple[float, ...] | None:
    """``count`` (None: any number of) real numbers from a list of numbers or text; None for anything else."""
    if not isinstance(values, (list, tuple)) or count not in (None, len(values)):
        return None
    found = [read_number(value) for value in values]
    numbers = tuple(value for value in found if value is not None)
    return numbers if len(numbers) == len(found) else None


def read_integer(value: Any) -> int | None:
    """A whole number from 3, 3.0, "3" or "3.0"; None for anything else."""
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_flag(value: Any) -> bool | None:
    """A yes or no from a boolean, 0 or 1, or their text ("true", "no"); a missing one is no. None for anything else."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    number = read_integer(value)
    return bool(number) if number in (0, 1) else None


def read_id(value: Any) -> int | str | None:
    """What tells one entry from another: a whole number however it is written, or text; None for anything else."""
    number = read_integer(value)
    if number is not None:
        return number
    return value.strip() or None if isinstance(value, str) else None


def read_size(values: Sequence[Any]) -> tuple[int, int] | None:
    """(width, height) in pixels; None if a side is missing or not positive, as many tools write an unknown size."""
    sides = [read_integer(value) for value in values]
    if len(sides) != 2 or sides[0] is None or sides[1] is None or min(sides[0], sides[1]) < 1:
        return None
    return sides[0], sides[1]
