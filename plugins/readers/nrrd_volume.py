"""NRRD volumes: the header by pynrrd."""

from __future__ import annotations

import bz2
import gzip
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nrrd
import numpy as np

from sightsmith.plugin import Array, ImageError
from sightsmith.plugins.readers.volume import Stored, VolumeReader, file_beside

LONGEST_HEADER = 2**20
"""Bytes."""
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"), "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"), "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",), "f8": ("double",)}
_DTYPES = {name: dtype for dtype, names in _TYPES.items() for name in names}
_OPEN: Mapping[str, Any] = {"raw": None, "gzip": gzip.open, "gz": gzip.open, "bzip2": bz2.open, "bz2": bz2.open}
_SIGNS = {"right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1), "left-anterior-superior": (-1, 1, 1),
          "las": (-1, 1, 1)}
"""From a space to RAS+; others, and files without one, count as left-posterior-superior."""
_LIST = re.compile(rb"^data ?file: *LIST", re.MULTILINE | re.IGNORECASE)
_SPACE = ("domain", "space")
_APART = ("list", "time", "point", "none", "???")
"""Kinds of axes of which each place is an image of its own."""


class NrrdReader(VolumeReader):
    """A NRRD file, or its header with a data file in the same folder. Raises ImageError.

    A list of volumes is refused; an axis of vectors or colours is channels.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            head = io.BytesIO(file.read(LONGEST_HEADER))
        if _LIST.search(head.getvalue().partition(b"\n\n")[0]):
            raise ImageError("its voxels are in a list of files; only one file in the same folder is read: save it as "
                             "one .nrrd file")
        header = nrrd.read_header(head)
        name = str(header.get("data file", header.get("datafile", "")))
        data = file_beside(path, name, ".nrrd") if name else path
        sizes = [int(side) for side in header.get("sizes", ())]
        if len(sizes) != header.get("dimension") or len(sizes) < 2 or min(sizes) < 1:
            raise ImageError(f"its header has the sizes {sizes} and the dimension {header.get('dimension')}")
        channel_axis = _channel_axis(header, sizes)
        space = [axis for axis in range(len(sizes)) if axis != channel_axis]
        try:
            affine = _affine(header, space)
        except (IndexError, TypeError, ValueError) as error:
            raise ImageError("the space directions, the origin or the spacings in its header do not fit its dimension "
                             f"of {len(sizes)}") from error
        shape = tuple(sizes)
        if len(space) == 2:
            shape = (*shape, 1)
        stored = _stored(header, data, shape, head.tell() if data == path else 0)
        super().__init__(stored, affine, channel_axis=channel_axis)


def _stored(header: Mapping[str, Any], data: Path, shape: tuple[int, ...], start: int) -> Stored:
    encoding, kind = str(header.get("encoding", "")).lower(), str(header.get("type", "")).lower()
    if encoding not in _OPEN:
        raise ImageError(f"its encoding is {encoding!r}; save it as raw or gzip")
    if kind not in _DTYPES:
        raise ImageError(f"its voxels have the type {kind!r}, which images do not have")
    if header.get("line skip", 0) or header.get("lineskip", 0):
        raise ImageError("its header skips lines of the data; save it again as one .nrrd file")
    dtype = np.dtype(_DTYPES[kind]).newbyteorder(">" if header.get("endian") == "big" else "<")
    skip = int(header.get("byte skip", header.get("byteskip", 0)))
    if skip < (-1 if encoding == "raw" else 0):
        raise ImageError(f"its header skips {skip} bytes of the data")
    if encoding != "raw":
        return Stored(data, dtype, shape, start, _OPEN[encoding], skip)
    stored = Stored(data, dtype, shape, start + skip)
    # With -1 the voxels are the end of the file.
    return replace(stored, start=data.stat().st_size - stored.size) if skip == -1 else stored


def _channel_axis(header: Mapping[str, Any], sizes: list[int]) -> int | None:
    """The axis that is none of space, if there is one."""
    kinds = [str(kind).lower() for kind in header.get("kinds") or ()]
    kinds = kinds if len(kinds) == len(sizes) else ["domain"] * len(sizes)
    directions = header.get("space directions")
    if directions is not None and len(directions) == len(sizes):
        missing = [row is None or not np.isfinite(np.asarray(row, float)).any() for row in directions]
        kinds = [("vector" if kind in _SPACE else kind) if gone else "domain"
                 for kind, gone in zip(kinds, missing, strict=True)]
    others = [axis for axis, kind in enumerate(kinds) if kind not in _SPACE]
    shown = " x ".join(map(str, sizes))
    if len(sizes) - len(others) not in (2, 3) or len(others) > 1 or any(kinds[axis] in _APART for axis in others):
        raise ImageError(f"it is a list of volumes of the shape {shown} ({', '.join(kinds)}), such as times or layers; "
                         "save each as a file of its own")
    return others[0] if others else None


def _affine(header: Mapping[str, Any], space: list[int]) -> Array:
    """(4, 4) from voxels to mm of RAS+."""
    affine = np.eye(4)
    directions, spacings = header.get("space directions"), header.get("spacings")
    if directions is not None and len(space) == 3:
        for place, axis in enumerate(space):
            affine[:3, place] = np.asarray(directions[axis], float)
        affine[:3, 3] = np.asarray(header.get("space origin", (0, 0, 0)), float)
    elif spacings is not None:
        for place, axis in enumerate(space):
            affine[place, place] = float(spacings[axis]) if np.isfinite(spacings[axis]) else 1.0
    affine[:3] *= np.reshape(_SIGNS.get(str(header.get("space", "")).lower(), (-1, -1, 1)), (3, 1))
    return affine
