"""Several files as the channels of one image: a small file in the cache names them, since a sample has one path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sightsmith.core.contracts.image import Array, Frame, Geometry, ImageError, PartReader
from sightsmith.core.util.files import cache_dir, write_atomic
from sightsmith.engine.data.image_files import JOINED, known_readers
from sightsmith.engine.data.image_limits import check_size
from sightsmith.engine.data.images import read_header

FOLDER = "joined"
"""In the cache; nowhere else is such a file read, because it names other files and their readers."""


def join_files(paths: Iterable[Path]) -> Path:
    """The file that stands for ``paths``, whose channels follow each other, while a format reads. Raises ImageError
    for a file of no known format."""
    parts = [[str(path.absolute()), read_header(path, known_readers())[1]] for path in paths]
    content = JOINED + json.dumps(parts).encode()
    folder = cache_dir() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(content).hexdigest()
    write_atomic(path, content)
    return path


class JoinedFiles:
    """Files of equal size, frames and place. Raises ImageError, which names the file that differs."""

    groups: tuple[str, ...] = ()
    modality: str | None = None

    def __init__(self, path: Path) -> None:
        if path.parent.resolve() != (cache_dir() / FOLDER).resolve():
            raise ImageError("it names other files, and is read nowhere but in the cache")
        self._names: list[str] = []
        self._parts: list[Any] = []
        for name, builder in json.loads(path.read_bytes()[len(JOINED):]):
            self._names.append(Path(name).name)
            try:
                self._parts.append(read_header(Path(name), builder=builder)[0])
            except ImageError as error:
                raise ImageError(f"{self._names[-1]}: {error}") from error
        first = self._parts[0]
        width, height = self.size = first.size
        self.frames: int = first.frames
        self.geometry: Geometry | None = getattr(first, "geometry", None)
        for name, part in zip(self._names, self._parts, strict=True):
            if (part.size, part.frames) != (self.size, self.frames) or _is_elsewhere(self.geometry, part):
                raise ImageError(f"{name} has another size or place than {self._names[0]}, its first channel")
            if isinstance(part, PartReader):
                raise ImageError(f"{name} is too large for a channel; save the channels as bands of one TIFF, in tiles")
        check_size(width, height, self.frames, len(self._parts))

    def frame(self, index: int, careful: bool = False) -> Frame:
        found: list[Frame] = []
        for name, part in zip(self._names, self._parts, strict=True):
            try:
                found.append(part.frame(index, careful))
            except ImageError as error:
                raise ImageError(f"{name}: {error}") from error
        limits = [frame.limits for frame in found if frame.limits is not None]
        span = (min(low for low, _ in limits), max(high for _, high in limits)) if len(limits) == len(found) else None
        values = np.concatenate([frame.values for frame in found], 2)
        notes = tuple(dict.fromkeys(note for frame in found for note in frame.notes))
        maximum, bits = max(frame.maximum for frame in found), max(frame.bits for frame in found)
        return Frame(values, maximum, bits, span, notes=notes)

    def save(self, slices: Array, stem: Path) -> Path:
        """As the first file does."""
        saved: Path = self._parts[0].save(slices, stem)
        return saved


def _is_elsewhere(geometry: Geometry | None, part: Any) -> bool:
    other: Geometry | None = getattr(part, "geometry", None)
    return geometry is not None and other is not None and not np.allclose(
        geometry.affine, other.affine, rtol=1e-3, atol=min(geometry.spacing) / 2)
