"""The augmentations of plugins, ``augment.extra``, the same for every task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sightsmith.core.contracts.augmentation import Augmentation


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
