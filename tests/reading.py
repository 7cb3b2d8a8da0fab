"""Images read by all readers that are installed, given by path."""

from __future__ import annotations

from pathlib import Path

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.data import images
from sightsmith.engine.data.mask_files import opened_mask

READERS = tuple(load_plugins().image_readers.values())


def probe(path: Path) -> ImageInfo:
    return images.probe(path, READERS)


def read_image(path: Path, frame: int | None = None, **options: object) -> Array:
    """As a checked sample is read."""
    return images.read_image(Sample(path, path.name, frame=frame, reader=probe(path).reader), **options)


def picture_values(path: Path, frame: int | None = None, reader: str | None = None) -> tuple[Array, bool]:
    """The values of a semantic mask, and whether they are colours."""
    with opened_mask(path, frame, reader) as mask:
        return mask.values((0, 0, *mask.size)), mask.colours
