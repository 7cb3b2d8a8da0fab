"""The band beside the colours of an image: whether it is transparency, whatever the file declares, and what becomes of
it. Images that are read whole and those that are read in parts share this."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from sightsmith.core.contracts.image import Array
from sightsmith.engine.data.grey_levels import strips
from sightsmith.engine.data.tiff_directory import Directory

BAND_LEVELS = 32
"""A band of transparency has fewer values than this, or its most pixels are fully opaque or transparent."""
NO_ALPHA = ("a band that is declared as transparency but looks like other data (such as near infra-red) is left out, "
            "and the colours are as stored,")
NO_TRANSPARENCY = "transparency beside other bands than the colours is not applied"

Look = Literal["opaque", "data", "transparency"]


def look_of(parts: Iterable[Array]) -> Look:
    """What the values of a band, the integers of ``parts`` of it, look like.

    Transparency is mostly all or nothing, and a fade has few levels in an image of usual depth; near infra-red and
    other data have many, and few pixels at the ends.
    """
    opaque, levels = True, np.zeros(2**16, np.int64)
    for part in parts:
        white = np.iinfo(part.dtype).max
        opaque = opaque and bool((part == white).all())
        if not opaque and part.dtype.kind == "u" and white < len(levels):
            levels = levels[:white + 1] + np.bincount(part.ravel(), minlength=white + 1)
        elif part.dtype.kind == "u" and white < len(levels):
            levels = levels[:white + 1]
            levels[white] += part.size
    if opaque:
        return "opaque"
    total = levels.sum()
    many = np.count_nonzero(levels) >= BAND_LEVELS
    return "data" if many and 2 * (total - levels[0] - levels[-1]) > total else "transparency"


def looked_at(found: Directory, values: Array) -> Array | None:
    """The band of ``values`` (H, W, samples) whose look decides what is kept; None if that is known without."""
    place = found.decisive
    return None if place is None or values.dtype.kind not in "ui" else values[..., place]


def kept_bands(found: Directory, values: Array, look: Look | None) -> tuple[Array, tuple[str, ...]]:
    """``values`` (H, W, samples), as a page stores them, as colours, grey levels or bands, and notes. ``look`` is that
    of the page's band that is :func:`looked_at`."""
    colours = values[..., found.kept]
    if not found.fades:
        notes = (NO_TRANSPARENCY,) if found.transparency else ()
        return (colours[..., :-1] if look == "opaque" else colours), notes
    if look == "data":
        return colours, (NO_ALPHA,)
    return (over_black(colours, values[..., -1]) if look == "transparency" and found.unassociated else colours), ()


def over_black(values: Array, alpha: Array) -> Array:
    """Unsigned integers (H, W, C) weighted by ``alpha`` (H, W) of their type."""
    white = np.float32(np.iinfo(values.dtype).max)
    result = np.empty(values.shape, values.dtype)
    for rows in strips(values):
        result[rows] = np.rint(values[rows] * (alpha[rows, :, None] / white))
    return result
