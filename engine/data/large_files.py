"""Which files are too large to be decoded whole, and what reads them in parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL.JpegImagePlugin import JpegImageFile

from sightsmith.engine.data.image_limits import is_large
from sightsmith.engine.data.large_image import LargeImage
from sightsmith.engine.data.large_jpeg import LargeJpeg
from sightsmith.engine.data.large_png import LargePng
from sightsmith.engine.data.large_tiff import LargeTiff
from sightsmith.engine.data.tiff_pages import OTHER_PAGES, images_of, read_pages

JPEG_PIXELS = 256
"""Pixels that a byte of a JPEG can stand for at most: each block of 8 x 8 takes two bits at least."""
SIDES = slice(16, 24)
"""Where a PNG has its width and height."""


@contextmanager
def opened_large(path: Path, form: str) -> Iterator[LargeImage | None]:
    """The open file of the format ``form`` (Pillow's name) if it is too large to be decoded whole and can be read in
    parts; None for all others. Raises ImageError."""
    if form == "TIFF":
        with _opened_tiff(path) as large:
            yield large
    elif form == "PNG" and _is_large_png(path):
        yield LargePng(path)
    elif form == "JPEG" and _is_large_jpeg(path):
        yield LargeJpeg(path)
    else:
        yield None


@contextmanager
def _opened_tiff(path: Path) -> Iterator[LargeTiff | None]:
    every = read_pages(path)
    pages, others = images_of(every)
    if not pages or not is_large(pages[0].width, pages[0].height, pages[0].bands):
        yield None
        return
    import tifffile

    with tifffile.TiffFile(path) as file:
        yield LargeTiff(file, pages, every, (OTHER_PAGES,) if others else ())


def _is_large_png(path: Path) -> bool:
    with path.open("rb") as file:
        sides = file.read(SIDES.stop)[SIDES]
    return len(sides) == 8 and is_large(int.from_bytes(sides[:4], "big"), int.from_bytes(sides[4:], "big"))


def _is_large_jpeg(path: Path) -> bool:
    if not is_large(JPEG_PIXELS * path.stat().st_size, 1):  # whatever it says
        return False
    with JpegImageFile(path) as image:
        return is_large(*image.size)
