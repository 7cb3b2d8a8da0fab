"""The strips or tiles of one page of a TIFF, decoded one at a time. tifffile reads the directory."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from sightsmith.core.contracts.dataset import Tile
from sightsmith.core.contracts.image import Array, ImageError
from sightsmith.engine.data.image_limits import MAX_VALUES, check_jpeg_scans
from sightsmith.engine.data.orientation import ORIENTATION

UNSPECIFIED, PREMULTIPLIED, UNASSOCIATED = 0, 1, 2
"""The values of ExtraSamples that is no transparency, transparency that has darkened the colours, and that has not."""
NO_PREDICTOR, DIFFERENCING, FLOATING = 1, 2, 3
INVERTED, GREY, RGB, PALETTE, YCBCR, SEPARATE = 0, 1, 2, 3, 6, 2
"""Values of PhotometricInterpretation and PlanarConfiguration."""
PLAIN, JPEG, DEFLATE, BY_LIBTIFF = 1, 7, (8, 32946), (5, 32773, 50000)
"""Values of Compression; by libtiff are LZW, PackBits and Zstandard."""
JPEG_TABLES, SUBSAMPLING = 347, 530
"""The tags of what the JPEG streams of all strips or tiles share, and of the size of their colours."""
JPEG_KINDS = {1: GREY, 3: RGB, 4: 5}
"""PhotometricInterpretation with which libtiff gives so many samples as they are stored; 5 is CMYK."""
MAX_PART = 2**26
"""Values of a strip or tile of an image that is read in parts."""


@dataclass(frozen=True)
class Grid:
    """How a page is cut: its planes, each of rows and columns of strips or tiles of ``down`` x ``across`` pixels with
    so many ``samples``, where they are in the file, and the bytes of each and of all."""

    planes: int
    rows: int
    columns: int
    down: int
    across: int
    samples: int
    offsets: Sequence[int]
    lengths: Sequence[int]
    packed: int


class Directory:
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
        self.colormap = page.colormap
        self.width, self.height = int(page.imagewidth), int(page.imagelength)
        self.unassociated = extra == [UNASSOCIATED]
        self.bands, self.transparency = len(self.kept), len(self.kept) < self.samples
        odd = (isinstance(page.bitspersample, int) and page.bitspersample > 8 or self.samples == 2
               or extra == [PREMULTIPLIED])
        self.odd_planes = odd and self.samples > 1 and int(page.planarconfig) == SEPARATE
        # Grey or RGB with transparency alone.
        self.fades = len(extra) == 1 and self.transparency and (
            self.bands == 1 or self.bands == 3 and self.photometric != GREY)
        self._kept: dict[int, Array] = {}

    @property
    def decisive(self) -> int | None:
        """The sample whose values decide what is kept: the transparency of what :attr:`fades`, or a single band beside
        the colours; None if there is none."""
        if self.fades:
            return self.samples - 1
        return self.kept[-1] if self.bands == self.colours + 1 > 1 else None

    def read(self, file: Any, box: Tile | None = None) -> Array:
        """(height, width, samples) as stored, of the machine's byte order: the whole page or its part ``box``, of which
        strips and tiles are kept for the next part."""
        page = self._page
        if page.dtype is None or page.dtype.kind not in "uif" or page.bitspersample != 8 * page.dtype.itemsize:
            raise ImageError(f"a TIFF of {self.samples} bands of {page.bitspersample} bits is not supported; save it "
                             "with 8, 16 or 32")
        left, top, width, height = box or (0, 0, page.imagewidth, page.imagelength)
        grid = self._grid
        if grid.down * grid.across * grid.samples > (MAX_VALUES if box is None else MAX_PART):
            raise ImageError("its strips or tiles are too large; save it in tiles of 512 x 512 pixels")
        if box is not None and grid.packed > file.size:  # a small file that would be many gigabytes
            raise ImageError("the TIFF is damaged: its strips or tiles have more bytes than the file")
        values = np.empty((height, width, self.samples), page.dtype.newbyteorder("="))
        used: dict[int, Array] = {}
        for plane, row, column in product(range(grid.planes), range(top // grid.down, -(-(top + height) // grid.down)),
                                          range(left // grid.across, -(-(left + width) // grid.across))):
            place = (plane * grid.rows + row) * grid.columns + column
            part = self._kept[place] if place in self._kept else self._decoded(file, grid, place, row)
            if box is not None:
                used[place] = part
            down, across = row * grid.down - top, column * grid.across - left
            part = part[max(-down, 0):, max(-across, 0):]
            bands = slice(None) if grid.samples > 1 else slice(plane, plane + 1)
            space = values[max(down, 0):, max(across, 0):, bands][:len(part), :part.shape[1]]
            space[:] = part[:space.shape[0], :space.shape[1]]
        self._kept = used
        return values

    @cached_property
    def _grid(self) -> Grid:
        page = self._page
        planes, samples = (self.samples, 1) if int(page.planarconfig) == SEPARATE else (1, self.samples)
        # Strips are tiles as wide as the image, the last of which is cut off.
        down, across = (page.tilelength, page.tilewidth) if page.is_tiled else (
            min(page.rowsperstrip, page.imagelength), page.imagewidth)
        whole = not page.is_tiled and down == page.imagelength and int(page.compression) == PLAIN
        size = page.dtype.itemsize * across * samples
        if whole and down * across * samples > MAX_PART:  # of a single strip that is not packed, any rows can be read
            down = max(1, MAX_PART // (16 * across * samples))
        rows, columns = -(-page.imagelength // down), -(-page.imagewidth // across)
        offsets, lengths = page.dataoffsets, page.databytecounts
        if whole:
            starts = [down * row for row in range(rows)]
            offsets = [offset + start * size for offset in offsets[:planes] for start in starts]
            lengths = [size * min(down, page.imagelength - start) for _ in page.dataoffsets[:planes]
                       for start in starts]
        if min(len(offsets), len(lengths)) < planes * rows * columns:
            raise ImageError("the TIFF is damaged: it lacks strips or tiles")
        return Grid(planes, rows, columns, down, across, samples, offsets, lengths, sum(lengths))

    def _decoded(self, file: Any, grid: Grid, place: int, row: int) -> Array:
        """(lines, width, samples) of the strip or tile ``place``."""
        page = self._page
        stored = page.dtype.newbyteorder(page.parent.byteorder)
        lines = grid.down if page.is_tiled else min(grid.down, page.imagelength - row * grid.down)
        width = grid.across * grid.samples * stored.itemsize
        file.seek(grid.offsets[place])
        content = self._unpacked(file.read(grid.lengths[place]), width, lines)
        return self._unpredicted(np.frombuffer(content, np.uint8, lines * width), stored,
                                 (lines, grid.across, grid.samples))

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
        photometric = YCBCR if self.photometric == YCBCR and samples == 3 else JPEG_KINDS[samples]
        return _by_libtiff(content, JPEG, width // samples, lines, samples, photometric=photometric,
                           tables=self._page.jpegtables, subsampling=self._page.subsampling)


def _by_libtiff(content: bytes, compression: int, width: int, lines: int, samples: int = 1, *,
                photometric: int = GREY, tables: bytes | None = None, subsampling: tuple[int, int] | None = None,
                ) -> bytes:
    """``content`` decoded by libtiff, to which bytes are the ``samples`` of pixels of 8 bits; YCbCr becomes RGB."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in ((256, width), (257, lines), (258, (8,) * samples), (259, compression),
                       (262, photometric), (277, samples), (278, lines), (273, 0), (279, len(content))):
        tags[tag] = value
    if tables:
        tags[JPEG_TABLES] = tables
    if photometric == YCBCR and subsampling:
        tags[SUBSAMPLING] = subsampling
    packed = io.BytesIO()
    tags.save(packed)  # counts offsets from its end
    packed.write(content)
    with suppress(OSError), Image.open(packed, formats=("TIFF",)) as image:
        return image.tobytes()
    raise ImageError("the TIFF is damaged: a strip or tile cannot be decoded")
