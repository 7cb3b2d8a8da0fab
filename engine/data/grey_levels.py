"""Converts stored values to grey levels and colours; their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from sightsmith.core.contracts.image import Array, Frame, ImageError

STRIP = 2**20
"""Values that are converted at once: the intermediate 64-bit numbers of a whole image may need gigabytes."""


def to_picture(frame: Frame, windows: Sequence[Sequence[float]] = (), value_range: Sequence[float] | None = None,
               ) -> Array:
    """(H, W, C): uint8 from 8 bits or fewer, else float32 in [0, 1]. See :func:`.images.read_image`.

    Raises ImageError if black and white are undefined.
    """
    spans: list[Sequence[float]]
    if frame.windowed and windows:
        spans = [window_limits(centre, width) for centre, width in windows]
    elif frame.bits > 8 and value_range is not None:
        spans = [value_range]
    elif frame.limits is not None:
        spans = [frame.limits]
    else:
        raise ImageError(f"its {frame.values.dtype.name} pixels have no natural black and white; "
                         "set them with image.range=[low,high]")
    if frame.values.dtype == np.uint8 and spans == [(0, 255)] and not frame.inverted:
        return frame.values
    shape = (*frame.values.shape[:2], frame.values.shape[2] * len(spans))
    result = np.empty(shape, np.uint8 if frame.bits <= 8 else np.float32)
    for rows in strips(frame.values):
        scaled = np.concatenate([_scale(frame.values[rows], low, high) for low, high in spans], axis=-1)
        scaled = 1 - scaled if frame.inverted else scaled
        result[rows] = np.rint(scaled * 255) if frame.bits <= 8 else scaled
    return result


def strips(values: Array) -> Iterator[slice]:
    """Rows of ``values`` (H, W, C) that have about :data:`STRIP` values."""
    step = max(1, STRIP * len(values) // values.size)
    return (slice(start, start + step) for start in range(0, len(values), step))


def extent(values: Array) -> tuple[float, float]:
    """The smallest and the largest finite value; zeros if there is none."""
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def largest(values: Array) -> float:
    """The largest finite value; 0 if there is none."""
    return extent(values)[1]


def digest(frame: Frame) -> str:
    """SHA-256 of the values before windowing, whose clipping could make different images equal."""
    values = frame.values.astype(frame.values.dtype.newbyteorder("<"), copy=False)
    total = hashlib.sha256(f"{values.shape} {values.dtype.name} {frame.inverted}".encode())
    total.update(np.ascontiguousarray(values).data)
    return total.hexdigest()


def window_limits(centre: float, width: float) -> tuple[float, float]:
    """The values that a DICOM window maps to black and white: PS3.3 C.11.2.1.2.1, LINEAR; width >= 1."""
    if width < 1:
        raise ImageError(f"the window [{centre:g}, {width:g}] has a width below 1, which DICOM does not define")
    low = centre - 0.5 - (width - 1) / 2
    return low, low + width - 1


def _scale(values: Array, low: float, high: float) -> Array:
    """Float64 in [0, 1]: ``low`` and below give 0, ``high`` and above 1; a step if they are equal."""
    exact = values.astype(np.float64)
    exact[~np.isfinite(exact)] = low
    return np.clip((exact - low) / (high - low), 0, 1) if high > low else (exact > low).astype(np.float64)
