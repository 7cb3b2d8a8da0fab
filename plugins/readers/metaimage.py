"""MetaImage volumes, the format of ITK: https://docs.itk.org/en/latest/learn/metaio.html."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sightsmith.plugin import Array, ImageError
from sightsmith.plugins.readers.volume import CHUNK, Stored, VolumeReader, file_beside

LONGEST_HEADER = 2**16
"""Bytes."""
_TYPES = {"CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG_LONG": "i8",
          "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8"}
"""By ElementType after MET_; LONG has 4 or 8 bytes."""
_OFFSETS, _MATRICES = ("offset", "position", "origin"), ("transformmatrix", "rotation", "orientation")
"""Names of the same keys."""


class MetaImageReader(VolumeReader):
    """A ``.mha`` file, or a ``.mhd`` header with a data file in the same folder, also compressed. Raises ImageError.

    Several values of an element are channels; a series of volumes, and a list of files, are refused.
    """

    def __init__(self, path: Path) -> None:
        header, end = _header(path)
        name = header["elementdatafile"]
        local = name.upper() == "LOCAL"
        if name.upper().split()[:1] == ["LIST"]:
            raise ImageError("its voxels are in a list of files; only one file in the same folder is read: save it as "
                             "one .mha file")
        data = path if local else file_beside(path, name, ".mha")
        shape = tuple(_whole(header, "dimsize"))
        if len(shape) not in (2, 3) or _whole(header, "ndims") != [len(shape)]:
            raise ImageError(f"its header has {' '.join(header['ndims'].split())} dimensions, of the sizes "
                             f"{' '.join(map(str, shape))}; an image or a volume has 2 or 3, so save each volume of a "
                             "series as a file of its own")
        affine = _affine(header, len(shape))
        channels = _whole(header, "elementnumberofchannels", "1")[0]
        shape = (*shape, 1)[:3]
        shape = (channels, *shape) if channels != 1 else shape
        stored = _stored(header, data, shape, end if local else 0)
        super().__init__(stored, affine, channel_axis=0 if channels != 1 else None)


def _header(path: Path) -> tuple[dict[str, str], int]:
    """The keys in small letters, and where the header ends: after ElementDataFile."""
    found: dict[str, str] = {}
    with path.open("rb") as file:
        while "elementdatafile" not in found:
            line = file.readline(LONGEST_HEADER)
            key, mark, value = line.decode("utf-8", "replace").partition("=")
            if not line or file.tell() > LONGEST_HEADER:
                raise ImageError("its header has no ElementDataFile, which says where the voxels are")
            if mark:
                found[key.strip().lower()] = value.strip()
        if missing := {"ndims", "dimsize", "elementtype"} - found.keys():
            raise ImageError(f"its header lacks {', '.join(sorted(missing))}")
        return found, file.tell()


def _stored(header: Mapping[str, str], data: Path, shape: tuple[int, ...], start: int) -> Stored:
    kind = header["elementtype"].upper().removeprefix("MET_").removesuffix("_ARRAY")
    if kind not in _TYPES:
        raise ImageError(f"its voxels have the type {header['elementtype']}; save them with another, such as MET_SHORT")
    if not _flag(header, "binarydata", True):
        raise ImageError("its voxels are text; save it as binary data")
    big = any(_flag(header, key, False) for key in ("binarydatabyteordermsb", "elementbyteordermsb"))
    dtype = np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<")
    skip = _whole(header, "headersize", "0")[0]
    packed = _flag(header, "compresseddata", False)
    if skip < (0 if packed else -1):
        raise ImageError(f"its header skips {skip} bytes of the data")
    if packed:
        return Stored(data, dtype, shape, start + skip, _Inflated)
    stored = Stored(data, dtype, shape, start + skip)
    # With -1 the voxels are the end of the file.
    return replace(stored, start=data.stat().st_size - stored.size) if skip == -1 else stored


class _Inflated(io.RawIOBase):
    """What is compressed in ``packed`` by zlib or gzip."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed, self._inflate = packed, zlib.decompressobj(zlib.MAX_WBITS | 32)

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        while not self._inflate.eof and (content := self._inflate.unconsumed_tail or self._packed.read(CHUNK)):
            if part := self._inflate.decompress(content, len(target)):
                target[:len(part)] = part
                return len(part)
        return 0


def _affine(header: Mapping[str, str], dimensions: int) -> Array:
    """(4, 4) from voxels to mm of RAS+; the header's is of LPS+, and has the direction of an axis in a row."""
    affine = np.eye(4)
    spacing = _numbers(header, ("elementspacing", "elementsize"), dimensions, [1.0] * dimensions)
    matrix = _numbers(header, _MATRICES, dimensions**2, np.eye(dimensions).ravel().tolist())
    affine[:dimensions, :dimensions] = np.reshape(matrix, (dimensions, dimensions)).T * spacing
    affine[:dimensions, 3] = _numbers(header, _OFFSETS, dimensions, [0.0] * dimensions)
    affine[:2] *= -1
    return affine


def _numbers(header: Mapping[str, str], names: tuple[str, ...], count: int, default: list[float]) -> list[float]:
    """The first of the keys ``names`` that is there. Raises ImageError unless it has ``count`` numbers."""
    name = next((name for name in names if name in header), None)
    if name is None:
        return default
    try:
        values = [float(part) for part in header[name].split()]
    except ValueError:
        values = []
    if len(values) != count:
        raise ImageError(f"its header has {header[name]!r} as {name}, where {count} numbers are needed")
    return values


def _whole(header: Mapping[str, str], name: str, default: str = "") -> list[int]:
    text = header.get(name, default)
    try:
        values = [int(part) for part in text.split()]
    except ValueError:
        values = []
    if not values:
        raise ImageError(f"its header has {text!r} as {name}, where whole numbers are needed")
    return values


def _flag(header: Mapping[str, str], name: str, default: bool) -> bool:
    text = header.get(name, str(default)).lower()
    if text not in ("true", "false", "1", "0"):
        raise ImageError(f"its header has {text!r} as {name}, where True or False is needed")
    return text in ("true", "1")
