"""NIfTI volumes: the header by nibabel."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from nibabel import Nifti1Header, Nifti2Header, imageglobals

from sightsmith.plugin import ImageError
from sightsmith.plugins.readers.volume import Stored, VolumeReader

HEADER = 540
"""Bytes of the longer of the two headers."""
_KINDS = {348: Nifti1Header, HEADER: Nifti2Header}
"""By the number that a file begins with."""
_MAGIC = b"n+1\0", b"n+2\0"
_CHANNELS = ("vector", "matrix", "quaternion")
"""Words in the names of intents by which the fifth axis has the parts of one value."""


class NiftiReader(VolumeReader):
    """A file of NIfTI-1 or NIfTI-2, also one that gzip has compressed. Raises ImageError.

    A series of volumes is refused; the parts of a vector are channels. ``cal_min`` and ``cal_max`` are the window.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with (gzip.open(path) if packed else path.open("rb")) as file:
            header = _header(file.read(HEADER))
        dtype, shape, channel_axis = header.get_data_dtype(), _shape(header), None
        if len(shape) == 4:
            channel_axis = 3
        elif dtype.names and {np.dtype(kind) for kind, *_ in dtype.fields.values()} == {np.dtype(np.uint8)}:
            shape, dtype, channel_axis = (len(dtype.names), *shape), np.dtype(np.uint8), 0
        slope, intercept = header.get_slope_inter()
        start = header.get_data_offset() or header.single_vox_offset
        low, high = float(header["cal_min"]), float(header["cal_max"])
        super().__init__(
            Stored(path, dtype, shape, 0, gzip.open, start) if packed else Stored(path, dtype, shape, start),
            header.get_best_affine(), channel_axis=channel_axis,
            scale=(1.0, 0.0) if slope is None else (slope, intercept),
            window=(low, high) if np.isfinite((low, high)).all() and low < high else None)


def _header(head: bytes) -> Any:
    kind = _KINDS.get(int.from_bytes(head[:4], "little")) or _KINDS.get(int.from_bytes(head[:4], "big"))
    size = kind.template_dtype.itemsize if kind else 0
    if kind is None or len(head) < size:
        raise ImageError("it does not begin as a NIfTI file does")
    with _quiet():
        header = kind(head[:size])
    if header["magic"].item().ljust(4, b"\0")[:4] not in _MAGIC:
        raise ImageError("it is the header of an image in two files; save it as one .nii file")
    return header


def _shape(header: Any) -> tuple[int, ...]:
    """The shape (x, y, z) or (x, y, z, channels)."""
    shape = tuple(int(side) for side in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    intent = header.get_intent()[0]
    if len(shape) == 5 and shape[3] == 1 and any(word in intent.lower() for word in _CHANNELS):
        return (*shape[:3], shape[4])
    if len(shape) > 3:
        raise ImageError(f"it is a series of volumes of the shape {' x '.join(map(str, shape))} (time, echoes or "
                         "sequences); save each as a file of its own, as nibabel.four_to_three does")
    return (*shape, 1, 1, 1)[:3]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence nibabel, which logs what it also raises or corrects."""
    level = imageglobals.logger.level
    imageglobals.logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        imageglobals.logger.setLevel(level)
