"""Small pictures for reports."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np

from sightsmith.core.contracts.annotation import Box
from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array
from sightsmith.core.contracts.report import Colour
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.engine.data.images import read_image

HIT, FALSE, MISSED = (44, 160, 44), (214, 39, 40), (31, 119, 180)
"""Colours of what was found rightly, what was found and is not there, and what was not found."""
SHOWN = 6
"""How many pictures say enough of one thing."""
AROUND = 0.4
"""The part of a box's longer side that is shown around it."""
LEAST = 24
"""Pixels of the side of a crop at least."""




def blended(pixels: Array, colours: Array, strength: Array) -> Array:
    """(H, W, 3) uint8: ``pixels`` under ``colours`` (H, W, 3) of 0 to 255, which cover ``strength`` (H, W) of 1."""
    part = strength[..., None]
    mixed: Array = ((1 - part) * pixels + part * colours).round().astype(np.uint8)
    return mixed


def palette(classes: Sequence[str]) -> dict[str, Colour]:
    """A colour (red, green, blue) for each class: hues a golden ratio apart, so that neighbours differ."""
    hues = ((0.02 + 0.618034 * number) % 1 for number in range(len(classes)))
    return {name: tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.85, 0.95))  # type: ignore[misc]
            for name, hue in zip(classes, hues, strict=True)}


def plain(text: str) -> str:
    """As matplotlib is to draw it: a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


def load_rgb(sample: Sample, image: ImageConfig) -> Array:
    """(H, W, 3) uint8 of the sample's whole image, as a person sees it."""
    return as_rgb(read_image(sample.path, sample.frame, windows=image.windows[:1], value_range=image.range))


def as_rgb(image: Array) -> Array:
    """(H, W, 3) uint8 of a picture (H, W, C) as :func:`sightsmith.engine.data.images.read_image` gives it."""
    grey = image if image.dtype == np.uint8 else (255 * np.clip(image, 0, 1)).round().astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[..., :1], 3, -1) if grey.shape[-1] < 3 else grey[..., :3])


def cut_out(image: Array, box: Box) -> tuple[Array, Box]:
    """What lies around ``box`` in ``image`` (H, W, 3), and the box in it."""
    left, top, right, bottom = box
    half = max(max(right - left, bottom - top) * (0.5 + AROUND), LEAST / 2)
    across, down = (left + right) / 2, (top + bottom) / 2
    first = (max(int(across - half), 0), max(int(down - half), 0))
    last = (min(int(np.ceil(across + half)), image.shape[1]), min(int(np.ceil(down + half)), image.shape[0]))
    cut = np.ascontiguousarray(image[first[1]:last[1], first[0]:last[0]])
    return cut, (left - first[0], top - first[1], right - first[0], bottom - first[1])
