"""DICOM images, by pydicom."""

from __future__ import annotations

import io
import logging
import math
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import uid
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array

from sightsmith.plugin import (
    Array,
    FileCache,
    Frame,
    ImageError,
    check_image_size,
    integer_limits,
    largest_value,
    window_limits,
)
from sightsmith.plugins.readers.dicom_frames import PIXELS, check_compressed, has_more_frames

with suppress(ImportError):
    import gdcm  # type: ignore[import-untyped]

    # The decoder writes to stderr by itself, past every Python filter.
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()

LARGEST_DEFLATED = 2**29
"""Bytes of a deflated data set once inflated: a file can claim a thousand times its own size."""

_DATA: FileCache[Any] = FileCache()
"""Files of several frames, each of which is opened by itself: reading all again for it would take too long."""
MORE_FRAMES = "frames beyond the NumberOfFrames of the header are left out"
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_GREY = ("MONOCHROME1", "MONOCHROME2")


class DicomReader:
    """An open DICOM file.

    Grey values are rescaled by the Modality LUT, or by RescaleSlope and RescaleIntercept of the frame.
    The default window is the frame's first one, read as linear, else the whole range of the stored bits
    after rescaling. MONOCHROME1 is inverted last. Colour becomes RGB. Raises ImageError.
    """

    def __init__(self, path: Path) -> None:
        with _quiet():
            data = _DATA.get(path, partial(_read, path), _has_frames)
            if not any(name in data for name in PIXELS):
                kind = data.get("SOPClassUID") or getattr(data, "file_meta", {}).get("MediaStorageSOPClassUID")
                raise ImageError(f"the DICOM file has no image ({kind.name})" if kind else
                                 "it is not a DICOM image: no pixel data found")
            if not data.get("Rows") or not data.get("Columns"):
                raise ImageError("its DICOM header has no size: Rows or Columns is missing")
            self.frames = data.NumberOfFrames = int(data.get("NumberOfFrames") or 1)
            self.size = (int(data.Columns), int(data.Rows))
            check_image_size(*self.size, self.frames)
            names = {"patient": data.get("PatientID"), "study": data.get("StudyInstanceUID")}
            self.groups = tuple(f"{kind} {name}".strip() for kind, name in names.items() if str(name or "").strip())
            self.modality = str(data.get("Modality") or "") or None
            self._data = data
            self._photometric = _completed(data)
            self._bits = int(data.get("BitsStored") or data.get("BitsAllocated") or 0)
            self._rehearsed = False
            self._notes: tuple[str, ...] = ()
            self._check_header()
            with suppress(Exception):  # of damaged pixels, which decoding describes
                self._notes = (MORE_FRAMES,) if has_more_frames(data) else ()

    def frame(self, index: int, careful: bool = False) -> Frame:
        with _quiet():
            stored = self._decode(index, careful)
            if self._photometric == "PALETTE COLOR":
                return Frame(_palette(self._data, stored), largest_value(stored), 8, (0, 255), notes=self._notes)
            if self._photometric in _COLOUR:
                bits = max(8, self._bits)
                return Frame(stored, largest_value(stored), bits, integer_limits(bits, signed=False),
                             notes=self._notes)
            return self._grey(stored[..., None], index)

    def _decode(self, index: int, careful: bool) -> Array:
        """(H, W) or (H, W, 3) as stored, except that YBR becomes RGB."""
        syntax = self._data.file_meta.TransferSyntaxUID
        # pylibjpeg's RLE decoder panics on damaged data, which `except Exception` does not catch.
        plugin = "pydicom" if syntax == uid.RLELossless else ""
        decode = partial(pixel_array, self._data, decoding_plugin=plugin)
        try:
            if careful and syntax.is_compressed and not self._rehearsed:
                for number in range(self.frames):
                    check_compressed(self._data, number)
                if not plugin:
                    _rehearse(decode, self.frames)
                self._rehearsed = True
            return decode(index=index)
        except RuntimeError as error:  # what pydicom raises once every decoder has failed
            raise ImageError(f"its {syntax.name} pixels are damaged, or no installed decoder supports them") from error

    def _grey(self, stored: Array, index: int) -> Frame:
        values, limits = self._rescaled(stored, index)
        limits = _own_window(self._module(index, "FrameVOILUTSequence")) or limits
        image = ~_padding(self._data, stored)
        if image.any() and not image.all():
            darkest = values[image].max() if self._photometric == "MONOCHROME1" else values[image].min()
            values, stored = np.where(image, values, darkest), stored[image]
        return Frame(values, largest_value(stored), max(8, self._bits), limits,
                     inverted=self._photometric == "MONOCHROME1", windowed=True, notes=self._notes)

    def _rescaled(self, stored: Array, index: int) -> tuple[Array, tuple[float, float] | None]:
        """The rescaled values, and the rescaled range of the stored bits."""
        if self._data.get("ModalityLUTSequence"):
            depth = int(self._data.ModalityLUTSequence[0].LUTDescriptor[2])
            return apply_modality_lut(stored.astype(np.int32), self._data), (0, 2**depth - 1)
        transform = self._module(index, "PixelValueTransformationSequence")
        slope, intercept = _number(transform, "RescaleSlope"), _number(transform, "RescaleIntercept") or 0.0
        slope = 1.0 if slope is None else slope
        limits = None
        if stored.dtype.kind != "f":
            limits = integer_limits(self._bits, signed=bool(self._data.get("PixelRepresentation")))
        if (slope, intercept) == (1, 0):
            return stored, limits
        if limits is not None:
            low, high = sorted(value * slope + intercept for value in limits)
            limits = low, high
        values = stored * np.float64(slope)
        values += intercept
        return values, limits

    def _module(self, index: int, sequence: str) -> Any:
        """The data set with a frame's attributes: enhanced files nest them in functional groups."""
        groups = [*(self._data.get("PerFrameFunctionalGroupsSequence") or [])[index:index + 1],
                  *(self._data.get("SharedFunctionalGroupsSequence") or [])]
        return next((group[sequence][0] for group in groups if group.get(sequence)), self._data)

    def _check_header(self) -> None:
        data = self._data
        if not 1 <= self._bits <= 64:
            raise ImageError(f"BitsStored in its DICOM header is {self._bits}")
        if self._photometric not in (*_GREY, *_COLOUR, "PALETTE COLOR"):
            raise ImageError(f"its photometric interpretation {self._photometric} is not supported")
        samples = int(data.get("SamplesPerPixel") or 1)
        if samples != (3 if self._photometric in _COLOUR else 1):
            raise ImageError(f"its DICOM header has {self._photometric} with {samples} samples per pixel")
        data.ensure_file_meta()
        syntax = data.file_meta.get("TransferSyntaxUID")
        if not syntax:
            implicit, little = data.original_encoding
            syntax = (uid.ImplicitVRLittleEndian if implicit else
                      uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian)
            data.file_meta.TransferSyntaxUID = syntax
        try:
            decoder = get_decoder(syntax)
        except NotImplementedError as error:
            raise ImageError(f"its DICOM transfer syntax {syntax.name} is not supported") from error
        if not decoder.is_available:
            raise ImageError(f"decoding {syntax.name} needs an extra: pip install 'sightsmith[dicom]'")


def _read(path: Path) -> Any:
    """The data set of a file. Raises ImageError for a deflated one that is too large."""
    with path.open("rb") as file:
        preamble = file.read(132)
        if preamble[128:] == b"DICM":
            meta = read_file_meta_info(path)
            if meta.get("TransferSyntaxUID") == uid.DeflatedExplicitVRLittleEndian:
                file.seek(len(preamble) + 12 + meta.get("FileMetaInformationGroupLength", 0))
                _check_deflated(file)
    with _Bounded(io.FileIO(path)) as bounded:
        return pydicom.dcmread(bounded, force=True)


def _has_frames(data: Any) -> bool:
    return str(data.get("NumberOfFrames") or "1") != "1"


class _Bounded(io.BufferedReader):
    """A file of which no more is asked than it has: the length of an element can claim 4 GB, and reading so many bytes
    takes the memory for them first."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = os.fstat(self.fileno()).st_size - self.tell()
        return super().read(left if size is None or size < 0 else min(size, max(0, left)))


def _check_deflated(file: io.BufferedReader) -> None:
    """Raises ImageError if the rest of ``file`` inflates to more than :data:`LARGEST_DEFLATED` bytes."""
    stream, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not stream.eof and (packed := stream.unconsumed_tail or file.read(2**16)):
        total += len(stream.decompress(packed, 2**20))
        if total > LARGEST_DEFLATED:
            raise ImageError(f"its deflated DICOM data set has more than {LARGEST_DEFLATED // 2**20} MiB")


def _completed(data: Any) -> str:
    """The photometric interpretation of ``data``; what is missing of it and of the samples is added as usual."""
    samples = data.get("SamplesPerPixel") or 1
    data.SamplesPerPixel = samples
    data.PhotometricInterpretation = data.get("PhotometricInterpretation") or ("RGB" if samples == 3 else "MONOCHROME2")
    return str(data.PhotometricInterpretation)


def _padding(data: Any, stored: Array) -> Array:
    """Which pixels only fill up the rectangle (bool); they are to be as dark as the darkest of the others."""
    first, last = data.get("PixelPaddingValue"), data.get("PixelPaddingRangeLimit")
    if not isinstance(first, int):
        return np.zeros(stored.shape, bool)
    # The attributes have 16 bits, and may be read as unsigned where the pixels are not.
    ends = [end - 2**16 if data.get("PixelRepresentation") and end >= 2**15 else end
            for end in (first, last if isinstance(last, int) else first)]
    padding: Array = (stored >= min(ends)) & (stored <= max(ends))
    return padding


def _palette(data: Any, stored: Array) -> Array:
    """(H, W, 3) uint8 from palette indices (H, W); 16-bit entries keep their high byte."""
    entries, first, depth = (int(value) for value in data.RedPaletteColorLookupTableDescriptor)
    entries = entries or 2**16
    table = data.get("RedPaletteColorLookupTableData")
    if entries > 256 and (depth == 8 if table is None else len(table) == entries):
        # pydicom would index such a table with 8 bits.
        raise ImageError("its palette of more than 256 entries of 8 bits is not supported")
    colours = apply_color_lut(np.clip(stored.astype(np.int32), first, first + entries - 1), data)[..., :3]
    return (colours >> max(0, depth - 8)).astype(np.uint8)


def _rehearse(decode: Callable[..., object], frames: int) -> None:
    """Raise RuntimeError if ``decode`` would kill the process for one of the ``frames``: GDCM aborts on some damaged
    pixels."""
    if not hasattr(os, "fork"):
        return
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            for index in range(frames):
                decode(index=index)
        finally:
            os._exit(0)
    if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        raise RuntimeError("the decoder aborted")


def _own_window(data: Any) -> tuple[float, float] | None:
    """The values that the file's first window maps to black and white; None if there is none, or no usable one."""
    try:
        centre, width = _number(data, "WindowCenter"), _number(data, "WindowWidth")
    except (TypeError, ValueError, OverflowError):  # such as "N/A"
        return None
    if centre is None or width is None or not math.isfinite(centre) or not 1 <= width < math.inf:
        return None
    return window_limits(centre, width)


def _number(data: Any, keyword: str) -> float | None:
    """The first value of a decimal attribute; None if it is absent or empty."""
    value = data.get(keyword)
    if isinstance(value, (list, tuple)) or hasattr(value, "__iter__") and not isinstance(value, str):
        value = next(iter(value), None)
    return None if value in (None, "") else float(value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence pydicom, which logs what it also raises or corrects."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
