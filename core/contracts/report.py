"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
