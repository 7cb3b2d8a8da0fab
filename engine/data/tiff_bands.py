"""TIFF files of several bands: all of them, which neither Pillow nor OpenCV reads. tifffile reads the directory."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from sightsmith.core.contracts.image import Array, Frame, ImageError, Reader
from sightsmith.engine.data.grey_levels import largest
from sightsmith.engine.data.image_limits import MAX_VALUES, check_jpeg_scans, check_size, integer_limits
from sightsmith.engine.data.orientation import ORIENTATION, upright
from sightsmith.engine.data.tiff_pages import Page

UNSPECIFIED = 0
"""The value of ExtraSamples that is no transparency."""
NO_PREDICTOR, DIFFERENCING, FLOATING = 1, 2, 3
INVERTED, GREY, RGB, SEPARATE = 0, 1, 2, 2
"""Values of PhotometricInterpretation and PlanarConfiguration."""
PLAIN, JPEG, DEFLATE, BY_LIBTIFF = 1, 7, (8, 32946), (5, 32773, 50000)
"""Values of Compression; by libtiff are LZW, PackBits and Zstandard."""
JPEG_TABLES = 347
"""The tag of what the JPEG streams of all strips or tiles share."""
JPEG_KINDS = {1: GREY, 3: RGB, 4: 5}
"""PhotometricInterpretation with which libtiff gives so many samples as they are stored; 5 is CMYK."""
NO_TRANSPARENCY = "transparency beside other bands than the colours is not applied"


@contextmanager
def opened_bands(path: Path, pages: Sequence[Page], notes: tuple[str, ...], *, last: bool = False,
                 ) -> Iterator[Bands | None]:
    """The open file if its bands are other than grey or RGB with transparency, or planes that OpenCV would mix up and
    Pillow refuses; with ``last``, if it can be read at all. None for all others. Raises ImageError."""
    usual = pages and (pages[0].bands < 2 or pages[0].bands == 3 and pages[0].photometric != GREY)
    if not pages or usual and pages[0].planar != SEPARATE and not last:
        yield None
        return
    import tifffile

    with tifffile.TiffFile(path) as file:
        first = _Directory(file.pages[pages[0].number])
        known = not last and not first.odd_planes and (
            first.bands == 1 or first.bands == 3 and first.photometric != GREY)
        other = known or first.photometric not in (INVERTED, GREY, RGB)
        yield None if other else Bands(file, pages, first, notes)


class Bands:
    """An open TIFF whose pages have the bands of the ``first``; transparency is not among them."""

    groups: tuple[str, ...] = ()
    modality: str | None = None

    def __init__(self, file: Any, pages: Sequence[Page], first: _Directory, notes: tuple[str, ...]) -> None:
        self._file, self._pages, self._first, self._notes = file, pages, first, notes
        self.frames, self.size = len(pages), (pages[0].width, pages[0].height)
        check_size(*self.size, self.frames, pages[0].bands)

    def frame(self, index: int, careful: bool = False) -> Frame:
        found = _Directory(self._file.pages[self._pages[index].number])
        if (found.samples, found.kept, found.colours) != (self._first.samples, self._first.kept, self._first.colours):
            raise ImageError(f"its pages do not have the same bands: the first has {self._first.bands}, another "
                             f"{found.bands}")
        values = found.read(self._file.filehandle)[..., found.kept]
        colours, notes = found.colours, self._notes + (NO_TRANSPARENCY,) * found.transparency
        whole = values.dtype.kind != "f"
        if whole and values.shape[2] == colours + 1 and bool((values[..., -1] == np.iinfo(values.dtype).max).all()):
            values = values[..., :-1]  # opaque everywhere
        bits = 8 * values.dtype.itemsize if whole else 32
        limits = integer_limits(bits, signed=values.dtype.kind == "i") if whole else None
        values = upright(values, found.orientation)
        return Frame(values, largest(values), bits, limits, inverted=found.photometric == INVERTED, notes=notes,
                     bands=colours)


class StackedPages:
    """The pages of a TIFF as the channels of one image, in their order. Raises ImageError for unequal ones."""

    frames = 1
    groups: tuple[str, ...] = ()
    modality: str | None = None

    def __init__(self, pages: Reader) -> None:
        self._pages, self.size = pages, pages.size
        check_size(*self.size, channels=pages.frames)

    def frame(self, index: int, careful: bool = False) -> Frame:
        first, *_ = found = [self._pages.frame(number, careful) for number in range(self._pages.frames)]
        kinds = {(page.values.shape[:2], page.values.dtype, page.bits, page.limits, page.inverted) for page in found}
        if len(kinds) > 1:
            raise ImageError("image.pages=channels: the pages of the TIFF differ in size, bits or type")
        values = np.concatenate([page.values for page in found], 2)
        check_size(*self.size, channels=values.shape[2])
        return replace(first, values=values, maximum=max(page.maximum for page in found),
                       notes=tuple(dict.fromkeys(note for page in found for note in page.notes)))


class _Directory:
    """What the directory of a page says of its values. Raises ImageError where they cannot be read."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self.photometric = -1 if page.photometric is None else int(page.photometric)
        self.orientation = int(page.tags[ORIENTATION].value) if ORIENTATION in page.tags else 1
        self.samples = int(page.samplesperpixel)
        extra = [int(kind) for kind in page.extrasamples or ()]
        before = self.samples - len(extra)
        self.colours = 3 if self.photometric == RGB and before > 2 else 1 if self.samples == 2 else 0
        self.kept = [place for place in range(self.samples) if place < before or extra[place - before] == UNSPECIFIED]
        self.bands, self.transparency = len(self.kept), len(self.kept) < self.samples
        odd = isinstance(page.bitspersample, int) and page.bitspersample > 8 or self.samples == 2
        self.odd_planes = odd and self.samples > 1 and int(page.planarconfig) == SEPARATE

    def read(self, file: Any) -> Array:
        """(height, width, samples) as stored, of the machine's byte order."""
        page = self._page
        if page.dtype is None or page.dtype.kind not in "uif" or page.bitspersample != 8 * page.dtype.itemsize:
            raise ImageError(f"a TIFF of {self.samples} bands of {page.bitspersample} bits is not supported; save it "
                             "with 8, 16 or 32")
        stored = page.dtype.newbyteorder(page.parent.byteorder)
        planes, samples = (self.samples, 1) if int(page.planarconfig) == SEPARATE else (1, self.samples)
        height, width = page.imagelength, page.imagewidth
        check_size(width, height, channels=self.samples)
        # Strips are tiles as wide as the image, the last of which is cut off.
        down, across = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
        rows, columns = -(-height // down), -(-width // across)
        if down * across * samples > MAX_VALUES:
            raise ImageError("the TIFF is damaged: its strips or tiles are too large")
        if min(len(page.dataoffsets), len(page.databytecounts)) < planes * rows * columns:
            raise ImageError("the TIFF is damaged: it lacks strips or tiles")
        values = np.empty((height, width, self.samples), page.dtype.newbyteorder("="))
        for place in range(planes * rows * columns):
            plane, row, column = np.unravel_index(place, (planes, rows, columns))
            top, left = int(row) * down, int(column) * across
            lines = down if page.is_tiled else min(down, height - top)
            file.seek(page.dataoffsets[place])
            content = self._unpacked(file.read(page.databytecounts[place]), across * samples * stored.itemsize, lines)
            raw = np.frombuffer(content, np.uint8, lines * across * samples * stored.itemsize)
            part = self._unpredicted(raw, stored, (lines, across, samples))
            bands = slice(None) if samples > 1 else slice(int(plane), int(plane) + 1)
            space = values[top:top + down, left:left + across, bands]
            space[:] = part[:space.shape[0], :space.shape[1]]
        return values

    def _unpredicted(self, content: Array, stored: np.dtype[Any], shape: tuple[int, int, int]) -> Array:
        """Bytes as values of the type ``stored`` and ``shape`` (lines, width, samples), of which the file may have the
        differences to the left: TIFF 6.0 section 14, and Adobe's Technical Note 3 for floating point."""
        lines, width, samples = shape
        predictor = NO_PREDICTOR if int(self._page.compression) == PLAIN else int(self._page.predictor)
        if predictor == DIFFERENCING:
            steps = content.view(f"{stored.byteorder}u{stored.itemsize}").reshape(shape)
            return np.cumsum(steps, 1, steps.dtype.newbyteorder("=")).view(stored.newbyteorder("="))
        if predictor == FLOATING:  # the first bytes of all values, the second, ...; the largest first
            planes = np.cumsum(content.reshape(lines, -1, samples), 1, np.uint8).reshape(lines, stored.itemsize, -1)
            content = np.ascontiguousarray(planes.swapaxes(1, 2)).ravel()
            stored = stored.newbyteorder(">")
        return content.view(stored).reshape(lines, width, samples)

    def _unpacked(self, content: bytes, width: int, lines: int) -> bytes:
        """The ``lines`` of ``width`` bytes of a strip or tile; no more than that is ever made of it."""
        compression, size = int(self._page.compression), width * lines
        if compression == JPEG:
            return self._of_jpeg(content, width, lines)
        if compression not in (PLAIN, *DEFLATE, *BY_LIBTIFF):
            raise ImageError(f"a TIFF of {self.samples} bands with the compression {compression} is not supported; "
                             "save it with LZW or Deflate")
        if compression in DEFLATE:
            content = zlib.decompressobj().decompress(content, size)
        elif compression != PLAIN:
            content = _by_libtiff(content, compression, width, lines)
        if len(content) < size:
            raise ImageError("the TIFF is damaged: a strip or tile is cut off")
        return content


    def _of_jpeg(self, content: bytes, width: int, lines: int) -> bytes:
        samples = 1 if int(self._page.planarconfig) == SEPARATE else self.samples
        if self._page.bitspersample != 8 or samples not in JPEG_KINDS:
            raise ImageError(f"a TIFF of {samples} interleaved bands of {self._page.bitspersample} bits in JPEG is not "
                             "supported; save it with LZW or Deflate")
        check_jpeg_scans(content, width // samples * lines)
        return _by_libtiff(content, JPEG, width // samples, lines, samples, self._page.jpegtables)


def _by_libtiff(content: bytes, compression: int, width: int, lines: int, samples: int = 1,
                tables: bytes | None = None) -> bytes:
    """``content`` decoded by libtiff, to which bytes are the ``samples`` of pixels of 8 bits."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in ((256, width), (257, lines), (258, (8,) * samples), (259, compression),
                       (262, JPEG_KINDS[samples]), (277, samples), (278, lines), (273, 0), (279, len(content))):
        tags[tag] = value
    if tables:
        tags[JPEG_TABLES] = tables
    packed = io.BytesIO()
    tags.save(packed)  # counts offsets from its end
    packed.write(content)
    with suppress(OSError), Image.open(packed, formats=("TIFF",)) as image:
        return image.tobytes()
    raise ImageError("the TIFF is damaged: a strip or tile cannot be decoded")
