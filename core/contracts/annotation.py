"""What an annotation says of an image beyond its labels: objects with boxes and masks, maps of classes.

Coordinates are pixels of the upright image (EXIF rotation undone), x to the right and y down, with the
origin at the outer corner of the top left pixel: the whole image is (0, 0, width, height).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Annotation: TypeAlias = Literal["labels", "boxes", "masks"]
"""Kinds of annotation, the poorest first: a richer one can stand for a poorer one, never the other way."""

ANNOTATION_ORDER: tuple[Annotation, ...] = ("labels", "boxes", "masks")

Box: TypeAlias = tuple[float, float, float, float]
"""(left, top, right, bottom)"""


def can_derive(kinds: Iterable[Annotation], wanted: Annotation) -> bool:
    """Whether one of ``kinds`` is ``wanted`` or richer."""
    return any(ANNOTATION_ORDER.index(kind) >= ANNOTATION_ORDER.index(wanted) for kind in kinds)


@dataclass(frozen=True)
class Polygons:
    """A mask as the union of polygons, each ``(x0, y0, x1, y1, ...)`` of three points or more."""

    rings: tuple[tuple[float, ...], ...]

    def extent(self) -> Box:
        """The box around all points; of no area where there are none."""
        across = [value for ring in self.rings for value in ring[0::2]] or [0.0]
        down = [value for ring in self.rings for value in ring[1::2]] or [0.0]
        return min(across), min(down), max(across), max(down)


@dataclass(frozen=True)
class RunLengths:
    """A mask of ``height`` x ``width`` pixels as COCO's compressed run-length encoding."""

    height: int
    width: int
    counts: bytes


Mask: TypeAlias = Polygons | RunLengths
"""Which pixels an object covers."""


@dataclass(frozen=True)
class Object:
    """One annotated object.

    ``crowd`` marks a region of many objects that is neither learnt nor counted (COCO's ``iscrowd``,
    Pascal VOC's ``difficult``). ``region`` says that the mask is all that the image has of the class
    instead of one object (``label.csv``). ``line`` (1-based) or ``source_id`` ("annotation 17") locates the
    object in the sample's annotation file.
    """

    label: str
    box: Box
    mask: Mask | None = None
    crowd: bool = False
    region: bool = False
    line: int | None = None
    source_id: str = ""


def richest(images: Iterable[Iterable[Object]]) -> Annotation:
    """``masks`` where any object of ``images`` has one, ``boxes`` where there is any object, else ``labels``."""
    found: Annotation = "labels"
    for objects in images:
        for item in objects:
            if item.mask is not None:
                return "masks"
            found = "boxes"
    return found


@dataclass(frozen=True)
class SemanticMask:
    """A picture of the image's size that shows the class of each pixel.

    ``values`` pairs a pixel's value with its class, or None for the background. The value of a colour
    picture is 0xRRGGBB; of a palette picture the index, whatever its colour. Values in ``ignored`` are
    neither learnt nor counted; any other value is an error.
    """

    path: Path
    name: str
    values: tuple[tuple[int, str | None], ...]
    ignored: tuple[int, ...] = (255,)
