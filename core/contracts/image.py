"""Images: what a file holds, and what reads one."""

from __future__ import annotations

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




