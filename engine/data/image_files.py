"""Which files are images: by their suffix, or else by their first bytes."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from sightsmith.core.contracts.dataset import IMAGE_SUFFIXES
from sightsmith.core.contracts.image import ImageError
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.engine.data.known_folders import known

BUILT_IN = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WebP", "AVIF", "JPEG 2000", "PNM")
HEAD = 512
"""Bytes used for format detection."""
JOINED = b"sightsmith joined files\n"
"""What a file begins with that stands for others, of :mod:`.joined_files`."""

_RASTERS = (
    (rb"\xff\xd8\xff", "JPEG"), (rb"\x89PNG\r\n\x1a\n", "PNG"), (rb"II[*+]\0|MM\0[*+]", "TIFF"), (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBP", "WEBP"), (rb"....ftyp(?:....)*?avi[fs]", "AVIF"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG2000"), (rb"P[1-6][\s#]", "PPM"), (rb"BM", "BMP"))
_RASTERS_COMPILED = tuple((re.compile(magic, re.DOTALL), name) for magic, name in _RASTERS)
_SHORT = ("PPM", "BMP")
"""Rasters with so few magic bytes that a file of any other kind may have them."""
_OTHERS = {(8, b"WEBP"): "a WebP", (4, b"ftyp"): "a video or HEIF", (0, b"%PDF"): "a PDF", (0, b"8BPS"): "a PSD",
           (0, b"PK\3\4"): "a zip", (0, b"\x1f\x8b"): "a gzip", (1, b"HDF"): "an HDF5",
           (0, b"\x76\x2f\x31\x01"): "an OpenEXR"}
_ANNOTATION = frozenset({".csv", ".html", ".json", ".md", ".py", ".txt", ".xml", ".yaml", ".yml", ".zip"})
"""Suffixes of files that are many beside images and are not looked into."""

_UNREAD = frozenset({".arw", ".avi", ".cr2", ".cr3", ".dng", ".exr", ".hdr", ".jxl", ".mgh", ".mgz",
                     ".mov", ".mp4", ".nef", ".orf", ".psd", ".raf", ".rw2", ".svg", ".tga"})
"""Suffixes of pictures, volumes and films that nothing here reads."""

_reading: ContextVar[tuple[Collection[ImageReaderRecord], Path | None]] = ContextVar("reading", default=((), None))


@contextmanager
def using_readers(readers: Collection[ImageReaderRecord], root: Path | None = None) -> Iterator[None]:
    """The image readers that :func:`is_image` knows in this block: those of the plugins, while a format reads; and the
    folder out of which it follows no link to look into a file."""
    token = _reading.set((tuple(readers), root))
    try:
        yield
    finally:
        _reading.reset(token)


def known_readers() -> Collection[ImageReaderRecord]:
    """The image readers of :func:`using_readers`."""
    return _reading.get()[0]


def is_inside(root: Path, path: Path) -> bool:
    """Whether ``path`` is below ``root`` once links are resolved."""
    try:
        if path.name in ("", "..") or path.is_symlink():
            place = path.resolve()
        else:
            place = known(Path.resolve, path.parent) / path.name
        return place.is_relative_to(known(Path.resolve, root))
    except (OSError, RuntimeError):  # a loop of links
        return False


def is_image(path: Path) -> bool:
    """Whether a file is an image by its suffix or, without a known one, by its content; links are followed.

    While the engine reads a data set, the suffixes and magic bytes of all plugins' image readers count, too. Never
    raises, and never waits: only the first bytes of regular files are read.
    """
    return is_image_file(path, *_reading.get())


def is_image_file(path: Path, readers: Collection[ImageReaderRecord], root: Path | None = None) -> bool:
    """:func:`is_image` with ``readers`` and the built-in formats; no file outside ``root`` is looked into."""
    name = path.name.lower()
    if name.endswith(suffixes(readers)):
        return True
    suffix = path.suffix.lower()
    if suffix in _ANNOTATION or any(name in item.other_files for item in readers) \
            or root is not None and not is_inside(root, path):
        return False
    try:
        head = read_head(path)
    except (ImageError, OSError):
        return False
    # A lettered suffix that is no image's, as in photo.jpg.bak, has a meaning; the end of a DICOM UID has none.
    nameless = not any(letter.isalpha() for letter in suffix)
    return any(item.marks(head) for item in readers) or nameless and raster_format(head) not in (None, *_SHORT)


def unread_pictures(root: Path) -> dict[str, int]:
    """How many files below ``root`` have each suffix of pictures that cannot be read, the most first; none if there is
    an image."""
    found: Counter[str] = Counter()
    for base, _, names in os.walk(root):
        for name in names:
            if is_image(Path(base, name)):
                return {}
            suffix = Path(name.lower().removesuffix(".gz")).suffix
            found[suffix] += suffix in _UNREAD
    return {suffix: count for suffix, count in found.most_common() if count}


def suffixes(readers: Collection[ImageReaderRecord]) -> tuple[str, ...]:
    """The lower-case suffixes of images, sorted."""
    return tuple(sorted(IMAGE_SUFFIXES.union(*(item.suffixes for item in readers))))


def read_head(path: Path) -> bytes:
    """The first :data:`HEAD` bytes. Raises ImageError for what is no regular file, such as a pipe, which would never
    end, and OSError."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ImageError("it is a directory" if stat.S_ISDIR(mode) else "it is a pipe or a device, not a file")
    with path.open("rb") as file:
        return file.read(HEAD)


def raster_format(head: bytes) -> str | None:
    """Pillow's name of the built-in format that a file with these first bytes has."""
    return next((name for magic, name in _RASTERS_COMPILED if magic.match(head)), None)


def looks_like(head: bytes) -> str:
    """What a file of another format seems to be, for a message."""
    kind = next((kind for (start, magic), kind in _OTHERS.items() if head[start:].startswith(magic)), None)
    if kind is None and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        kind = "an SVG" if b"<svg" in head else "a text"
    return f"it looks like {kind} file" if kind else "its format is unknown"
