"""PNG files too large to be decoded whole: their rows are unpacked one band after the other."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from sightsmith.core.contracts.dataset import Tile
from sightsmith.core.contracts.image import Array, Frame, ImageError
from sightsmith.engine.data.grey_levels import largest
from sightsmith.engine.data.image_limits import HOW_TO_CUT, check_large
from sightsmith.engine.data.large_image import LargeImage
from sightsmith.engine.data.orientation import ORIENTATION
from sightsmith.engine.data.unpacked import unpacked

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By the colour type: grey, RGB, palette, grey and RGB with transparency."""
PALETTE = 3
BAND = 2**25
"""Bytes of the rows that are unpacked at once."""
MOST_INFLATED = 1032
"""Bytes that deflate makes of one at most."""
CHUNK = 2**20


class LargePng(LargeImage):
    """The file ``path``. Rows that follow each other from the first are streamed; for other parts, all are unpacked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            width, height, self._depth, self._kind, *_, interlaced = struct.unpack(">16xIIBBBBB", file.read(29))
        check_large(width, height)
        if self._kind not in SAMPLES or self._depth not in (1, 2, 4, 8, 16):
            raise ImageError("the PNG is damaged")
        if interlaced:
            raise ImageError(f"an interlaced PNG cannot be read in parts, and its {width} x {height} pixels are too "
                             f"many at once: {HOW_TO_CUT}")
        with PngImagePlugin.PngImageFile(path) as image:
            exif = Image.Exif()
            exif.load(image.info.get("exif", b""))  # the image's own getexif would decode all of it
            super().__init__((width, height), exif.get(ORIENTATION, 1))
            palette = image.getpalette("RGB") if image.mode == "P" else None
            self._clear = image.info.get("transparency")
        self._table = np.array(palette or [], np.uint8).reshape(-1, 3)
        self._row = -(-width * SAMPLES[self._kind] * self._depth // 8)
        if self._row > BAND:
            raise ImageError(f"its rows of {width:,} pixels are too long: {HOW_TO_CUT}")
        if self._row * height > MOST_INFLATED * path.stat().st_size:
            raise ImageError(f"the PNG is cut off: it has too few bytes for {width} x {height} pixels")
        self._rest: tuple[int, Array] | None = None
        self._bands: Iterator[Array] = iter(())

    def stored(self, index: int, box: Tile) -> Array:
        """Grey levels, colours or numbers of the palette."""
        left, top, width, height = box
        if (left, width) == (0, self.size[0]) and (top == 0 or self._rest and self._rest[0] == top):
            return self._values(self._next(top, height), width)
        rows = unpacked(self._path, (self.size[1], self._row), "uint8", self._unpack)[top:top + height]
        bits = SAMPLES[self._kind] * self._depth
        first = left * bits // 8
        return self._values(np.array(rows[:, first:-(-(left + width) * bits // 8)]), width, left - first * 8 // bits)

    def described(self, index: int, values: Array) -> Frame:
        white = 2**self._depth - 1
        if self._kind == PALETTE:
            numbers, values = values[..., 0], self._colours()[values[..., 0]]
            if isinstance(self._clear, bytes):
                alpha = np.full(256, 255, np.float32)
                alpha[:len(self._clear)] = np.frombuffer(self._clear, np.uint8)
                values = np.rint(values * (alpha[numbers] / 255)[..., None]).astype(np.uint8)
        elif self._kind in (4, 6):
            values = np.rint(values[..., :-1] * (values[..., -1:] / np.float32(white))).astype(values.dtype)
        elif self._clear is not None:
            values = values * (values != np.array(self._clear)).any(2, keepdims=True)
        if self._depth < 8 and self._kind != PALETTE:
            values = values * np.uint8(255 // white)
        deep = self._depth == 16
        return Frame(values, largest(values), 16 if deep else 8, (0, 65535 if deep else 255))

    def _colours(self) -> Array:
        return np.concatenate([self._table, np.zeros((256 - len(self._table), 3), np.uint8)])

    def _values(self, rows: Array, width: int, skipped: int = 0) -> Array:
        """``rows`` of bytes as (height, width, samples), without so many pixels at their beginning."""
        if self._depth < 8:
            bits = np.unpackbits(rows, axis=1).reshape(len(rows), -1, self._depth)
            found = bits @ (1 << np.arange(self._depth)[::-1]).astype(np.uint8)
        elif self._depth == 16:
            found = rows.view(">u2").astype(np.uint16)
        else:
            found = rows
        return found.reshape(len(rows), -1, SAMPLES[self._kind])[:, skipped:skipped + width]

    def _next(self, top: int, height: int) -> Array:
        """So many rows of bytes from ``top`` on, which is where the last ones ended, or 0."""
        if top == 0:
            self._rest, self._bands = (0, np.empty((0, self._row), np.uint8)), self._all_rows()
        assert self._rest is not None
        found = [self._rest[1]]
        while sum(map(len, found)) < height:
            found.append(next(self._bands))
        rows = np.concatenate(found)
        self._rest = top + height, rows[height:]
        return rows[:height]

    def _unpack(self, values: Array) -> None:
        place = 0
        for rows in self._all_rows():
            values[place:place + len(rows)] = rows
            place += len(rows)

    def _all_rows(self) -> Iterator[Array]:
        """Bands of rows (height, bytes), in their order. Raises ImageError for a damaged file."""
        step, before, packed = max(1, BAND // self._row), np.zeros(self._row, np.uint8), bytearray()
        line, left = self._row + 1, self.size[1]
        for content in self._inflated(step * line):
            packed += content
            while len(packed) >= min(step, left) * line and left:
                count = min(step, left)
                rows = self._unfiltered(bytes(packed[:count * line]), before)
                del packed[:count * line]
                before, left = rows[-1], left - count
                yield rows
        if left:
            raise ImageError("the PNG is cut off")

    def _unfiltered(self, packed: bytes, before: Array) -> Array:
        """The rows (height, bytes) of ``packed`` filtered ones; ``before`` is the row above. Pillow does it, for which
        they are a small PNG that has the bytes of a pixel as samples of 8 bits."""
        size = max(1, SAMPLES[self._kind] * self._depth // 8)
        if size > 4:
            return self._unfiltered_deep(packed, before, size)
        kind, mode = {1: (0, "L"), 2: (4, "LA"), 3: (2, "RGB"), 4: (6, "RGBA")}[size]
        content = b"\0" + before.tobytes() + packed
        height = len(content) // (self._row + 1)
        data = _small_png(self._row // size, height, 8, kind, content)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            assert image.mode == mode
            return np.frombuffer(image.tobytes(), np.uint8).reshape(height, -1)[1:]

    def _unfiltered_deep(self, packed: bytes, before: Array, size: int) -> Array:
        """The same of colours of 16 bits, which Pillow would reduce."""
        import cv2

        content = b"\0" + before.tobytes() + packed
        height = len(content) // (self._row + 1)
        data = _small_png(self._row // size, height, 16, 2 if size == 6 else 6, content)
        values: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        order = [2, 1, 0, *([3] if size == 8 else [])]
        return np.ascontiguousarray(values[1:][..., order], ">u2").view(np.uint8).reshape(height - 1, -1)

    def _inflated(self, most: int) -> Iterator[bytes]:
        """What the file's data inflate to, in pieces of up to ``most`` bytes."""
        inflater = zlib.decompressobj()
        try:
            for content in _data(self._path):
                while content:
                    yield inflater.decompress(content, most)
                    content = inflater.unconsumed_tail
        except zlib.error as error:
            raise ImageError("the PNG is damaged") from error


def _data(path: Path) -> Iterator[bytes]:
    """The content of the IDAT chunks."""
    with path.open("rb") as file:
        file.seek(len(SIGNATURE))
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"IDAT":
                while length and (content := file.read(min(length, CHUNK))):
                    length -= len(content)
                    yield content
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)


def _small_png(width: int, height: int, depth: int, kind: int, content: bytes) -> bytes:
    """A PNG of filtered rows, which are not packed."""
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"".join((SIGNATURE, chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)),
                     chunk(b"IDAT", zlib.compress(content, 0)), chunk(b"IEND", b"")))
