"""Large images of formats that can only be decoded from their beginning: unpacked into a file that is mapped into
memory, and that no one sees and that ends with the process."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sightsmith.core.contracts.image import Array, ImageError
from sightsmith.core.util.files import cache_dir
from sightsmith.engine.data.cache import FileCache
from sightsmith.engine.data.image_limits import HOW_TO_CUT

MIN_FREE = 0.1
"""Share of the disk that is left free: below, only the image in use is kept."""


def unpacked(path: Path, shape: tuple[int, ...], dtype: str, fill: Callable[[Array], None]) -> Array:
    """The pixels of the file ``path``, of ``shape`` and ``dtype``, which ``fill`` writes into an array, unless that was
    done before. Raises ImageError if the disk of the cache folder has no room for them."""
    def unpack() -> Array:
        folder = cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size > _free(folder):
            raise ImageError(f"its pixels need {size / 1e9:.1f} GB on the disk of {folder} while they are in use, and "
                             f"there is not so much room: make room, or {HOW_TO_CUT}")
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(size)
            if hasattr(os, "posix_fallocate"):  # a disk that fills up while the pages are written would end the process
                os.posix_fallocate(file.fileno(), 0, size)
            values = np.memmap(file, dtype, "r+", shape=shape)
        fill(values)
        return values

    return _unpacked.get(path, unpack)


def _free(folder: Path) -> float:
    disk = shutil.disk_usage(folder)
    return disk.free - MIN_FREE * disk.total


def _disk_left() -> bool:
    return _free(cache_dir()) > 0


_unpacked: FileCache[Array] = FileCache(_disk_left)
