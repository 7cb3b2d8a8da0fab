"""Annotation beyond image labels: objects with boxes and masks, and semantic masks.

Coordinates are pixels of the upright image (EXIF rotation undone), x to the right and y down, with the
origin at the outer corner of the top left pixel: the whole image is (0, 0, width, height).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Annotation: TypeAlias = Literal["labels", "boxes", "masks"]
"""Annotation kinds, simplest first: a simpler kind can be derived from a richer one, never the reverse."""

ANNOTATION_ORDER: tuple[Annotation, ...] = ("labels", "boxes", "masks")

Box: TypeAlias = tuple[float, float, float, float]
"""(left, top, right, bottom)"""


def can_derive(kinds: Iterable[Annotation], required: Annotation) -> bool:
    """Whether one of ``kinds`` is ``required`` or richer."""
    return any(ANNOTATION_ORDER.index(kind) >= ANNOTATION_ORDER.index(required) for kind in kinds)


@dataclass(frozen=True)
class Polygons:
    """A mask as the union of polygons, each ``(x0, y0, x1, y1, ...)`` with at least three points."""

    rings: tuple[tuple[float, ...], ...]

    def extent(self) -> Box:
        """The box around all points; its area is 0 if there are none."""
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

    ``crowd`` marks an area of many objects that is ignored in training and evaluation (COCO's ``iscrowd``,
    Pascal VOC's ``difficult``). With ``region`` the mask covers all pixels of the class in the image
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
    """``masks`` if any object of ``images`` has one, ``boxes`` if there is any object, otherwise ``labels``."""
    found: Annotation = "labels"
    for objects in images:
        for item in objects:
            if item.mask is not None:
                return "masks"
            found = "boxes"
    return found


@dataclass(frozen=True)
class SemanticMask:
    """An image file of the same size whose pixel values encode classes; of a volume, its slice ``frame``.

    ``values`` pairs a pixel value with its class, or None for the background. The value is 0xRRGGBB in a colour
    image, and the index in a palette image. Pixels with values in ``ignored`` are ignored in training and
    evaluation; any other value is an error. ``reader`` is the builder of the file's image reader (None: PNG, TIFF or
    BMP).
    """

    path: Path
    name: str
    values: tuple[tuple[int, str | None], ...]
    ignored: tuple[int, ...] = (255,)
    frame: int | None = None
    reader: str | None = None
