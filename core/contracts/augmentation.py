"""Augmentations that plugins bring: photometric, so that labels, boxes and masks stay valid in every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sightsmith.core.contracts.records import Record

if TYPE_CHECKING:
    from numpy.random import Generator

    from sightsmith.core.contracts.image import Array


class Augmentation(Protocol):
    """Changes the values of an image at random, and moves nothing in it. It must be picklable, as DataLoader workers
    get a copy: an instance of a class, or a ``functools.partial`` of a function of a module."""

    def __call__(self, image: Array, generator: Generator) -> Array:
        """``image`` (H, W, C) is uint8, or float32 in [0, 1], and may be changed in place; C is 1, 3 (RGB) or the
        number of ``image.windows``. The result has the same shape, dtype and range. All that is random comes from
        ``generator``, which is seeded for each image and epoch."""


@dataclass(frozen=True, kw_only=True)
class AugmentationRecord(Record):
    """An augmentation of training images. The builder is called with its options as keywords and returns an
    :class:`Augmentation`; it raises UserError, ValueError or TypeError for options that it cannot use.

    ``options`` are all of its options with their usual values; the user changes some by ``augment.extra.<name>``.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
