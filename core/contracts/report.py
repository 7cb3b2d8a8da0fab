"""What a report is made of."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from sightsmith.core.contracts.annotation import Box
from sightsmith.core.contracts.image import Array


@dataclass(frozen=True)
class Section:
    """A part of the report: a title, a note, a table, plots, and rows of pictures."""

    title: str
    note: str = ""
    """plain text below the title"""
    html: str = ""
    """anything else below it: HTML from a template with autoescape"""
    header: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    """of the table; a float is rounded on the page and whole in the CSV, None is undefined"""
    figures: tuple[Any, ...] = ()
    """matplotlib figures"""
    pictures: tuple[tuple[str, tuple[Picture, ...]], ...] = ()
    """each row with a title"""
    name: str = ""
    """file name without suffix of the table's CSV and the figures' PNG; empty: not written as files"""


Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


SIDE = 120
"""Pixels of the longer side, at the most, and the least to which a small picture is enlarged."""


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
