"""Predictions; the counterpart of :mod:`sightsmith.core.contracts.annotation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sightsmith.core.contracts.annotation import Box, RunLengths
from sightsmith.core.contracts.image import Array


@dataclass(frozen=True)
class PredictedObject:
    """A detected object: ``score`` in [0, 1], ``box`` and ``mask`` in pixels of the whole, upright image."""

    label: str
    score: float
    box: Box
    mask: RunLengths | None = None


@dataclass(frozen=True)
class Prediction:
    """The prediction for an image of ``width`` x ``height`` pixels, or for one ``frame`` of a multi-frame file.

    ``path`` is None for an image from memory.

    ``scores`` has the probability of each class, highest first; they sum to 1, except for multi-label. ``objects`` are
    sorted by descending score. ``semantic_mask`` (height, width) uint8 is 0 for the background and i + 1 for
    ``classes[i]`` of the run. A task sets one of the three.
    """

    path: Path | None
    width: int
    height: int
    frame: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    objects: tuple[PredictedObject, ...] = ()
    semantic_mask: Array | None = None
