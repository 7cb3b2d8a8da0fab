"""What the readers of volumes share: slices as they are looked at, decoded one by one."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from nibabel import Nifti1Image, orientations

from sightsmith.plugin import (
    Array,
    FileCache,
    Frame,
    Geometry,
    ImageError,
    check_image_size,
    integer_limits,
    is_inside,
    largest_value,
    write_atomic,
)

MAX_BYTES = 2**31
"""Of the voxels of a compressed file, which is decoded as a whole."""
MAX_SKIP = 2**26
"""Bytes before the voxels of a compressed file."""
ANISOTROPIC = 2.0
"""Slices that are so many times as far apart as their rows and columns are those that were scanned."""
CHUNK = 2**20

_PLANES = {"S": ("axial", "LPS"), "I": ("axial", "LPS"), "L": ("sagittal", "PIL"), "R": ("sagittal", "PIL"),
           "P": ("coronal", "LIP"), "A": ("coronal", "LIP")}
"""By the direction across them: the plane, and where columns, rows and slices lead, as radiologists look at them."""
_VOLUMES: FileCache[Array] = FileCache()


@dataclass(frozen=True)
class Stored:
    """Where ``path`` has its voxels: an array of this type and shape, the first axis the fastest, from the byte
    ``start``. Where something compressed starts there, which ``unpack`` opens, ``skip`` bytes of it come first."""

    path: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    start: int
    unpack: Callable[[BinaryIO], Any] | None = None
    skip: int = 0

    @property
    def size(self) -> int:
        """bytes of the voxels"""
        return math.prod(self.shape) * self.dtype.itemsize

    def check(self) -> None:
        """Raises ImageError unless the file can hold the voxels, and memory can."""
        if self.unpack is None:
            there = max(self.path.stat().st_size - self.start, 0)
            if self.start < 0 or self.size > there:
                raise ImageError(f"it is cut short: its voxels have {self.size:,} bytes, and it has {there:,}")
        elif self.size > MAX_BYTES:
            raise ImageError(f"its voxels have {self.size / 2**30:.1f} GiB, and a compressed volume has at most "
                             f"{MAX_BYTES / 2**30:g}; save it without compression, which is read slice by slice")
        elif not 0 <= self.skip <= MAX_SKIP:
            raise ImageError(f"its voxels begin at the byte {self.skip:,}, as in no usual file")

    def voxels(self) -> Array:
        """The array: a map of an uncompressed file, of which only what is used is read; else decoded and kept."""
        if self.unpack is None:
            return np.memmap(self.path, self.dtype, "r", self.start, self.shape, "F")
        return _VOLUMES.get(self.path, self._decoded)

    def _decoded(self) -> Array:
        assert self.unpack is not None
        values = np.empty(math.prod(self.shape), self.dtype)
        view, filled = values.view(np.uint8).data, 0
        with self.path.open("rb") as packed, self.unpack(packed) as file:
            packed.seek(self.start)
            left = self.skip
            while left and (skipped := len(file.read(min(left, CHUNK)))):
                left -= skipped
            while filled < len(view):
                part = file.read(min(CHUNK, len(view) - filled))
                if not part:
                    raise ImageError(f"it is cut short: its voxels have {len(view):,} bytes, and it has {filled:,}")
                view[filled:filled + len(part)] = part
                filled += len(part)
            file.read(CHUNK)  # to the end, where the checksum is
        return values.reshape(self.shape, order="F")


def file_beside(path: Path, name: str, whole: str) -> Path:
    """The file called ``name`` that a header ``path`` says the voxels are in: in the same folder, and nowhere else.
    ``whole`` is the suffix of a file with both. Raises ImageError."""
    data = path.parent / name
    if name != Path(name).name or "\\" in name or "%" in name:
        raise ImageError(f"its voxels are in {name!r}; only one file in the same folder is read: save it as one "
                         f"{whole} file")
    if not data.is_file():
        raise ImageError(f"the file {name!r} with its voxels is not in the same folder")
    if not is_inside(path.parent, data):
        raise ImageError(f"the file {name!r} with its voxels is a link out of its folder; save it as one {whole} file")
    return data


class VolumeReader:
    """An open volume (x, y, z) or (x, y, z, C), as slices.

    Slices are axial; where those of another plane are at least :data:`ANISOTROPIC` times as far apart as their pixels,
    they are what was scanned, and are taken instead. They are shown as in radiology: axial ones from below, with the
    patient's right at the left and the front at the top; sagittal ones with the front at the left; coronal ones from
    the front. Numbers rise to the head, to the left and to the back. Nothing is interpolated: axes are swapped and
    turned to the closest of these directions.

    Values are those of the header's ``slope`` and ``intercept``. The default ``window`` is the file's, else the whole
    range of the stored bits. Raises ImageError.
    """

    groups: tuple[str, ...] = ()
    modality: str | None = None

    def __init__(self, stored: Stored, affine: Array, *, channel_axis: int | None = None,
                 scale: tuple[float, float] = (1.0, 0.0), window: tuple[float, float] | None = None) -> None:
        """``affine`` (4 x 4) leads from voxels to mm of RAS+; ``channel_axis`` is an axis of ``stored`` that is none of
        space."""
        if stored.dtype.kind not in "buif" or stored.dtype.itemsize > 8:
            raise ImageError(f"its voxels have the type {stored.dtype.name}, which images do not have")
        self._stored, self._channel_axis, self._scale, self._window = stored, channel_axis, scale, window
        self._affine, codes = affine, _codes(affine)
        shape = [side for axis, side in enumerate(stored.shape) if axis != channel_axis]
        if min(shape) < 1:
            raise ImageError(f"its size is {' x '.join(map(str, shape))} voxels")
        across = _slice_axis(affine, shape)
        self._plane, directions = _PLANES[codes[across]]
        stored_axes, shown_axes = orientations.axcodes2ornt(codes), orientations.axcodes2ornt(directions)
        self._turned = orientations.ornt_transform(stored_axes, shown_axes)
        self._back = orientations.ornt_transform(shown_axes, stored_axes)
        columns, rows, self.frames = (shape[axis] for axis in np.argsort(self._turned[:, 0]))
        self.size = columns, rows
        turned = affine @ orientations.inv_ornt_aff(self._turned, shape)
        self.geometry = Geometry(tuple(tuple(row) for row in turned[:3].tolist()), self._plane)
        self._channels = 1 if channel_axis is None else stored.shape[channel_axis]
        check_image_size(columns, rows, self.frames, self._channels)
        stored.check()

    def frame(self, index: int, careful: bool = False) -> Frame:
        voxels = self._stored.voxels()
        voxels = voxels[..., None] if self._channel_axis is None else np.moveaxis(voxels, self._channel_axis, -1)
        turned = orientations.apply_orientation(voxels, self._turned)
        stored: Array = np.array(turned[:, :, index].swapaxes(0, 1), voxels.dtype.newbyteorder("="), order="C")
        stored = stored * np.uint8(255) if stored.dtype.kind == "b" else stored
        bits = 32 if stored.dtype.kind == "f" else 8 * stored.dtype.itemsize
        limits = None if bits > 16 else integer_limits(bits, signed=stored.dtype.kind == "i")
        slope, intercept = self._scale
        values = stored if self._scale == (1, 0) else stored * np.float64(slope) + intercept
        if limits is not None:
            low, high = sorted(limit * slope + intercept for limit in limits)
            limits = low, high
        notes = () if self._plane == "axial" else (
            f"{self._plane} slices are used, which are further apart than their pixels,",)
        return Frame(values, largest_value(stored), bits, self._window or limits, windowed=self._channels == 1,
                     notes=notes)

    def save(self, slices: Array, stem: Path) -> Path:
        """Write ``slices`` (frames, H, W) as NIfTI with the axes and the affine of this volume."""
        path = stem.with_name(f"{stem.name}.nii.gz")
        voxels = orientations.apply_orientation(slices.transpose(2, 1, 0), self._back)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, gzip.compress(Nifti1Image(voxels, self._affine).to_bytes(), mtime=0))
        return path


def _slice_axis(affine: Array, shape: list[int]) -> int:
    """The axis across the slices."""
    flat = [axis for axis, side in enumerate(shape) if side == 1]
    if len(flat) == 1:
        return flat[0]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    thickest = int(spacing.argmax())
    if (spacing[thickest] >= ANISOTROPIC * np.delete(spacing, thickest)).all():
        return thickest
    return next(axis for axis, code in enumerate(_codes(affine)) if code in "IS")


def _codes(affine: Array) -> tuple[str, ...]:
    return orientations.ornt2axcodes(_orientation(affine))


def _orientation(affine: Array) -> Array:
    if not np.isfinite(affine).all():
        raise ImageError("its affine, which says how it lies in the patient, has values that are not numbers")
    found: Array = orientations.io_orientation(affine)
    if np.isnan(found).any() or not np.linalg.norm(affine[:3, :3], axis=0).all():
        raise ImageError("its affine, which says how it lies in the patient, leaves out a direction")
    return found
