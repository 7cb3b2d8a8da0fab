"""The predicted maps of a volume's slices as one volume, which lies as the image does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sightsmith.core.contracts.image import Array, ImageInfo
from sightsmith.core.contracts.prediction import Prediction
from sightsmith.core.util.files import short_path, stem_of
from sightsmith.engine.data.images import read_header


class MaskVolumes:
    """Collects the semantic masks of predictions, which come slice by slice, and saves those of a volume once its last
    slice is there."""

    def __init__(self, folder: Path, below: str, infos: Mapping[str, ImageInfo]) -> None:
        """The volumes go to the folder ``below`` of ``folder``; ``infos`` are those of all images."""
        self._folder, self._below, self._infos = folder, below, infos
        self._slices: list[Array] = []
        self.entries: dict[str, dict[str, Any]] = {
            name: info.geometry.to_json() for name, info in infos.items() if info.geometry is not None}
        """how each volume lies, and the file of its mask, by name"""
        self._stems = Counter(map(_without_suffix, self.entries))

    def add(self, name: str, prediction: Prediction) -> None:
        if name not in self.entries or prediction.semantic_mask is None:
            return
        self._slices.append(prediction.semantic_mask)
        info = self._infos[name]
        if len(self._slices) < info.frames:
            return
        stem = _without_suffix(name)
        assert prediction.path is not None  # a volume is a file
        reader: Any = read_header(prediction.path, builder=info.reader)[0]
        place = self._folder / self._below / short_path(stem if self._stems[stem] == 1 else name)
        path = reader.save(np.stack(self._slices), place)
        self.entries[name]["semantic_mask"] = path.relative_to(self._folder).as_posix()
        self._slices = []


def _without_suffix(name: str) -> str:
    return Path(name).with_name(stem_of(Path(name))).as_posix()
