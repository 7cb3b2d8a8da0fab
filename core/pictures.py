"""Small pictures for reports."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sightsmith.core.annotation import Box
from sightsmith.core.dataset import Sample
from sightsmith.core.images import Array, read_image
from sightsmith.core.schema import ImageConfig

Colour = tuple[int, int, int]

HIT, FALSE, MISSED = (44, 160, 44), (214, 39, 40), (31, 119, 180)
"""Colours of what was found rightly, what was found and is not there, and what was not found."""
SHOWN = 6
"""How many pictures say enough of one thing."""
SIDE = 120
"""Pixels of the longer side, at the most, and the least to which a small picture is enlarged."""
AROUND = 0.4
"""Part of a box's longer side that is shown around it."""
LEAST = 24
"""Pixels of the side of a crop at least."""


@dataclass(frozen=True)
class Picture:
    """(H, W, 3) uint8 with a caption, and boxes in its pixels with their colours and what is written at them. ``side``
    is that of the longer side as it is shown, pixels."""

    image: Array
    caption: str
    boxes: tuple[tuple[Box, Colour, str], ...] = ()
    side: int = SIDE

    def png(self) -> bytes:
        """As it is shown: small pictures are enlarged so that pixels stay pixels."""
        height, width = self.image.shape[:2]
        scale = self.side / max(height, width)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        method = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
        shown = Image.fromarray(self.image).resize(size, method)
        pen = ImageDraw.Draw(shown)
        for box, colour, text in self.boxes:
            left, top, right, bottom = (round(side * scale) for side in box)
            pen.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), outline=colour, width=2)
            if text:
                pen.text((left + 3, top + 1), text, fill=colour)
        buffer = io.BytesIO()
        shown.save(buffer, format="PNG")
        return buffer.getvalue()


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


def picture_of(sample: Sample, image: ImageConfig) -> Array:
    """(H, W, 3) uint8 of the sample's whole image, as a person sees it."""
    return as_rgb(read_image(sample.path, sample.frame, windows=image.windows[:1], value_range=image.range))


def as_rgb(image: Array) -> Array:
    """(H, W, 3) uint8 of a picture (H, W, C) as :func:`sightsmith.core.images.read_image` gives it."""
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
