"""Arrays in ``.npy`` files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sightsmith.plugin import Array, Frame, ImageError, check_image_size, integer_limits, largest_value

LONGEST_HEADER = 10_000
"""Bytes of the text that states the shape; that of an image has about a hundred."""
SHAPES = "(height, width) or (height, width, channels)"
MIN_SIDE = 16
"""The smallest side of an image, pixels; fewer, before so many channels, are channels themselves."""


class NumpyReader:
    """An array (H, W) or (H, W, C) of integers, floating-point numbers or bool. Raises ImageError.

    Nothing is unpickled. Bool is black and white; more than 16 bits need ``image.range``, as in other formats.
    """

    groups: tuple[str, ...] = ()
    modality: str | None = None
    frames = 1

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            start = file.read(12)
        if not start.startswith(b"\x93NUMPY"):  # NumPy would take it for a pickle, and advise to open it as one
            raise ImageError("it does not begin as a NumPy array does")
        if start[6:7] != b"\1" and int.from_bytes(start[8:12], "little") > LONGEST_HEADER:
            raise ImageError("the header of the NumPy array is too long")
        # Mapped, an array takes no memory before its size is known, and one that is longer than its file is refused.
        self._array: Array = np.load(path, mmap_mode="r", allow_pickle=False, max_header_size=LONGEST_HEADER)
        if self._array.dtype.kind not in "buif":
            raise ImageError(f"the NumPy array has {self._array.dtype} values; numbers are needed")
        shape = self._array.shape
        if len(shape) not in (2, 3) or shape[2:] == (0,):
            raise ImageError(f"the NumPy array has the shape {shape}; images are {SHAPES}")
        if len(shape) == 3 and shape[0] < MIN_SIDE <= shape[2]:
            raise ImageError(f"the NumPy array has the shape {shape}, as if its channels came first; images are "
                             f"{SHAPES}: save it after .transpose(1, 2, 0)")
        self.size = (shape[1], shape[0])
        check_image_size(*self.size, channels=shape[2] if len(shape) == 3 else 1)

    def frame(self, index: int, careful: bool = False) -> Frame:
        values: Array = np.array(self._array, self._array.dtype.newbyteorder("="), order="C")
        values = values if values.ndim == 3 else values[..., None]
        if values.dtype.kind == "b":
            values = values * np.uint8(255)
        bits = 32 if values.dtype.kind == "f" else 8 * values.dtype.itemsize
        limits = None if bits > 16 else integer_limits(bits, signed=values.dtype.kind == "i")
        return Frame(values, largest_value(values), bits, limits)
