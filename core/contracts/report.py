"""The parts of a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sightsmith.core.contracts.annotation import Box
from sightsmith.core.contracts.image import Array


@dataclass(frozen=True)
class Section:
    """A section: a title, a note, a table, plots, and rows of pictures."""

    title: str
    note: str = ""
    """plain text below the title"""
    html: str = ""
    """further content below it: HTML from an autoescaping template"""
    header: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    """of the table; floats are rounded on the page, not in the CSV; None is undefined; a :class:`Link` is its text"""
    filters: tuple[str, ...] = ()
    """names in ``header`` of columns with few values, of which one can be chosen on the page"""
    figures: tuple[Any, ...] = ()
    """matplotlib figures"""
    pictures: tuple[tuple[str, Iterable[Picture]], ...] = ()
    """rows of pictures, each with a title; where a row is a generator, one picture at a time is in memory"""
    name: str = ""
    """file name without suffix of the table's CSV and the figures' PNG; empty: not written as files"""
    sources: tuple[str, ...] = ()
    """files that it was made from, relative to the folder of the page, which links them"""


@dataclass(frozen=True)
class Link:
    """A cell that links ``path``, a file relative to the folder of the page."""

    text: str
    path: str


Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


SIDE = 120
"""Display size of a picture's longer side, pixels; smaller pictures are enlarged to it."""


@dataclass(frozen=True)
class Picture:
    """(H, W, 3) uint8 with a caption, and boxes in its pixels with colour and text. ``side`` is the display size of
    the longer side, pixels; ``name`` is the image's, unless the title of the row has it."""

    image: Array
    caption: str
    boxes: tuple[tuple[Box, Colour, str], ...] = ()
    side: int = SIDE
    name: str = ""
