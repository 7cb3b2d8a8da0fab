"""Reading images: every pixel is decoded, all stored bits are kept, and bad files give one clear sentence.

The format is detected from the content. JPEG, PNG, TIFF and BMP are read here, other formats by image reader plugins;
:func:`probe` finds the reader, and the sample passes it to :func:`read_image`.
"""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from sightsmith.core.contracts.image import Array, Frame, ImageError, ImageInfo, Reader
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.engine.data.grey_levels import digest, to_picture

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import Sample

BUILT_IN = ("JPEG", "PNG", "TIFF", "BMP")
HEAD = 512
"""Bytes used for format detection."""
MAX_SIDE = 16_384
"""Maximum side of an image, pixels."""
MAX_FRAMES = 4_096
MAX_PIXELS = 1_000_000_000

_RASTERS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF",
            b"II+\0": "TIFF", b"MM\0+": "TIFF"}
_OTHERS = {(0, b"GIF8"): "a GIF", (8, b"WEBP"): "a WebP", (4, b"ftyp"): "a HEIC, AVIF or video", (0, b"%PDF"): "a PDF",
           (4, b"jP  "): "a JPEG 2000", (0, b"8BPS"): "a PSD", (0, b"PK\3\4"): "a zip", (0, b"\x1f\x8b"): "a gzip",
           (1, b"HDF"): "an HDF5", (1, b"NUMPY"): "a NumPy"}
_ORIENTATION, _BITS, _PHOTOMETRIC, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 274, 258, 262, 338, 339  # TIFF and EXIF tags


def probe(path: Path, readers: Collection[ImageReaderRecord]) -> ImageInfo:
    """Decode every pixel of every frame; ``readers`` read the formats that are not built in. Raises ImageError for an
    unusable file.

    Call it before :func:`read_image`, in which damaged DICOM pixels may abort the process. Unchanged files are not
    decoded again in the same process, because the trials of a search share their images.
    """
    try:
        found = path.stat()
    except OSError:
        return _probe(path, tuple(readers))
    return _probe_once(path, tuple(readers), found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=2**16)
def _probe_once(path: Path, readers: tuple[ImageReaderRecord, ...], *stamp: int) -> ImageInfo:
    return _probe(path, readers)


def _probe(path: Path, readers: tuple[ImageReaderRecord, ...]) -> ImageInfo:
    with _opened(path, readers) as (reader, builder):
        shapes, bits, maxima, digests, grey = [], [], [], [], []
        for index in range(reader.frames):
            frame = reader.frame(index, careful=True)
            shapes.append(frame.values.shape)
            bits.append(frame.bits)
            maxima.append(frame.maximum)
            digests.append(digest(frame))
            grey.append(bool((frame.values == frame.values[..., :1]).all()))
        return ImageInfo(shapes[0][1], shapes[0][0], max(shape[2] for shape in shapes), max(bits), reader.frames,
                         reader.study, reader.modality, max(maxima), tuple(digests), all(grey), builder)


def announced_pixels(path: Path, readers: Collection[ImageReaderRecord]) -> int:
    """The number of pixels of all frames from the header, without decoding. Raises ImageError for an unusable file."""
    with _opened(path, readers) as (reader, _):
        return reader.size[0] * reader.size[1] * reader.frames


def read_image(sample: Sample, *, windows: Sequence[Sequence[float]] = (), value_range: Sequence[float] | None = None,
               ) -> Array:
    """Decode the frame of a checked ``sample`` (None: the first) to (H, W, C), upright, transparency over black; for a
    tile, the whole image.

    uint8 in 0..255 for at most 8 stored bits, otherwise float32 in [0, 1] with all stored bits.
    C is 1 for grey, 3 for RGB, ``len(windows)`` for grey DICOM with ``windows``.

    The linear scale from black to white is the first of these that applies: ``windows``
    [[centre, width], ...] (grey DICOM; in the units after rescale; width >= 1), ``value_range``
    [low, high] (above 8 bits; DICOM: after rescale), the DICOM file's own first window, the whole
    range of the stored bits (none above 16 bits and for floats). Non-finite pixels become black.

    Raises ImageError for an unreadable file or frame.
    """
    with _opened(sample.path, builder=sample.reader) as (reader, _):
        index = sample.frame or 0
        if not 0 <= index < reader.frames:
            raise ImageError(f"it has no frame {index}: they are numbered from 0 to {reader.frames - 1}")
        return to_picture(reader.frame(index), windows, value_range)


def check_size(width: int, height: int, frames: int = 1) -> None:
    """Check the header's size before memory is allocated. Raises ImageError if it is too large."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ImageError(f"it is {width} x {height} pixels; a side must have 1 to {MAX_SIDE}")
    if not 0 < frames <= MAX_FRAMES:
        raise ImageError(f"it has {frames} frames; 1 to {MAX_FRAMES} are supported")
    if width * height * frames > MAX_PIXELS:
        raise ImageError(f"its {frames} frames of {width} x {height} pixels are more than {MAX_PIXELS:,} in total")


def integer_limits(bits: int, signed: bool) -> tuple[float, float] | None:
    """The whole range of a stored integer; None above 16 bits, where most images would be all black."""
    if bits > 16:
        return None
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def largest(values: Array) -> float:
    """The largest finite value; 0 if there is none."""
    values = values[np.isfinite(values)]
    return float(values.max()) if values.size else 0.0


@contextmanager
def _opened(path: Path, readers: Collection[ImageReaderRecord] = (), builder: str | None = None,
            ) -> Iterator[tuple[Reader, str | None]]:
    """The open file, and the builder of its reader: ``builder``, or else that of the first matching of ``readers``;
    None for a built-in format."""
    raster: str | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with path.open("rb") as file:
                head = file.read(HEAD)
            if not head:
                raise ImageError("the file is empty")
            if builder is None:
                builder, raster = _detect_format(path, head, readers)
            if raster is not None:
                with Image.open(path, formats=(raster,)) as image:
                    yield _Raster(image, path, head), None
            elif builder is not None:
                yield pkgutil.resolve_name(builder)(path), builder
    except (ImageError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"the {raster} is damaged or of an unsupported kind") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from error
    except Exception as error:  # decoders raise nearly every built-in exception on broken bytes
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageError(f"the file cannot be decoded: {reason}") from error


def _detect_format(path: Path, head: bytes, readers: Collection[ImageReaderRecord]) -> tuple[str | None, str | None]:
    """The builder of an image reader, or the name of a built-in format. Raises ImageError if the format is unknown, or
    its reader is not installed."""
    record = next((item for item in readers if item.marks(head)), None)
    raster = next((name for magic, name in _RASTERS.items() if head.startswith(magic)), None)
    if record is None and raster is not None:
        return None, raster
    record = record or next((item for item in readers if path.name.lower().endswith(item.suffixes)), None)
    if record is None:
        *names, last = (*BUILT_IN, *(item.title for item in readers))
        raise ImageError(f"{_looks_like(head)}; images are {', '.join(names)} and {last}")
    try:
        record.build()
    except ModuleNotFoundError as error:
        raise ImageError(f"reading {record.title} needs {error.name}, which is not installed"
                         + (f": {record.install}" if record.install else "")) from error
    return record.builder, None


def _looks_like(head: bytes) -> str:
    kind = next((kind for (start, magic), kind in _OTHERS.items() if head[start:].startswith(magic)), None)
    if kind is None and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        kind = "an SVG" if b"<svg" in head else "a text"
    return f"it looks like {kind} file" if kind else "its format is unknown"


class _Raster:
    """A JPEG, PNG, TIFF or BMP file. Only TIFF pages are frames: previews and animations are not."""

    study: str | None = None
    modality: str | None = None

    def __init__(self, image: Image.Image, path: Path, head: bytes) -> None:
        self._image, self._path, self._head = image, path, head
        self.frames: int = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
        self.size = image.size
        check_size(*image.size, self.frames)

    def frame(self, index: int, careful: bool = False) -> Frame:
        image = self._image
        image.seek(index)
        check_size(*image.size, self.frames)
        tags = getattr(image, "tag_v2", {})
        bits = max(tags.get(_BITS, (8,))) if tags else self._head[24] if image.format == "PNG" else 8
        signed = tags.get(_SAMPLE_FORMAT, (1,))[0] == 2
        image.load()
        # Pillow and OpenCV turn a TIFF upright themselves, and Pillow removes the tag; not so for other formats.
        orientation = image.getexif().get(_ORIENTATION, 1)
        if image.mode == "F":
            values, bits, limits = np.array(image), 32, None
        elif image.mode.startswith("I"):
            values, limits = np.array(image), integer_limits(bits, signed)
            values = values.view(np.uint32) if bits == 32 and not signed else values
        elif bits > 8:
            values, limits = self._deep_colour(index, tags), integer_limits(bits, signed=False)
        else:
            values, bits, limits = _eight_bits(image), 8, (0, 255)
        values = _upright(values if values.ndim == 3 else values[..., None], orientation)
        # Up to 8 bits, Pillow inverts a white-is-zero TIFF itself.
        return Frame(values, largest(values), bits, limits, inverted=bits > 8 and tags.get(_PHOTOMETRIC) == 0)

    def _deep_colour(self, index: int, tags: Mapping[int, Any]) -> Array:
        """Colour, or grey with alpha, with 16 bits per channel, which Pillow would reduce to 8."""
        import cv2

        if self._image.mode not in ("RGB", "RGBA", "RGBX", "LA"):
            raise ImageError(f"{self._image.mode} of more than 8 bits is not supported; save it as RGB")
        found, pages = cv2.imreadmulti(str(self._path), index, 1, flags=cv2.IMREAD_UNCHANGED)
        if not found or pages[0].dtype != np.uint16 or pages[0].shape[:2] != self._image.size[::-1]:
            raise ImageError(f"this kind of 16-bit {self._image.format} is not supported")
        values: Array = pages[0][..., 2::-1]
        if pages[0].shape[2] == 4 and 2 in tags.get(_EXTRA_SAMPLES, (2,)):  # otherwise not alpha, or premultiplied
            values = np.rint(values * (pages[0][..., 3:] / 65535)).astype(np.uint16)
        return values[..., :1] if self._image.format == "PNG" and self._head[25] == 4 else values


def _eight_bits(image: Image.Image) -> Array:
    """(H, W) grey or (H, W, 3) RGB, uint8; alpha composited over black."""
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if not image.has_transparency_data:
        return np.array(image.convert(mode))
    image = image.convert(f"{mode}A")
    return np.array(Image.composite(image.convert(mode), Image.new(mode, image.size), image.getchannel("A")))


def _upright(values: Array, orientation: int) -> Array:
    """Undo an EXIF orientation (1 to 8; others count as 1) of (H, W, C)."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)
