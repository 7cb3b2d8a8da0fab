"""HEIC images, by pi-heif."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pi_heif

from sightsmith.plugin import Array, Frame, check_image_size, integer_limits, largest_value


class HeicReader:
    """An open HEIC file: its primary image, upright, transparency over black. Raises ImageError."""

    groups: tuple[str, ...] = ()
    modality: str | None = None
    frames = 1

    def __init__(self, path: Path) -> None:
        # Opened, the file has its sizes; pixels are decoded when they are asked for.
        self._image = pi_heif.open_heif(path, convert_hdr_to_8bit=False)
        self.size: tuple[int, int] = self._image.size
        check_image_size(*self.size)

    def frame(self, index: int, careful: bool = False) -> Frame:
        stored: Array = np.asarray(self._image)
        bits = 8 * stored.dtype.itemsize  # more than 8 are scaled up to 16
        stored = stored if stored.ndim == 3 else stored[..., None]
        values = stored[..., :3] if stored.shape[2] >= 3 else stored[..., :1]
        if stored.shape[2] in (2, 4):
            opacity = stored[..., -1:] / np.float32(2**bits - 1)
            values = np.rint(values * opacity).astype(stored.dtype)
        return Frame(np.ascontiguousarray(values), largest_value(values), bits, integer_limits(bits, signed=False))
