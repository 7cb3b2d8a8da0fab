"""OpenCV's operations on images of any number of channels; it takes at most four."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sightsmith.core.contracts.image import Array

MOST = 4
"""Channels that OpenCV takes at once."""


def channelwise(image: Array, operation: Callable[[Array], Array]) -> Array:
    """``operation``, which treats all channels alike, applied to ``image`` (H, W, C): (h, w, C)."""
    parts = [operation(np.ascontiguousarray(image[..., start:start + MOST]))
             for start in range(0, image.shape[2], MOST)]
    parts = [part if part.ndim == 3 else part[..., None] for part in parts]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, 2)
