"""Reading images: every pixel is decoded, all stored bits are kept, and bad files give one clear sentence.

The format is detected from the content. Some are built in (:mod:`.rasters`), others are read by image reader plugins;
:func:`probe` finds the reader, and the sample passes it to :func:`read_image`.
"""

from __future__ import annotations

import hashlib
import pkgutil
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from sightsmith.core.contracts.image import (
    Array,
    Frame,
    ImageError,
    ImageInfo,
    MissingReaderError,
    PartReader,
    Reader,
    SeriesError,
)
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.util.errors import PluginError
from sightsmith.core.util.text import counted
from sightsmith.engine.data.grey_levels import digest, extent, to_picture
from sightsmith.engine.data.image_files import BUILT_IN, JOINED, looks_like, raster_format, read_head
from sightsmith.engine.data.image_limits import HOW_TO_CUT, MAX_FRAME_PIXELS
from sightsmith.engine.data.large_image import blocks
from sightsmith.engine.data.rasters import open_raster
from sightsmith.engine.data.tiff_bands import StackedPages

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import Sample
    from sightsmith.core.contracts.schema import ImageConfig

T = TypeVar("T")
_one_at_a_time = threading.Lock()
"""Held while a large image is decoded, so that several together need no more memory than one."""
SPARSE = 16
"""Every so many rows and columns are looked at first."""
STACKED = "channels"
"""The value of ``image.pages`` that makes the pages of a TIFF channels of one image."""


def probe(path: Path, readers: Collection[ImageReaderRecord], *, stack: bool = False, series: int | None = None,
          ) -> ImageInfo:
    """Decode every pixel of every frame; ``readers`` read the formats that are not built in, ``stack`` makes the pages
    of a TIFF channels of one image, and so are the volumes of a file that has ``series`` of them. Raises ImageError for
    an unusable file.

    Call it before :func:`read_image`, in which damaged DICOM pixels may abort the process. Unchanged files are not
    decoded again in the same process, because the trials of a search share their images.
    """
    try:
        found = path.stat()
    except OSError:
        return _probe(path, tuple(readers), stack, series)
    return _probe_once(path, tuple(readers), stack, series, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=2**16)
def _probe_once(path: Path, readers: tuple[ImageReaderRecord, ...], stack: bool, series: int | None, *stamp: int,
                ) -> ImageInfo:
    return _probe(path, readers, stack, series)


def _probe(path: Path, readers: tuple[ImageReaderRecord, ...], stack: bool, series: int | None) -> ImageInfo:
    return _of_series(series, lambda builder: _decoded(path, readers, builder, stack))


def _of_series(series: int | None, read: Callable[[str | None], T]) -> T:
    """What ``read`` returns, which takes a builder; of a series of so many volumes with that which makes them channels.
    """
    try:
        return read(None)
    except SeriesError as error:
        if error.count != series:
            raise
        return read(error.as_channels)


def _decoded(path: Path, readers: tuple[ImageReaderRecord, ...], builder: str | None, stack: bool) -> ImageInfo:
    with _opened(path, readers, builder, stack=stack) as (reader, builder):
        frames = [_described(reader, index) for index in range(reader.frames)]
        (shapes, bits, maxima, digests, grey, extents, limits, colours, notes, windowed,
         blank, orientations) = zip(*frames, strict=True)
        low, high = min(extent[0] for extent in extents), max(extent[1] for extent in extents)
        return ImageInfo(shapes[0][1], shapes[0][0], max(shape[2] for shape in shapes), max(bits), reader.frames,
                         reader.groups, reader.modality, max(maxima), digests, all(grey), builder, (low, high),
                         limits[0], tuple(sorted({note for each in notes for note in each})), min(colours),
                         all(windowed), frozenset(np.flatnonzero(blank).tolist()), getattr(reader, "geometry", None),
                         orientations[0])


def _described(reader: Reader, index: int) -> tuple[Any, ...]:
    """What is kept of the frame ``index`` once it is decoded, whole or block by block."""
    if not isinstance(reader, PartReader):
        return _seen(reader.frame(index, careful=True))
    width, height = reader.upright
    with _one_at_a_time:
        seen, corners = [], set()
        for box in blocks(reader.upright):
            frame = reader.part(index, box)
            seen.append(_seen(frame))
            corners.add(frame.values[0, 0].tobytes())
    shapes, bits, maxima, digests, grey, extents, *_, blank, orientations = zip(*seen, strict=True)
    _, *others = seen[0]
    low, high = min(low for low, _ in extents), max(high for _, high in extents)
    total = hashlib.sha256(f"{width} {height} {' '.join(digests)}".encode()).hexdigest()
    return ((height, width, shapes[0][2]), bits[0], max(maxima), total, all(grey), (low, high), *others[5:9],
            all(blank) and len(corners) == 1, orientations[0])


def _seen(frame: Frame) -> tuple[Any, ...]:
    """What is kept of a decoded frame, or of a part of it."""
    values = frame.values
    few = values[::SPARSE, ::SPARSE]  # nearly always they decide, and all would take longer than decoding
    monochrome = bool((few == few[..., :1]).all() and (values == values[..., :1]).all())
    blank = bool((few == few[:1, :1]).all() and (values == values[:1, :1]).all())
    return (values.shape, frame.bits, frame.maximum, digest(frame), monochrome, extent(values), frame.limits,
            frame.colours, frame.notes, frame.windowed, blank, frame.orientation)


def read_header(path: Path, readers: Collection[ImageReaderRecord] = (), builder: str | None = None,
                ) -> tuple[Reader, str | None]:
    """The file's reader before anything is decoded, and its builder: ``builder``, or else that of the first matching of
    ``readers``. Raises ImageError."""
    with _opened(path, readers, builder) as found:
        return found


def announced_pixels(path: Path, readers: Collection[ImageReaderRecord], series: int | None) -> int:
    """The number of pixels of all frames from the header, without decoding. Raises ImageError for an unusable file."""
    def count(builder: str | None) -> int:
        with _opened(path, readers, builder) as (reader, _):
            return reader.size[0] * reader.size[1] * reader.frames
    return _of_series(series, count)


def read_image(sample: Sample, *, windows: Sequence[Sequence[float]] = (), value_range: Sequence[float] | None = None,
               channels: int = 3, stack: bool = False) -> Array:
    """Decode the frame of a checked ``sample`` (None: the first) to (H, W, C), upright, transparency over black; for a
    tile, the whole image. ``stack`` makes the pages of a TIFF channels of one image.

    uint8 in 0..255 for at most 8 stored bits, otherwise float32 in [0, 1] with all stored bits.
    C is 1 for grey and 3 for RGB, without further bands; ``channels`` if they are others than 3; ``len(windows)`` for
    grey DICOM and volumes with ``windows``.

    The linear scale from black to white is the first of these that applies: ``windows``
    [[centre, width], ...] (grey DICOM and volumes; in the units after rescale; width >= 1), ``value_range``
    [low, high] (above 8 bits; after rescale), the file's own first window, the whole
    range of the stored bits (none above 16 bits and for floats). Non-finite pixels become black.

    Raises ImageError for an unreadable file or frame, and for other bands than ``channels``.
    """
    return _picture(read_frame(sample, stack=stack), windows, value_range, channels)


def _picture(frame: Frame, windows: Sequence[Sequence[float]], value_range: Sequence[float] | None, channels: int,
             ) -> Array:
    if len(windows) > 1:
        return to_picture(frame, windows, value_range)
    if problem := about_bands(frame.values.shape[2], frame.colours, channels):
        raise ImageError(problem)
    return to_picture(first_bands(frame, channels), windows, value_range)


def read_frame(sample: Sample, *, stack: bool = False) -> Frame:
    """The frame of a checked ``sample`` (None: the first) with all of its bands. Raises ImageError."""
    with opened_sample(sample, stack=stack) as (reader, index):
        return reader.frame(index)


@contextmanager
def opened_sample(sample: Sample, *, stack: bool = False) -> Iterator[tuple[Reader, int]]:
    """The reader of a checked ``sample``, and the number of its frame. Raises ImageError."""
    with _opened(sample.path, builder=sample.reader, stack=stack) as (reader, _):
        index = sample.frame or 0
        if not 0 <= index < reader.frames:
            raise ImageError(f"it has no frame {index}: they are numbered from 0 to {reader.frames - 1}")
        yield reader, index


def read_input(sample: Sample, image: ImageConfig) -> Array:
    """:func:`read_image` as the keys ``image`` say: C is 1, for grey in all channels, or ``image.input_channels``.

    An image without windows in a data set that has several has its grey. Raises ImageError.
    """
    return as_input(read_frame(sample, stack=image.pages == STACKED), image)


def as_input(frame: Frame, image: ImageConfig) -> Array:
    """A frame, or a part of one, as :func:`read_input`. Raises ImageError."""
    values = _picture(frame, image.windows, image.range, image.input_channels)
    if values.shape[2] in (1, image.input_channels):
        return values
    grey: Array = values.mean(2, keepdims=True, dtype=np.float32)
    return np.rint(grey).astype(np.uint8) if values.dtype == np.uint8 else grey


def about_bands(bands: int, colours: int, channels: int) -> str:
    """Why an image of so many ``bands``, of which the first ``colours`` are a picture, cannot be used for a network of
    ``channels``; empty if it can."""
    if channels != 3 and bands != channels:
        return f"it has {counted(bands, 'band')}, and {channels} channels are used"
    if channels == 3 and bands not in (1, 3) and not colours:
        return f"it has {bands} bands, none of them known to be colours, and 3 channels are used"
    return ""


def first_bands(frame: Frame, channels: int) -> Frame:
    """``frame`` without the bands beside the colours for a network of three ``channels``."""
    if channels != 3 or frame.values.shape[2] == frame.colours:
        return frame
    return replace(frame, values=np.ascontiguousarray(frame.values[..., :frame.colours]))


@contextmanager
def _opened(path: Path, readers: Collection[ImageReaderRecord] = (), builder: str | None = None,
            *, stack: bool = False) -> Iterator[tuple[Reader, str | None]]:
    """The open file, and the builder of its reader: ``builder``, or else that of the first matching of ``readers``;
    None for a built-in format."""
    raster: str | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            head = read_head(path)
            if not head:
                raise ImageError("the file is empty")
            builder, raster = (builder, None) if builder else _detect_format(path, head, readers)
            if raster is not None:
                with open_raster(path, head, raster) as reader:
                    yield (StackedPages(reader) if stack and reader.frames > 1 else reader), None
            elif builder is not None:
                yield pkgutil.resolve_name(builder)(path), builder
    except (ImageError, MemoryError, PluginError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"it has more than {MAX_FRAME_PIXELS:,} pixels, and only JPEG, PNG and TIFF are read in "
                         f"parts: {HOW_TO_CUT}") from error
    except Exception as error:  # decoders raise nearly every built-in exception on broken bytes
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageError(f"the {raster or 'file'} cannot be decoded: {reason}") from error


def _detect_format(path: Path, head: bytes, readers: Collection[ImageReaderRecord]) -> tuple[str | None, str | None]:
    """The builder of an image reader, or the name of a built-in format. Raises ImageError if the format is unknown, or
    its reader is not installed."""
    if head.startswith(JOINED):
        return "sightsmith.engine.data.joined_files:JoinedFiles", None
    record = next((item for item in readers if item.marks(head)), None)
    raster = raster_format(head)
    if record is None and raster is not None:
        return None, raster
    record = record or next((item for item in readers if path.name.lower().endswith(item.suffixes)), None)
    if record is None:
        *names, last = (*BUILT_IN, *(item.title for item in readers))
        raise ImageError(f"{looks_like(head)}; images are {', '.join(names)} and {last}")
    try:
        record.build()
    except ModuleNotFoundError as error:
        raise MissingReaderError(record.title, error.name or "a package", record.install) from error
    return record.builder, None
