"""The augmentations of plugins, ``augment.extra``, the same for every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sightsmith.core.contracts.augmentation import Augmentation, AugmentationRecord
from sightsmith.core.util.errors import PluginError, UserError, describe_error

if TYPE_CHECKING:
    from numpy.random import Generator

    from sightsmith.core.contracts.image import Array


def apply_augmentations(image: Tensor, augmentations: Sequence[Augmentation], seed: int) -> Tensor:
    """``image`` (C, H, W), uint8 or float32 in [0, 1], after ``augmentations``, in order; what is random in them
    depends on ``seed`` alone. Without any it is returned as it is, else a new tensor."""
    if not augmentations:
        return image
    generator = np.random.default_rng(seed)
    values = np.array(image.permute(1, 2, 0).numpy(), order="C")  # a copy: `image` may be one that the cache keeps
    for augmentation in augmentations:
        values = augmentation(values, generator)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


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
