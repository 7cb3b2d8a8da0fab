"""Precision of values that leave an autocast region."""

from __future__ import annotations

from typing import TypeVar

from accelerate.utils import convert_to_fp32

Nested = TypeVar("Nested")


def to_float32(values: Nested) -> Nested:
    """``values``, with each float16 and bfloat16 tensor in its lists, tuples and dicts as float32."""
    converted: Nested = convert_to_fp32(values)
    return converted
