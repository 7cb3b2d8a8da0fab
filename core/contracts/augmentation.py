"""Augmentations that plugins bring: photometric, so that labels, boxes and masks stay valid in every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sightsmith.core.contracts.records import Record
from sightsmith.core.util.errors import PluginError, UserError, describe_error

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


@dataclass(frozen=True)
class CheckedAugmentation:
    """The :class:`Augmentation` of a plugin's record, which answers for its result."""

    record: AugmentationRecord
    augmentation: Augmentation

    def __call__(self, image: Array, generator: Generator) -> Array:
        """Raises PluginError, which names the plugin, for an exception, and a result of another shape or dtype."""
        shape, dtype = image.shape, image.dtype
        try:
            changed = self.augmentation(image, generator)
        except Exception as error:  # whatever a stranger's code raises
            raise self._broken(f"failed: {describe_error(error)}") from error
        if getattr(changed, "shape", None) != shape or changed.dtype != dtype:
            found = f"{changed.dtype}{changed.shape}" if hasattr(changed, "dtype") else type(changed).__name__
            raise self._broken(f"returned {found} for an image {dtype}{shape}")
        return changed

    def _broken(self, what: str) -> PluginError:
        return PluginError(f"plugin {self.record.provider}: augmentation {self.record.name!r} {what}",
                           hint=f"leave augment.extra.{self.record.name} out, and report it to the plugin's author")


def build_augmentation(record: AugmentationRecord, options: Mapping[str, Any]) -> CheckedAugmentation:
    """``record``'s augmentation with ``options`` over its usual ones. Raises UserError where it cannot use them."""
    try:
        return CheckedAugmentation(record, record.build()(**{**record.options, **options}))
    except (UserError, ValueError, TypeError) as error:
        raise UserError(f"The augmentation {record.name!r} of {record.provider} cannot be made with the options "
                        f"{dict(options)}: {describe_error(error)}", hint=f"its usual options: {dict(record.options)}"
                        ) from error
