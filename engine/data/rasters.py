"""The built-in formats, by Pillow, and by OpenCV where Pillow would reduce 16 bits to 8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from sightsmith.core.contracts.image import Array, Frame, ImageError
from sightsmith.engine.data.extra_band import NO_ALPHA, look_of, over_black
from sightsmith.engine.data.grey_levels import largest
from sightsmith.engine.data.image_limits import check_pnm, check_scans, check_size, integer_limits
from sightsmith.engine.data.large_files import opened_large
from sightsmith.engine.data.large_image import LargeImage
from sightsmith.engine.data.orientation import ORIENTATION, keep_from_mapping, upright
from sightsmith.engine.data.tiff_bands import Bands, opened_bands
from sightsmith.engine.data.tiff_directory import PREMULTIPLIED
from sightsmith.engine.data.tiff_pages import OTHER_PAGES, Page, image_pages

BITS, PHOTOMETRIC, EXTRA_SAMPLES, SAMPLE_FORMAT = 258, 262, 338, 339
"""TIFF and EXIF tags."""


@contextmanager
def open_raster(path: Path, head: bytes, form: str) -> Iterator[Raster | Bands | LargeImage]:
    """The open file of the format ``form`` (Pillow's name) with these first bytes. Raises ImageError."""
    # Before Pillow, which follows whatever the directories of a TIFF say.
    pages, others = image_pages(path) if form == "TIFF" else ([Page(0)], 0)
    notes = (OTHER_PAGES,) if others else ()
    with opened_large(path, form) as large:
        if large is not None:
            yield large
            return
    with opened_bands(path, pages if form == "TIFF" else (), notes) as bands:
        if bands is not None:
            yield bands
            return
    if form == "PPM":
        check_pnm(path)
    try:
        image = Image.open(path, formats=(form,))
    except UnidentifiedImageError as error:
        with opened_bands(path, pages if form == "TIFF" else (), notes, last=True) as bands:
            if bands is None:
                raise ImageError(f"the {form} is damaged or of an unsupported kind") from error
            yield bands
        return
    with image:
        yield Raster(image, path, head, pages, notes)


class Raster:
    """A file of a built-in format. Only TIFF pages are frames: previews and animations are not."""

    groups: tuple[str, ...] = ()
    modality: str | None = None

    def __init__(self, image: ImageFile.ImageFile, path: Path, head: bytes, pages: Sequence[Page],
                 notes: tuple[str, ...]) -> None:
        self._image, self._path, self._head, self._pages, self._notes = image, path, head, pages, notes
        self.frames = len(pages)
        self.size = image.size
        check_size(*image.size, self.frames)

    def frame(self, index: int, careful: bool = False) -> Frame:
        image, page = self._image, self._pages[index].number
        if careful and self._head.startswith(b"\xff\xd8"):
            check_scans(self._path, image.width * image.height)
        image.seek(page)
        check_size(*image.size, self.frames)
        tags = getattr(image, "tag_v2", {})
        bits, white = self._depth(tags)
        signed = tags.get(SAMPLE_FORMAT, (1,))[0] == 2
        image.tile = [_as_stored(tile) for tile in image.tile]
        turned = keep_from_mapping(image)
        image.load()
        # Pillow and OpenCV turn a TIFF upright themselves, and Pillow removes the tag; not so for other formats.
        orientation = image.getexif().get(ORIENTATION, 1)
        notes: tuple[str, ...] = ()
        limits: tuple[float, float] | None
        if image.mode == "F":
            values, bits, limits = np.array(image), 32, None
        elif image.mode.startswith("I") and image.format != "PPM":
            values, limits = np.array(image), integer_limits(bits, signed)
            values = values.view(np.uint32) if bits == 32 and not signed else values
        elif bits > 8:
            values, notes = self._deep(page, tags)
            limits = (0, white)
        else:
            values, notes = _eight_bits(image, tags)
            bits, limits = 8, (0, 255)
        values = upright(values if values.ndim == 3 else values[..., None], orientation)
        # Up to 8 bits, Pillow inverts a white-is-zero TIFF itself.
        return Frame(values, largest(values), bits, limits, inverted=bits > 8 and tags.get(PHOTOMETRIC) == 0,
                     notes=(*notes, *self._notes), orientation=turned if turned != 1 else orientation)

    def _depth(self, tags: Mapping[int, Any]) -> tuple[int, int]:
        """The stored bits of a channel, and the value that stands for white."""
        form, bits = self._image.format, 8
        if tags:
            bits = max(tags.get(BITS, (8,)))
        elif form == "PNG":
            bits = self._head[24]
        elif form == "JPEG2000":
            # In the image header box, or the first marker of a bare codestream; Pillow scales grey levels to 16 bits.
            place = self._head.find(b"ihdr")
            bits = 16 if self._image.mode.startswith("I") else (self._head[42 if place < 0 else place + 14] & 0x7F) + 1
        elif form == "PPM" and self._image.tile:
            maximum = self._image.tile[0].args
            white = maximum[1] if isinstance(maximum, tuple) else 65535 if self._image.mode == "I" else 255
            return max(8, int(white).bit_length()), int(white)
        return bits, 2**bits - 1

    def _deep(self, page: int, tags: Mapping[int, Any]) -> tuple[Array, tuple[str, ...]]:
        """Colour, grey with alpha, or PNM of more than 8 bits, which Pillow would reduce or scale; and notes."""
        import cv2

        form = self._image.format
        if self._image.mode not in ("RGB", "RGBA", "RGBX", "LA") and form != "PPM":
            raise ImageError(f"{self._image.mode} of more than 8 bits is not supported; save it as RGB")
        found, pages = cv2.imreadmulti(str(self._path), page, 1, flags=cv2.IMREAD_UNCHANGED)
        if not found or pages[0].dtype != np.uint16 or pages[0].shape[:2] != self._image.size[::-1]:
            raise ImageError(f"this kind of 16-bit {form} is not supported")
        if pages[0].ndim == 2:
            return pages[0], ()
        values: Array = pages[0][..., 2::-1]
        notes: tuple[str, ...] = ()
        if pages[0].shape[2] == 4:
            alpha = pages[0][..., 3]
            if tags and look_of([alpha]) == "data":
                notes = (NO_ALPHA,)
            elif PREMULTIPLIED not in tags.get(EXTRA_SAMPLES, ()):
                values = over_black(values, alpha)
        return values[..., :1] if form == "PNG" and self._head[25] == 4 else values, notes


def _as_stored(tile: ImageFile._Tile) -> ImageFile._Tile:
    """Colours that transparency has darkened already are read as they are; Pillow would divide by it."""
    args = tile.args
    return tile._replace(args=("RGBA", *args[1:])) if isinstance(args, tuple) and args[:1] == ("RGBa",) else tile


def _eight_bits(image: Image.Image, tags: Mapping[int, Any]) -> tuple[Array, tuple[str, ...]]:
    """(H, W) grey or (H, W, 3) RGB, uint8, alpha composited over black; and notes."""
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if not image.has_transparency_data:
        return np.array(image.convert(mode)), ()
    banded = image.mode in ("LA", "La", "RGBA")
    data = tags and banded and look_of([np.array(image.getchannel(len(mode)))]) == "data"
    if data or banded and PREMULTIPLIED in tags.get(EXTRA_SAMPLES, ()):
        return np.array(image)[..., :len(mode)], (NO_ALPHA,) if data else ()
    image = image.convert(f"{mode}A")
    return np.array(Image.composite(image.convert(mode), Image.new(mode, image.size), image.getchannel("A"))), ()
