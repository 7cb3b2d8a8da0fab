"""NIfTI volumes: the header by nibabel."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from nibabel import Nifti1Header, Nifti2Header, imageglobals

from sightsmith.plugin import ImageError, SeriesError, is_inside, read_json
from sightsmith.plugins.readers.volume import Stored, VolumeReader

HEADER = 540
"""Bytes of the longer of the two headers."""
_KINDS = {348: Nifti1Header, HEADER: Nifti2Header}
"""By the number that a file begins with."""
_MAGIC, _PAIR = (b"n+1\0", b"n+2\0"), (b"ni1\0", b"ni2\0")
"""Of one file, and of the header of two."""
DESCRIPTION, CHANNEL_KEYS = "dataset.json", ("channel_names", "modality")
"""Where nnU-Net and the Medical Segmentation Decathlon name the channels of all volumes in the folder beside it."""
_CHANNELS = ("vector", "matrix", "quaternion")
"""Words in the names of intents by which the fifth axis has the parts of one value."""


class NiftiReader(VolumeReader):
    """A file of NIfTI-1 or NIfTI-2, or a pair of ``.hdr`` and ``.img``, also compressed by gzip. Raises ImageError.

    A series of volumes is channels if a ``dataset.json`` in the folder, or above it, names as many, and a SeriesError
    otherwise; the parts of a vector are channels. ``cal_min`` and ``cal_max`` are the window.
    """

    series_are_channels = False

    def __init__(self, path: Path) -> None:
        with (gzip.open(path) if _is_packed(path) else path.open("rb")) as file:
            header = _header(file.read(HEADER))
        (shape, is_series), dtype, channel_axis = _shape(header), header.get_data_dtype(), None
        if is_series and not self.series_are_channels and _named_channels(path) != shape[3]:
            raise _of_series(shape)
        if len(shape) == 4:
            channel_axis = 3
        elif dtype.names and {np.dtype(kind) for kind, *_ in dtype.fields.values()} == {np.dtype(np.uint8)}:
            shape, dtype, channel_axis = (len(dtype.names), *shape), np.dtype(np.uint8), 0
        slope, intercept = header.get_slope_inter()
        start = header.get_data_offset()
        if _is_pair(header):
            path = _data_file(path)
        else:
            start = start or header.single_vox_offset
        packed = _is_packed(path)
        low, high = float(header["cal_min"]), float(header["cal_max"])
        super().__init__(
            Stored(path, dtype, shape, 0, gzip.open, start) if packed else Stored(path, dtype, shape, start),
            header.get_best_affine(), channel_axis=channel_axis,
            scale=(1.0, 0.0) if slope is None else (slope, intercept),
            window=(low, high) if np.isfinite((low, high)).all() and low < high else None)


class NiftiChannels(NiftiReader):
    """A series of volumes that is known to be channels."""

    series_are_channels = True


def _header(head: bytes) -> Any:
    kind = _KINDS.get(int.from_bytes(head[:4], "little")) or _KINDS.get(int.from_bytes(head[:4], "big"))
    size = kind.template_dtype.itemsize if kind else 0
    if kind is None or len(head) < size:
        raise ImageError("it does not begin as a NIfTI file does")
    with _quiet():
        header = kind(head[:size])
    if not _is_pair(header) and header["magic"].item().ljust(4, b"\0")[:4] not in _MAGIC:
        raise ImageError("it has no mark of NIfTI; save it as a .nii file")
    return header


def _is_pair(header: Any) -> bool:
    return header["magic"].item().ljust(4, b"\0")[:4] in _PAIR


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _data_file(path: Path) -> Path:
    """The ``.img`` of a ``.hdr``, in the same folder."""
    stem = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    names = [stem.with_suffix(suffix).name for suffix in (".img", ".IMG", ".img.gz")]
    found = next((path.with_name(name) for name in names if os.path.isfile(path.with_name(name))), None)
    if found is None:
        raise ImageError(f"it is the header of {names[0]}, which is not in the same folder")
    if not is_inside(path.parent, found):
        raise ImageError(f"the file {found.name} with its voxels is a link out of its folder")
    return found


def _named_channels(path: Path) -> int:
    """How many channels the nearest ``dataset.json`` names; 0 if it names none."""
    for folder in path.parents[:2]:
        place = folder / DESCRIPTION
        if os.path.isfile(place):
            return _count_channels(place, place.stat().st_mtime_ns)
    return 0


@lru_cache(maxsize=16)
def _count_channels(path: Path, stamp: int) -> int:
    content, _ = read_json(path, path.parent)
    named = [content.get(key) for key in CHANNEL_KEYS] if isinstance(content, dict) else []
    return max((len(names) for names in named if isinstance(names, dict) or isinstance(names, list)
                and all(isinstance(name, str) for name in names)), default=0)


def _shape(header: Any) -> tuple[tuple[int, ...], bool]:
    """The shape (x, y, z) or (x, y, z, channels), and whether the latter may as well be a series of volumes."""
    shape = tuple(int(side) for side in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    intent = header.get_intent()[0]
    if len(shape) == 5 and shape[3] == 1 and any(word in intent.lower() for word in _CHANNELS):
        return (*shape[:3], shape[4]), False
    if len(shape) > 4:
        raise _of_series(shape)
    return (shape, True) if len(shape) == 4 else ((*shape, 1, 1, 1)[:3], False)


def _of_series(shape: tuple[int, ...]) -> ImageError:
    message = (f"it is a series of volumes of the shape {' x '.join(map(str, shape))} (time, echoes or sequences); "
               "save each as a file of its own, as nibabel.four_to_three does, or, if they are channels, type "
               f"image.channels={shape[3]} or name {shape[3]} in a {DESCRIPTION}: "
               '{"channel_names": {"0": "T1", ...}}')
    return SeriesError(message, shape[3], f"{__name__}:NiftiChannels") if len(shape) == 4 else ImageError(message)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence nibabel, which logs what it also raises or corrects."""
    level = imageglobals.logger.level
    imageglobals.logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        imageglobals.logger.setLevel(level)
