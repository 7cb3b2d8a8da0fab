"""Images: what a file holds, and what reads one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
"""A numpy array of any type; shape and units stand where it is used."""


class ImageError(Exception):
    """Why a file is not used as an image: one sentence for people, printable whatever it quotes, without the path."""

    def __init__(self, message: str) -> None:
        printable = "".join(letter if letter.isprintable() else " " for letter in message)
        super().__init__(" ".join(printable.split())[:300])


@dataclass(frozen=True)
class ImageInfo:
    """What a file holds, found by decoding all of it.

    ``width`` and ``height`` are pixels of the first frame, upright; ``channels`` is 1 or 3, ``bits``
    are stored bits a channel (8 for 8 or fewer, up to 32). ``study`` and ``modality`` are DICOM's.
    ``maximum`` is the largest finite stored value of all frames. ``digests`` has the SHA-256 of
    every frame's decoded pixels, shape and type: a lossless copy in another encoding has the same.
    ``monochrome`` says that no pixel has a colour, however many channels there are. ``reader`` is the builder of the
    plugin's reader that read the file, ``"package.module:Class"`` (None: a JPEG, PNG, TIFF or BMP).
    """

    width: int
    height: int
    channels: int
    bits: int
    frames: int
    study: str | None
    modality: str | None
    maximum: float
    digests: tuple[str, ...]
    monochrome: bool = False
    reader: str | None = None


@dataclass(frozen=True)
class Frame:
    """One decoded frame: ``values`` (H, W, C) in the file's units (DICOM: after rescale), not yet scaled.

    ``maximum`` is the largest stored value; ``limits`` become black and white unless the user says
    otherwise (None: no natural range); ``windowed`` says that DICOM windows apply.
    """

    values: Array
    maximum: float
    bits: int
    limits: tuple[float, float] | None
    inverted: bool = False
    windowed: bool = False

    def picture(self, windows: Sequence[Sequence[float]] = (), value_range: Sequence[float] | None = None) -> Array:
        """(H, W, C): uint8 from 8 bits or fewer, else float32 in [0, 1]. See :func:`read_image`."""
        spans: list[Sequence[float]]
        if self.windowed and windows:
            spans = [window_limits(centre, width) for centre, width in windows]
        elif self.bits > 8 and value_range is not None:
            spans = [value_range]
        elif self.limits is not None:
            spans = [self.limits]
        else:
            raise ImageError(f"its {self.values.dtype.name} pixels have no natural black and white; "
                             "give them with image.range=[low,high]")
        if self.values.dtype == np.uint8 and spans == [(0, 255)] and not self.inverted:
            return self.values
        scaled = np.concatenate([_scale(self.values, low, high) for low, high in spans], axis=-1)
        scaled = 1 - scaled if self.inverted else scaled
        return np.rint(scaled * 255).astype(np.uint8) if self.bits <= 8 else scaled.astype(np.float32)

    def digest(self) -> str:
        """SHA-256 of the values before any window, which could make different pictures equal by clipping."""
        values = self.values.astype(self.values.dtype.newbyteorder("<"), copy=False)
        kind = f"{values.shape} {values.dtype.name} {self.inverted}"
        return hashlib.sha256(kind.encode() + values.tobytes()).hexdigest()


class Reader(Protocol):
    """An open image file. What making one or :meth:`frame` raises becomes the reason why the file cannot be used."""

    frames: int
    """how many there are; 1 for a single image"""
    size: tuple[int, int]
    """(width, height) as the header has it, before the image is turned upright"""
    study: str | None
    """what groups the files of one DICOM study, or the like; None where there is nothing of the kind"""
    modality: str | None
    """DICOM's, such as "CT"; None for other images"""

    def frame(self, index: int, careful: bool = False) -> Frame:
        """Decode the frame ``index``, counted from 0, whole. ``careful`` outlives a decoder that aborts the process on
        damaged pixels, which costs time: each file is read so once, before all else."""


def window_limits(centre: float, width: float) -> tuple[float, float]:
    """The values that a DICOM window makes black and white: PS3.3 C.11.2.1.2.1, LINEAR; width >= 1."""
    if width < 1:
        raise ImageError(f"the window [{centre:g}, {width:g}] has a width below 1, which DICOM does not define")
    low = centre - 0.5 - (width - 1) / 2
    return low, low + width - 1


def _scale(values: Array, low: float, high: float) -> Array:
    """Float64 in [0, 1]: ``low`` and below give 0, ``high`` and above 1; a step where they are equal."""
    exact = values.astype(np.float64)
    exact[~np.isfinite(exact)] = low
    return np.clip((exact - low) / (high - low), 0, 1) if high > low else (exact > low).astype(np.float64)
