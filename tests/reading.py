"""Images read by all readers that are installed, given by path."""

from __future__ import annotations

from pathlib import Path

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.data import images

READERS = tuple(load_plugins().image_readers.values())


def probe(path: Path) -> ImageInfo:
    return images.probe(path, READERS)


def read_image(path: Path, frame: int | None = None, **options: object) -> Array:
    """As a checked sample is read."""
    return images.read_image(Sample(path, path.name, frame=frame, reader=probe(path).reader), **options)
