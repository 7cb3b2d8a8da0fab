"""The losses of an optimizer step."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from sightsmith.core.util.errors import NonFiniteLossError


def mean_losses(losses: Sequence[tuple[dict[str, Tensor], int]], where: str, rate: float) -> dict[str, float]:
    """The mean of each part over a rank's images; ``losses`` has the parts of each micro-batch and its images.

    Raises NonFiniteLossError, which says ``where``, with the learning rate.
    """
    images = max(sum(count for _, count in losses), 1)  # a rank may have none in a short step
    mean: dict[str, float] = {}
    for parts, count in losses:
        values = {name: float(value) for name, value in parts.items()}
        if not math.isfinite(values["loss"]):
            text = ", ".join(f"{name} {value:g}" for name, value in values.items())
            raise NonFiniteLossError(f"the loss is not finite at {where}: {text}; learning rate {rate:g}")
        for name, value in values.items():
            mean[name] = mean.get(name, 0.0) + value * count / images
    return mean
