"""Replaces operations of torch that have no counterpart in ONNX."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional


@contextmanager
def plain_operations() -> Iterator[None]:
    """Inside the block, adaptive pooling and attention use operations that can be recorded, with the same results."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused attention only exists in torch
    try:
        with patch.object(functional, "adaptive_avg_pool2d", _adaptive_average):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _adaptive_average(images: Tensor, size: Any) -> Tensor:
    """``adaptive_avg_pool2d`` as matrix products."""
    sides = [int(side) for side in images.shape[-2:]]
    target = [size, size] if isinstance(size, int) else list(size)
    down, across = (_bins(side, count or side) for count, side in zip(target, sides, strict=True))
    return down @ images @ across.T


def _bins(side: int, count: int) -> Tensor:
    """(count, side): row ``i`` averages the pixels from ``floor(i side / count)`` to ``ceil((i + 1) side / count)``."""
    weights = torch.zeros(count, side)
    for number in range(count):
        first, end = number * side // count, -(-(number + 1) * side // count)
        weights[number, first:end] = 1 / (end - first)
    return weights
