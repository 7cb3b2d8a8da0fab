"""What an annotation says of an image beyond its labels: objects with boxes and masks, maps of classes.

Coordinates are pixels of the upright image (EXIF rotation undone), x to the right and y down, with the
origin at the outer corner of the top left pixel: the whole image is (0, 0, width, height).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Annotation: TypeAlias = Literal["labels", "boxes", "masks"]
"""Kinds of annotation, the poorest first: a richer one can stand for a poorer one, never the other way."""

RICHNESS: tuple[Annotation, ...] = ("labels", "boxes", "masks")

Box: TypeAlias = tuple[float, float, float, float]
"""(left, top, right, bottom)"""


@dataclass(frozen=True)
class Polygons:
    """A mask as the union of polygons, each ``(x0, y0, x1, y1, ...)`` of three points or more."""

    rings: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class RunLengths:
    """A mask of ``height`` x ``width`` pixels as COCO's compressed run-length encoding."""

    height: int
    width: int
    counts: bytes


Mask: TypeAlias = Polygons | RunLengths


@dataclass(frozen=True)
class Object:
    """One annotated object.

    ``crowd`` marks a region of many objects that is neither learnt nor counted (COCO's ``iscrowd``,
    Pascal VOC's ``difficult``). ``line`` is where it stands in the sample's annotation file, 1-based.
    """

    label: str
    box: Box
    mask: Mask | None = None
    crowd: bool = False
    line: int | None = None


@dataclass(frozen=True)
class ClassMap:
    """A picture of the image's size whose values (or palette indices) are classes.

    ``values`` pairs each value with its class, or None for the background. Values in ``ignored`` are
    neither learnt nor counted; any other value is an error.
    """

    path: Path
    name: str
    values: tuple[tuple[int, str | None], ...]
    ignored: tuple[int, ...] = (255,)
