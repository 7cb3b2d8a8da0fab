"""The precision of a model's results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from accelerate.utils import convert_to_fp32
from torch import nn

Nested = TypeVar("Nested")


def to_float32(values: Nested) -> Nested:
    """``values``, with each float16 and bfloat16 tensor in its lists, tuples and dicts as float32."""
    converted: Nested = convert_to_fp32(values)
    return converted


@contextmanager
def in_float32(model: nn.Module) -> Iterator[None]:
    """Within the block, ``model`` computes as its weights are: without the autocast of ``Accelerator.prepare``."""
    patched = vars(model).pop("forward", None)
    try:
        yield
    finally:
        if patched is not None:
            vars(model)["forward"] = patched
