"""Images: the content of a file, and the reader protocol."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
"""A numpy array of any type; shape and units are documented where it is used."""


class ImageError(Exception):
    """Why a file cannot be used as an image: one printable sentence for the user, without the path."""

    def __init__(self, message: str) -> None:
        printable = "".join(letter if letter.isprintable() else " " for letter in message)
        super().__init__(" ".join(printable.split())[:300])


class MissingReaderError(ImageError):
    """An image of the format ``title``, whose reader needs ``package``; ``install`` is the command that installs it, or
    empty."""

    def __init__(self, title: str, package: str, install: str) -> None:
        command = f": {install}" if install else ""
        super().__init__(f"reading {title} needs {package}, which is not installed{command}")
        self.title, self.package, self.install = title, package, install


class SeriesError(ImageError):
    """A file of ``count`` volumes that does not say whether they are channels of one image; the builder ``as_channels``
    reads it so."""

    def __init__(self, message: str, count: int, as_channels: str) -> None:
        super().__init__(message)
        self.count, self.as_channels = count, as_channels


@dataclass(frozen=True)
class Geometry:
    """Where the frames of a volume are in the patient.

    ``affine`` (3 x 4) times (column, row, frame, 1), counted from 0 at the centres of voxels, is the place in mm to the
    right, anterior and superior (RAS+, as in NIfTI). ``plane`` is that of the frames: axial, sagittal or coronal.
    """

    affine: tuple[tuple[float, float, float, float], ...]
    plane: str

    @property
    def spacing(self) -> tuple[float, float, float]:
        """mm from a column, a row and a frame to the next"""
        across, down, deep = (math.hypot(*(row[axis] for row in self.affine)) for axis in range(3))
        return across, down, deep

    def to_json(self) -> dict[str, Any]:
        return {"plane": self.plane, "spacing": [round(side, 4) for side in self.spacing],
                "affine": [list(row) for row in self.affine]}


@dataclass(frozen=True)
class ImageInfo:
    """The content of an image file, found by decoding all of it.

    ``width`` and ``height`` are in pixels, of the first frame, upright; ``channels`` counts the bands without
    transparency, of which the first ``colours`` are a picture: see :class:`Frame`. ``bits`` are stored bits per channel
    (8 for 8 or fewer, up to 32). ``groups`` and ``modality`` are those of :class:`Reader`. ``maximum`` is the largest
    finite stored value of all frames. ``digests`` has the SHA-256 of each frame's decoded pixels, shape and type, equal
    for lossless copies. ``monochrome`` says that all pixels are grey, even in three channels. ``reader`` is the builder
    of the image reader, ``"package.module:Class"`` (None: a built-in format). ``extent`` has the smallest and the
    largest finite value of all frames, ``limits`` the first frame's default black and white (None: it has none), both
    in the units of ``image.range``. ``notes`` are those of the frames. ``windowed`` says that windows apply to all
    frames. ``blank`` are the numbers of frames in which all pixels are equal. ``geometry`` is that of a volume.
    ``orientation`` is that of the first frame.
    """

    width: int
    height: int
    channels: int
    bits: int
    frames: int
    groups: tuple[str, ...]
    modality: str | None
    maximum: float
    digests: tuple[str, ...]
    monochrome: bool = False
    reader: str | None = None
    extent: tuple[float, float] = (0.0, 0.0)
    limits: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    colours: int = 0
    windowed: bool = False
    blank: frozenset[int] = frozenset()
    geometry: Geometry | None = None
    orientation: int = 1

    def content(self, frame: int | None, key: str) -> str:
        """The digest of a ``frame``. That of an empty one, as many volumes have, is of its ``key``: it is not a copy of
        others."""
        number = frame or 0
        return f"blank {key}" if number in self.blank else self.digests[number]


@dataclass(frozen=True)
class Frame:
    """One decoded frame: ``values`` (H, W, C) in the file's units (DICOM: after rescale), not yet scaled.

    ``maximum`` is the largest stored value; ``limits`` map to black and white by default (None: there is no natural
    range); ``windowed`` says that ``image.windows`` apply. ``notes`` are warnings, of which the check of a data set
    counts the files: each is what precedes "in 3 images", such as "pages of another size are left out".

    ``orientation`` is what TIFF and EXIF call so (1 to 8); it has been undone.

    Of 2 bands, or more than 3, the first ``bands`` are a picture: 3 if they are red, green and blue, 1 if the first is
    grey, 0 if that is not known.
    """

    values: Array
    maximum: float
    bits: int
    limits: tuple[float, float] | None
    inverted: bool = False
    windowed: bool = False
    notes: tuple[str, ...] = ()
    bands: int = 0
    orientation: int = 1

    @property
    def colours(self) -> int:
        """How many of the first channels are a picture: 1 (grey), 3 (RGB), or 0 if that is not known."""
        channels = int(self.values.shape[2])
        return channels if channels in (1, 3) else self.bands


class Reader(Protocol):
    """An open image file. An exception from its builder or :meth:`frame` is shown as the file's problem.

    A reader of volumes, whose frames are slices, also has their ``geometry``, a :class:`Geometry`, and a method
    ``save(slices, stem)``, which writes slices (frames, H, W) of uint8 as a volume that lies as this one, beside the
    path ``stem``, and returns the path with its suffix.
    """

    frames: int
    """number of frames; 1 for a single image"""
    size: tuple[int, int]
    """(width, height) from the header, before the image is turned upright"""
    groups: tuple[str, ...]
    """what the file is part of, the widest first, such as DICOM's patient and study; () if nothing is known"""
    modality: str | None
    """DICOM's, such as "CT"; None for other images"""

    def frame(self, index: int, careful: bool = False) -> Frame:
        """Decode the whole frame ``index``, counted from 0. ``careful`` must survive decoders that abort the process on
        damaged pixels; slow, and used once per file, in the data set check."""


@runtime_checkable
class PartReader(Reader, Protocol):
    """A reader of images that may be too large to decode whole: the engine reads only parts of them."""

    upright: tuple[int, int]
    """(width, height) once the image is turned upright"""

    def part(self, index: int, box: tuple[int, int, int, int], factor: int = 1) -> Frame:
        """The part ``box`` (left, top, width, height) of the frame ``index``, in pixels of the upright image. With a
        ``factor``, a power of two, each pixel is about the mean of factor x factor, and the sides are rounded up."""
